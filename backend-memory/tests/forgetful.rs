//! A table that forgot what changed makes the next incremental snapshot a full one, of all states.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{
    CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, ValueDescriptor, ValueState,
};

const KEPT: ValueDescriptor<u64> = ValueDescriptor::new("a, which remembers");
const REMOVED: ValueDescriptor<u64> = ValueDescriptor::new("b, which forgets");
const KEYS: u64 = 150_000;

type Backend = KeyedBackend<u64, MemoryStore>;

fn open(restore: Vec<RestorePart>) -> Backend {
    let groups = MaxParallelism::new(16).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    KeyedBackend::new(MemoryStore::open(OpenEnv::new(space).with_restore(restore)).unwrap())
        .unwrap()
}

fn take(backend: &mut Backend, storage: &TestStorage, id: u64) -> KeyedSnapshot {
    let id = CheckpointId::new(id);
    let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
    let (sink, cancel, progress) = (storage.sink(id), CancelToken::default(), Progress::default());
    let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
    let taken = backend.snapshot_now(&request, context).unwrap();
    backend.checkpoint_completed(id).unwrap();
    taken
}

#[test]
fn a_forgetful_state_makes_all_of_them_full() {
    let storage = TestStorage::default();
    let mut backend = open(Vec::new());
    let (kept, removed) = (backend.open(KEPT).unwrap(), backend.open(REMOVED).unwrap());
    for key in 0..KEYS {
        let mut cx = backend.at(&key).unwrap();
        cx.value(kept).set(&key).unwrap();
        cx.value(removed).set(&key).unwrap();
    }
    assert_eq!(take(&mut backend, &storage, 1).kind, SnapshotKind::Full);
    backend.at(&7).unwrap().value(kept).set(&70).unwrap();
    assert_eq!(take(&mut backend, &storage, 2).kind, SnapshotKind::Incremental);
    for key in 0..KEYS {
        backend.at(&key).unwrap().value(removed).clear().unwrap();
    }
    let taken = take(&mut backend, &storage, 3);
    assert_eq!(taken.kind, SnapshotKind::Full);
    let source = storage.source(CheckpointId::new(3));
    let part = RestorePart { snapshot: taken, source, base: Some(CheckpointId::new(3)) };
    let mut restored = open(vec![part]);
    let (kept, removed) = (restored.open(KEPT).unwrap(), restored.open(REMOVED).unwrap());
    for key in 0..KEYS {
        let mut cx = restored.at(&key).unwrap();
        let want = if key == 7 { 70 } else { key };
        assert_eq!(cx.value(kept).get().unwrap(), Some(want));
        assert_eq!(cx.value(removed).get().unwrap(), None);
    }
}
