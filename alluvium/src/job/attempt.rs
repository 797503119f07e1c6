//! One attempt: a deployment, the source in front of it, and the checkpoints that are due.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::audit::Audit;
use super::batch::Row;
use super::checkpoints::{Checkpoints, Notice};
use super::deployment::Deployment;
use super::error::{Result, check_stop};
use super::expected::Expected;
use super::observer::{Event, Observer};
use super::report::Turns;
use super::spec::Course;
use super::subtask::Reply;
use crate::source::{Counts, Reader, Record};

/// How many records pass between two looks at the answers of the subtasks.
const ATTEND_EVERY: u32 = 512;

/// How many looks pass between two reports of progress.
const REPORT_EVERY: u32 = 8;

/// The longest wait for an answer before timeouts are looked at.
const PATIENCE: Duration = Duration::from_millis(50);

/// Running subtasks with a source in front of them.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    deployment: Deployment,
    reader: Reader,
    every: u64,
    next_due: u64,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
}

impl<'a> Attempt<'a> {
    /// Puts a source in front of running subtasks.
    pub(super) fn new(
        deployment: Deployment,
        reader: Reader,
        course: &Course,
        observer: &'a dyn Observer,
        stop: &'a AtomicBool,
    ) -> Self {
        let every = course.checkpoint_every;
        let next_due = due_after(reader.position(), every);
        Self { deployment, reader, every, next_due, observer, stop }
    }

    /// Processes records up to position `limit` or the end, with the checkpoints that are due.
    ///
    /// # Errors
    /// Whatever fails: the input, a subtask, more checkpoints than are tolerated.
    pub(super) fn feed(&mut self, checkpoints: &mut Checkpoints, limit: u64) -> Result<()> {
        let mut record = Record::default();
        let (mut until_attend, mut until_report) = (ATTEND_EVERY, REPORT_EVERY);
        while self.reader.position() < limit {
            if self.reader.position() >= self.next_due {
                self.settle(checkpoints)?;
                self.order(checkpoints)?;
                self.next_due = due_after(self.reader.position(), self.every);
            }
            check_stop(self.stop)?;
            if !self.reader.next_into(&mut record)? {
                break;
            }
            self.deployment.send(Row::of(&record))?;
            until_attend = until_attend.saturating_sub(1);
            if until_attend == 0 {
                until_attend = ATTEND_EVERY;
                self.attend(checkpoints)?;
                until_report = until_report.saturating_sub(1);
                if until_report == 0 {
                    until_report = REPORT_EVERY;
                    self.observer.progress(self.reader.progress());
                }
            }
        }
        Ok(())
    }

    /// Sends a barrier behind the records so far.
    fn order(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        match checkpoints.trigger(self.reader.position())? {
            Some(order) => self.deployment.barrier(&order),
            None => Ok(()),
        }
    }

    /// Takes up the answers that are there.
    fn attend(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        while let Some(reply) = self.deployment.poll()? {
            take_up(checkpoints, reply)?;
        }
        self.hand_on(checkpoints)
    }

    /// Waits until no checkpoint is under way, and any pause after it is over.
    fn settle(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        self.wait_while(checkpoints, |checkpoints| {
            checkpoints.under_way() > 0 || checkpoints.pause_left() > Duration::ZERO
        })
    }

    /// Waits for answers as long as `busy` says.
    fn wait_while(
        &mut self,
        checkpoints: &mut Checkpoints,
        busy: impl Fn(&Checkpoints) -> bool,
    ) -> Result<()> {
        check_stop(self.stop)?;
        while busy(checkpoints) {
            let longest = match checkpoints.pause_left() {
                Duration::ZERO => PATIENCE,
                pause => pause.min(PATIENCE),
            };
            if let Some(reply) = self.deployment.wait(longest)? {
                take_up(checkpoints, reply)?;
            }
            self.hand_on(checkpoints)?;
            check_stop(self.stop)?;
        }
        Ok(())
    }

    /// Tells the subtasks what became of checkpoints.
    fn hand_on(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        for notice in checkpoints.notices()? {
            match notice {
                Notice::Completed(id, done) => {
                    self.deployment.completed(id)?;
                    self.observer.event(&Event::Completed {
                        id,
                        kind: done.kind,
                        position: done.position,
                        bytes_new: done.bytes_new,
                    });
                }
                Notice::Aborted(id, reason) => {
                    self.deployment.aborted(id)?;
                    self.observer.event(&Event::Failed { id, reason });
                }
            }
        }
        Ok(())
    }

    /// Crashes with a snapshot in flight, behind the checkpoints that were due before.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub(super) fn crash(mut self, checkpoints: &mut Checkpoints, turns: &mut Turns) -> Result<()> {
        self.settle(checkpoints)?;
        if checkpoints.has_completed() {
            self.order(checkpoints)?;
        }
        let position = self.reader.position();
        turns.crashed_at = Some(position);
        let in_flight = checkpoints.under_way();
        turns.snapshots_dropped = in_flight as u64;
        self.deployment.crash();
        self.observer.event(&Event::Crashed { position, in_flight });
        Ok(())
    }

    /// Takes a savepoint of everything so far, and ends the subtasks with it. Returns where it is. No
    /// record is read meanwhile, so nothing passes its barrier.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub(super) fn stop_with_savepoint(mut self, checkpoints: &mut Checkpoints) -> Result<String> {
        loop {
            self.settle(checkpoints)?;
            let position = self.reader.position();
            let Some([note, savepoint]) = checkpoints.trigger_savepoint(position)? else {
                continue;
            };
            let noted = note.request.checkpoint;
            self.deployment.barrier(&note)?;
            self.wait_while(checkpoints, |checkpoints| checkpoints.is_under_way(noted))?;
            if checkpoints.is_newest(noted) {
                self.deployment.barrier(&savepoint)?;
                break;
            }
            checkpoints.give_up(savepoint.request.checkpoint);
        }
        self.settle(checkpoints)?;
        self.deployment.stop()?;
        checkpoints.savepoint()
    }

    /// Waits until everything that was sent is processed and no checkpoint is under way.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub(super) fn drain(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        self.settle(checkpoints)?;
        self.deployment.drain()
    }

    /// Compares all state with what it must be.
    ///
    /// # Errors
    /// Where a store fails.
    pub(super) fn audit(&mut self, expected: &Arc<Expected>) -> Result<Audit> {
        self.deployment.audit(expected)
    }

    /// Takes a checkpoint of everything so far, and waits for it.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub(super) fn checkpoint(&mut self, checkpoints: &mut Checkpoints) -> Result<()> {
        self.settle(checkpoints)?;
        self.order(checkpoints)?;
        self.settle(checkpoints)
    }

    /// What became of the records so far.
    pub(super) fn counts(&self) -> Counts {
        self.reader.counts()
    }

    /// Ends the subtasks, and says what became of the records.
    ///
    /// # Errors
    /// Why a subtask failed, if one did.
    pub(super) fn stop(self) -> Result<Counts> {
        let counts = self.counts();
        self.deployment.stop()?;
        Ok(counts)
    }
}

/// The first multiple of `every` above `position`.
fn due_after(position: u64, every: u64) -> u64 {
    let every = every.max(1);
    (position / every).saturating_add(1).saturating_mul(every)
}

/// Hands the coordinator what a subtask answered.
fn take_up(checkpoints: &mut Checkpoints, reply: Reply) -> Result<()> {
    match reply {
        Reply::Acknowledged(done) => checkpoints.acknowledge(*done),
        Reply::SnapshotFailed { checkpoint, subtask, error } => {
            checkpoints.decline(checkpoint, subtask, error)
        }
        Reply::Ready | Reply::Drained | Reply::Audited(_) | Reply::Failed(_) => Ok(()),
    }
}
