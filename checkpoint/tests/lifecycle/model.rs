//! Random interleavings. Each subtask has an inbox, which it works off at its own pace, so that it
//! takes its part of a checkpoint long after later ones were triggered or completed. In order, but
//! that notifications may overtake requests.
//!
//! Checked after every step: every published checkpoint is whole; every checkpoint ends once; an
//! orderly runtime is never found at fault; numbers never repeat. At the end, when all is quiet:
//! nothing is left but what the retained checkpoints use.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    AbortReason, CheckpointPlan, Notification, Options, Orphans, StartFrom, Trigger,
};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{FileName, SnapshotKind};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs};
use alluvium_state_api::{CheckpointId, Error};
use proptest::prelude::*;

use crate::deletion::REMOVE;
use crate::fake::{Job, UID, assert_whole, local, local_over};

#[derive(Clone, Debug)]
enum Step {
    Trigger,
    TriggerFull,
    Savepoint,
    /// A subtask works off so many messages.
    Work(usize, usize),
    /// A subtask is told something while requests before it are still on their way, as calls
    /// overtake barriers that travel with the data.
    Overtake(usize),
    Decline(usize, usize),
    Abort(usize),
    /// Time passes, in tenths of the timeout.
    Tick(u32),
    /// The job fails and starts again, with so many subtasks, from the n-th retained from the end or
    /// the newest savepoint.
    Restart(u32, usize, bool),
    /// The master's process dies, or its machine; the job starts again.
    Crash(u32, Option<u64>),
    /// The file system will fail, so many operations from now.
    Fault(u64, Fault),
}

#[derive(Clone, Debug)]
enum Message {
    Told(CheckpointId, bool),
    Take(CheckpointPlan),
}

struct World {
    job: Job,
    disk: Option<Disk>,
    inboxes: Vec<VecDeque<Message>>,
    plans: BTreeMap<CheckpointId, CheckpointPlan>,
    ended: BTreeSet<CheckpointId>,
    completed: BTreeSet<CheckpointId>,
    savepoints: Vec<String>,
    disturbed: bool,
}

/// A file system that survives processes, and what the present process sees of it.
struct Disk {
    memory: MemoryFs,
    faulty: FaultyFs,
    /// How often it was opened: names must not repeat.
    opened: u64,
}

impl Disk {
    fn over(memory: MemoryFs, opened: u64) -> (Self, Arc<dyn CheckpointStorage>) {
        let faulty = FaultyFs::new(Arc::new(memory.clone()));
        let storage = local_over(Arc::new(faulty.clone()), 1_000 + opened);
        let disk = Self { memory, faulty, opened };
        (disk, storage)
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

impl World {
    fn new(kind: SnapshotKind, retained: usize, max_concurrent: usize, in_memory: bool) -> Self {
        let options =
            Options { kind, retained, max_concurrent, timeout: TIMEOUT, ..Options::default() };
        let (disk, storage) = if in_memory {
            let randomness = Arc::new(SeededRandomness::new(3));
            let job = FileName::new("job-1").unwrap();
            let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new(job, randomness));
            (None, storage)
        } else {
            let (disk, storage) = Disk::over(MemoryFs::new(), 0);
            (Some(disk), storage)
        };
        let mut world = Self {
            job: Job::over(storage, options),
            disk,
            inboxes: Vec::new(),
            plans: BTreeMap::new(),
            ended: BTreeSet::new(),
            completed: BTreeSet::new(),
            savepoints: Vec::new(),
            disturbed: false,
        };
        world.start(2, StartFrom::Newest);
        world
    }

    fn start(&mut self, parallelism: u32, from: StartFrom<'_>) {
        // Faults come one at a time; the second attempt meets none, or the next one.
        let started = (0..20).find_map(|_| self.job.start(parallelism, from).ok());
        assert!(started.is_some());
        self.inboxes = vec![VecDeque::new(); parallelism as usize];
        self.plans.clear();
    }

    fn trigger(&mut self, trigger: Trigger) {
        if let Ok(plan) = self.job.coordinator.trigger(trigger) {
            assert!(!self.ended.contains(&plan.id) && !self.plans.contains_key(&plan.id));
            assert!(self.completed.last().is_none_or(|newest| *newest < plan.id));
            self.plans.insert(plan.id, plan.clone());
            for inbox in &mut self.inboxes {
                inbox.push_back(Message::Take(plan.clone()));
            }
        }
        self.tell();
    }

    /// Puts what the coordinator has to say into every inbox.
    fn tell(&mut self) {
        for notification in self.job.coordinator.notifications() {
            let id = notification.id();
            assert!(self.ended.insert(id), "checkpoint {id} ended twice");
            match notification {
                Notification::Completed { savepoint, .. } => {
                    self.completed.insert(id);
                    self.savepoints.extend(savepoint);
                }
                Notification::Aborted { reason, error, .. } => {
                    assert_ne!(reason, AbortReason::Invalid, "{error:?}");
                    let failed = reason == AbortReason::NotPublished;
                    assert!(!failed || self.disturbed, "{error:?}");
                }
            }
            for inbox in &mut self.inboxes {
                inbox.push_back(Message::Told(id, self.completed.contains(&id)));
            }
        }
        self.assert_whole();
    }

    /// Looks at the disk without the faults.
    fn assert_whole(&self) {
        match &self.disk {
            Some(disk) => assert_whole(&*local(&disk.memory)),
            None => assert_whole(&*self.job.storage),
        }
    }

    fn work(&mut self, subtask: usize, messages: usize) {
        let subtask = subtask % self.inboxes.len();
        for _ in 0..messages {
            match self.inboxes[subtask].pop_front() {
                None => break,
                Some(Message::Told(id, completed)) => {
                    self.job.stores[subtask].notify(id, completed);
                }
                Some(Message::Take(plan)) => self.take(&plan, subtask as u32),
            }
            self.tell();
        }
    }

    fn overtake(&mut self, subtask: usize) {
        let subtask = subtask % self.inboxes.len();
        let inbox = &mut self.inboxes[subtask];
        let first = inbox.iter().position(|message| matches!(message, Message::Told(..)));
        if let Some(Message::Told(id, completed)) = first.and_then(|at| inbox.remove(at)) {
            self.job.stores[subtask].notify(id, completed);
        }
    }

    fn take(&mut self, plan: &CheckpointPlan, subtask: u32) {
        let coordinator = &mut self.job.coordinator;
        if plan.cancel.is_cancelled() {
            let error = Error::cancelled("too late");
            assert!(!coordinator.decline(plan.id, UID, subtask, error).unwrap());
            return;
        }
        match self.job.part(plan, subtask) {
            Ok(ack) => {
                self.job.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap();
            }
            Err(error) => {
                assert!(self.disturbed, "{error}");
                self.job.coordinator.decline(plan.id, UID, subtask, error).unwrap();
            }
        }
    }

    fn pick(&self, index: usize) -> Option<CheckpointId> {
        let pending: Vec<_> = self.job.coordinator.pending().collect();
        (!pending.is_empty()).then(|| pending[index % pending.len()])
    }

    fn restart(&mut self, parallelism: u32, back: usize, from_savepoint: bool) {
        let retained = self.job.retained();
        let savepoint = self.savepoints.last().cloned();
        match (savepoint, retained.iter().rev().nth(back)) {
            (Some(pointer), _) if from_savepoint => {
                self.start(parallelism, StartFrom::Pointer(&pointer));
            }
            (_, Some(id)) => {
                self.start(parallelism, StartFrom::Checkpoint(CheckpointId::new(*id)));
            }
            _ => self.start(parallelism, StartFrom::Newest),
        }
    }

    fn crash(&mut self, parallelism: u32, power: Option<u64>) {
        self.disturbed = true;
        if let Some(disk) = &self.disk {
            let left = match power {
                Some(seed) => disk.memory.crash_with(seed),
                None => disk.memory.clone(),
            };
            let (disk, storage) = Disk::over(left, disk.opened + 1);
            (self.disk, self.job.storage) = (Some(disk), storage);
        }
        let newest = self.job.retained().last().copied();
        self.job.restart_process();
        assert!(self.job.retained().last().copied() >= newest);
        // Numbers of which nothing is left in the job's directory may be given again.
        self.ended.clear();
        self.completed = self.job.storage.list().unwrap().into_iter().collect();
        self.start(parallelism, StartFrom::Newest);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Trigger => self.trigger(Trigger::checkpoint()),
            Step::TriggerFull => self.trigger(Trigger::full_checkpoint()),
            Step::Savepoint => self.trigger(Trigger::savepoint(None)),
            Step::Work(subtask, messages) => self.work(subtask, messages),
            Step::Overtake(subtask) => self.overtake(subtask),
            Step::Decline(which, subtask) => {
                if let Some(id) = self.pick(which) {
                    let subtask = (subtask % self.inboxes.len()) as u32;
                    let error = Error::unavailable("disk full");
                    assert!(self.job.coordinator.decline(id, UID, subtask, error).unwrap());
                }
            }
            Step::Abort(which) => {
                if let Some(id) = self.pick(which) {
                    assert!(self.job.coordinator.abort(id));
                }
            }
            Step::Tick(tenths) => {
                self.job.clock.advance(TIMEOUT / 10 * tenths);
                self.job.coordinator.tick();
            }
            Step::Restart(parallelism, back, savepoint) => {
                self.restart(parallelism, back, savepoint);
            }
            Step::Crash(parallelism, power) => self.crash(parallelism, power),
            Step::Fault(operations, fault) => {
                if let Some(disk) = &self.disk {
                    self.disturbed = true;
                    let at = disk.faulty.operations() + operations;
                    drop(disk.faulty.clone().with_fault(at, fault));
                }
            }
        }
        self.tell();
    }

    /// All inboxes are worked off; what is still under way is given up.
    fn quiesce(&mut self) {
        for subtask in 0..self.inboxes.len() {
            self.work(subtask, usize::MAX);
        }
        for id in self.job.coordinator.pending().collect::<Vec<_>>() {
            self.job.coordinator.abort(id);
        }
        for _ in 0..20 {
            self.job.clock.advance(Duration::from_mins(1));
            self.job.coordinator.tick();
        }
        self.tell();
        if let Some(disk) = self.disk.take() {
            // No more faults, but the same coordinator.
            let left = u64::from(self.disturbed) * 1_000;
            for _ in 0..left {
                drop(disk.faulty.metadata(Path::new("/")));
            }
            self.disk = Some(disk);
        }
        let mut attempts =
            (0..20).filter_map(|_| self.job.coordinator.collect_orphans(REMOVE).ok());
        let found = attempts.next().unwrap();
        if !self.disturbed {
            assert_eq!(found, Orphans::default(), "orphans without a crash or a fault");
        }
        let rest = self.job.coordinator.collect_orphans(REMOVE).unwrap();
        assert_eq!(rest, Orphans::default());
        let places = self.job.storage.survey().unwrap().checkpoints;
        assert!(places.iter().all(|place| place.published));
        for pointer in &self.savepoints {
            assert!(self.job.storage.open_pointer(pointer).is_ok(), "{pointer} is gone");
        }
        self.assert_whole();
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Trigger),
        1 => Just(Step::TriggerFull),
        1 => Just(Step::Savepoint),
        16 => (0..8usize, 1..6usize).prop_map(|(who, count)| Step::Work(who, count)),
        3 => (0..8usize).prop_map(Step::Overtake),
        1 => (0..4usize, 0..8usize).prop_map(|(which, who)| Step::Decline(which, who)),
        1 => (0..4usize).prop_map(Step::Abort),
        2 => (0..12u32).prop_map(Step::Tick),
        1 => (1..5u32, 0..3usize, any::<bool>()).prop_map(|(p, n, s)| Step::Restart(p, n, s)),
        2 => (1..120u64, 0..2usize).prop_map(|(at, kind)| {
            Step::Fault(at, [Fault::Fails(EIO), Fault::HappensButFails(EIO)][kind])
        }),
        1 => (1..5u32, any::<Option<u64>>()).prop_map(|(p, power)| Step::Crash(p, power)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn any_interleaving_leaves_whole_checkpoints_and_no_orphans(
        steps in steps(),
        incremental in prop::bool::weighted(0.8),
        retained in 1..4usize,
        concurrent in 1..4usize,
        in_memory in prop::bool::weighted(0.2),
    ) {
        let kind = if incremental { SnapshotKind::Incremental } else { SnapshotKind::Full };
        let mut world = World::new(kind, retained, concurrent, in_memory);
        for step in &steps {
            world.step(step);
        }
        world.quiesce();
    }
}
