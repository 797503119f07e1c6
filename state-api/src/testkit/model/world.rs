//! Stores in lockstep, snapshots in flight, completed checkpoints: the job that a sequence drives.
//!
//! The world is also the coordinator: a full or incremental checkpoint that completes subsumes those
//! before it, whose files are deleted unless a snapshot in flight may still refer to them. Savepoints
//! (canonical snapshots) subsume nothing.

use std::rc::Rc;

use super::super::harness::{Backend, Harness, Kit, groups, run_task};
use super::super::storage::TestStorage;
use super::Failure;
use super::content::Content;
use super::states::{States, key_at, same};
use super::step::{Fate, KEYS, Step};
use crate::codec::Native;
use crate::env::RestorePart;
use crate::schema::KeySpace;
use crate::snapshot::{
    CancelToken, Compression, KeyedSnapshot, SnapshotKind, SnapshotRequest, SnapshotTask,
};
use crate::{CheckpointId, ErrorKind, KeyGroup, KeyedStore, MaxParallelism, StableHash};

/// How many key groups the job has.
const GROUPS: u32 = 8;
/// How many snapshots are held at most.
const MOST_PENDING: usize = 3;

/// One subtask. Its states are opened at their first use.
struct Worker<H: Harness> {
    backend: Backend<H, String>,
    states: Option<States>,
}

impl<H: Harness> Worker<H> {
    fn states(&mut self) -> Result<States, Failure> {
        let states = match self.states {
            Some(states) => states,
            None => States::open(&mut self.backend)?,
        };
        self.states = Some(states);
        Ok(states)
    }

    fn owns(&self, group: KeyGroup) -> bool {
        self.backend.store().key_space().range().contains(group)
    }
}

/// A snapshot between its two phases.
struct Pending {
    id: CheckpointId,
    kind: SnapshotKind,
    tasks: Vec<Box<dyn SnapshotTask>>,
    image: Rc<Content>,
    storage: TestStorage,
    /// The stores may refer to this checkpoint and later ones.
    floor: CheckpointId,
    aborted: bool,
}

/// A completed snapshot of all subtasks.
struct Done {
    id: CheckpointId,
    kind: SnapshotKind,
    parts: Vec<KeyedSnapshot>,
    image: Rc<Content>,
    storage: TestStorage,
}

/// The job; see the module's page.
pub struct World<H: Harness> {
    groups: MaxParallelism,
    placed: Vec<KeyGroup>,
    workers: Vec<Worker<H>>,
    content: Content,
    storage: TestStorage,
    last_id: u64,
    /// Checkpoints from this number on are of the present stores.
    first_id: u64,
    /// The checkpoint on which increments build, or an earlier one.
    floor: CheckpointId,
    pending: Vec<Pending>,
    done: Vec<Done>,
    /// Dropped last: a store whose directory has gone may wait for what it writes there.
    kit: Kit<H>,
}

impl<H: Harness> std::fmt::Debug for World<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("content", &self.content).finish_non_exhaustive()
    }
}

impl<H: Harness> World<H> {
    /// Two empty subtasks.
    ///
    /// # Errors
    /// Where a store cannot be opened.
    pub fn new() -> Result<Self, Failure> {
        let groups = groups(GROUPS);
        let space = KeySpace::of::<String, Native, StableHash>(groups, groups.all())?;
        let place = |key| super::super::fixtures::group_of(&space, &key_at(key).to_owned());
        let mut world = Self {
            groups,
            placed: (0..KEYS).map(place).collect(),
            workers: Vec::new(),
            content: Content::default(),
            storage: TestStorage::default(),
            last_id: 0,
            first_id: 0,
            floor: CheckpointId::new(0),
            pending: Vec::new(),
            done: Vec::new(),
            kit: Kit::new(),
        };
        world.open(2, &[])?;
        Ok(world)
    }

    fn open(&mut self, parallelism: u32, parts: &[RestorePart]) -> Result<(), Failure> {
        let mut workers = Vec::new();
        for subtask in 0..parallelism {
            let range = self.groups.range_of(subtask, parallelism)?;
            let touches = |part: &&RestorePart| !part.snapshot.range.intersection(range).is_empty();
            let parts = parts.iter().filter(touches).cloned().collect();
            let backend = self.kit.try_open(self.groups, range, parts)?;
            workers.push(Worker { backend, states: None });
        }
        self.workers = workers;
        Ok(())
    }

    fn group(&self, key: u8) -> KeyGroup {
        self.placed[usize::from(key)]
    }

    /// Does one step.
    ///
    /// # Errors
    /// Where stores and model differ, or a store fails where it should not.
    pub fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Snapshot { kind, compression, fate } => self.snapshot(*kind, *compression, *fate),
            Step::Finish { which, fate } => self.finish(*which, *fate),
            Step::Complete { which } => self.complete(*which),
            Step::Abort { which } => self.abort(*which),
            Step::Unknown { complete } => {
                let unknown = CheckpointId::new(self.last_id + 100);
                self.notify(unknown, *complete)
            }
            Step::Restore { which, parallelism, as_base, look } => {
                self.restore(*which, *parallelism, *as_base)?;
                if *look { self.compare() } else { Ok(()) }
            }
            Step::Compare => self.compare(),
            Step::ReadMany { keys } | Step::BumpMany { keys } | Step::SumMany { keys } => {
                for worker in &mut self.workers {
                    let owned = keys.iter().copied().enumerate();
                    let owned = owned.filter(|(_, k)| worker.owns(self.placed[usize::from(*k)]));
                    let owned: Vec<_> = owned.collect();
                    let states = worker.states()?;
                    states.apply_batch(&mut worker.backend, step, &owned, &self.content)?;
                }
                self.content.apply(step);
                Ok(())
            }
            step => {
                let Some(key) = key_of(step) else { return Ok(()) };
                let group = self.group(key);
                for worker in self.workers.iter_mut().filter(|worker| worker.owns(group)) {
                    let states = worker.states()?;
                    states.apply(&mut worker.backend, step, &self.content)?;
                    self.content.apply(step);
                    if matches!(step, Step::Merge { .. }) {
                        states.compare_key(&mut worker.backend, key, &self.content)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn snapshot(
        &mut self,
        kind: SnapshotKind,
        compression: Compression,
        fate: Fate,
    ) -> Result<(), Failure> {
        self.last_id += 1;
        let (id, kind) = (CheckpointId::new(self.last_id), self.kit.asked(kind));
        let request = SnapshotRequest::new(id, kind).with_compression(compression);
        let tasks = self.workers.iter_mut().map(|worker| worker.backend.snapshot(&request));
        self.pending.push(Pending {
            id,
            kind,
            tasks: tasks.collect::<Result<_, _>>()?,
            image: Rc::new(self.content.clone()),
            storage: self.storage.clone(),
            floor: self.floor,
            aborted: false,
        });
        if fate != Fate::Later {
            return self.finish_at(self.pending.len() - 1, fate);
        }
        if self.pending.len() > MOST_PENDING {
            drop(self.pending.remove(0));
        }
        Ok(())
    }

    fn finish(&mut self, which: u8, fate: Fate) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.finish_at(usize::from(which) % self.pending.len(), fate)
    }

    fn finish_at(&mut self, index: usize, fate: Fate) -> Result<(), Failure> {
        let Pending { id, kind, tasks, image, storage, aborted, .. } = self.pending.remove(index);
        if fate == Fate::Dropped {
            return Ok(());
        }
        let victim = usize::try_from(id.get()).unwrap_or(0) % tasks.len();
        let mut parts = Vec::new();
        for (subtask, task) in tasks.into_iter().enumerate() {
            let (mut sink, cancel) = (storage.sink(id), CancelToken::default());
            let mut expected = aborted.then_some(ErrorKind::Cancelled);
            match fate {
                Fate::Failing(at) if subtask == victim => {
                    sink = sink.failing_at(u64::from(at));
                    expected = Some(ErrorKind::Unavailable);
                }
                Fate::Cancelled if subtask == victim => {
                    cancel.cancel();
                    expected = Some(ErrorKind::Cancelled);
                }
                _ => {}
            }
            let result = run_task(task, &sink, &cancel);
            same!(sink.left_open(), 0, "files left open by the snapshot");
            match result {
                Ok(part) => parts.push(part),
                Err(error) if Some(error.kind()) == expected => {}
                Err(error) if aborted && error.kind() == ErrorKind::Cancelled => {}
                Err(error) => return Err(error.into()),
            }
        }
        if parts.len() == self.parallelism_of(&parts) && !aborted && !parts.is_empty() {
            self.done.push(Done { id, kind, parts, image, storage });
        }
        Ok(())
    }

    /// How many parts it takes to cover all key groups, or none if these do not.
    fn parallelism_of(&self, parts: &[KeyedSnapshot]) -> usize {
        let covered: u32 = parts.iter().map(|part| u32::from(part.range.len())).sum();
        if covered == u32::from(self.groups.get()) { parts.len() } else { usize::MAX }
    }

    fn notify(&mut self, id: CheckpointId, complete: bool) -> Result<(), Failure> {
        for worker in &mut self.workers {
            if complete {
                worker.backend.checkpoint_completed(id)?;
            } else {
                worker.backend.checkpoint_aborted(id)?;
            }
        }
        Ok(())
    }

    /// Notifies of one of the latest completed checkpoints, and deletes what that subsumes.
    fn complete(&mut self, which: u8) -> Result<(), Failure> {
        let Some(index) = self.done.len().checked_sub(1 + usize::from(which)) else {
            return Ok(());
        };
        let (id, kind) = (self.done[index].id, self.done[index].kind);
        self.notify(id, true)?;
        if id.get() < self.first_id || kind == SnapshotKind::Canonical {
            return Ok(());
        }
        self.floor = self.floor.max(id);
        let same_storage = |storage: &TestStorage| storage.is(&self.storage);
        let in_flight = self.pending.iter().filter(|pending| same_storage(&pending.storage));
        let floor = in_flight.map(|pending| pending.floor).fold(self.floor, CheckpointId::min);
        self.done.retain(|done| {
            !done.storage.is(&self.storage)
                || done.id >= floor
                || done.kind == SnapshotKind::Canonical
        });
        let kept = self.done.iter().filter(|done| done.storage.is(&self.storage));
        self.storage.retain(kept.flat_map(|done| done.parts.iter().map(|part| (done.id, part))));
        Ok(())
    }

    /// Aborts a snapshot in flight, or the latest completed checkpoint that was not notified of.
    fn abort(&mut self, which: u8) -> Result<(), Failure> {
        if !self.pending.is_empty() {
            let index = usize::from(which) % self.pending.len();
            self.pending[index].aborted = true;
            return self.notify(self.pending[index].id, false);
        }
        match self.done.pop_if(|done| done.id > self.floor && done.id.get() >= self.first_id) {
            Some(done) if done.kind != SnapshotKind::Canonical => self.notify(done.id, false),
            _ => Ok(()),
        }
    }

    fn restore(&mut self, which: u8, parallelism: u8, as_base: bool) -> Result<(), Failure> {
        let Some(index) = self.done.len().checked_sub(1 + usize::from(which)) else {
            return Ok(());
        };
        let done = &self.done[index];
        let as_base =
            as_base && done.kind != SnapshotKind::Canonical && done.storage.is(&self.storage);
        let part = |snapshot: &KeyedSnapshot| RestorePart {
            snapshot: snapshot.clone(),
            source: done.storage.source(done.id),
            base: as_base.then_some(done.id),
        };
        let parts: Vec<_> = done.parts.iter().map(part).collect();
        self.content = (*done.image).clone();
        if as_base {
            self.floor = done.id;
        } else {
            self.storage = TestStorage::default();
            self.floor = CheckpointId::new(self.last_id);
        }
        self.first_id = self.last_id + 1;
        self.open(u32::from(parallelism), &parts)
    }

    /// Compares everything.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&mut self) -> Result<(), Failure> {
        for worker in &mut self.workers {
            let states = worker.states()?;
            let range = worker.backend.store().key_space().range();
            for key in 0..KEYS {
                if range.contains(self.placed[usize::from(key)]) {
                    states.compare_key(&mut worker.backend, key, &self.content)?;
                }
            }
            let owns = |key: u8| range.contains(self.placed[usize::from(key)]);
            states.compare_keys(&mut worker.backend, owns, &self.content)?;
        }
        if self.kit.profile().exact_counts {
            let counts =
                self.workers.iter().map(|w| super::super::harness::total_entries(&w.backend));
            same!(counts.sum::<u64>(), self.content.entries(), "entries by statistics");
        }
        Ok(())
    }
}

/// The key that a step is about, where it is about one.
pub(in crate::testkit) fn key_of(step: &Step) -> Option<u8> {
    match step {
        Step::Look { key }
        | Step::Count { key, .. }
        | Step::Bump { key }
        | Step::Name { key, .. }
        | Step::Log { key, .. }
        | Step::SetLog { key, .. }
        | Step::Events { key, .. }
        | Step::Sum { key, .. }
        | Step::Fold { key, .. }
        | Step::Trail { key, .. }
        | Step::Page { key, .. }
        | Step::BumpPage { key, .. }
        | Step::RetainPages { key }
        | Step::ClearPages { key }
        | Step::Grid { key, .. }
        | Step::ClearGrid { key, .. }
        | Step::Merge { key, .. } => Some(*key),
        _ => None,
    }
}
