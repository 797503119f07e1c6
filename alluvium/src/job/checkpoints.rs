//! The coordinator as the job sees it: one operator, one checkpoint at a time, a history.
//!
//! # Invariants
//!
//! 1. Where the run is on its course travels as the job's bytes of the application ([`Waypoint`]).
//! 2. Notifications are handed on in the coordinator's order ([`Checkpoints::notices`]).
//! 3. A checkpoint that fails is told; one more in a row than is tolerable
//!    (`execution.checkpointing.tolerable-failed-checkpoints`) fails the run.
//! 4. Of two processes that run one job, the later one is refused where the storage is a directory
//!    with locks ([`Lock`]); what a killed process left half-written is then removed at the start.
//!    Elsewhere a process fails ([`JobError::Overtaken`]) as soon as it sees a checkpoint that it did
//!    not know: before it takes one, or where somebody publishes the same number first. Nobody deletes
//!    anything before a checkpoint of its own is published, so the other's are whole until then.
//! 5. The savepoint ends the part of the job before the rescale, and another coordinator begins the
//!    next one. Where the savepoint will be is noted in a checkpoint before it is begun
//!    ([`Checkpoints::trigger_savepoint`]), and that checkpoint stays until a later one is complete. So
//!    whoever is killed in between goes on from the savepoint, or takes it once more if it was not
//!    completed; complete savepoints do not pile up.

mod orders;

use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    AbortReason, Components, Coordinator, JobEnd, Notification, OperatorPlan, OperatorSpec,
    Options, OrphanOptions, RestoreOptions, RestorePlan, RestorePoint, Retention, StartFrom,
    StorageEnv, SubtaskAck,
};
use alluvium_state_api::clock::Clock;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::settings::keys;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, SurveyedPlace};
use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use super::error::{JobError, Result};
use super::figures::Figures;
use super::identity::Identity;
use super::lock::Lock;
use super::report::CheckpointReport;
use super::spec::Spec;
use super::storage::Site;
use super::subtask::Acknowledgement;
use super::waypoint::{Stage, Waypoint};

/// The operator's uid.
const UID: &str = "totals";

/// What a start begins with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// Nothing.
    Nothing,
    /// A checkpoint of the job.
    Checkpoint(CheckpointId),
    /// A savepoint, by where it is.
    Savepoint(&'a str),
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
    fingerprint: u128,
    /// Where the run is.
    stage: Stage,
    options: Options,
    /// Whether a run that comes to its end deletes its checkpoints: where a retention was asked for, as
    /// all of Flink's do.
    finishes: bool,
    wait: bool,
    clock: Arc<dyn Clock>,
    storage: Arc<dyn CheckpointStorage>,
    coordinator: Coordinator,
    figures: Figures,
    savepoint: Option<String>,
    last_end: Option<Duration>,
    /// Held until the run has ended.
    lock: Option<Lock>,
}

impl Checkpoints {
    /// Opens the storage that the settings name, for this job, alone.
    ///
    /// # Errors
    /// `InvalidInput` for settings and for a place that cannot be written; where storage fails;
    /// where another process runs the job.
    pub(super) fn open(
        identity: Identity,
        spec: &Spec,
        env: &StorageEnv,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let site = Site::of(&spec.settings, identity.job, env)?;
        let mut options = Options::from_settings(&spec.settings)?;
        options.kind = spec.mode.snapshot_kind();
        let finishes = spec.settings.get(keys::RETENTION).is_some();
        if !finishes {
            options.retention = Retention::RetainOnCancellation;
        }
        let storage = site.open()?;
        let lock = site.lock()?;
        let coordinator = coordinator(&site, &storage, &options, &clock)?;
        let checkpoints = Self {
            site,
            fingerprint: identity.fingerprint,
            stage: Stage::UntilCrash,
            options,
            finishes,
            wait: spec.mode.is_sync(),
            clock,
            storage,
            coordinator,
            figures: Figures::default(),
            savepoint: None,
            last_end: None,
            lock,
        };
        checkpoints.tidy();
        Ok(checkpoints)
    }

    /// Another coordinator, after a crash or for the next part of the job: nothing is known but what
    /// the storage holds. (The figures are for the report alone.)
    ///
    /// # Errors
    /// Where the storage fails; where another process has taken a checkpoint (invariant 4).
    pub(super) fn restart(&mut self) -> Result<()> {
        self.check_alone()?;
        self.storage = self.site.open()?;
        self.coordinator = coordinator(&self.site, &self.storage, &self.options, &self.clock)?;
        self.figures.forget();
        self.last_end = None;
        self.tidy();
        Ok(())
    }

    /// Removes what a process left half-written that was killed, or one that crashed. With the lock
    /// nothing of it is anybody's; without, `alluvium gc` does it after a while.
    fn tidy(&self) {
        if self.lock.is_some() {
            let all = OrphanOptions { min_age: Duration::ZERO, dry_run: false };
            // What cannot be removed does no harm, and is tried again at the next start.
            drop(self.coordinator.collect_orphans(all));
        }
    }

    /// The newest complete checkpoint, and where the run was when it was taken.
    ///
    /// # Errors
    /// Where it cannot be read, or is of another job. An older one is not taken silently.
    pub(super) fn newest(&self) -> Result<Option<(CheckpointId, Waypoint)>> {
        let Some(id) = self.newest_known() else { return Ok(None) };
        let read = || {
            let point = RestorePoint::read(self.storage.load(id)?)?;
            Waypoint::decode(&point.metadata().application, self.fingerprint)
        };
        let waypoint = read().map_err(|error| error.with_checkpoint(id))?;
        Ok(Some((id, waypoint)))
    }

    fn newest_known(&self) -> Option<CheckpointId> {
        let readable = self.coordinator.completed().next_back().map(|done| done.id);
        readable.max(self.coordinator.unreadable().map(|(id, _)| id).max())
    }

    /// Where the savepoint is that was noted at `waypoint`, if one was and it is complete.
    ///
    /// # Errors
    /// Where it is there and cannot be read, or is of another job.
    pub(super) fn noted(&self, waypoint: &Waypoint) -> Result<Option<String>> {
        let Some(name) = &waypoint.savepoint else { return Ok(None) };
        let pointer = self.site.savepoint(name);
        let read = || {
            let point = RestorePoint::read(self.storage.open_pointer(&pointer)?)?;
            Waypoint::decode(&point.metadata().application, self.fingerprint)
        };
        match read() {
            Ok(reached) if reached.position == waypoint.position => Ok(Some(pointer)),
            Ok(_) => {
                Err(Error::corrupted("this is not the savepoint that was noted; move it away")
                    .with_path(pointer)
                    .into())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.lock.is_some() {
                    // As in `tidy`. Its age does not matter: the note tells whose it is.
                    drop(self.discard_incomplete(name));
                }
                Ok(None)
            }
            Err(error) => Err(error.with_path(pointer).into()),
        }
    }

    /// Removes what there is of the savepoint of this name, which was never completed.
    fn discard_incomplete(&self, name: &FileName) -> Result<()> {
        for place in self.storage.survey_savepoints()? {
            let named = place.pointer.rsplit('/').next() == Some(name.as_str());
            if named && !place.published {
                let files: Vec<_> = place.files.into_iter().map(|file| file.name).collect();
                self.storage.discard_strays(&SurveyedPlace::Savepoint(place.pointer), &files)?;
            }
        }
        Ok(())
    }

    /// From now on the run is here.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Starts the job with so many subtasks.
    ///
    /// # Errors
    /// Where there is something to restore that cannot be read or does not fit.
    pub(super) fn start(
        &mut self,
        spec: &Spec,
        parallelism: u32,
        origin: Origin<'_>,
    ) -> Result<Start> {
        let operator =
            OperatorSpec::new(UID, parallelism).with_max_parallelism(spec.max_parallelism);
        let from = match origin {
            Origin::Nothing => StartFrom::Nothing,
            Origin::Checkpoint(id) => StartFrom::Checkpoint(id),
            Origin::Savepoint(pointer) => StartFrom::Pointer(pointer),
        };
        let plan = self.coordinator.start(&[operator], from, RestoreOptions::default())?;
        self.figures.forget();
        let RestorePlan { restored, application, mut operators, .. } = plan;
        let from = restored.map(|(id, _)| id);
        let Some(operator) = operators.pop() else {
            return Err(Error::bug("the coordinator planned no operator").into());
        };
        Ok(Start {
            position: match from {
                Some(id) => {
                    let waypoint = Waypoint::decode(&application, self.fingerprint);
                    waypoint.map_err(|error| error.with_checkpoint(id))?.position
                }
                None => 0,
            },
            from,
            operator,
        })
    }

    /// Takes a subtask's part.
    ///
    /// # Errors
    /// Only where the job is at fault.
    pub(super) fn acknowledge(&mut self, done: Acknowledgement) -> Result<()> {
        self.figures.take(&done);
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
            let now = self.clock.now();
            self.last_end = Some(now);
            match notification {
                Notification::Completed { id, savepoint } => {
                    self.savepoint = savepoint.or_else(|| self.savepoint.take());
                    notices.push(Notice::Completed(id, self.figures.completed(id, now)));
                }
                Notification::Aborted { id, reason, error } => {
                    let savepoint = self.figures.aborted(id);
                    let error = error.unwrap_or_else(|| {
                        Error::unavailable(format!("the checkpoint was aborted: {reason:?}"))
                            .with_checkpoint(id)
                    });
                    if error.kind() == ErrorKind::AlreadyExists && !savepoint {
                        return Err(JobError::Overtaken(id));
                    }
                    let given_up = reason == AbortReason::Cancelled;
                    if (savepoint && !given_up) || self.coordinator.has_too_many_failures() {
                        return Err(error.into());
                    }
                    notices.push(Notice::Aborted(id, error.to_string()));
                }
            }
        }
        Ok(notices)
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.coordinator.pending().count()
    }

    /// Whether this one is.
    pub(super) fn is_under_way(&self, id: CheckpointId) -> bool {
        self.coordinator.pending().any(|pending| pending == id)
    }

    /// Whether this one is the newest complete checkpoint.
    pub(super) fn is_newest(&self, id: CheckpointId) -> bool {
        self.newest_known() == Some(id)
    }

    /// Gives this one up, if it is under way.
    pub(super) fn give_up(&mut self, id: CheckpointId) {
        self.coordinator.abort(id);
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

    /// Ends the job: what is under way is aborted, and checkpoints stay or go as
    /// `execution.checkpointing.externalized-checkpoint-retention` says, as in Flink. Where it is not set,
    /// they stay, and the job counts as suspended where it has finished. Returns why something could
    /// not be removed, if so.
    pub(super) fn end(&mut self, end: JobEnd) -> Option<String> {
        let end = match end {
            JobEnd::Finished if !self.finishes => JobEnd::Suspended,
            end => end,
        };
        match self.coordinator.shut_down(end) {
            Ok(ended) => ended.leftovers.error.map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The job's id, and the completed checkpoints, in order.
    pub(super) fn take_history(&mut self) -> (String, Vec<CheckpointReport>) {
        let figures = std::mem::take(&mut self.figures);
        (self.site.job().to_string(), figures.into_completed())
    }
}

fn coordinator(
    site: &Site,
    storage: &Arc<dyn CheckpointStorage>,
    options: &Options,
    clock: &Arc<dyn Clock>,
) -> Result<Coordinator> {
    let components = Components {
        storage: Arc::clone(storage),
        clock: Arc::clone(clock),
        randomness: Arc::new(OsRandomness),
    };
    Ok(Coordinator::open(site.job(), options.clone(), components)?)
}
