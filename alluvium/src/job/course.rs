//! The course of a run: crash, recovery, savepoint, rescale, verification.
//!
//! ```text
//! 0 ----c----c----c--X                    P subtasks; c checkpoint, X crash: all working state dropped
//!                c-----c----S             fresh stores from the newest complete checkpoint, source
//!                           |             re-read from its position; S savepoint, then stop
//!                           +----c----c-- end   fresh stores, R subtasks; then every key is compared
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

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::BackendRegistry;
use alluvium_state_api::clock::Clock;

use super::attempt::Attempt;
use super::checkpoints::{Checkpoints, Start};
use super::deployment::{Deployment, Plan};
use super::error::{JobError, Result};
use super::expected::Expected;
use super::observer::{Event, Observer, Phase};
use super::report::{Finding, Report, Turns, millis};
use super::spec::{Course, Spec};
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
    /// Is told what happens.
    pub(crate) observer: &'a dyn Observer,
}

impl Job<'_> {
    /// Runs it to the end.
    ///
    /// # Errors
    /// Whatever kept it from coming to its end. A mismatch is no error: the report says it.
    pub(crate) fn run(&self) -> Result<Report> {
        let opened = Checkpoints::open(self.spec, Arc::clone(&self.clock));
        let mut checkpoints = opened.map_err(JobError::before_the_run)?;
        let expected = Arc::new(Expected::compute(self.source, self.observer)?);
        let course = Course::plan(self.spec, expected.counts().records)?;
        let mut turns = Turns::default();
        let began = self.clock.now();

        self.observer.phase(Phase::UntilCrash);
        let start = checkpoints.start(self.spec, self.spec.parallelism, None)?;
        let mut attempt = self.start(&course, start)?;
        attempt.feed(&mut checkpoints, course.crash_at)?;
        attempt.crash(&mut checkpoints, &mut turns)?;

        let (mut checkpoints, mut attempt) = self.recover(&course, checkpoints, &mut turns)?;
        self.observer.phase(Phase::UntilSavepoint);
        attempt.feed(&mut checkpoints, course.savepoint_at)?;
        let savepoint = attempt.stop_with_savepoint(&mut checkpoints)?;

        let mut attempt = self.rescale(&course, &mut checkpoints, &savepoint, &mut turns)?;
        self.observer.phase(Phase::UntilEnd);
        attempt.feed(&mut checkpoints, u64::MAX)?;
        attempt.drain(&mut checkpoints)?;
        let processing = self.clock.now().saturating_sub(began);

        self.observer.phase(Phase::Verification);
        let (audit, counts) = attempt.audit_and_stop(&expected)?;
        let backend = self.registry.find(self.spec.settings.backend())?.name();
        let finding = Finding {
            backend,
            expected: expected.counts(),
            counts,
            audit,
            turns,
            processing,
            checkpoints: checkpoints.into_history(),
        };
        Ok(Report::of(self, &course, finding))
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
        Ok(Attempt::new(deployment, reader, course, self.observer))
    }

    /// Builds everything anew from what the storage holds (invariant 3).
    fn recover(
        &self,
        course: &Course,
        checkpoints: Checkpoints,
        turns: &mut Turns,
    ) -> Result<(Checkpoints, Attempt<'_>)> {
        let began = self.clock.now();
        let mut checkpoints = checkpoints.restart()?;
        let start = checkpoints.start(self.spec, self.spec.parallelism, None)?;
        let (from, position) = (start.from, start.position);
        let attempt = self.start(course, start)?;
        turns.recovery = self.clock.now().saturating_sub(began);
        turns.recovered_from = from;
        turns.records_replayed = turns.crashed_at.saturating_sub(position);
        self.observer.event(&Event::Recovered { from, position, millis: millis(turns.recovery) });
        Ok((checkpoints, attempt))
    }

    /// Goes on from the savepoint with another number of subtasks.
    fn rescale(
        &self,
        course: &Course,
        checkpoints: &mut Checkpoints,
        savepoint: &str,
        turns: &mut Turns,
    ) -> Result<Attempt<'_>> {
        let (from, to) = (self.spec.parallelism, self.spec.rescale_to);
        let began = self.clock.now();
        let start = checkpoints.start(self.spec, to, Some(savepoint))?;
        turns.rescaled_at = start.position;
        let attempt = self.start(course, start)?;
        turns.rescale = self.clock.now().saturating_sub(began);
        let millis = millis(turns.rescale);
        self.observer.event(&Event::Rescaled { from, to, millis });
        Ok(attempt)
    }
}
