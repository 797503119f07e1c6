//! The coordinator as the job sees it: one operator, one checkpoint at a time, a history.
//!
//! # Invariants
//!
//! 1. The position of the source travels as the job's bytes of the application: `1`, then 8 bytes
//!    little-endian.
//! 2. Notifications are handed on in the coordinator's order ([`Checkpoints::notices`]).
//! 3. A checkpoint that fails is told; one more in a row than is tolerable
//!    (`execution.checkpointing.tolerable-failed-checkpoints`) fails the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    Components, Coordinator, Notification, OperatorPlan, OperatorSpec, Options, RestoreOptions,
    RestorePlan, StartFrom, SubtaskAck, Trigger,
};
use alluvium_state_api::clock::Clock;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use super::error::Result;
use super::report::{CheckpointReport, millis};
use super::spec::Spec;
use super::storage::Site;
use super::subtask::{Acknowledgement, Order};

/// The operator's uid.
const UID: &str = "totals";

/// The version of the job's bytes of the application.
const POSITION_VERSION: u8 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A checkpoint of the job's mode.
    Checkpoint,
    /// A canonical savepoint.
    Savepoint,
}

/// Where a start begins.
#[derive(Debug)]
pub(super) struct Start {
    /// The checkpoint or savepoint; `None` for a fresh start.
    pub(super) from: Option<CheckpointId>,
    /// The position of the source.
    pub(super) position: u64,
    /// What each subtask is opened with.
    pub(super) operator: OperatorPlan,
}

/// What the subtasks have to be told.
#[derive(Debug)]
pub(super) enum Notice {
    /// A checkpoint is complete.
    Completed(CheckpointId, CheckpointReport),
    /// A checkpoint will never be complete, and why.
    Aborted(CheckpointId, String),
}

/// The checkpoints of a run.
#[derive(Debug)]
pub(super) struct Checkpoints {
    site: Site,
    options: Options,
    wait: bool,
    clock: Arc<dyn Clock>,
    coordinator: Coordinator,
    /// What is known of those under way.
    figures: BTreeMap<CheckpointId, Figures>,
    history: Vec<CheckpointReport>,
    savepoint: Option<String>,
    last_end: Option<Duration>,
}

#[derive(Debug)]
struct Figures {
    asked: Kind,
    position: u64,
    given: Duration,
    sync: Duration,
    background: Duration,
    bytes_new: u64,
    bytes_full: u64,
    kind: &'static str,
}

impl Checkpoints {
    /// Opens the storage that the settings name, for a new job.
    ///
    /// # Errors
    /// `InvalidInput` for settings and for a directory that cannot be written; where storage fails.
    pub(super) fn open(spec: &Spec, clock: Arc<dyn Clock>) -> Result<Self> {
        let site = Site::of(&spec.settings)?;
        let mut options = Options::from_settings(&spec.settings)?;
        options.kind = spec.mode.snapshot_kind();
        Ok(Self {
            coordinator: coordinator(&site, &options, &clock)?,
            site,
            options,
            wait: spec.mode.is_sync(),
            clock,
            figures: BTreeMap::new(),
            history: Vec::new(),
            savepoint: None,
            last_end: None,
        })
    }

    /// The same after a crash: nothing is known but what the storage holds. (The history is for the
    /// report alone.)
    ///
    /// # Errors
    /// Where the storage fails.
    pub(super) fn restart(self) -> Result<Self> {
        Ok(Self {
            coordinator: coordinator(&self.site, &self.options, &self.clock)?,
            figures: BTreeMap::new(),
            savepoint: None,
            last_end: None,
            ..self
        })
    }

    /// Starts the job with so many subtasks: from `savepoint`, else from the newest complete
    /// checkpoint, else from nothing.
    ///
    /// # Errors
    /// Where there is something to restore that cannot be read or does not fit.
    pub(super) fn start(
        &mut self,
        spec: &Spec,
        parallelism: u32,
        savepoint: Option<&str>,
    ) -> Result<Start> {
        let operator =
            OperatorSpec::new(UID, parallelism).with_max_parallelism(spec.max_parallelism);
        let from = savepoint.map_or(StartFrom::Newest, StartFrom::Pointer);
        let plan = self.coordinator.start(&[operator], from, RestoreOptions::default())?;
        self.figures.clear();
        let RestorePlan { restored, application, mut operators, .. } = plan;
        let from = restored.map(|(id, _)| id);
        let Some(operator) = operators.pop() else {
            return Err(Error::bug("the coordinator planned no operator").into());
        };
        Ok(Start {
            position: match from {
                Some(id) => decode_position(&application).map_err(|e| e.with_checkpoint(id))?,
                None => 0,
            },
            from,
            operator,
        })
    }

    /// Begins a checkpoint or savepoint of the records before `position`; `None` where it failed at
    /// once and that is tolerable.
    ///
    /// # Errors
    /// Where it failed and that is not tolerable.
    pub(super) fn trigger(&mut self, kind: Kind, position: u64) -> Result<Option<Order>> {
        let trigger = match kind {
            Kind::Checkpoint => Trigger::checkpoint(),
            Kind::Savepoint => Trigger::savepoint(None),
        };
        let given = self.clock.now();
        let plan = self.coordinator.trigger(trigger.with_application(encode_position(position)));
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                let tolerable = kind == Kind::Checkpoint
                    && error.kind() != ErrorKind::InvalidInput
                    && !self.coordinator.has_too_many_failures();
                self.last_end = Some(given);
                return if tolerable { Ok(None) } else { Err(error.into()) };
            }
        };
        self.figures.insert(
            plan.id,
            Figures {
                asked: kind,
                position,
                given,
                sync: Duration::ZERO,
                background: Duration::ZERO,
                bytes_new: 0,
                bytes_full: 0,
                kind: "full",
            },
        );
        Ok(Some(Order {
            request: plan.request,
            sink: plan.sink,
            cancel: plan.cancel,
            wait: self.wait,
            given,
        }))
    }

    /// Takes a subtask's part.
    ///
    /// # Errors
    /// Only where the job is at fault.
    pub(super) fn acknowledge(&mut self, done: Acknowledgement) -> Result<()> {
        if let Some(figures) = self.figures.get_mut(&done.checkpoint) {
            figures.take(&done);
        }
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut ack = SubtaskAck::keyed(done.snapshot);
        ack.sync_us = micros(done.sync);
        ack.async_us = micros(done.background);
        ack.start_delay_us = micros(done.start_delay);
        self.coordinator.acknowledge(done.checkpoint, UID, done.subtask, ack)?;
        Ok(())
    }

    /// A subtask could not take its part.
    ///
    /// # Errors
    /// Only where the job is at fault.
    pub(super) fn decline(&mut self, id: CheckpointId, subtask: u32, error: Error) -> Result<()> {
        self.coordinator.decline(id, UID, subtask, error)?;
        Ok(())
    }

    /// What the subtasks have to be told since the last call. Looks at timeouts, too.
    ///
    /// # Errors
    /// The reason of the newest failure, if more failed in a row than is tolerable, or if a savepoint
    /// did.
    pub(super) fn notices(&mut self) -> Result<Vec<Notice>> {
        self.coordinator.tick();
        let notifications: Vec<Notification> = self.coordinator.notifications().collect();
        let mut notices = Vec::with_capacity(notifications.len());
        for notification in notifications {
            self.last_end = Some(self.clock.now());
            match notification {
                Notification::Completed { id, savepoint } => {
                    let report = self.completed(id, savepoint);
                    notices.push(Notice::Completed(id, report));
                }
                Notification::Aborted { id, reason, error } => {
                    let figures = self.figures.remove(&id);
                    let savepoint = figures.is_some_and(|f| f.asked == Kind::Savepoint);
                    let error = error.unwrap_or_else(|| {
                        Error::unavailable(format!("the checkpoint was aborted: {reason:?}"))
                            .with_checkpoint(id)
                    });
                    if savepoint || self.coordinator.has_too_many_failures() {
                        return Err(error.into());
                    }
                    notices.push(Notice::Aborted(id, error.to_string()));
                }
            }
        }
        Ok(notices)
    }

    fn completed(&mut self, id: CheckpointId, savepoint: Option<String>) -> CheckpointReport {
        let figures = self.figures.remove(&id);
        let duration = figures.as_ref().map(|figures| figures.given);
        let duration = duration.map(|given| self.clock.now().saturating_sub(given));
        let is_savepoint = savepoint.is_some();
        self.savepoint = savepoint.or_else(|| self.savepoint.take());
        let report = CheckpointReport {
            id: id.get(),
            kind: match &figures {
                _ if is_savepoint => "savepoint",
                Some(figures) => figures.kind,
                None => "full",
            },
            position: figures.as_ref().map_or(0, |figures| figures.position),
            sync_ms: figures.as_ref().map_or(0.0, |figures| millis(figures.sync)),
            async_ms: figures.as_ref().map_or(0.0, |figures| millis(figures.background)),
            duration_ms: millis(duration.unwrap_or_default()),
            bytes_new: figures.as_ref().map_or(0, |figures| figures.bytes_new),
            bytes_full: figures.as_ref().map_or(0, |figures| figures.bytes_full),
        };
        self.history.push(report.clone());
        report
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.coordinator.pending().count()
    }

    /// Whether there is one to recover from.
    pub(super) fn has_completed(&self) -> bool {
        self.coordinator.completed().next().is_some()
    }

    /// How long the next one has to wait (`execution.checkpointing.min-pause`).
    pub(super) fn pause_left(&self) -> Duration {
        let end = self.last_end.map(|end| end.saturating_add(self.options.min_pause));
        end.unwrap_or_default().saturating_sub(self.clock.now())
    }

    /// Where the savepoint is.
    ///
    /// # Errors
    /// Where none was completed.
    pub(super) fn savepoint(&self) -> Result<String> {
        let savepoint = self.savepoint.clone();
        savepoint.ok_or_else(|| Error::unavailable("the savepoint was not completed").into())
    }

    /// The completed ones, in order.
    pub(super) fn into_history(self) -> Vec<CheckpointReport> {
        self.history
    }
}

impl Figures {
    fn take(&mut self, done: &Acknowledgement) {
        self.sync = self.sync.max(done.sync);
        self.background = self.background.max(done.background);
        self.bytes_new = self.bytes_new.saturating_add(done.snapshot.bytes_new);
        self.bytes_full = self.bytes_full.saturating_add(done.snapshot.bytes_full);
        if done.snapshot.kind == SnapshotKind::Incremental {
            self.kind = "incremental";
        }
    }
}

fn coordinator(site: &Site, options: &Options, clock: &Arc<dyn Clock>) -> Result<Coordinator> {
    let components = Components {
        storage: site.open()?,
        clock: Arc::clone(clock),
        randomness: Arc::new(OsRandomness),
    };
    Ok(Coordinator::open(site.job(), options.clone(), components)?)
}

fn encode_position(position: u64) -> Vec<u8> {
    let mut bytes = vec![POSITION_VERSION];
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes
}

fn decode_position(bytes: &[u8]) -> alluvium_state_api::Result<u64> {
    let position = bytes.split_first().and_then(|(version, position)| {
        let position: [u8; 8] = position.try_into().ok()?;
        (*version == POSITION_VERSION).then_some(u64::from_le_bytes(position))
    });
    position.ok_or_else(|| Error::corrupted("the checkpoint holds no position of the source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_and_nothing_else_does() {
        for position in [0, 1, u64::MAX] {
            assert_eq!(decode_position(&encode_position(position)).unwrap(), position);
        }
        for wrong in [&[][..], &[1], &[2, 0, 0, 0, 0, 0, 0, 0, 0], &[1; 10]] {
            assert!(decode_position(wrong).is_err());
        }
    }
}
