mod adopt;

use alluvium_state_api::random::{OsRandomness, SeededRandomness};
use alluvium_state_api::snapshot::FileLocation;
use alluvium_state_api::vfs::faulty::{ENOSPC, Fault};
use alluvium_state_api::vfs::{FaultyFs, MemoryFs, RealFs};

use super::*;

fn owned(fs: impl FileSystem + 'static, path: &Path) -> Result<LocalDirectory> {
    LocalDirectory::open(Arc::new(fs), path, Arc::new(OsRandomness))
}

fn put(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) {
    fs.create_new(path).unwrap().write_all(bytes).unwrap();
}

fn content(file: &LocalFile, length: u64) -> Vec<u8> {
    let reader = file.read(length).unwrap();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    reader.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn names(fs: &dyn FileSystem, path: &Path) -> Vec<String> {
    fs.list(path).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = &directory.path().join("state/of/one");
    let first = owned(RealFs, path).unwrap();
    let second = owned(RealFs, path).unwrap_err();
    assert_eq!((second.kind(), second.path()), (ErrorKind::InvalidInput, Some(path.as_path())));
    let (file, _writer) = first.create().unwrap();
    drop(first);
    assert!(owned(RealFs, path).is_err(), "a file of the owner is still there");
    drop(file);
    owned(RealFs, path).unwrap();
}

#[test]
fn what_an_earlier_owner_left_is_removed_and_nothing_else() {
    let fs = MemoryFs::new();
    let path = Path::new("/state");
    fs.create_dir(path).unwrap();
    let hex = "0123456789abcdef0123456789abcdef";
    let foreign = [hex.to_owned(), "notes.segment".to_owned(), format!("{hex}.segments")];
    for name in &foreign {
        put(&fs, &path.join(name), b"kept");
    }
    put(&fs, &path.join(format!("{hex}.segment")), b"stale");
    let _directory = owned(fs.clone(), path).unwrap();
    let mut expected = vec![LOCK.to_owned()];
    expected.extend(foreign);
    expected.sort();
    assert_eq!(names(&fs, path), expected);
}

#[test]
fn files_go_with_their_last_owner_and_have_numbers_of_their_own() {
    let fs = MemoryFs::new();
    let path = Path::new("/state");
    let directory = owned(fs.clone(), path).unwrap();
    let (file, mut writer) = directory.create().unwrap();
    writer.write(b"one ").unwrap();
    writer.write(b"two").unwrap();
    let stored = writer.finish().unwrap();
    assert_eq!(stored.location, FileLocation::Own(file.name().clone()));
    assert_eq!(stored.checksum, alluvium_state_api::format::file_checksum(b"one two"));
    assert_eq!(content(&file, stored.length), b"one two");
    assert_eq!(file.read(6).unwrap_err().kind(), ErrorKind::Corrupted);
    let (other, unfinished) = directory.create().unwrap();
    assert_ne!(file.id(), other.id());
    drop(unfinished);
    assert_eq!(names(&fs, path).len(), 3);
    drop((file, other));
    assert_eq!(names(&fs, path), [LOCK]);
}

#[test]
fn a_name_that_is_taken_is_drawn_again() {
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
    let open = |seed| {
        let randomness = Arc::new(SeededRandomness::new(seed));
        LocalDirectory::open(Arc::clone(&fs), "/state", randomness).unwrap()
    };
    let (first, _writer) = open(1).create().unwrap();
    let taken = first.path().to_owned();
    let second = open(1);
    // The owner before has gone, as far as this file system knows, but its file has come back.
    put(&*fs, &taken, b"");
    let (fresh, _writer) = second.create().unwrap();
    assert_ne!(fresh.path(), taken);
}

#[test]
fn a_failed_write_loses_the_file() {
    let memory = MemoryFs::new();
    let script = |fault: Option<u64>| {
        let fs = FaultyFs::new(Arc::new(memory.clone()));
        let directory = owned(fs.clone(), Path::new("/state")).unwrap();
        let (_file, mut writer) = directory.create().unwrap();
        let next = fs.operations() + 1;
        let _fs = fault.map(|later| fs.with_fault(next + later, Fault::Fails(ENOSPC)));
        let written = writer.write(b"bytes").map_err(|error| error.kind());
        let again = writer.write(b"bytes").map_err(|error| error.kind());
        (written, again, writer.finish().map(drop).map_err(|error| error.kind()))
    };
    let lost = Err(ErrorKind::Unavailable);
    assert_eq!(script(None), (Ok(()), Ok(()), Ok(())));
    assert_eq!(script(Some(0)), (lost, lost, lost));
    assert_eq!(script(Some(2)), (Ok(()), Ok(()), lost), "the sync");
}
