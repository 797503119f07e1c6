//! Snapshots of many files, which are taken in several at a time: all of them count, in their order, and one that
//! cannot be read leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_backend_fs::FsStore;
use alluvium_state_api::snapshot::{CancelToken, SnapshotFile, SnapshotKind, SnapshotRequest};
use alluvium_state_api::storage::{FileReader, SnapshotSource};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, Error, ErrorKind, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, Result,
    ValueDescriptor, ValueState,
};
use tempfile::TempDir;

const KEYS: u64 = 30_000;
const CHECKPOINTS: u64 = 20;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");

type Backend = KeyedBackend<u64, FsStore>;

fn open(directory: &TempDir, parts: Vec<RestorePart>) -> Result<Backend> {
    let groups = MaxParallelism::new(64)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    KeyedBackend::new(FsStore::open(env)?)
}

/// Whether a checkpoint writes a key: the first one all, the others a few, many of which an earlier one wrote, too.
fn writes(number: u64, key: u64) -> bool {
    number == 0 || key.is_multiple_of(10 * (number % 7) + 300)
}

/// The last one of the checkpoints that wrote a key.
fn writer_of(key: u64) -> Option<u64> {
    (0..CHECKPOINTS).filter(|number| writes(*number, key)).max()
}

/// A chain of checkpoints.
fn chain(storage: &TestStorage) -> RestorePart {
    let directory = tempfile::tempdir().unwrap();
    let mut backend = open(&directory, Vec::new()).unwrap();
    let value = backend.open(VALUE).unwrap();
    let mut part = None;
    for number in 0..CHECKPOINTS {
        for key in (0..KEYS).filter(|key| writes(number, *key)) {
            backend.at(&key).unwrap().value(value).set(&number).unwrap();
        }
        let id = CheckpointId::new(number + 1);
        let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
        let task = backend.snapshot(&request).unwrap();
        let snapshot = run_task(task, &storage.sink(id), &CancelToken::default()).unwrap();
        backend.checkpoint_completed(id).unwrap();
        part = Some(RestorePart { snapshot, source: storage.source(id), base: None });
    }
    part.unwrap()
}

/// Some files of a source cannot be read.
#[derive(Debug)]
struct Without {
    inner: Arc<dyn SnapshotSource>,
    files: Vec<SnapshotFile>,
    missing: Vec<usize>,
}

impl SnapshotSource for Without {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let number = self.files.iter().position(|other| other.stored == file.stored);
        match number.filter(|number| self.missing.contains(number)) {
            Some(number) => Err(Error::unavailable(format!("file {number} is out of reach"))),
            None => self.inner.open(file),
        }
    }

    fn local_path(&self, file: &SnapshotFile) -> Option<PathBuf> {
        self.inner.local_path(file)
    }
}

#[test]
fn all_files_count_in_their_order() {
    let storage = TestStorage::default();
    let part = chain(&storage);
    assert!(part.snapshot.files.len() >= 16, "{} files", part.snapshot.files.len());
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let mut backend = open(&directory, vec![part.clone()]).unwrap();
        let value = backend.open(VALUE).unwrap();
        for key in 0..KEYS {
            let found = backend.at(&key).unwrap().value(value).get().unwrap();
            assert_eq!(found, writer_of(key), "{key}");
        }
    }
}

#[test]
fn the_first_file_that_cannot_be_read_is_told_and_nothing_stays() {
    let storage = TestStorage::default();
    let part = chain(&storage);
    let files = part.snapshot.files.clone();
    for first in 0..files.len() {
        let missing = vec![first, first + 1, first + 5];
        let (inner, files) = (Arc::clone(&part.source), files.clone());
        let source = Arc::new(Without { inner, files, missing });
        let directory = tempfile::tempdir().unwrap();
        let refused = open(&directory, vec![RestorePart { source, ..part.clone() }]);
        let error = refused.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.message(), format!("file {first} is out of reach"));
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 1, "the lock alone");
    }
}
