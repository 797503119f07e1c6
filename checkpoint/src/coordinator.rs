//! The coordinator: one job's checkpoints from trigger to notification.
//!
//! # Role
//! A plain state machine that a runtime embeds in its master. It has no threads and reads time from
//! the clock it is given; every call returns what happened, and [`Coordinator::notifications`] what
//! the subtasks must be told. Storage calls happen inside `start`, `trigger`, `acknowledge`, `abort`
//! and `tick`, on the caller's thread. Beginning, publishing and deleting are owned work that is run at
//! the end of the call ([`work`]); a [driver](crate::driver) runs it on other threads instead.
//!
//! # Invariants
//! * I1 A checkpoint is complete if and only if its metadata is published, and that happens after
//!   every subtask of every operator has acknowledged and every file was found.
//! * I2 Each triggered checkpoint ends in exactly one notification.
//! * I3 Numbers ascend, across restarts too: they go on above everything in the job's directory,
//!   complete or not. Only a number that left nothing there can be given again by a later process.
//! * I4 What a checkpoint under way may build on stays: the newest completed one at its trigger, and
//!   those that complete meanwhile. A checkpoint that completes subsumes the older ones under way,
//!   so it never builds on what a later one has replaced.
//! * I5 No error of a deletion reaches a checkpoint; see [`completed`](crate::Coordinator::completed).
//! * I6 At most one checkpoint is being published, and it is complete or not when the storage answers:
//!   until then nothing ends it, and it counts as under way. One that has all acknowledgements and waits
//!   for its turn can be aborted, subsumed or late like any other. So completions happen in the order of
//!   publications, and none is overtaken by a newer one.
//!
//! # What the runtime owes
//! Each subtask gets notifications in order, and before any request that was triggered after them
//! (they may overtake requests that were triggered before); each acknowledges after its snapshot task
//! has returned. Where it fails to, a checkpoint may be aborted, but none is damaged: files are checked
//! before publication.

mod begin;
mod claim;
mod ending;
mod finish;
mod orphans;
mod schedule;
mod start;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::clock::Clock;
use alluvium_state_api::random::Randomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use crate::completed::{CompletedCheckpoint, CompletedStore};
use crate::operator::Operator;
use crate::options::Options;
use crate::pending::Pending;
use crate::report::{AbortReason, Acknowledged, Notification, SubtaskAck};
use crate::trigger::{Application, CheckpointPlan};
use ending::Phase;

pub use schedule::Tick;
pub use start::StartFrom;
pub use work::{Done, Work, WorkKind};

/// The components that a coordinator is given.
#[derive(Clone, Debug)]
pub struct Components {
    /// Where the job's checkpoints live.
    pub storage: Arc<dyn CheckpointStorage>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Marks attempts.
    pub randomness: Arc<dyn Randomness>,
}

/// Coordinates the checkpoints of one job. See the module's page for what it promises; the
/// [crate](crate) has an example.
#[derive(Debug)]
pub struct Coordinator {
    job: FileName,
    components: Components,
    options: Options,
    operators: Vec<Operator>,
    next_id: u64,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Those of `pending` that all subtasks have acknowledged, in the order of publication.
    ready: VecDeque<CheckpointId>,
    /// What is being published; not in `pending` any more.
    publishing: Option<Pending>,
    /// Whether somebody else runs what [`work`] hands out.
    deferred: bool,
    completed: CompletedStore,
    /// What the subtasks' next increments build on.
    base: Option<CheckpointId>,
    /// When the last checkpoint ended, however it did.
    last_end: Option<Duration>,
    next_periodic: Option<Duration>,
    next_sweep: Duration,
    failures: u32,
    notifications: VecDeque<Notification>,
    /// What the storage is to begin, or begins.
    order: Option<begin::Order>,
    /// Answers to orders that nobody has taken.
    plans: VecDeque<Result<CheckpointPlan>>,
    phase: Phase,
    deletion_failure: Option<Error>,
}

impl Coordinator {
    /// Opens the coordinator of `job` over what its storage holds. It has no operators until
    /// [`start`](Self::start).
    ///
    /// # Errors
    /// `InvalidInput` for options; where the storage fails. Checkpoints whose metadata is damaged are
    /// no error here, see [`unreadable`](Self::unreadable).
    pub fn open(job: FileName, options: Options, components: Components) -> Result<Self> {
        options.validate()?;
        let completed = CompletedStore::open(Some(job.clone()), Arc::clone(&components.storage))?;
        let places = components.storage.survey()?.checkpoints;
        let newest = places.last().map_or(0, |place| place.id.get());
        Ok(Self {
            job,
            components,
            options,
            operators: Vec::new(),
            next_id: newest.saturating_add(1),
            pending: BTreeMap::new(),
            ready: VecDeque::new(),
            publishing: None,
            deferred: false,
            completed,
            base: None,
            last_end: None,
            next_periodic: None,
            next_sweep: Duration::ZERO,
            failures: 0,
            notifications: VecDeque::new(),
            order: None,
            plans: VecDeque::new(),
            phase: Phase::Running,
            deletion_failure: None,
        })
    }

    /// Takes a subtask's part. The last one completes the checkpoint, durably, before this returns.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such operator or subtask; nothing was changed. Whatever is
    /// wrong with the checkpoint itself is no error here but aborts it.
    pub fn acknowledge(
        &mut self,
        id: CheckpointId,
        uid: &str,
        subtask: u32,
        ack: SubtaskAck,
    ) -> Result<Acknowledged> {
        let index = self.find(uid, subtask)?;
        let Some(operator) = self.operators.get(index) else {
            return Err(unknown_operator(uid));
        };
        let Some(pending) = self.pending.get_mut(&id) else {
            let complete = self.publishing.as_ref().is_some_and(|published| published.id == id);
            return Ok(if complete { Acknowledged::Duplicate } else { Acknowledged::Late });
        };
        if pending.acks.contains_key(&(index, subtask)) {
            return Ok(Acknowledged::Duplicate);
        }
        if let Err(error) = pending.check(operator, subtask, &ack) {
            self.end(id, AbortReason::Invalid, Some(error));
            self.work_off();
            return Ok(Acknowledged::Aborted);
        }
        pending.acks.insert((index, subtask), ack);
        let missing = pending.missing();
        if missing > 0 || self.deferred {
            self.ready.extend((missing == 0).then_some(id));
            return Ok(Acknowledged::Accepted { missing });
        }
        self.ready.push_back(id);
        self.work_off();
        let mut ended = self.notifications.iter().rev();
        let ended = ended.find(|notification| notification.id() == id);
        let completed = ended.is_some_and(Notification::is_completed);
        Ok(if completed { Acknowledged::Completed } else { Acknowledged::Aborted })
    }

    /// A subtask could not take its part: the checkpoint is aborted. Returns whether it was still
    /// under way. That counts as a failure, unless the error is `Cancelled`, by which a subtask says
    /// that it is not at fault (it is about to close, say).
    ///
    /// # Errors
    /// `InvalidInput` where there is no such operator or subtask.
    pub fn decline(
        &mut self,
        id: CheckpointId,
        uid: &str,
        subtask: u32,
        error: Error,
    ) -> Result<bool> {
        self.find(uid, subtask)?;
        Ok(self.fail(id, error))
    }

    /// Something other than a subtask went wrong with a checkpoint, such as handing out its plan: it is
    /// aborted as by [`decline`](Self::decline). Returns whether it was still under way.
    pub fn fail(&mut self, id: CheckpointId, error: Error) -> bool {
        let reason = match error.kind() {
            ErrorKind::Cancelled => AbortReason::Cancelled,
            _ => AbortReason::Declined,
        };
        let ended = self.end(id, reason, Some(error));
        self.work_off();
        ended
    }

    /// Adds bytes of the application to a checkpoint under way, where they are known only once its
    /// plan is handed out. They replace those of the trigger. Returns whether it was still under way.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such operator; nothing was changed.
    pub fn set_application(&mut self, id: CheckpointId, application: Application) -> Result<bool> {
        self.check_operators(&application)?;
        let Some(pending) = self.pending.get_mut(&id) else {
            return Ok(false);
        };
        pending.application.merge(application);
        Ok(true)
    }

    /// Gives a checkpoint up. Returns whether it was still under way.
    pub fn abort(&mut self, id: CheckpointId) -> bool {
        let ended = self.end(id, AbortReason::Cancelled, None);
        self.work_off();
        ended
    }

    /// What the subtasks must be told since the last call, in order.
    pub fn notifications(&mut self) -> impl Iterator<Item = Notification> + use<> {
        std::mem::take(&mut self.notifications).into_iter()
    }

    /// The operators, as [`start`](Self::start) resolved them.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// The checkpoints under way, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = CheckpointId> {
        let ids: BTreeSet<_> = self.under_way().map(|pending| pending.id).collect();
        ids.into_iter()
    }

    fn under_way(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values().chain(&self.publishing)
    }

    /// The completed checkpoints that are retained, oldest first. Those that were to be deleted and
    /// could not be are not among them; [`tick`](Self::tick) tries again.
    pub fn completed(&self) -> impl DoubleEndedIterator<Item = &CompletedCheckpoint> {
        self.completed.iter()
    }

    /// Published checkpoints whose metadata cannot be read, and why. While there are any, no shared
    /// file is deleted: they might use it.
    pub fn unreadable(&self) -> impl Iterator<Item = (CheckpointId, &Error)> {
        self.completed.unreadable().iter().map(|(id, e)| (*id, e))
    }

    /// How many checkpoints have failed since the last one completed, savepoints aside. What counts is
    /// in [`AbortReason::is_failure`]; a checkpoint that could not be begun counts, too.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether more checkpoints have failed in a row than are tolerable: the job should fail, and
    /// start again from the newest completed one.
    pub const fn has_too_many_failures(&self) -> bool {
        self.failures > self.options.tolerable_failures
    }

    fn find(&self, uid: &str, subtask: u32) -> Result<usize> {
        let mut operators = self.operators.iter().enumerate();
        let found = operators.find(|(_, operator)| operator.uid() == uid);
        let (index, operator) = found.ok_or_else(|| unknown_operator(uid))?;
        if subtask >= operator.parallelism() {
            return Err(Error::invalid_input(format!(
                "operator {uid:?} has {} subtasks, and no subtask {subtask}",
                operator.parallelism()
            )));
        }
        Ok(index)
    }

    fn check_operators(&self, application: &Application) -> Result<()> {
        if self.operators.is_empty() {
            return Err(Error::invalid_input("the coordinator has no operators; call start first"));
        }
        for uid in application.operators.keys() {
            self.find(uid, 0)?;
        }
        Ok(())
    }

    /// Checkpoints that nothing may remove now.
    fn pinned(&self) -> BTreeSet<CheckpointId> {
        let bases = self.under_way().flat_map(|pending| &pending.bases);
        bases.copied().chain(self.base).collect()
    }
}

#[cold]
fn unknown_operator(uid: &str) -> Error {
    Error::invalid_input(format!("the job has no operator with uid {uid:?}"))
}
