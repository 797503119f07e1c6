//! What an increment writes follows from what changed, and not from what earlier ones put off.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{
    CheckpointId, KeyedBackend, MapDescriptor, MaxParallelism, OpenEnv, ValueDescriptor,
};

const KEYS: u64 = 50_000;

struct Job {
    backend: KeyedBackend<u64, MemoryStore>,
    storage: TestStorage,
    last: u64,
}

impl Job {
    fn new() -> Self {
        let groups = MaxParallelism::new(128).unwrap();
        let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
        let mut env = OpenEnv::new(space);
        env.randomness = Arc::new(SeededRandomness::new(1));
        let backend = KeyedBackend::new(MemoryStore::open(env).unwrap()).unwrap();
        Self { backend, storage: TestStorage::default(), last: 0 }
    }

    fn increment(&mut self) -> KeyedSnapshot {
        self.last += 1;
        let id = CheckpointId::new(self.last);
        let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
        let (sink, cancel) = (self.storage.sink(id), CancelToken::default());
        let progress = Progress::default();
        let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
        let taken = self.backend.snapshot_now(&request, context).unwrap();
        self.backend.checkpoint_completed(id).unwrap();
        taken
    }

    /// Changes this share of the keys, in parts per thousand, each time others; what the increment after it
    /// writes, in the same parts of a full snapshot, and what a restore reads then.
    fn change(
        &mut self,
        share: u64,
        full: &KeyedSnapshot,
        set: &mut impl FnMut(&mut KeyedBackend<u64, MemoryStore>, u64, u64),
    ) -> (u64, u64) {
        for at in 0..KEYS * share / 1000 {
            let key = (self.last * 7919 + at * 1009) % KEYS;
            set(&mut self.backend, key, self.last);
        }
        let taken = self.increment();
        assert_eq!(taken.kind, SnapshotKind::Incremental);
        (taken.bytes_new * 1000 / full.bytes_new, taken.bytes_full * 1000 / full.bytes_new)
    }

    fn check(mut self, mut set: impl FnMut(&mut KeyedBackend<u64, MemoryStore>, u64, u64)) {
        for key in 0..KEYS {
            set(&mut self.backend, key, 0);
        }
        let full = self.increment();
        for large in [100, 100, 100, 500, 200, 1000] {
            let (written, read) = self.change(large, &full, &mut set);
            assert!(written <= large * 5, "{written} are written for {large}");
            assert!(read <= 1300, "a restore reads {read} after {large}");
            for small in [1, 1, 10] {
                let (written, _) = self.change(small, &full, &mut set);
                let most = 15 + small * 5;
                assert!(written <= most, "{written} are written for {small} after {large}");
            }
        }
    }
}

#[test]
fn of_values() {
    const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
    let mut job = Job::new();
    let count = job.backend.open(COUNT).unwrap();
    job.check(|backend, key, value| {
        backend.at(&key).unwrap().value(count).set(&value).unwrap();
    });
}

#[test]
fn of_maps() {
    const SEEN: MapDescriptor<u64, u64> = MapDescriptor::new("seen");
    let mut job = Job::new();
    let seen = job.backend.open(SEEN).unwrap();
    job.check(|backend, key, value| {
        backend.at(&key).unwrap().map(seen).insert(&1, &value).unwrap();
    });
}
