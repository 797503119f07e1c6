//! Backends of numbers, and the series of checkpoints that is taken of one.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::snapshot::{
    CancelToken, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, RestorePart};

/// So many keys that tables are large.
pub(crate) const KEYS: u64 = 150_000;

pub(crate) type Backend = KeyedBackend<u64, MemoryStore>;

/// A backend; restored if there are parts.
pub(crate) fn open(restore: Vec<RestorePart>) -> Backend {
    let groups = MaxParallelism::new(16).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    KeyedBackend::new(MemoryStore::open(OpenEnv::new(space).with_restore(restore)).unwrap())
        .unwrap()
}

/// Takes the next checkpoint and confirms it; returns what restores it.
pub(crate) fn take(backend: &mut Backend, storage: &TestStorage, id: u64) -> RestorePart {
    let id = CheckpointId::new(id);
    let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
    let (sink, cancel, progress) = (storage.sink(id), CancelToken::default(), Progress::default());
    let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
    let snapshot = backend.snapshot_now(&request, context).unwrap();
    backend.checkpoint_completed(id).unwrap();
    RestorePart { snapshot, source: storage.source(id), base: Some(id) }
}
