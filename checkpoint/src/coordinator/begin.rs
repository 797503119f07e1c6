//! How a checkpoint begins: it is ordered, the storage begins an attempt, and its plan is handed out.
//!
//! Beginning is owned work like publishing and deleting ([`super::work`]): a storage that does not answer
//! holds up nothing but other checkpoints that are to begin.
//!
//! # Invariants
//! * B1 Each order is answered once, by a plan or an error; an error that comes late is the storage's alone.
//! * B2 One attempt is begun at a time. Numbers are taken from its answer, so that they ascend.
//! * B3 What the storage has begun for an order that was given up meanwhile is aborted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::format::metadata::CheckpointKind;
use alluvium_state_api::snapshot::{CancelToken, SnapshotKind, SnapshotRequest};
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use super::Coordinator;
use crate::files::SharedFiles;
use crate::operator::Operator;
use crate::pending::Pending;
use crate::trigger::{CheckpointPlan, Form, Trigger};

/// How many numbers that others have published meanwhile are skipped in one order.
const MOST_TAKEN_IDS: u64 = 100;

/// An order that the storage has not answered.
#[derive(Debug)]
pub(super) struct Order {
    trigger: Trigger,
    started: Duration,
    deadline: Duration,
    handed_out: bool,
    /// It was answered without the storage.
    given_up: bool,
}

/// What the storage has to do for an order.
#[derive(Debug)]
pub(super) struct Beginning {
    storage: Arc<dyn CheckpointStorage>,
    form: Form,
    next_id: u64,
}

/// What it did.
#[derive(Debug)]
pub(super) struct Begun {
    next_id: u64,
    /// What somebody else has published since we looked: they are the job's now.
    taken: Vec<(CheckpointId, Result<StoredCheckpoint>)>,
    attempt: Result<(CheckpointId, Arc<dyn CheckpointAttempt>)>,
}

impl Beginning {
    pub(super) fn run(mut self) -> Begun {
        let mut taken = Vec::new();
        let attempt = self.begin(&mut taken);
        Begun { next_id: self.next_id, taken, attempt }
    }

    fn begin(
        &mut self,
        taken: &mut Vec<(CheckpointId, Result<StoredCheckpoint>)>,
    ) -> Result<(CheckpointId, Arc<dyn CheckpointAttempt>)> {
        if let Form::Savepoint { target, .. } = &self.form {
            let attempt = self.storage.begin_savepoint(target.as_deref())?;
            return Ok((self.take_id(), attempt));
        }
        for _ in 0..MOST_TAKEN_IDS {
            let id = self.take_id();
            match self.storage.begin(id) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    taken.push((id, self.storage.load(id)));
                }
                attempt => return Ok((id, attempt?)),
            }
        }
        Err(Error::unavailable(format!(
            "the next {MOST_TAKEN_IDS} checkpoints are all published by someone else; does the job \
             run twice?"
        )))
    }

    fn take_id(&mut self) -> CheckpointId {
        let id = CheckpointId::new(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        id
    }
}

impl Coordinator {
    /// Begins a checkpoint or savepoint, whatever is [deferred](Self::defer_work): the storage is called
    /// on this thread.
    ///
    /// # Errors
    /// `Unavailable` where a checkpoint must wait, for others under way or for the minimum pause, or
    /// anything for a savepoint that ends the job, or for another that is being begun; `InvalidInput` for
    /// an operator that there is not, before `start`, after the job's end, or for a savepoint without a
    /// target. And where the storage fails, which counts as a failed checkpoint unless it is a savepoint.
    pub fn trigger(&mut self, trigger: Trigger) -> Result<CheckpointPlan> {
        self.take_order(trigger)?;
        if let Some(beginning) = self.next_beginning() {
            self.begun(beginning.run());
        }
        let unanswered = || Err(Error::bug("an order was not answered"));
        self.plans.pop_back().unwrap_or_else(unanswered)
    }

    /// Orders a checkpoint or savepoint: [`next_plan`](Self::next_plan) has it when the storage has begun
    /// it, which is the next [work](Self::next_work).
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger), but for those of the storage. Nothing was ordered then.
    pub fn order(&mut self, trigger: Trigger) -> Result<()> {
        self.take_order(trigger)?;
        self.work_off();
        Ok(())
    }

    /// The answer to an order, in order: the plan to hand out, or why it was not begun.
    pub fn next_plan(&mut self) -> Option<Result<CheckpointPlan>> {
        self.plans.pop_front()
    }

    fn take_order(&mut self, trigger: Trigger) -> Result<()> {
        self.check_running()?;
        self.check_operators(&trigger.application)?;
        self.check_not_stopping()?;
        let now = self.components.clock.now();
        let savepoint = trigger.form.is_savepoint();
        if self.is_beginning() {
            return Err(Error::unavailable(
                "another checkpoint is being begun; try again when it has",
            ));
        }
        if !savepoint {
            self.check_may_start()?;
            self.schedule_after(now);
        }
        if self.order.is_some() {
            self.count_failure(savepoint);
            return Err(Error::unavailable(
                "the storage has not answered yet to the last one that it was to begin",
            ));
        }
        self.order = Some(Order {
            trigger,
            started: now,
            deadline: now.saturating_add(self.options.timeout),
            handed_out: false,
            given_up: false,
        });
        Ok(())
    }

    /// Whether there is an order that somebody waits for.
    pub(super) fn is_beginning(&self) -> bool {
        self.order.as_ref().is_some_and(|order| !order.given_up)
    }

    /// Until when the storage has to begin what was ordered.
    pub(super) fn begin_deadline(&self) -> Option<Duration> {
        self.order.as_ref().filter(|order| !order.given_up).map(|order| order.deadline)
    }

    /// What the storage has to do for an order, once.
    pub(super) fn next_beginning(&mut self) -> Option<Beginning> {
        let order = self.order.as_mut().filter(|order| !order.handed_out)?;
        order.handed_out = true;
        let form = order.trigger.form.clone();
        Some(self.beginning(form))
    }

    fn beginning(&self, form: Form) -> Beginning {
        let storage = Arc::clone(&self.components.storage);
        Beginning { storage, form, next_id: self.next_id }
    }

    /// Begins a checkpoint that nobody has ordered, on this thread.
    pub(super) fn begin_now(&mut self) -> Result<(CheckpointId, Arc<dyn CheckpointAttempt>)> {
        let begun = self.beginning(Form::Checkpoint).run();
        self.take_numbers(begun)
    }

    fn take_numbers(&mut self, begun: Begun) -> Result<(CheckpointId, Arc<dyn CheckpointAttempt>)> {
        self.next_id = self.next_id.max(begun.next_id);
        for (id, loaded) in begun.taken {
            self.completed.adopt_loaded(id, loaded);
        }
        begun.attempt
    }

    /// Answers an order without the storage.
    pub(crate) fn give_up_order(&mut self, error: Error) {
        let Some(order) = self.order.as_mut().filter(|order| !order.given_up) else {
            return;
        };
        order.given_up = true;
        let (savepoint, waits) = (order.trigger.form.is_savepoint(), order.handed_out);
        if error.kind() != ErrorKind::Cancelled {
            self.count_failure(savepoint);
        }
        self.order = self.order.take().filter(|_| waits);
        self.plans.push_back(Err(error));
    }

    fn count_failure(&mut self, savepoint: bool) {
        if !savepoint {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Takes the storage's answer.
    pub(super) fn begun(&mut self, begun: Begun) {
        let Some(order) = self.order.take() else {
            return;
        };
        let savepoint = order.trigger.form.is_savepoint();
        match self.take_numbers(begun) {
            Ok((id, attempt)) if order.given_up => {
                let id = (!savepoint).then_some(id);
                self.completed.give_up(id, attempt, SharedFiles::default());
            }
            Err(_) if order.given_up => {}
            Ok((id, attempt)) => {
                let plan = self.begin_with(order, id, attempt);
                self.plans.push_back(Ok(plan));
            }
            Err(error) => {
                self.count_failure(savepoint);
                self.plans.push_back(Err(error));
            }
        }
    }

    fn begin_with(
        &mut self,
        order: Order,
        id: CheckpointId,
        attempt: Arc<dyn CheckpointAttempt>,
    ) -> CheckpointPlan {
        let Order { trigger, started, deadline, .. } = order;
        let (kind, snapshot) = match trigger.form {
            Form::Checkpoint => (CheckpointKind::Checkpoint, self.options.kind),
            Form::Full => (CheckpointKind::Checkpoint, SnapshotKind::Full),
            Form::Savepoint { .. } => (CheckpointKind::Savepoint, SnapshotKind::Canonical),
        };
        let (ends, cancel) = (trigger.form.ends(), CancelToken::default());
        let request = SnapshotRequest::new(id, snapshot);
        let plan = CheckpointPlan {
            id,
            request: request.with_compression(self.options.compression),
            sink: attempt.sink(),
            cancel: cancel.clone(),
            pointer: attempt.pointer().to_owned(),
            ends,
        };
        let subtasks = self.operators.iter().map(Operator::parallelism);
        let pending = Pending {
            id,
            kind,
            ends,
            attempt,
            cancel,
            started,
            deadline,
            time_ms: self.components.clock.wall_clock_ms(),
            token: self.components.randomness.next_u128(),
            bases: self.base.into_iter().collect(),
            application: trigger.application,
            expected: subtasks.map(|count| count as usize).sum(),
            acks: BTreeMap::new(),
        };
        self.pending.insert(id, pending);
        plan
    }
}
