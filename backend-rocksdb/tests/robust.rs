//! A database that fails underneath: the store says so, poisons itself, and the last checkpoint is whole.

use alluvium_backend_rocksdb::{MemoryBudget, RocksOptions, RocksStore, Tuning};
use alluvium_state_api::snapshot::{CancelToken, SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, Result,
    ValueDescriptor, ValueState,
};
use std::path::Path;

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");

fn open(directory: &Path, parts: Vec<RestorePart>) -> Result<KeyedBackend<u64, RocksStore>> {
    let groups = MaxParallelism::new(8)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let env = OpenEnv::new(space).with_local_dir(directory).with_restore(parts);
    let mut options = RocksOptions::default();
    options.memory = MemoryBudget::PerStore;
    options.tuning = Tuning { write_buffer_bytes: Some(64 << 10), ..Tuning::default() };
    KeyedBackend::new(RocksStore::open_with(env, options)?)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "pulls the directory away, as nobody should")]
fn a_database_that_cannot_write_poisons_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut backend = open(directory.path(), Vec::new()).unwrap();
    let value = backend.open(VALUE).unwrap();
    for key in 0..100u64 {
        backend.at(&key).unwrap().value(value).set(&[1; 50][..]).unwrap();
    }
    let (storage, id) = (TestStorage::default(), CheckpointId::new(1));
    let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Full)).unwrap();
    let snapshot = run_task(task, &storage.sink(id), &CancelToken::default()).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let refused = (0..1_000_000u64)
        .find_map(|key| backend.at(&key).unwrap().value(value).set(&[2; 100][..]).err());
    let refused = refused.expect("nothing can be written to a directory that is gone");
    assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
    assert!(refused.message().contains("restore the last checkpoint"), "{refused}");
    let mut cx = backend.at(&1).unwrap();
    assert_eq!(cx.value(value).get().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(cx.value(value).clear().unwrap_err().kind(), ErrorKind::Poisoned);
    let again = SnapshotRequest::new(CheckpointId::new(2), SnapshotKind::Full);
    assert_eq!(backend.snapshot(&again).map(drop).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(backend);

    let part = RestorePart { snapshot, source: storage.source(id), base: None };
    let mut restored = open(directory.path(), vec![part]).unwrap();
    let value = restored.open(VALUE).unwrap();
    for key in 0..100u64 {
        let found = restored.at(&key).unwrap().value(value).get().unwrap();
        assert_eq!(found, Some(vec![1; 50]));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "pulls the directory away, as nobody should")]
fn an_increment_that_cannot_write_buffers_out_poisons_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut backend = open(directory.path(), Vec::new()).unwrap();
    let value = backend.open(VALUE).unwrap();
    backend.at(&1).unwrap().value(value).set(&[1; 50][..]).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let request = SnapshotRequest::new(CheckpointId::new(1), SnapshotKind::Incremental);
    let error = backend.snapshot(&request).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    let error = backend.at(&1).unwrap().value(value).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
}

#[test]
fn a_view_outlives_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut backend = open(directory.path(), Vec::new()).unwrap();
    let value = backend.open(VALUE).unwrap();
    backend.at(&1).unwrap().value(value).set(&[1; 50][..]).unwrap();
    let (storage, id) = (TestStorage::default(), CheckpointId::new(1));
    let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Canonical)).unwrap();
    drop(backend);
    let error = open(directory.path(), Vec::new()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "the directory is still in use: {error}");
    let snapshot = run_task(task, &storage.sink(id), &CancelToken::default()).unwrap();
    let part = RestorePart { snapshot, source: storage.source(id), base: None };
    let mut restored = open(directory.path(), vec![part]).unwrap();
    let value = restored.open(VALUE).unwrap();
    assert_eq!(restored.at(&1).unwrap().value(value).get().unwrap(), Some(vec![1; 50]));
}
