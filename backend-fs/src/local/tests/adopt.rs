//! Files of snapshots that are taken in: linked, copied, and copied in part.

use alluvium_state_api::format::{
    BufferReader, BufferWriter, FileForm, StateFile, StateFileSpec, StateFileWriter, WriteOptions,
};
use alluvium_state_api::snapshot::{FileFormat, SnapshotFile, StoredFile};
use alluvium_state_api::storage::{FileReader, SnapshotSource};
use alluvium_state_api::{
    Descriptor, EntryKey, KeyGroup, KeyGroupRange, KeyedBackend, MaxParallelism, ValueDescriptor,
};

use super::*;

const GROUPS: u16 = 8;

/// A state file with lookups: two states, with so many entries in each key group but the third one.
fn state_file(entries: u64) -> Vec<u8> {
    let groups = MaxParallelism::new(u32::from(GROUPS)).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let meta = |name| ValueDescriptor::<u64>::new(name).meta();
    let spec = StateFileSpec {
        key: space.identity().clone(),
        groups,
        range: groups.all(),
        states: vec![meta("one"), meta("other")],
        form: FileForm::Full,
    };
    let mut options = WriteOptions::default();
    options.lookups = true;
    let writer = StateFileWriter::new(BufferWriter::boxed(), spec, options).unwrap();
    let mut writer = writer.into_sequential();
    for (state, group) in (0..2).flat_map(|state| (0..GROUPS).map(move |group| (state, group))) {
        if group == 2 {
            continue;
        }
        writer.section(state, KeyGroup::new(group)).unwrap();
        for number in 0..entries {
            let key = number.to_be_bytes();
            writer
                .put(EntryKey::new(&key, 8, 8).unwrap(), &u64::from(group).to_le_bytes())
                .unwrap();
        }
    }
    match writer.finish().unwrap().stored.location {
        FileLocation::Inline(bytes) => bytes.to_vec(),
        location => panic!("it was written to {location:?}"),
    }
}

fn opened(bytes: &[u8]) -> StateFile {
    StateFile::open(BufferReader::over(bytes), "snapshot").unwrap()
}

/// A directory of snapshot files; whether it says where they are.
#[derive(Debug)]
struct Source {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    tells: bool,
}

impl Source {
    fn with(fs: impl FileSystem + 'static, path: &Path, bytes: &[u8]) -> (Self, SnapshotFile) {
        put(&fs, &path.join("snapshot"), bytes);
        let stored = StoredFile {
            location: FileLocation::Shared(FileName::new("snapshot").unwrap()),
            length: bytes.len() as u64,
            checksum: alluvium_state_api::format::file_checksum(bytes),
        };
        let (format, label) = (FileFormat::State, "".into());
        let file = SnapshotFile { stored, format, label, frame_checksum: None, live: Vec::new() };
        (Self { fs: Arc::new(fs), path: path.to_owned(), tells: true }, file)
    }

    /// Takes in the key groups of `live`.
    fn adopt(
        &self,
        into: &LocalDirectory,
        file: &SnapshotFile,
        live: &[KeyGroupRange],
    ) -> Result<LocalFile> {
        if let Some((linked, _)) = into.link(file, self)? {
            return Ok(linked);
        }
        let opened = StateFile::open(self.open(file)?.into(), "snapshot")?;
        into.copy(Wanted { file, opened: &opened, live })
    }
}

impl SnapshotSource for Source {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        open_file(&*self.fs, &self.path.join("snapshot"), file.stored.length)
    }

    fn local_path(&self, _: &SnapshotFile) -> Option<PathBuf> {
        self.tells.then(|| self.path.join("snapshot"))
    }
}

fn all() -> [KeyGroupRange; 1] {
    [KeyGroupRange::new(0, GROUPS).unwrap()]
}

#[test]
fn a_file_of_the_same_file_system_is_linked_and_outlives_its_name() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let directory = owned(RealFs, &root.path().join("state")).unwrap();
    let bytes = state_file(3);
    let (source, file) = Source::with(RealFs, root.path(), &bytes);
    let original = root.path().join("snapshot");
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let some = [KeyGroupRange::new(1, 2).unwrap()];
    let linked = source.adopt(&directory, &file, &some).unwrap();
    assert_eq!(inode(linked.path()), inode(&original));
    assert!(!linked.has_gaps());
    RealFs.remove_file(&original).unwrap();
    assert_eq!(content(&linked, file.stored.length), bytes);
    let path = linked.path().to_owned();
    drop(linked);
    assert_eq!(RealFs.open(&path).map(drop).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_cannot_be_linked_is_copied() {
    let root = tempfile::tempdir().unwrap();
    let directory = owned(RealFs, &root.path().join("state")).unwrap();
    let bytes = state_file(20_000);
    let elsewhere = MemoryFs::new();
    let (told, file) = Source::with(elsewhere.clone(), Path::new("/"), &bytes);
    let untold = Source { tells: false, fs: Arc::new(elsewhere), path: told.path.clone() };
    // The key group that is missing has nothing.
    let spared = [[0, 2], [3, GROUPS]].map(|[start, end]| KeyGroupRange::new(start, end).unwrap());
    for (source, live) in [(told, &all()[..]), (untold, &spared)] {
        let adopted = source.adopt(&directory, &file, live).unwrap();
        assert_eq!(content(&adopted, file.stored.length), bytes);
        assert!(!adopted.has_gaps());
        let mut other = file.clone();
        other.stored.checksum ^= 1;
        let refused = source.adopt(&directory, &other, live).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupted);
    }
    assert_eq!(names(&RealFs, &directory.0.path), [LOCK], "what was refused is gone");
}

/// A copy of some key groups: what it has, and what of the disk it takes.
#[test]
fn only_the_sections_that_are_wanted_are_copied() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let directory = owned(RealFs, &root.path().join("state")).unwrap();
    let bytes = state_file(20_000);
    let (source, file) = Source::with(MemoryFs::new(), Path::new("/"), &bytes);
    let live = [[1, 2], [4, 6]].map(|[start, end]| KeyGroupRange::new(start, end).unwrap());
    let copy = source.adopt(&directory, &file, &live).unwrap();
    assert!(copy.has_gaps());
    let original = opened(&bytes);
    let wanted = original.ranges_of(|section| live.iter().any(|some| some.contains(section.group)));
    let (copied, mut expected) = (content(&copy, file.stored.length), vec![0; bytes.len()]);
    for range in &wanted {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        expected[start..end].copy_from_slice(&bytes[start..end]);
    }
    assert!(copied == expected, "each byte is where the original has it");
    let metadata = std::fs::metadata(copy.path()).unwrap();
    let held: u64 = wanted.iter().map(|range| range.end - range.start).sum();
    assert!(held < metadata.len() / 2 && metadata.blocks() * 512 < held + held / 8);
    let none = source.adopt(&directory, &file, &[KeyGroupRange::new(2, 3).unwrap()]).unwrap();
    assert!(none.has_gaps());
}

#[test]
fn damage_to_a_section_is_noticed_by_who_copies_it() {
    let directory = owned(MemoryFs::new(), Path::new("/state")).unwrap();
    let bytes = state_file(200);
    let sections = opened(&bytes).ranges_of(|section| section.group == KeyGroup::new(4));
    let at = usize::try_from(sections[1].start).unwrap() + 100;
    let mut damaged = bytes.clone();
    damaged[at] ^= 1;
    let (mut source, file) = Source::with(MemoryFs::new(), Path::new("/"), &damaged);
    source.tells = false;
    let live = |start, end| [KeyGroupRange::new(start, end).unwrap()];
    let refused = source.adopt(&directory, &file, &live(3, 5)).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.key_group()),
        (ErrorKind::Corrupted, Some(KeyGroup::new(4)))
    );
    source.adopt(&directory, &file, &live(5, 8)).unwrap();
}

#[test]
fn a_failed_copy_of_sections_leaves_nothing() {
    let bytes = state_file(200);
    let (mut source, file) = Source::with(MemoryFs::new(), Path::new("/"), &bytes);
    source.tells = false;
    let some = [KeyGroupRange::new(1, 3).unwrap()];
    let mut failures = 0;
    for later in 1.. {
        let memory = MemoryFs::new();
        let fs = FaultyFs::new(Arc::new(memory.clone()));
        let directory = owned(fs.clone(), Path::new("/state")).unwrap();
        let next = fs.operations() + later;
        let fs = fs.with_fault(next, Fault::Fails(ENOSPC));
        let adopted = source.adopt(&directory, &file, &some);
        if fs.operations() < next {
            adopted.unwrap();
            break;
        }
        assert_eq!(adopted.unwrap_err().kind(), ErrorKind::Unavailable, "{:?}", fs.trace().last());
        assert_eq!(names(&memory, Path::new("/state")), [LOCK]);
        failures += 1;
    }
    assert!(failures > 10, "{failures} operations");
}

#[test]
fn a_file_of_another_length_or_none_is_refused() {
    let fs = MemoryFs::new();
    let directory = owned(fs.clone(), Path::new("/state")).unwrap();
    let bytes = state_file(3);
    let (mut source, file) = Source::with(fs.clone(), Path::new("/"), &bytes);
    let (opened, live) = (opened(&bytes), &all());
    let mut longer = file.clone();
    longer.stored.length += 1;
    assert!(directory.link(&longer, &source).unwrap().is_none(), "its own name says why not");
    assert_eq!(source.open(&longer).unwrap_err().kind(), ErrorKind::Corrupted);
    let wanted = Wanted { file: &longer, opened: &opened, live };
    assert_eq!(directory.copy(wanted).unwrap_err().kind(), ErrorKind::Corrupted);
    fs.remove_file(Path::new("/snapshot")).unwrap();
    for tells in [true, false] {
        source.tells = tells;
        assert_eq!(source.adopt(&directory, &file, live).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(names(&fs, &directory.0.path), [LOCK]);
}
