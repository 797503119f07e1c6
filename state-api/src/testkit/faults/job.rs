//! The job that a script drives: subtasks with real stores, a master, and a ledger of what the job was
//! told.
//!
//! Whatever fails, the job goes on: what can be repeated is repeated once, and a checkpoint that fails
//! is given up. Only a job whose storage fails twice in a row is [`dead`](Job::dead).

use std::collections::{BTreeMap, BTreeSet};

use super::super::harness::{Backend, Harness, Kit};
use super::content::{Image, KEYS, Rows, owns};
use super::master::{Master, Place, Plan, Started, key_groups};
use super::script::{Action, Ask, Course, Origin, Script, Timing};
use crate::random::{Randomness, SeededRandomness};
use crate::snapshot::{KeyedSnapshot, Progress, SnapshotContext, SnapshotTask};
use crate::vfs::FaultyFs;
use crate::{CheckpointId, Error, Result};

/// What the job was told, and what each snapshot must hold.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What every checkpoint and savepoint must hold; its number here is in the metadata.
    pub(super) images: Vec<Image>,
    /// Completed checkpoints: the number of their image.
    pub(super) completed: BTreeMap<CheckpointId, usize>,
    /// Aborted checkpoints and savepoints.
    pub(super) aborted: BTreeSet<CheckpointId>,
    /// Completed savepoints by pointer: the number of their image.
    pub(super) savepoints: BTreeMap<String, usize>,
    /// Savepoints that were deleted.
    pub(super) disposed: BTreeSet<String>,
    /// What was done with which operations.
    pub(super) stages: Vec<Stage>,
}

/// What a stage does with the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opens it, looks what is there, restores.
    Start,
    /// Begins a checkpoint.
    Trigger,
    /// Writes a subtask's snapshot.
    Write,
    /// Publishes the checkpoint with this pointer, and deletes older ones.
    Complete(String),
    /// Deletes a savepoint.
    Dispose,
    /// Gives up or deletes.
    Delete,
}

/// A stretch of operations that succeeds or fails as a whole.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) kind: Kind,
    /// The first operation.
    pub(super) from: u64,
    /// The last one.
    pub(super) to: u64,
    pub(super) failed: bool,
}

struct Worker<H: Harness> {
    backend: Backend<H>,
    rows: Rows,
}

/// A checkpoint between its two phases.
struct Begun {
    plan: Plan,
    tasks: Vec<Box<dyn SnapshotTask>>,
}

/// See the module.
pub(super) struct Job<H: Harness, M> {
    place: Place,
    fs: FaultyFs,
    master: Option<M>,
    workers: Vec<Worker<H>>,
    image: Image,
    under_way: BTreeMap<CheckpointId, (Ask, usize, String)>,
    random: SeededRandomness,
    pub(super) ledger: Ledger,
    pub(super) dead: bool,
    /// Dropped last: a store whose directory has gone may wait for what it writes there.
    kit: Kit<H>,
}

impl<H: Harness, M: Master> Job<H, M> {
    /// A job that has not begun. `fs` counts the operations below `place`.
    pub(super) fn new(place: Place, fs: FaultyFs) -> Self {
        let random = SeededRandomness::new(place.seed);
        Self {
            place,
            fs,
            master: None,
            workers: Vec::new(),
            image: Image::new(),
            under_way: BTreeMap::new(),
            random,
            ledger: Ledger::default(),
            dead: false,
            kit: Kit::new(),
        }
    }

    /// Begins with two subtasks and does what the script says.
    pub(super) fn run(&mut self, script: &Script) {
        self.restart(2);
        for action in script.actions {
            if self.dead {
                return;
            }
            self.change();
            match *action {
                Action::Change => {}
                Action::Take(ask, timing, course) => self.take(ask, timing, course),
                Action::TakeTwo(ask) => self.take_two(ask),
                Action::Dispose => self.dispose(),
                Action::Restore(origin, parallelism) => self.restore(origin, parallelism),
                Action::Restart(parallelism) => self.restart(parallelism),
            }
        }
    }

    /// A last checkpoint after the script, with what is left of deletions done before.
    pub(super) fn finish(&mut self) {
        if self.dead {
            return;
        }
        self.settle();
        self.change();
        self.take(Ask::Incremental, Timing::Sync, Course::Completes);
        self.settle();
    }

    /// Whether the stores hold what they must.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let mut owned = 0;
        for worker in &mut self.workers {
            owned += worker.rows.compare::<H>(&mut worker.backend, &self.image)?;
        }
        if owned == KEYS { Ok(()) } else { Err(format!("{owned} of {KEYS} keys are owned")) }
    }

    /// Number of the next operation.
    fn next(&self) -> u64 {
        self.fs.operations() + 1
    }

    fn log(&mut self, kind: Kind, from: u64, failed: bool) {
        let to = self.fs.operations();
        self.ledger.stages.push(Stage { kind, from, to, failed });
    }

    fn change(&mut self) {
        for _ in 0..10 {
            let (key, seed) = (self.random.next_u64() % KEYS, self.random.next_u64() >> 1);
            let owner = self.workers.iter_mut().find(|worker| owns::<H>(&worker.backend, key));
            let Some(Worker { backend, rows }) = owner else {
                continue;
            };
            // A store that reads from storage may fail; the row then holds what was done before.
            drop(rows.change::<H>(backend, key, seed, self.image.entry(key).or_default()));
        }
    }

    fn restart(&mut self, parallelism: u32) {
        self.workers.clear();
        self.under_way.clear();
        // Another process draws other names.
        self.place.seed = self.place.seed.wrapping_add(1);
        for _ in 0..2 {
            let from = self.next();
            let master = M::open(&self.place);
            self.log(Kind::Start, from, master.is_err());
            if let Ok(master) = master {
                self.master = Some(master);
                return self.restore(Origin::Newest, parallelism);
            }
        }
        self.dead = true;
    }

    fn restore(&mut self, origin: Origin, parallelism: u32) {
        self.workers.clear();
        for _ in 0..2 {
            let from = self.next();
            let started = self.try_restore(origin, parallelism);
            self.log(Kind::Start, from, started.is_err());
            if started.is_ok() {
                return;
            }
        }
        self.dead = true;
    }

    fn try_restore(&mut self, origin: Origin, parallelism: u32) -> Result<()> {
        let savepoint = self.ledger.savepoints.last_key_value().map(|(pointer, _)| pointer.clone());
        let master = self.master.as_mut().ok_or_else(|| Error::bug("there is no master"))?;
        let Started { application, subtasks } =
            master.start(origin, savepoint.as_deref(), parallelism)?;
        let mut workers = Vec::new();
        for (range, parts) in subtasks {
            let mut backend = self.kit.try_open(key_groups()?, range, parts)?;
            let rows = Rows::open::<H>(&mut backend)?;
            workers.push(Worker { backend, rows });
        }
        self.workers = workers;
        self.image = match application {
            Some(bytes) => self.ledger.image(&bytes).cloned().unwrap_or_default(),
            None => Image::new(),
        };
        Ok(())
    }

    fn begin(&mut self, ask: Ask) -> Option<Begun> {
        let image = self.ledger.images.len();
        self.ledger.images.push(self.image.clone());
        let (from, master) = (self.next(), self.master.as_mut()?);
        let plan = master.trigger(ask, image.to_string().into_bytes());
        self.log(Kind::Trigger, from, plan.is_err());
        let plan = plan.ok()?;
        // A number that left nothing may be given again.
        self.ledger.aborted.remove(&plan.request.checkpoint);
        self.under_way.insert(plan.request.checkpoint, (ask, image, plan.pointer.clone()));
        let tasks = self.workers.iter_mut().map(|worker| worker.backend.snapshot(&plan.request));
        match tasks.collect::<Result<Vec<_>>>() {
            Ok(tasks) => Some(Begun { plan, tasks }),
            Err(error) => {
                self.acknowledge(&plan, 0, Err(error));
                self.deliver();
                None
            }
        }
    }

    fn acknowledge(&mut self, plan: &Plan, subtask: u32, part: Result<KeyedSnapshot>) {
        let (from, declined) = (self.next(), part.is_err());
        let Some(master) = self.master.as_mut() else {
            return;
        };
        let id = plan.request.checkpoint;
        let taken = master.take(id, subtask, part);
        taken.expect("the master knows its subtasks");
        let told = self.note();
        let failed = told.is_some_and(|completed| !completed);
        let kind = if declined { Kind::Delete } else { Kind::Complete(plan.pointer.clone()) };
        self.log(kind, from, failed);
    }

    /// Enters in the ledger what the master says, and returns whether something completed.
    fn note(&mut self) -> Option<bool> {
        let mut last = None;
        let told = self.master.as_mut().map(Master::told).unwrap_or_default();
        for told in told {
            last = Some(told.completed);
            if let Some((ask, image, pointer)) = self.under_way.remove(&told.id) {
                match (told.completed, ask) {
                    (true, Ask::Savepoint) => drop(self.ledger.savepoints.insert(pointer, image)),
                    (true, _) => drop(self.ledger.completed.insert(told.id, image)),
                    (false, _) => drop(self.ledger.aborted.insert(told.id)),
                }
            }
            for worker in &mut self.workers {
                let notified = if told.completed {
                    worker.backend.checkpoint_completed(told.id)
                } else {
                    worker.backend.checkpoint_aborted(told.id)
                };
                notified.expect("a notification is taken");
            }
        }
        last
    }

    fn deliver(&mut self) {
        let _completed = self.note();
    }

    /// The asynchronous phase, and the acknowledgements.
    fn end(&mut self, begun: Begun, course: Course) {
        let Begun { plan, tasks } = begun;
        if course == Course::Declined {
            plan.cancel.cancel();
        }
        let mut parts = Vec::new();
        for task in tasks {
            let (from, progress) = (self.next(), Progress::default());
            let context =
                SnapshotContext { sink: &*plan.sink, cancel: &plan.cancel, progress: &progress };
            let part = task.run(context);
            self.log(Kind::Write, from, part.is_err());
            parts.push(part);
        }
        if course == Course::Aborted {
            let from = self.next();
            if let Some(master) = self.master.as_mut() {
                master.abort(plan.request.checkpoint);
            }
            self.deliver();
            return self.log(Kind::Delete, from, false);
        }
        for (subtask, part) in (0..).zip(parts) {
            self.acknowledge(&plan, subtask, part);
        }
        self.deliver();
    }

    fn take(&mut self, ask: Ask, timing: Timing, course: Course) {
        if let Some(begun) = self.begin(ask) {
            if timing == Timing::Async {
                self.change();
            }
            self.end(begun, course);
        }
        self.settle();
    }

    fn take_two(&mut self, ask: Ask) {
        let first = self.begin(ask);
        self.change();
        let second = self.begin(ask);
        self.change();
        for begun in [first, second].into_iter().flatten() {
            self.end(begun, Course::Completes);
        }
        self.settle();
    }

    fn dispose(&mut self) {
        let Some((pointer, _)) = self.ledger.savepoints.pop_last() else {
            return;
        };
        for attempt in 0..2 {
            let (from, Some(master)) = (self.next(), self.master.as_mut()) else {
                return;
            };
            let disposed = master.dispose(&pointer);
            self.log(Kind::Dispose, from, disposed.is_err());
            if disposed.is_ok() {
                // A repeated call that finds nothing has not made the removal durable: after a power
                // cut the savepoint may be back, whole.
                if attempt == 0 {
                    self.ledger.disposed.insert(pointer);
                }
                return;
            }
        }
    }

    fn settle(&mut self) {
        let from = self.next();
        if let Some(master) = self.master.as_mut() {
            master.settle();
        }
        self.deliver();
        self.log(Kind::Delete, from, false);
    }
}

impl Ledger {
    /// The image whose number is in a snapshot's application bytes.
    pub(super) fn image(&self, application: &[u8]) -> Option<&Image> {
        let number: usize = std::str::from_utf8(application).ok()?.parse().ok()?;
        self.images.get(number)
    }
}
