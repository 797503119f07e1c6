//! A job with one operator over a backend: stores in one thread, a coordinator, a file system in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{
    Acknowledged, CheckpointPlan, Components, Coordinator, OperatorSpec, Options, RestoreOptions,
    RestorePlan, RestorePoint, StartFrom, SubtaskAck, Trigger,
};
use alluvium_state_api::clock::ManualClock;
use alluvium_state_api::codec::Native;
use alluvium_state_api::random::{OsRandomness, Randomness, SeededRandomness};
use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::snapshot::{FileName, Progress, SnapshotContext, SnapshotKind};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::testkit::contents::contents_of;
use alluvium_state_api::testkit::fixtures::{Everything, group_of};
use alluvium_state_api::testkit::{Harness, groups};
use alluvium_state_api::vfs::{FileSystem, MemoryFs};
use alluvium_state_api::{
    Descriptor, EntryKey, KeyHash, KeyedBackend, KeyedStore, MapDescriptor, MaxParallelism,
    OpenEnv, StableHash, StateKey, hash_bytes,
};

pub(crate) const UID: &str = "rows";

/// State and bytes of each entry, and its value, wherever it is.
pub(crate) type Held = BTreeMap<(Box<str>, Vec<u8>), Vec<u8>>;

/// What happens to a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Put(u64, u64),
    Touch(u64),
    Remove(u64),
    Stamp(u64, u64),
    Checkpoint,
}

/// Steps over `keys` keys; the same for the same seed.
pub(crate) fn steps(seed: u64, keys: u64, count: usize) -> Vec<Step> {
    let random = SeededRandomness::new(seed);
    let step = |_| {
        let (key, value) = (random.next_u64() % keys, random.next_u64() % 1_000_000);
        match random.next_u64() % 16 {
            0..=6 => Step::Put(key, value),
            7..=11 => Step::Touch(key),
            12 | 13 => Step::Remove(key),
            14 => Step::Stamp(key, value),
            _ => Step::Checkpoint,
        }
    };
    (0..count).map(step).collect()
}

/// See the module. Keys are placed by `P`.
pub(crate) struct Job<H: Harness, P = StableHash> {
    pub(crate) coordinator: Coordinator,
    pub(crate) storage: Arc<dyn CheckpointStorage>,
    pub(crate) backends: Vec<KeyedBackend<u64, H::Store, Native, P>>,
    harness: H,
}

pub(crate) fn local(fs: &MemoryFs, directory: &str) -> Arc<dyn CheckpointStorage> {
    let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
    let options =
        LocalOptions::default().with_inline_threshold_bytes(0).with_savepoint_directory("/saved");
    let job = FileName::new("job-1").unwrap();
    let random = Arc::new(OsRandomness);
    Arc::new(LocalStorage::open(fs, random, Path::new(directory), &job, options).unwrap())
}

impl<H: Harness, P: KeyHash<u64>> Job<H, P> {
    pub(crate) fn open(storage: Arc<dyn CheckpointStorage>, kind: SnapshotKind) -> Self {
        let components = Components {
            storage: Arc::clone(&storage),
            clock: Arc::new(ManualClock::at(1_000)),
            randomness: Arc::new(SeededRandomness::new(4)),
        };
        let options = Options { kind, retained: 2, ..Options::default() };
        let job = FileName::new("job-1").unwrap();
        let coordinator = Coordinator::open(job, options, components).unwrap();
        Self { coordinator, storage, backends: Vec::new(), harness: H::default() }
    }

    /// A fresh job with `count` key groups.
    pub(crate) fn fresh(fs: &MemoryFs, count: u32, parallelism: u32, kind: SnapshotKind) -> Self {
        let mut job = Self::open(local(fs, "/checkpoints"), kind);
        job.start(parallelism, Some(groups(count)), StartFrom::Nothing);
        job
    }

    pub(crate) fn start(
        &mut self,
        parallelism: u32,
        groups: Option<MaxParallelism>,
        from: StartFrom<'_>,
    ) -> RestorePlan {
        self.start_with(parallelism, groups, from, RestoreOptions::default())
    }

    pub(crate) fn start_with(
        &mut self,
        parallelism: u32,
        groups: Option<MaxParallelism>,
        from: StartFrom<'_>,
        options: RestoreOptions,
    ) -> RestorePlan {
        let mut operator = OperatorSpec::new(UID, parallelism);
        if let Some(groups) = groups {
            operator = operator.with_max_parallelism(groups);
        }
        let plan = self.coordinator.start(&[operator], from, options).unwrap();
        let operator = &plan.operators[0];
        let open = |subtask: &alluvium_checkpoint::SubtaskPlan| {
            let groups = operator.operator.groups();
            let space = KeySpace::of::<u64, Native, P>(groups, subtask.range).unwrap();
            let env = OpenEnv::new(space).with_restore(subtask.restore.clone());
            KeyedBackend::new(self.harness.open(env).unwrap()).unwrap()
        };
        self.backends = operator.subtasks.iter().map(open).collect();
        plan
    }

    /// Does all of `steps`; checkpoints where `checkpoints` says so.
    pub(crate) fn run(&mut self, steps: &[Step], checkpoints: bool) {
        for step in steps {
            let (Step::Put(key, _) | Step::Touch(key) | Step::Remove(key) | Step::Stamp(key, _)) =
                *step
            else {
                if checkpoints {
                    self.complete(Trigger::checkpoint());
                }
                continue;
            };
            for backend in &mut self.backends {
                let space = backend.store().key_space().clone();
                if space.range().contains(group_of(&space, &key)) {
                    apply(backend, step, &space);
                }
            }
        }
    }

    pub(crate) fn complete(&mut self, trigger: Trigger) -> CheckpointPlan {
        let trigger =
            trigger.with_application("position").with_operator_application(UID, "operator");
        let plan = self.coordinator.trigger(trigger).unwrap();
        let mut outcome = None;
        for (subtask, backend) in (0..).zip(&mut self.backends) {
            // All have opened their states, as an operator does.
            Everything::open(backend);
            backend.store_mut().register(&stamped()).unwrap();
            let task = backend.snapshot(&plan.request).unwrap();
            let (cancel, progress) = (&plan.cancel, &Progress::default());
            let context = SnapshotContext { sink: &*plan.sink, cancel, progress };
            let ack = SubtaskAck::keyed(task.run(context).unwrap());
            outcome = Some(self.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap());
        }
        assert_eq!(outcome, Some(Acknowledged::Completed));
        for notification in self.coordinator.notifications() {
            for backend in &mut self.backends {
                backend.checkpoint_completed(notification.id()).unwrap();
            }
        }
        plan
    }

    pub(crate) fn held(&mut self) -> Held {
        let mut held = Held::new();
        for backend in &mut self.backends {
            for ((state, _, bytes), value) in contents_of(backend.store_mut()) {
                assert!(held.insert((state, bytes), value).is_none(), "an entry in two stores");
            }
        }
        held
    }

    pub(crate) fn point(&self, pointer: &str) -> RestorePoint {
        RestorePoint::open(&*self.storage, pointer).unwrap()
    }
}

/// A state whose values begin with a stamp, with a limit of its own.
fn stamped() -> StateMeta {
    let descriptor = MapDescriptor::<u8, String>::new("stamped").with_size_limit(77);
    StateMeta { stamped: true, ..descriptor.meta() }
}

fn apply<S: KeyedStore, P: KeyHash<u64>>(
    backend: &mut KeyedBackend<u64, S, Native, P>,
    step: &Step,
    space: &KeySpace,
) {
    let states = Everything::open(backend);
    match *step {
        Step::Put(key, seed) => states.put(backend, key, seed),
        Step::Touch(key) => states.touch(backend, key),
        Step::Remove(key) => states.remove(backend, key),
        Step::Stamp(key, seed) => {
            let slot = backend.store_mut().register(&stamped()).unwrap().slot;
            let bytes = [&key.to_be_bytes()[..], &[seed.to_le_bytes()[0] % 3]].concat();
            let entry = EntryKey::new(&bytes, 8, 8).unwrap();
            let hash = hash_bytes(entry.key());
            let placement = space.placement_of(entry.key(), hash).unwrap();
            let at = StateKey::new(entry, hash, placement, space.groups());
            let value = [&seed.to_le_bytes()[..], b"text"].concat();
            backend.store_mut().put(slot, &at, &value).unwrap();
        }
        Step::Checkpoint => {}
    }
}

/// Below `from`, copied with plain file operations.
pub(crate) fn copy_files(fs: &MemoryFs, from: &Path, to: &Path) {
    use std::io::Write;
    fs.create_dir(to).unwrap();
    for entry in fs.list(from).unwrap() {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if fs.list(&from).is_ok() {
            copy_files(fs, &from, &to);
            continue;
        }
        let file = fs.open(&from).unwrap();
        let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
        file.read_exact_at(0, &mut bytes).unwrap();
        fs.create_new(&to).unwrap().write_all(&bytes).unwrap();
    }
}

pub(crate) fn remove_files(fs: &MemoryFs, directory: &Path) {
    for entry in fs.list(directory).unwrap() {
        let path = directory.join(&entry.name);
        if fs.list(&path).is_ok() {
            remove_files(fs, &path);
        } else {
            fs.remove_file(&path).unwrap();
        }
    }
    fs.remove_dir(directory).unwrap();
}
