//! What every [`FileSystem`] promises, for those who write one.
//!
//! ```
//! use alluvium_state_api::testkit::file_systems::{FileSystemProfile, contract};
//! use alluvium_state_api::vfs::MemoryFs;
//!
//! contract(&MemoryFs::new(), std::path::Path::new("/"), FileSystemProfile::posix());
//! ```

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::vfs::{BYPASS_ALIGNMENT, EntryKind, FileSystem, Metadata, ensure_directory};

/// In what file systems may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystemProfile {
    /// Whether a file can have a second name; a link is `Unsupported` otherwise.
    pub hard_links: bool,
    /// Whether others see what was written before it is synced.
    pub shows_unsynced: bool,
}

impl FileSystemProfile {
    /// A file system as POSIX has them.
    pub const fn posix() -> Self {
        Self { hard_links: true, shows_unsynced: true }
    }
}

/// Tries everything below `root`, an empty directory, and leaves it with the directory `deep`.
pub fn contract(fs: &dyn FileSystem, root: &Path, profile: FileSystemProfile) {
    files(fs, root, profile);
    names(fs, root, profile);
    directories(fs, root);
    missing(fs, root);
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn write(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) {
    fs.create_new(path).unwrap().write_all(bytes).unwrap();
}

fn read(fs: &dyn FileSystem, path: &Path) -> Vec<u8> {
    let file = fs.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Leaves the file `a` with 8 bytes.
fn files(fs: &dyn FileSystem, root: &Path, profile: FileSystemProfile) {
    let a = root.join("a");
    assert_eq!(kind(fs.open(&a)), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs.open_append(&a)), Some(ErrorKind::NotFound));
    let mut file = fs.create_new(&a).unwrap();
    file.write_all(b"alpha").unwrap();
    file.sync().unwrap();
    drop(file);
    assert_eq!(kind(fs.create_new(&a)), Some(ErrorKind::AlreadyExists));
    let mut file = fs.open_append(&a).unwrap();
    file.write_all(b"bet").unwrap();
    if !profile.shows_unsynced {
        file.sync().unwrap();
    }
    let reader = fs.open(&a).unwrap();
    assert_eq!(reader.length().unwrap(), 8);
    let mut tail = [0; 4];
    reader.read_exact_at(4, &mut tail).unwrap();
    assert_eq!(&tail, b"abet");
    assert_eq!(kind(reader.read_exact_at(5, &mut tail)), Some(ErrorKind::UnexpectedEof));
    assert_eq!(reader.read_at(u64::from(u32::MAX), &mut tail).unwrap(), 0);
    assert_eq!(reader.read_at(u64::MAX, &mut tail).unwrap_or_default(), 0);
    assert_eq!(reader.read_at(0, &mut []).unwrap(), 0);
    // A sync is no end.
    file.sync().unwrap();
    drop(file);
    let b = root.join("b");
    let mut file = fs.create_new(&b).unwrap();
    for part in [&b"one"[..], b"two", b""] {
        file.write_all(part).unwrap();
        file.sync().unwrap();
    }
    assert_eq!(read(fs, &b), b"onetwo");
    drop(file);
    assert_eq!(read(fs, &b), b"onetwo");
    fs.remove_file(&b).unwrap();
    past_the_cache(fs, &b);
    write(fs, &b, b"");
    assert_eq!(read(fs, &b), b"");
    assert_eq!(fs.metadata(&b).unwrap(), Metadata { kind: EntryKind::File, length: 0 });
    // Whose name is removed is written no more, or to nowhere.
    fs.remove_file(&b).unwrap();
    let mut file = fs.create_new(&b).unwrap();
    fs.remove_file(&b).unwrap();
    drop(file.write_all(b"lost").and_then(|()| file.sync()));
    drop(file);
    assert_eq!(kind(fs.open(&b)), Some(ErrorKind::NotFound));
}

/// Writes that may go past a cache, aligned and not, one after the other.
fn past_the_cache(fs: &dyn FileSystem, path: &Path) {
    let memory: Vec<u8> = (0..=250).cycle().take(6 * BYPASS_ALIGNMENT).collect();
    let start = memory.as_ptr().addr().wrapping_neg() % BYPASS_ALIGNMENT;
    let aligned = &memory[start..][..4 * BYPASS_ALIGNMENT];
    let parts = [
        aligned,
        &aligned[BYPASS_ALIGNMENT..],
        &aligned[..10],
        aligned,
        &memory[start + 1..][..BYPASS_ALIGNMENT],
    ];
    let mut file = fs.create_new(path).unwrap();
    file.bypass_cache().unwrap();
    for part in parts {
        file.write_all(part).unwrap();
    }
    file.sync().unwrap();
    drop(file);
    assert!(read(fs, path) == parts.concat());
    fs.remove_file(path).unwrap();
}

fn names(fs: &dyn FileSystem, root: &Path, profile: FileSystemProfile) {
    let (a, b, dir) = (root.join("a"), root.join("b"), root.join("dir"));
    fs.create_dir(&dir).unwrap();
    assert_eq!(kind(fs.create_dir(&dir)), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs.create_dir(&a)), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs.create_new(&dir)), Some(ErrorKind::AlreadyExists));
    assert_eq!(fs.metadata(&a).unwrap(), Metadata { kind: EntryKind::File, length: 8 });
    assert_eq!(fs.metadata(&dir).unwrap(), Metadata { kind: EntryKind::Directory, length: 0 });

    if profile.hard_links {
        fs.hard_link(&a, &b).unwrap();
        assert_eq!(kind(fs.hard_link(&a, &b)), Some(ErrorKind::AlreadyExists));
    } else {
        assert_eq!(kind(fs.hard_link(&a, &b)), Some(ErrorKind::Unsupported));
        write(fs, &b, b"b");
    }
    assert_eq!(kind(fs.rename_no_replace(&a, &b)), Some(ErrorKind::AlreadyExists));
    assert_eq!(read(fs, &a).len(), 8);
    fs.remove_file(&b).unwrap();
    fs.rename_no_replace(&a, &b).unwrap();
    assert_eq!(kind(fs.rename_no_replace(&a, &root.join("c"))), Some(ErrorKind::NotFound));
    write(fs, &a, b"new");
    fs.rename(&a, &b).unwrap();
    assert_eq!(read(fs, &b), b"new");
    fs.rename(&b, &dir.join("c")).unwrap();
    assert_eq!(kind(fs.remove_dir(&dir)), Some(ErrorKind::DirectoryNotEmpty));
    let listed = fs.list(&dir).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.to_str(), listed[0].metadata.length), (Some("c"), 3));
    fs.remove_file(&dir.join("c")).unwrap();
    fs.sync_directory(&dir).unwrap();
    fs.remove_dir(&dir).unwrap();
    assert!(fs.list(root).unwrap().is_empty());
}

fn directories(fs: &dyn FileSystem, root: &Path) {
    let deep = root.join("deep");
    ensure_directory(fs, &deep.join("er/est")).unwrap();
    ensure_directory(fs, &deep.join("er/est")).unwrap();
    let file = deep.join("file");
    write(fs, &file, b"");
    assert!(ensure_directory(fs, &file.join("x")).is_err());
    for name in ["z", "b", "a.b", "B", "0"] {
        write(fs, &deep.join(name), b"1");
    }
    let listed = fs.list(&deep).unwrap().into_iter();
    let names: Vec<_> = listed.map(|entry| entry.name.into_string().unwrap()).collect();
    assert_eq!(names, ["0", "B", "a.b", "b", "er", "file", "z"]);
    // A directory is no file, and a file no directory.
    assert_eq!(kind(fs.open(&deep)), Some(ErrorKind::IsADirectory));
    assert!(fs.open_append(&deep).is_err());
    assert!(fs.remove_file(&deep.join("er/est")).is_err());
    assert_eq!(fs.metadata(&deep.join("er/est")).unwrap().kind, EntryKind::Directory);
    assert_eq!(kind(fs.list(&file)), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(fs.remove_dir(&file)), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(fs.create_dir(&file.join("x"))), Some(ErrorKind::NotADirectory));
    assert!(fs.create_new(&file.join("x")).is_err());
    assert_eq!(read(fs, &file), b"");
}

fn missing(fs: &dyn FileSystem, root: &Path) {
    let (nothing, below) = (root.join("nothing"), root.join("nothing/below"));
    let not_found = Some(ErrorKind::NotFound);
    assert_eq!(kind(fs.metadata(&nothing)), not_found);
    assert_eq!(kind(fs.modified_ms(&nothing)), not_found);
    assert_eq!(kind(fs.list(&nothing)), not_found);
    assert_eq!(kind(fs.remove_file(&nothing)), not_found);
    assert_eq!(kind(fs.remove_dir(&nothing)), not_found);
    assert_eq!(kind(fs.create_dir(&below)), not_found);
    assert_eq!(kind(fs.create_new(&below)), not_found);
    assert_eq!(kind(fs.rename_no_replace(&nothing, &root.join("other"))), not_found);
    assert_eq!(kind(fs.metadata(&nothing)), not_found, "nothing was made on the way");
}
