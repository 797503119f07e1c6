//! Ordering checkpoints and the savepoint.

use std::time::Duration;

use alluvium_checkpoint::{Application, CheckpointPlan, Trigger};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::snapshot::FileName;

use super::super::error::{JobError, Result};
use super::super::subtask::Order;
use super::super::waypoint::{Stage, Waypoint};
use super::Checkpoints;

impl Checkpoints {
    /// Begins a checkpoint of the records before `position`; `None` where it failed at once and that is
    /// tolerable.
    ///
    /// # Errors
    /// Where it failed and that is not tolerable; where another process has taken one (invariant 4).
    pub(in crate::job) fn trigger(&mut self, position: u64) -> Result<Option<Order>> {
        self.check_alone()?;
        let given = self.clock.now();
        let application = self.waypoint(position, None).encode();
        match self.coordinator.trigger(Trigger::checkpoint().with_application(application)) {
            Ok(plan) => Ok(Some(self.order(plan, position, given))),
            Err(error)
                if error.kind() != ErrorKind::InvalidInput
                    && !self.coordinator.has_too_many_failures() =>
            {
                self.last_end = Some(given);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins the savepoint that ends the part before the rescale, and the checkpoint that notes where
    /// it will be. The orders are in this sequence: the second one may be given only once the
    /// checkpoint of the first is complete (invariant 5). `None` as [`trigger`](Self::trigger).
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger).
    pub(in crate::job) fn trigger_savepoint(
        &mut self,
        position: u64,
    ) -> Result<Option<[Order; 2]>> {
        let Some(note) = self.trigger(position)? else { return Ok(None) };
        let given = self.clock.now();
        let reached = Waypoint { stage: Stage::UntilEnd, ..self.waypoint(position, None) };
        let trigger = Trigger::stop_with_savepoint(None).with_application(reached.encode());
        let plan = self.coordinator.trigger(trigger)?;
        let name = FileName::new(plan.pointer.rsplit('/').next().unwrap_or_default())?;
        let noted = self.waypoint(position, Some(name)).encode();
        self.coordinator.set_application(note.request.checkpoint, Application::job(noted))?;
        let savepoint = self.order(plan, position, given);
        Ok(Some([note, savepoint]))
    }

    fn waypoint(&self, position: u64, savepoint: Option<FileName>) -> Waypoint {
        Waypoint { stage: self.stage, position, job: self.fingerprint, savepoint }
    }

    fn order(&mut self, plan: CheckpointPlan, position: u64, given: Duration) -> Order {
        self.figures.began(plan.id, plan.ends.is_some(), position, given);
        Order {
            request: plan.request,
            sink: plan.sink,
            cancel: plan.cancel,
            wait: self.wait,
            given,
        }
    }

    /// That nobody else takes checkpoints of this job, as far as the storage tells (invariant 4).
    pub(super) fn check_alone(&self) -> Result<()> {
        if self.lock.is_some() || !self.site.is_reached_by_others() {
            return Ok(());
        }
        let newest = self.storage.list()?.last().copied();
        match newest.filter(|newest| Some(*newest) > self.newest_known()) {
            Some(unknown) => Err(JobError::Overtaken(unknown)),
            None => Ok(()),
        }
    }
}
