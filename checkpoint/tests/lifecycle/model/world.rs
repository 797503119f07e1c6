//! The job, its storage, and what the model knows of both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    AbortReason, CheckpointPlan, ClaimMode, JobEnd, Notification, Options, OrphanOptions,
    StartFrom, Trigger, Work, WorkKind, collect_orphans, dispose_savepoint,
};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::vfs::{FaultyFs, MemoryFs};
use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use super::checks::{checksums, content, foreign};
use super::{Settings, Step};
use crate::deletion::REMOVE;
use crate::fake::{Job, UID, assert_whole, local, local_over};

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) enum Message {
    Told(CheckpointId, bool),
    Take(CheckpointPlan),
}

pub(crate) struct World {
    pub(super) job: Job,
    pub(super) disk: Option<Disk>,
    pub(super) deferred: bool,
    /// What the storage was asked for and has not done.
    pub(super) out: Vec<Work>,
    pub(super) inboxes: Vec<VecDeque<Message>>,
    pub(super) dead: BTreeSet<usize>,
    pub(super) plans: BTreeMap<CheckpointId, CheckpointPlan>,
    pub(super) ended: BTreeSet<CheckpointId>,
    pub(super) completed: BTreeSet<CheckpointId>,
    /// Checksums of the files that each subtask has acknowledged.
    pub(super) acknowledged: BTreeMap<(CheckpointId, u32), Vec<u128>>,
    pub(super) savepoints: Vec<String>,
    /// What belongs to somebody else: pointers, and checksums of the files.
    pub(super) foreign: Vec<(String, Vec<u128>)>,
    /// What was claimed or disposed of, and may be gone.
    pub(super) given: BTreeSet<String>,
    pub(super) disturbed: bool,
}

/// A file system that survives processes, and what the present process sees of it.
pub(super) struct Disk {
    pub(super) memory: MemoryFs,
    pub(super) faulty: FaultyFs,
    /// How often it was opened: names must not repeat.
    pub(super) opened: u64,
}

impl Disk {
    fn over(memory: MemoryFs, opened: u64) -> (Self, Arc<dyn CheckpointStorage>) {
        let faulty = FaultyFs::new(Arc::new(memory.clone()));
        let storage = local_over(Arc::new(faulty.clone()), 1_000 + opened);
        let disk = Self { memory, faulty, opened };
        (disk, storage)
    }
}

impl World {
    pub(crate) fn new(settings: &Settings) -> Self {
        let options = Options {
            kind: settings.kind,
            retained: settings.retained,
            retention: settings.retention,
            max_concurrent: settings.max_concurrent,
            timeout: TIMEOUT,
            ..Options::default()
        };
        let (disk, storage, foreign) = if settings.in_memory {
            let randomness = Arc::new(SeededRandomness::new(3));
            let job = FileName::new("job-1").unwrap();
            let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new(job, randomness));
            (None, storage, Vec::new())
        } else {
            let memory = MemoryFs::new();
            let foreign = foreign(&memory);
            let (disk, storage) = Disk::over(memory, 0);
            (Some(disk), storage, foreign)
        };
        let mut world = Self {
            job: Job::over(storage, options),
            disk,
            deferred: settings.deferred,
            out: Vec::new(),
            inboxes: Vec::new(),
            dead: BTreeSet::new(),
            plans: BTreeMap::new(),
            ended: BTreeSet::new(),
            completed: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            savepoints: Vec::new(),
            foreign,
            given: BTreeSet::new(),
            disturbed: false,
        };
        world.job.coordinator.defer_work(world.deferred);
        world.start(2, StartFrom::Newest, ClaimMode::NoClaim);
        world
    }

    /// The storage without faults.
    pub(super) fn look(&self) -> Arc<dyn CheckpointStorage> {
        match &self.disk {
            Some(disk) => local(&disk.memory),
            None => Arc::clone(&self.job.storage),
        }
    }

    /// The storage does what it was asked for.
    pub(super) fn bring_back(&mut self) {
        for work in std::mem::take(&mut self.out) {
            self.done(work);
        }
    }

    /// The storage does it; what it has begun is handed out.
    fn done(&mut self, work: Work) {
        self.job.coordinator.done(work.run());
        self.tell();
        while let Some(answer) = self.job.coordinator.next_plan() {
            if let Ok(plan) = answer {
                self.hand_out(&plan);
            }
        }
    }

    pub(super) fn work_off(&mut self) {
        self.bring_back();
        while let Some(work) = self.job.coordinator.next_work() {
            self.done(work);
        }
    }

    fn start(&mut self, parallelism: u32, from: StartFrom<'_>, claim: ClaimMode) {
        self.bring_back();
        self.tell();
        if self.job.coordinator.ended().is_some() {
            return self.end_if_stopped();
        }
        // Faults come one at a time; the second attempt meets none, or the next one.
        let started = (0..20).find_map(|_| self.job.start_as(parallelism, from, claim).ok());
        let plan = started.unwrap();
        if let (StartFrom::Pointer(pointer), ClaimMode::Claim) = (from, claim) {
            // The claim holds what the original held.
            let claimed = content(&self.look().open_pointer(&plan.restored.unwrap().1).unwrap());
            if let Some((_, original)) = self.foreign.iter().find(|(one, _)| one == pointer) {
                assert_eq!(claimed, *original);
            }
        }
        self.inboxes = vec![VecDeque::new(); parallelism as usize];
        self.dead.clear();
        self.plans.clear();
    }

    fn trigger(&mut self, trigger: Trigger) {
        if self.deferred {
            if self.job.coordinator.order(trigger).is_ok() {
                self.out.extend(self.job.coordinator.next_work());
            }
        } else if let Ok(plan) = self.job.coordinator.trigger(trigger) {
            self.hand_out(&plan);
        }
        self.tell();
    }

    fn hand_out(&mut self, plan: &CheckpointPlan) {
        assert!(!self.ended.contains(&plan.id) && !self.plans.contains_key(&plan.id));
        assert!(self.completed.last().is_none_or(|newest| *newest < plan.id));
        self.plans.insert(plan.id, plan.clone());
        for inbox in &mut self.inboxes {
            inbox.push_back(Message::Take(plan.clone()));
        }
    }

    /// Puts what the coordinator has to say into every inbox.
    pub(super) fn tell(&mut self) {
        for notification in self.job.coordinator.notifications() {
            let id = notification.id();
            assert!(self.ended.insert(id), "checkpoint {id} ended twice");
            match notification {
                Notification::Completed { savepoint, .. } => {
                    self.completed.insert(id);
                    self.check_completed(id, savepoint.as_deref());
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
        assert_whole(&*self.look());
    }

    pub(super) fn work(&mut self, subtask: usize, messages: usize) {
        let subtask = subtask % self.inboxes.len();
        for _ in 0..messages {
            if self.dead.contains(&subtask) {
                return;
            }
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
                let files = checksums(ack.keyed.as_ref().unwrap());
                self.acknowledged.insert((plan.id, subtask), files);
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

    fn is_publishing(&self) -> bool {
        self.out.iter().any(|work| work.kind() == WorkKind::Publish)
    }

    fn restart(&mut self, parallelism: u32, back: usize, from_savepoint: bool) {
        self.bring_back();
        let retained = self.job.retained();
        let savepoint =
            self.savepoints.iter().rev().find(|one| !self.given.contains(*one)).cloned();
        let none = ClaimMode::NoClaim;
        match (savepoint, retained.iter().rev().nth(back)) {
            (Some(pointer), _) if from_savepoint => {
                self.start(parallelism, StartFrom::Pointer(&pointer), none);
            }
            (_, Some(id)) => {
                self.start(parallelism, StartFrom::Checkpoint(CheckpointId::new(*id)), none);
            }
            _ => self.start(parallelism, StartFrom::Newest, none),
        }
    }

    /// Starts from a snapshot of another job, or from an own savepoint.
    fn start_from(&mut self, parallelism: u32, which: usize, claims: bool) {
        let foreign = self.foreign.iter().map(|(pointer, _)| pointer);
        let all: Vec<String> = foreign.chain(&self.savepoints).cloned().collect();
        let Some(pointer) = all.get(which % all.len().max(1)).cloned() else { return };
        if self.look().open_pointer(&pointer).is_err() {
            assert!(self.given.contains(&pointer), "{pointer} is gone");
            return;
        }
        self.bring_back();
        if self.look().open_pointer(&pointer).is_err() {
            return;
        }
        let claim = if claims { ClaimMode::Claim } else { ClaimMode::NoClaim };
        if claims {
            self.given.insert(pointer.clone());
        }
        self.start(parallelism, StartFrom::Pointer(&pointer), claim);
    }

    fn dispose(&mut self, which: usize) {
        let Some(pointer) = self.savepoints.get(which % self.savepoints.len().max(1)).cloned()
        else {
            return;
        };
        let given = !self.given.insert(pointer.clone());
        if let Err(error) = dispose_savepoint(&*self.job.storage, &pointer) {
            let gone = given && error.kind() == ErrorKind::NotFound;
            assert!(gone || self.disturbed, "{error}");
        } else {
            let gone = self.look().open_pointer(&pointer).map(|_| ()).unwrap_err();
            assert_eq!(gone.kind(), ErrorKind::NotFound);
        }
    }

    fn orphans(&mut self, dry_run: bool, own: bool) {
        self.bring_back();
        self.tell();
        let options = OrphanOptions { dry_run, ..REMOVE };
        if own {
            drop(self.job.coordinator.collect_orphans(options));
        } else {
            // Nothing may be under way then: this is somebody who knows of nothing.
            let quiet = self.job.coordinator.pending().next().is_none();
            let options =
                if quiet { options } else { OrphanOptions { dry_run, ..Default::default() } };
            drop(collect_orphans(&self.job.storage, &*self.job.clock, options));
        }
        self.check_kept();
    }

    /// A last savepoint is complete: the job ends, and another one goes on from there.
    pub(super) fn end_if_stopped(&mut self) {
        if let Some(end) = self.job.coordinator.ended() {
            self.shut_down(end, 2);
        }
    }

    fn shut_down(&mut self, end: JobEnd, parallelism: u32) {
        self.bring_back();
        self.tell();
        let end = self.job.coordinator.ended().unwrap_or(end);
        self.job.coordinator.defer_work(false);
        let ended = self.job.coordinator.shut_down(end).unwrap();
        self.tell();
        let there = self.look().list().unwrap();
        let retained: Vec<_> = ended.retained.iter().map(|one| one.id).collect();
        assert!(retained.iter().all(|id| there.contains(id)));
        if ended.leftovers.is_empty() {
            assert_eq!(retained, there);
        }
        self.again(parallelism, None);
    }

    fn crash(&mut self, parallelism: u32, power: Option<u64>) {
        self.disturbed = true;
        // What the storage was asked for is done or not.
        for (at, work) in std::mem::take(&mut self.out).into_iter().enumerate() {
            if power.unwrap_or(1) >> at & 1 == 1 {
                drop(work.run());
            }
        }
        let newest = self.job.retained().last().copied();
        let ended = self.job.coordinator.ended().is_some();
        self.again(parallelism, power);
        assert!(ended || self.job.retained().last().copied() >= newest);
    }

    /// Another process runs the job, perhaps after a power cut.
    fn again(&mut self, parallelism: u32, power: Option<u64>) {
        if let Some(disk) = &self.disk {
            let left = match power {
                Some(seed) => disk.memory.crash_with(seed),
                None => disk.memory.clone(),
            };
            let (disk, storage) = Disk::over(left, disk.opened + 1);
            (self.disk, self.job.storage) = (Some(disk), storage);
        }
        self.job.restart_process();
        self.job.coordinator.defer_work(self.deferred);
        // Numbers of which nothing is left in the job's directory may be given again.
        self.ended.clear();
        self.acknowledged.clear();
        self.completed = self.look().list().unwrap().into_iter().collect();
        self.start(parallelism, StartFrom::Newest, ClaimMode::NoClaim);
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.end_if_stopped();
        match *step {
            Step::Trigger => self.trigger(Trigger::checkpoint()),
            Step::TriggerFull => self.trigger(Trigger::full_checkpoint()),
            Step::Savepoint => self.trigger(Trigger::savepoint(None)),
            Step::Stop(true) => self.trigger(Trigger::cancel_with_savepoint(None)),
            Step::Stop(false) => self.trigger(Trigger::stop_with_savepoint(None)),
            Step::Work(subtask, messages) => self.work(subtask, messages),
            Step::Overtake(subtask) => self.overtake(subtask),
            Step::Decline(which, subtask) => {
                if let Some(id) = self.pick(which) {
                    let subtask = (subtask % self.inboxes.len()) as u32;
                    let error = Error::unavailable("disk full");
                    let ended = self.job.coordinator.decline(id, UID, subtask, error).unwrap();
                    assert!(ended || self.is_publishing());
                }
            }
            Step::Abort(which) => {
                if let Some(id) = self.pick(which) {
                    let ended = self.job.coordinator.abort(id);
                    assert!(ended || self.is_publishing());
                }
            }
            Step::Tick(tenths) => {
                self.job.clock.advance(TIMEOUT / 10 * tenths);
                self.job.coordinator.tick();
                if !self.dead.is_empty() {
                    self.restart(self.inboxes.len() as u32, 0, false);
                }
            }
            Step::Storage(which) => {
                self.out.extend(self.job.coordinator.next_work());
                if !self.out.is_empty() && which > 0 {
                    let work = self.out.remove(which % self.out.len());
                    self.done(work);
                }
            }
            Step::Die(subtask) => {
                let subtask = subtask % self.inboxes.len();
                self.dead.insert(subtask);
                self.inboxes[subtask].clear();
            }
            Step::Restart(parallelism, back, savepoint) => {
                self.restart(parallelism, back, savepoint);
            }
            Step::StartFrom(parallelism, which, claims) => {
                self.start_from(parallelism, which, claims);
            }
            Step::Dispose(which) => self.dispose(which),
            Step::Orphans(dry_run, own) => self.orphans(dry_run, own),
            Step::ShutDown(end, parallelism) => self.shut_down(end, parallelism),
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
}
