//! The course of a run: crash, recovery, savepoint, rescale, verification.
//!
//! ```text
//! 0 ----c----c----c--X                    P subtasks; c checkpoint, X crash: all working state dropped
//!                c-----c----S             fresh stores from the newest complete checkpoint, source
//!                           |             re-read from its position; S savepoint, which ends the job
//!                           +----c----c-- end   a job from it, R subtasks; then every key is compared
//! ```
//!
//! # Invariants
//!
//! 1. A checkpoint is of the records before one position of the input in all subtasks, and holds that
//!    position. Recovery reads on from there; so each record counts exactly once.
//! 2. A checkpoint that is due waits for the one before it; so one is under way at most, and where
//!    they are taken depends on the input alone.
//! 3. After the crash nothing of the job is left but what its storage holds: stores, coordinator and
//!    positions are built anew.
//! 4. A checkpoint is announced to the stores only after it is durable.
//! 5. Each checkpoint holds the stage of the course, too, so that a process that is killed anywhere can
//!    be started again and goes on from the newest one, or from the savepoint where that is complete and
//!    no checkpoint behind it is. The savepoint counts to the stage behind it. After the comparison a last checkpoint says that the run has finished; the next one starts afresh,
//!    with higher numbers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alluvium_checkpoint::{JobEnd, StorageEnv};
use alluvium_state_api::clock::Clock;
use alluvium_state_api::{BackendRegistry, CheckpointId};

use super::attempt::Attempt;
use super::checkpoints::{Checkpoints, Origin, Start};
use super::deployment::{Deployment, Plan};
use super::error::{JobError, Result};
use super::expected::Expected;
use super::identity::Identity;
use super::observer::{Event, Observer, Phase};
use super::report::{Finding, Report, Turns, millis};
use super::spec::{Course, Spec};
use super::waypoint::Stage;
use crate::source::Source;

/// A run that can be started.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The input.
    pub(crate) source: &'a Source,
    /// What to do with it.
    pub(crate) spec: &'a Spec,
    /// Where stores come from.
    pub(crate) registry: &'a Arc<BackendRegistry>,
    /// For working files of the stores.
    pub(crate) work_dir: &'a Path,
    /// For durations and timeouts.
    pub(crate) clock: Arc<dyn Clock>,
    /// What storages are opened with.
    pub(crate) storage: StorageEnv,
    /// Is told what happens.
    pub(crate) observer: &'a dyn Observer,
    /// Set from outside to end it early.
    pub(crate) stop: &'a AtomicBool,
}

impl Job<'_> {
    /// Runs it to the end.
    ///
    /// # Errors
    /// Whatever kept it from coming to its end. A mismatch is no error: the report says it.
    pub(crate) fn run(&self) -> Result<Report> {
        let clock = Arc::clone(&self.clock);
        let opened = Checkpoints::open(self.identity()?, self.spec, &self.storage, clock);
        let mut checkpoints = opened.map_err(JobError::before_the_run)?;
        let outcome = self.follow(&mut checkpoints);
        let end = match &outcome {
            Ok(report) if report.is_right() => JobEnd::Finished,
            Err(JobError::Interrupted) => JobEnd::Cancelled,
            // What is there is the other's, too.
            Err(JobError::Overtaken(_)) => return outcome,
            Ok(_) | Err(_) => JobEnd::Failed,
        };
        if let Some(reason) = checkpoints.end(end) {
            self.observer.event(&Event::LeftBehind { reason });
        }
        outcome
    }

    /// Follows the course, from where an earlier run was ended.
    fn follow(&self, checkpoints: &mut Checkpoints) -> Result<Report> {
        let compute = Expected::compute(self.source, self.observer, self.stop);
        let expected = Arc::new(compute?);
        let course = Course::plan(self.spec, expected.counts().records)?;
        let mut turns = Turns::default();
        let began = self.clock.now();

        let (stage, mut attempt) = self.begin(&course, checkpoints, &mut turns)?;
        let before = attempt.counts();
        if stage == Stage::UntilCrash {
            attempt.feed(checkpoints, course.crash_at)?;
            attempt.crash(checkpoints, &mut turns)?;
            attempt = self.recover(&course, checkpoints, &mut turns)?;
            self.observer.phase(Phase::UntilSavepoint);
        }
        if stage <= Stage::UntilSavepoint {
            attempt.feed(checkpoints, course.savepoint_at)?;
            let savepoint = attempt.stop_with_savepoint(checkpoints)?;
            checkpoints.restart()?;
            attempt = self.rescale(&course, checkpoints, savepoint, &mut turns)?;
        }
        attempt.feed(checkpoints, u64::MAX)?;
        attempt.drain(checkpoints)?;
        let processing = self.clock.now().saturating_sub(began);

        self.observer.phase(Phase::Verification);
        let audit = attempt.audit(&expected)?;
        if self.spec.resumes {
            checkpoints.enter(Stage::Finished);
            attempt.checkpoint(checkpoints)?;
        }
        let counts = attempt.stop()?;
        let backend = self.registry.find(self.spec.settings.backend())?.name();
        let (job, checkpoints) = checkpoints.take_history();
        let finding = Finding {
            backend,
            job,
            expected: expected.counts(),
            before,
            counts,
            audit,
            turns,
            processing,
            checkpoints,
        };
        Ok(Report::of(self, &course, finding))
    }

    /// Which job this is.
    fn identity(&self) -> Result<Identity> {
        if !self.spec.resumes {
            return Ok(Identity::random()?);
        }
        let backend = self.registry.find(self.spec.settings.backend())?.name();
        Identity::of(self.source, self.spec, backend)
    }

    /// Goes on with an earlier run that was ended early, or starts afresh.
    fn begin(
        &self,
        course: &Course,
        checkpoints: &mut Checkpoints,
        turns: &mut Turns,
    ) -> Result<(Stage, Attempt<'_>)> {
        let (stage, origin) = match checkpoints.newest()? {
            Some((id, waypoint)) if waypoint.stage < Stage::Finished => {
                if let Some(savepoint) = checkpoints.noted(&waypoint)? {
                    let attempt = self.rescale(course, checkpoints, savepoint, turns)?;
                    self.resumed(turns, turns.rescaled_from, waypoint.position);
                    return Ok((Stage::UntilEnd, attempt));
                }
                self.resumed(turns, Some(id), waypoint.position);
                (waypoint.stage, Origin::Checkpoint(id))
            }
            Some((last, _)) => {
                self.observer.event(&Event::Repeated { last });
                (Stage::UntilCrash, Origin::Nothing)
            }
            None => (Stage::UntilCrash, Origin::Nothing),
        };
        let (phase, parallelism) = match stage {
            Stage::UntilCrash => (Phase::UntilCrash, self.spec.parallelism),
            Stage::UntilSavepoint => (Phase::UntilSavepoint, self.spec.parallelism),
            Stage::UntilEnd | Stage::Finished => (Phase::UntilEnd, self.spec.rescale_to),
        };
        self.observer.phase(phase);
        checkpoints.enter(stage);
        let start = checkpoints.start(self.spec, parallelism, origin)?;
        Ok((stage, self.start(course, start)?))
    }

    fn resumed(&self, turns: &mut Turns, from: Option<CheckpointId>, position: u64) {
        turns.resumed = from.map(|id| (id, position));
        if let Some(from) = from {
            let savepoint = turns.savepoint.is_some();
            self.observer.event(&Event::Resumed { from, savepoint, position });
        }
    }

    /// Opens stores, fresh or with what is to be restored, and the source where that ends.
    fn start(&self, course: &Course, start: Start) -> Result<Attempt<'_>> {
        let deployment = Deployment::start(Plan {
            operator: start.operator,
            registry: self.registry,
            settings: &self.spec.settings,
            local_dir: self.work_dir,
            clock: &self.clock,
        })?;
        let reader = self.source.open_at(start.position)?;
        Ok(Attempt::new(deployment, reader, course, self.observer, self.stop))
    }

    /// Builds everything anew from what the storage holds (invariant 3).
    fn recover(
        &self,
        course: &Course,
        checkpoints: &mut Checkpoints,
        turns: &mut Turns,
    ) -> Result<Attempt<'_>> {
        let began = self.clock.now();
        checkpoints.restart()?;
        let origin = match checkpoints.newest()? {
            Some((id, waypoint)) if waypoint.stage < Stage::Finished => Origin::Checkpoint(id),
            _ => Origin::Nothing,
        };
        let start = checkpoints.start(self.spec, self.spec.parallelism, origin)?;
        checkpoints.enter(Stage::UntilSavepoint);
        let (from, position) = (start.from, start.position);
        let attempt = self.start(course, start)?;
        turns.recovery = self.clock.now().saturating_sub(began);
        turns.recovered_from = from;
        turns.records_replayed = turns.crashed_at.unwrap_or(0).saturating_sub(position);
        self.observer.event(&Event::Recovered { from, position, millis: millis(turns.recovery) });
        Ok(attempt)
    }

    /// Goes on from the savepoint with another number of subtasks.
    fn rescale(
        &self,
        course: &Course,
        checkpoints: &mut Checkpoints,
        savepoint: String,
        turns: &mut Turns,
    ) -> Result<Attempt<'_>> {
        let (from, to) = (self.spec.parallelism, self.spec.rescale_to);
        let began = self.clock.now();
        checkpoints.enter(Stage::UntilEnd);
        let start = checkpoints.start(self.spec, to, Origin::Savepoint(&savepoint))?;
        turns.savepoint = Some(savepoint);
        turns.rescaled_from = start.from;
        turns.rescaled_at = Some(start.position);
        let attempt = self.start(course, start)?;
        turns.rescale = self.clock.now().saturating_sub(began);
        let millis = millis(turns.rescale);
        self.observer.event(&Event::Rescaled { from, to, millis });
        self.observer.phase(Phase::UntilEnd);
        Ok(attempt)
    }
}
