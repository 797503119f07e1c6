//! The end of the job: what is under way is given up, and what the retention says is deleted.
//!
//! # Two steps
//! 1. A savepoint that ends the job is complete: the job has stopped. Nothing can be triggered or
//!    started any more, but nothing is deleted yet, so that a master that dies now can still go on
//!    from a checkpoint.
//! 2. [`Coordinator::shut_down`]: the runtime has noted the end, wherever it notes such things, and
//!    completed checkpoints go or stay.
//!
//! Without such a savepoint there is only the second step. It can be repeated, also by another
//! process over the same storage, until nothing is left over.

use std::collections::BTreeSet;

use alluvium_state_api::{CheckpointId, Error, Result};

use super::Coordinator;
use crate::ended::{Ended, JobEnd, Leftovers};
use crate::report::AbortReason;

/// How far the job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Its last savepoint is complete, which asked for this end.
    Stopped(JobEnd),
    ShutDown(JobEnd),
}

impl Coordinator {
    /// Ends the job: aborts what is under way, and deletes the completed checkpoints or keeps them, as
    /// [`Options::retention`](crate::Options::retention) says. Savepoints and snapshots of other jobs
    /// always stay. From now on nothing can be triggered or started; to run the job again, open
    /// another coordinator.
    ///
    /// The runtime notes durably that the job has ended *before* it calls this: a master that dies
    /// in between finds checkpoints, and one that dies afterwards may find none and start afresh.
    ///
    /// What cannot be deleted is told and tried again, by [`tick`](Self::tick) and by calling this
    /// again with the same end.
    ///
    /// # Errors
    /// `InvalidInput` where the job was shut down with another end, and while [work](Self::next_work) is
    /// out.
    pub fn shut_down(&mut self, end: JobEnd) -> Result<Ended> {
        if let Phase::ShutDown(before) = self.phase
            && before != end
        {
            return Err(Error::invalid_input(format!(
                "the job was shut down as {before} and cannot be {end} now"
            )));
        }
        self.check_nothing_is_out()?;
        self.phase = Phase::ShutDown(end);
        self.base = None;
        self.next_periodic = None;
        self.end_all(AbortReason::JobEnded);
        self.completed.subsume(self.options.retained, &BTreeSet::new());
        self.clear_away();
        self.work_off();
        Ok(Ended {
            end,
            retained: self.completed.iter().cloned().collect(),
            leftovers: self.leftovers(),
        })
    }

    /// How the job has ended: it was shut down, or a savepoint that ends it is complete. `None` while
    /// it runs.
    pub const fn ended(&self) -> Option<JobEnd> {
        match self.phase {
            Phase::Running => None,
            Phase::Stopped(end) | Phase::ShutDown(end) => Some(end),
        }
    }

    /// The savepoint under way that will end the job. Until it is complete or aborted nothing else can
    /// be triggered.
    pub fn stopping(&self) -> Option<CheckpointId> {
        let mut last = self.under_way().filter(|pending| pending.ends.is_some());
        last.next().map(|pending| pending.id)
    }

    /// What was to be deleted and is still there. The error is told once.
    pub fn leftovers(&mut self) -> Leftovers {
        let mut leftovers = self.completed.leftovers();
        leftovers.error = self.deletion_failure.take();
        leftovers
    }

    /// Refuses what only a job that has not ended can do.
    pub(super) fn check_running(&self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(end) => Err(Error::invalid_input(format!(
                "the job has ended ({end}); open another coordinator to run it again"
            ))),
        }
    }

    /// Refuses what would have to pass a barrier behind which the stream is held.
    pub(super) fn check_not_stopping(&self) -> Result<()> {
        match self.stopping() {
            None => Ok(()),
            Some(id) => {
                let message = "the job is about to end with this savepoint, and the stream is held \
                               behind it; try again if it is aborted";
                Err(Error::unavailable(message).with_checkpoint(id))
            }
        }
    }

    /// A savepoint that ends the job is complete. Nothing is deleted yet.
    pub(super) fn stop(&mut self, end: JobEnd) {
        self.phase = Phase::Stopped(end);
        self.next_periodic = None;
        self.end_all(AbortReason::JobEnded);
    }

    pub(super) fn end_all(&mut self, reason: AbortReason) {
        for id in self.pending().collect::<Vec<_>>() {
            self.end(id, reason, None);
        }
    }

    /// Lines up what is to be deleted.
    pub(super) fn clear_away(&mut self) {
        self.deletion_failure = None;
        self.completed.want_all();
    }

    /// Whether the end of the job does away with its checkpoints.
    pub(super) fn keeps_nothing(&self) -> bool {
        match self.phase {
            Phase::ShutDown(end) => !end.keeps_checkpoints(self.options.retention),
            Phase::Running | Phase::Stopped(_) => false,
        }
    }
}
