//! Starting a job: fresh, recovered or rescaled, at first or again.

use alluvium_state_api::format::metadata::CheckpointKind;
use alluvium_state_api::{CheckpointId, Error, Result};

use super::Coordinator;
use crate::operator::OperatorSpec;
use crate::report::AbortReason;
use crate::restore::{ClaimMode, RestoreOptions, RestorePlan, RestorePoint};

/// Where a job starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom<'a> {
    /// Nothing. Checkpoints that the job's storage holds stay until later ones replace them.
    Nothing,
    /// The newest completed checkpoint; nothing where there is none.
    Newest,
    /// One of the job's own checkpoints.
    Checkpoint(CheckpointId),
    /// A checkpoint or savepoint of any job, by its directory or metadata file. It is only read,
    /// unless it is [claimed](ClaimMode::Claim).
    Pointer(&'a str),
}

impl Coordinator {
    /// Starts the job with these operators, or starts it again after a failure or a change of
    /// parallelism: what is under way is aborted, and nobody needs to be told.
    ///
    /// # Errors
    /// Nothing has changed then, but that numbers may have been used. `InvalidInput` after the job's
    /// end, and while [work](Self::next_work) is out. `NotFound`, `Corrupted`, `Unavailable` where there is nothing to
    /// restore or it cannot be read (an older checkpoint is never taken silently: name one); those of
    /// [`RestorePoint::plan`].
    pub fn start(
        &mut self,
        operators: &[OperatorSpec],
        from: StartFrom<'_>,
        options: RestoreOptions,
    ) -> Result<RestorePlan> {
        self.check_running()?;
        self.check_nothing_is_out()?;
        let mut point = self.restore_point(from)?;
        let mut plan = match &point {
            Some(point) => point.plan(operators, options)?,
            None => RestorePlan::fresh(operators)?,
        };
        if let (StartFrom::Pointer(_), ClaimMode::Claim) = (from, options.claim)
            && let Some(foreign) = point.take_if(|point| !point.is_own())
        {
            plan = point.insert(self.claim(&foreign)?).plan(operators, options)?;
        }
        let continued = point.as_ref().map(RestorePoint::metadata);
        if let Some(own) = continued.filter(|metadata| *metadata.job == *self.job.as_str()) {
            // A savepoint of the job leaves nothing in its directory that would tell its number.
            self.next_id = self.next_id.max(own.checkpoint.get().saturating_add(1));
        }
        // From here on it is pinned, also while what is under way lets go of older ones.
        self.base = point.and_then(|point| point.base());
        self.end_all(AbortReason::Restarted);
        self.notifications.clear();
        self.plans.clear();
        self.operators = plan.operators.iter().map(|op| op.operator.clone()).collect();
        self.failures = 0;
        self.last_end = None;
        self.schedule_after(self.components.clock.now());
        self.work_off();
        Ok(plan)
    }

    fn restore_point(&self, from: StartFrom<'_>) -> Result<Option<RestorePoint>> {
        match from {
            StartFrom::Nothing => Ok(None),
            StartFrom::Newest => {
                let newest = self.completed.newest();
                newest.map(|id| self.own_point(id)).transpose()
            }
            StartFrom::Checkpoint(id) => self.own_point(id).map(Some),
            StartFrom::Pointer(pointer) => self.foreign_point(pointer).map(Some),
        }
    }

    pub(super) fn own_point(&self, id: CheckpointId) -> Result<RestorePoint> {
        if self.completed.doomed().contains(&id) {
            let message = "the checkpoint was subsumed and is being deleted; name a retained one";
            return Err(Error::not_found(message).with_checkpoint(id));
        }
        let stored = self.components.storage.load(id)?;
        let point = RestorePoint::read(stored).map_err(|error| {
            let older = self.completed.iter().rev().find(|older| older.id < id);
            let advice = match older {
                Some(older) => format!("; checkpoint {} before it is complete", older.id),
                None => String::new(),
            };
            let message = format!("{}{advice}", error.message());
            Error::new(error.kind(), message).with_checkpoint(id).with_source(error)
        })?;
        if point.metadata().checkpoint != id {
            let message = format!("its metadata says that it is {}", point.metadata().checkpoint);
            return Err(Error::corrupted(message).with_checkpoint(id));
        }
        Ok(point.owned())
    }

    /// A pointer to one of the job's own checkpoints is recognised: the job may build on it.
    fn foreign_point(&self, pointer: &str) -> Result<RestorePoint> {
        let stored = self.components.storage.open_pointer(pointer)?;
        let pointer = stored.pointer.clone();
        let point = RestorePoint::read(stored).map_err(|error| error.with_path(&pointer))?;
        let metadata = point.metadata();
        let is_checkpoint = metadata.kind == CheckpointKind::Checkpoint;
        if is_checkpoint && *metadata.job == *self.job.as_str() {
            let id = metadata.checkpoint;
            let own = self.components.storage.load(id);
            if own.is_ok_and(|own| own.pointer == pointer) {
                return self.own_point(id);
            }
        }
        Ok(point)
    }
}
