//! Files taken over from another snapshot: by a second name, by a copy, and refused.

use super::super::memory::MemoryStorage;
use super::*;
use crate::ErrorKind;
use crate::vfs::FaultyFs;
use crate::vfs::faulty::{EIO, Fault, Operation, TraceEntry};

/// Another job's storage below the same directory.
fn open_other(fs: &Arc<dyn FileSystem>, directory: &Path) -> LocalStorage {
    let options = LocalOptions::default().with_savepoint_directory(directory.join("savepoints"));
    let job = FileName::new("other").unwrap();
    LocalStorage::open(Arc::clone(fs), Arc::new(OsRandomness), directory, &job, options).unwrap()
}

/// The other job's checkpoint 1, with one file of each kind.
fn foreign(fs: &Arc<dyn FileSystem>, directory: &Path) -> (StoredCheckpoint, Vec<SnapshotFile>) {
    let other = open_other(fs, directory);
    let files = take(&other, 1).unwrap();
    (other.load(id(1)).unwrap(), files)
}

fn name_of(file: &StoredFile) -> &FileName {
    match &file.location {
        FileLocation::Own(name) | FileLocation::Shared(name) => name,
        FileLocation::Inline(_) => panic!("it is inline"),
    }
}

/// Takes over all of `files` as shared ones.
fn import_all(
    attempt: &dyn CheckpointAttempt,
    files: &[SnapshotFile],
    source: &dyn SnapshotSource,
) -> Result<Vec<SnapshotFile>> {
    let sink = attempt.sink();
    let import = |file: &SnapshotFile| {
        let stored = sink.import(file, source, FileScope::Shared)?;
        Ok(SnapshotFile { stored, ..file.clone() })
    };
    files.iter().map(import).collect()
}

#[test]
fn on_one_file_system_a_file_gets_a_second_name() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = FaultyFs::new(Arc::new(RealFs));
    let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let (stored, files) = foreign(&fs, dir.path());
    let storage = open(&fs, dir.path()).unwrap();
    let attempt = storage.begin(id(7)).unwrap();
    let before = faulty.trace().len();
    let imported = import_all(&*attempt, &files, &*stored.source).unwrap();
    let trace = faulty.trace().split_off(before);
    let count = |operation| trace.iter().filter(|entry| entry.operation == operation).count();
    assert_eq!((count(Operation::HardLink), count(Operation::Read)), (2, 0));
    assert_eq!((count(Operation::SyncFile), count(Operation::SyncDirectory)), (2, 2));
    attempt.publish(&encode(&imported)).unwrap();
    for (old, new) in files.iter().zip(&imported).take(2) {
        assert!(matches!(new.stored.location, FileLocation::Shared(_)));
        assert_ne!(name_of(&old.stored), name_of(&new.stored));
        let inode = |path: PathBuf| {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(path).unwrap().ino()
        };
        let path = storage.source(id(7)).local_path(new).unwrap();
        assert_eq!(path, dir.path().join(JOB).join("shared").join(name_of(&new.stored).as_str()));
        assert_eq!(inode(path), inode(stored.source.local_path(old).unwrap()));
    }
    assert_eq!(imported[2], files[2], "what is inline stays inline");
    assert_eq!(stored.source.local_path(&files[2]), None);
    check_whole(&stored).unwrap();
    // Each side may go without the other.
    let other = open_other(&fs, dir.path());
    other.discard(id(1), &[name_of(&files[1].stored).clone()]).unwrap();
    check_whole(&storage.load(id(7)).unwrap()).unwrap();
}

#[test]
fn across_file_systems_a_file_is_copied() {
    for (raw, traced, refused) in [
        (18, "EXDEV", Operation::HardLink),
        (1, "EPERM", Operation::HardLink),
        (31, "EMLINK", Operation::HardLink),
        (95, "ENOTSUP", Operation::HardLink),
        (13, "EACCES", Operation::OpenAppend),
    ] {
        let memory: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
        open(&memory, Path::new("/")).unwrap();
        let (stored, files) = foreign(&memory, Path::new("/"));
        let run = |fault: Option<u64>| {
            let mut faulty = FaultyFs::new(Arc::clone(&memory));
            if let Some(number) = fault {
                faulty = faulty.with_fault(number, Fault::Fails(raw));
            }
            let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
            let storage = open(&fs, Path::new("/")).unwrap();
            let number = 1 + u64::from(fault.is_some());
            let attempt = storage.begin(id(number)).unwrap();
            let imported = import_all(&*attempt, &files[..1], &*stored.source).unwrap();
            attempt.publish(&encode(&imported)).unwrap();
            check_whole(&storage.load(id(number)).unwrap()).unwrap();
            faulty.trace()
        };
        let at = run(None).iter().position(|entry| entry.operation == refused);
        let trace = run(Some(at.unwrap() as u64 + 1));
        let copied = |entry: &TraceEntry| entry.operation == Operation::Read;
        assert!(trace.iter().any(copied), "{traced}");
        let left = files_below(&*memory, &Path::new("/").join(JOB).join("shared"));
        assert_eq!(left.len(), 2, "{traced}: one file for each checkpoint");
    }
}

/// A source that cannot be linked: all that an object store has.
#[derive(Debug)]
struct Remote(Arc<dyn SnapshotSource>);

impl SnapshotSource for Remote {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        self.0.open(file)
    }
}

#[test]
fn another_length_or_checksum_is_refused_and_leaves_nothing() {
    everywhere(|fs, dir| {
        let (stored, files) = foreign(&fs, &dir);
        let attempt = open(&fs, &dir).unwrap().begin(id(1)).unwrap();
        let sink = attempt.sink();
        let remote = Remote(Arc::clone(&stored.source));
        let refused = |file: &SnapshotFile, source: &dyn SnapshotSource| {
            let error = sink.import(file, source, FileScope::Shared).unwrap_err();
            assert_eq!((error.kind(), error.checkpoint()), (ErrorKind::Corrupted, Some(id(1))));
        };
        for file in &files {
            let mut longer = file.clone();
            longer.stored.length += 1;
            refused(&longer, &*stored.source);
            refused(&longer, &remote);
            let mut other = file.clone();
            other.stored.checksum ^= 1;
            refused(&other, &remote);
        }
        let mut inline = files[2].clone();
        inline.stored.checksum ^= 1;
        refused(&inline, &*stored.source);
        let mut missing = files[0].clone();
        missing.stored.location = FileLocation::Own(FileName::new("never-there").unwrap());
        for source in [&*stored.source, &remote] {
            let error = sink.import(&missing, source, FileScope::Own).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        assert!(files_below(&*fs, &dir.join(JOB)).is_empty());
        check_whole(&stored).unwrap();
        attempt.abort().unwrap();
        let late = sink.import(&files[0], &*stored.source, FileScope::Own).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn an_aborted_attempt_removes_its_names_and_no_others() {
    everywhere(|fs, dir| {
        let (stored, files) = foreign(&fs, &dir);
        let attempt = open(&fs, &dir).unwrap().begin(id(1)).unwrap();
        import_all(&*attempt, &files, &*stored.source).unwrap();
        attempt.abort().unwrap();
        assert!(files_below(&*fs, &dir.join(JOB)).is_empty());
        check_whole(&stored).unwrap();
    });
}

#[test]
fn a_symbolic_link_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let (stored, files) = foreign(&fs, dir.path());
    let path = stored.source.local_path(&files[0]).unwrap();
    let secret = dir.path().join("secret");
    fs.rename(&path, &secret).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    let attempt = open(&fs, dir.path()).unwrap().begin(id(1)).unwrap();
    assert!(attempt.sink().import(&files[0], &*stored.source, FileScope::Own).is_err());
    assert!(files_below(&*fs, &dir.path().join(JOB)).is_empty());
}

#[test]
fn in_memory_everything_becomes_inline() {
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
    let (stored, files) = foreign(&fs, Path::new("/"));
    let storage = MemoryStorage::new(job(), Arc::new(OsRandomness));
    let attempt = storage.begin(id(1)).unwrap();
    let imported = import_all(&*attempt, &files, &*stored.source).unwrap();
    assert!(imported.iter().all(|f| matches!(f.stored.location, FileLocation::Inline(_))));
    attempt.publish(&encode(&imported)).unwrap();
    check_whole(&storage.load(id(1)).unwrap()).unwrap();
    let mut other = files[0].clone();
    other.stored.checksum ^= 1;
    let attempt = storage.begin(id(2)).unwrap();
    let error = attempt.sink().import(&other, &*stored.source, FileScope::Own).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
}

/// What another job left unsynced, as `cp` does, is taken over, with a fault at an operation.
fn import_with(number: u64, fault: Fault, linked: bool) -> (FaultyFs, MemoryFs, Option<Vec<u8>>) {
    let memory = MemoryFs::new();
    let shared: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let (stored, files) = foreign(&shared, Path::new("/"));
    memory.sync_everything();
    let path = stored.source.local_path(&files[0]).unwrap();
    shared.remove_file(&path).unwrap();
    shared.create_new(&path).unwrap().write_all(&content(1, 30_000)).unwrap();
    let faulty = FaultyFs::new(shared).with_fault(number, fault);
    let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let remote = Remote(Arc::clone(&stored.source));
    let source = if linked { &*stored.source } else { &remote as &dyn SnapshotSource };
    let published = (|| {
        let options = LocalOptions::default().with_inline_threshold_bytes(100);
        let random = Arc::new(SeededRandomness::new(42));
        let storage = LocalStorage::open(fs, random, Path::new("/"), &job(), options)?;
        let attempt = storage.begin(id(1))?;
        let imported = import_all(&*attempt, &files, source);
        let metadata = imported.map(|files| encode(&files));
        let published = metadata.and_then(|bytes| attempt.publish(&bytes).map(|()| bytes));
        if published.is_err() {
            drop(attempt.abort());
        }
        published
    })();
    (faulty, memory, published.ok())
}

#[test]
fn a_power_cut_or_failure_at_any_operation_leaves_whole_files_or_none() {
    let mut points = 0;
    for linked in [true, false] {
        let (faulty, _, published) = import_with(u64::MAX, Fault::PowerCut, linked);
        assert!(published.is_some());
        for fault in [Fault::PowerCut, Fault::Fails(EIO), Fault::HappensButFails(EIO)] {
            for number in 1..=faulty.operations() + 1 {
                let (faulty, memory, published) = import_with(number, fault, linked);
                assert!(faulty.retried().is_empty(), "{:?}", faulty.retried());
                let random = (0..20).map(|seed| memory.crash_with(seed * 1_000 + number));
                for left in std::iter::once(memory.crash()).chain(random) {
                    points += 1;
                    let fs: Arc<dyn FileSystem> = Arc::new(left);
                    let storage = open(&fs, Path::new("/")).unwrap();
                    let listed = storage.list().unwrap();
                    if let Some(metadata) = &published {
                        assert_eq!(storage.load(id(1)).unwrap().metadata, *metadata);
                    }
                    for id in listed {
                        let whole = check_whole(&storage.load(id).unwrap());
                        assert_eq!(whole, Ok(()), "{fault:?} at {number}");
                    }
                }
            }
        }
    }
    assert!(points > 2_000, "only {points} points");
}

/// The syncs of an import are what the test above rests on: without them it fails.
#[test]
fn an_imported_file_is_durable_before_it_is_reported() {
    for linked in [true, false] {
        let memory = MemoryFs::new();
        let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
        let (stored, files) = foreign(&fs, Path::new("/"));
        let storage = open(&fs, Path::new("/")).unwrap();
        let attempt = storage.begin(id(1)).unwrap();
        let remote = Remote(Arc::clone(&stored.source));
        let source = if linked { &*stored.source } else { &remote as &dyn SnapshotSource };
        let mut imported = files[0].clone();
        imported.stored = attempt.sink().import(&files[0], source, FileScope::Shared).unwrap();
        // No publication: the power goes at once.
        let left: Arc<dyn FileSystem> = Arc::new(memory.crash());
        let source = open(&left, Path::new("/")).unwrap().source(id(1));
        assert_eq!(read_all(&*source, &imported), content(1, 30_000));
    }
}

/// Otherwise a collector elsewhere would take it for an old orphan before a manifest names it.
#[test]
fn a_second_name_of_an_old_file_is_young() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let (stored, files) = foreign(&fs, dir.path());
    let path = stored.source.local_path(&files[0]).unwrap();
    let now = fs.modified_ms(&path).unwrap().unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
    let storage = open(&fs, dir.path()).unwrap();
    let attempt = storage.begin(id(1)).unwrap();
    attempt.sink().import(&files[0], &*stored.source, FileScope::Shared).unwrap();
    let found = &storage.survey().unwrap().shared[0];
    assert!(found.modified_ms.unwrap() >= now);
}
