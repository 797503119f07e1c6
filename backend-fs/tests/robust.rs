//! A local directory that fails: whatever operation of the file system it is, the store says so with a typed
//! error and poisons itself where it must, what it still answers is right, and the last checkpoint is whole.

use std::sync::Arc;

use alluvium_backend_fs::{FsOptions, FsStore, ReadMode};
use alluvium_state_api::codec::Native;
use alluvium_state_api::snapshot::{CancelToken, KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::vfs::faulty::Fault;
use alluvium_state_api::vfs::{FaultyFs, FileSystem, RealFs};
use alluvium_state_api::{
    CheckpointId, Error, ErrorKind, KeyedBackend, MaxParallelism, NoNamespace, OpenEnv,
    RestorePart, Result, ValueDescriptor, ValueHandle, ValueState,
};
use tempfile::TempDir;

/// No space left on the device, and an error of the device.
const ERRORS: [i32; 2] = [28, 5];
/// Keys of the job.
const KEYS: u64 = 600;
const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");

/// A store with its directory, which goes away after it.
struct Opened {
    backend: KeyedBackend<u64, FsStore>,
    value: ValueHandle<Vec<u8>, Native, NoNamespace>,
    _directory: TempDir,
}

fn open(fs: Arc<dyn FileSystem>, parts: Vec<RestorePart>) -> Result<Opened> {
    let groups = MaxParallelism::new(8)?;
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_error| tempfile::tempdir());
    let directory = directory
        .map_err(|error| Error::unavailable("no temporary directory").with_source(error))?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let mut env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    env.file_system = fs;
    let mut options = FsOptions::default();
    options.write_buffer_bytes = 32 << 10;
    options.max_segments = 3;
    options.read_mode = ReadMode::Pread;
    let mut backend = KeyedBackend::new(FsStore::open_with(env, options)?)?;
    let value = backend.open(VALUE)?;
    Ok(Opened { backend, value, _directory: directory })
}

fn value_of(key: u64, round: u8) -> Vec<u8> {
    vec![round; 20 + usize::try_from(key % 50).unwrap_or(0)]
}

/// What the job came to.
#[derive(Default)]
struct Course {
    /// The last confirmed checkpoint, with the round that it holds.
    confirmed: Option<(KeyedSnapshot, CheckpointId, u8)>,
}

/// Writes every key in each of three rounds, takes a checkpoint after each, and reads all keys back.
fn job(fs: &FaultyFs, storage: &TestStorage, course: &mut Course) -> Result<()> {
    let Opened { mut backend, value, _directory } = open(Arc::new(fs.clone()), Vec::new())?;
    for round in 0..3u8 {
        for key in 0..KEYS {
            backend.at(&key)?.value(value).set(&value_of(key, round)[..])?;
        }
        let id = CheckpointId::new(u64::from(round) + 1);
        let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental))?;
        // A snapshot may fail alone: the job goes on without it.
        match run_task(task, &storage.sink(id), &CancelToken::default()) {
            Ok(snapshot) => {
                backend.checkpoint_completed(id)?;
                course.confirmed = Some((snapshot, id, round));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                backend.checkpoint_aborted(id)?;
            }
        }
        for key in 0..KEYS {
            let found = backend.at(&key)?.value(value).get()?;
            assert_eq!(found, Some(value_of(key, round)), "key {key} in round {round}");
        }
    }
    Ok(())
}

fn restore(storage: &TestStorage, course: &Course) -> Result<()> {
    let Some((snapshot, id, round)) = &course.confirmed else {
        return Ok(());
    };
    let part =
        RestorePart { snapshot: snapshot.clone(), source: storage.source(*id), base: Some(*id) };
    let Opened { mut backend, value, _directory } = open(Arc::new(RealFs), vec![part])?;
    for key in 0..KEYS {
        let found = backend.at(&key)?.value(value).get()?;
        assert_eq!(found, Some(value_of(key, *round)), "key {key} of checkpoint {id}");
    }
    Ok(())
}

#[test]
fn a_failing_directory_loses_no_checkpoint() {
    let storage = TestStorage::default();
    let healthy = FaultyFs::new(Arc::new(RealFs));
    let mut course = Course::default();
    job(&healthy, &storage, &mut course).unwrap();
    restore(&storage, &course).unwrap();
    let operations = healthy.operations();
    assert!(operations > 100, "the job spills and merges: {operations}");
    let stride = usize::try_from(operations / 40).unwrap().max(1);
    let (mut failed, mut poisoned) = (0, 0);
    for (index, number) in (1..=operations).step_by(stride).enumerate() {
        let errno = ERRORS[index % ERRORS.len()];
        let fs = FaultyFs::new(Arc::new(RealFs)).with_fault(number, Fault::Fails(errno));
        let (storage, mut course) = (TestStorage::default(), Course::default());
        if let Err(error) = job(&fs, &storage, &mut course) {
            failed += 1;
            poisoned += usize::from(error.kind() == ErrorKind::Poisoned);
            let expected = [ErrorKind::Unavailable, ErrorKind::Poisoned, ErrorKind::InvalidInput];
            assert!(expected.contains(&error.kind()), "operation {number}: {error}");
        }
        restore(&storage, &course).unwrap();
        assert_eq!(fs.retried(), Vec::<std::path::PathBuf>::new(), "operation {number}");
    }
    assert!(failed > 0 && poisoned > 0, "{failed} failed, {poisoned} poisoned");
}

#[test]
fn a_poisoned_store_refuses_everything_that_comes_later() {
    let count = {
        let healthy = FaultyFs::new(Arc::new(RealFs));
        job(&healthy, &TestStorage::default(), &mut Course::default()).unwrap();
        healthy.operations()
    };
    for number in (count / 4)..=count {
        let fs = FaultyFs::new(Arc::new(RealFs)).with_fault(number, Fault::PowerCut);
        let Ok(Opened { mut backend, value, _directory }) = open(Arc::new(fs), Vec::new()) else {
            continue;
        };
        let mut seen = None;
        for key in 0..40 * KEYS {
            let written = backend.at(&key).unwrap().value(value).set(&value_of(key, 1)[..]);
            match (written, seen) {
                (Err(error), _) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                    assert!(error.message().contains("restore the last checkpoint"), "{error}");
                    seen = Some(key);
                }
                (Ok(()), Some(since)) => panic!("key {key} was taken, poisoned since {since}"),
                (Ok(()), None) => {}
            }
            if seen.is_some_and(|since| key > since + 10) {
                break;
            }
        }
        if seen.is_some() {
            return;
        }
    }
    panic!("no store was poisoned");
}
