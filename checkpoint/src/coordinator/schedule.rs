//! Time: when checkpoints begin, when they are late, when leftovers are tried again.

use std::time::Duration;

use alluvium_state_api::{Error, Result};

use super::Coordinator;
use crate::report::AbortReason;

/// How long a deletion that failed waits for its next attempt.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);

/// What the clock calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Whether a periodic checkpoint should be triggered now.
    pub due: bool,
    /// How long until something else may be due; `None` where nothing is scheduled.
    pub next: Option<Duration>,
}

impl Coordinator {
    /// Aborts what has taken too long, goes on with deletions that failed, and says whether a periodic
    /// checkpoint is due. Call it at least as often as it asks for.
    pub fn tick(&mut self) -> Tick {
        let now = self.components.clock.now();
        let late = self.pending.values().filter(|pending| pending.deadline <= now);
        let late: Vec<_> = late.map(|pending| (pending.id, pending.missing())).collect();
        for (id, missing) in late {
            let what = match missing {
                0 => "another checkpoint was being published until the end of",
                _ => "not every subtask acknowledged within",
            };
            let error = Error::unavailable(format!("{what} {:?}", self.options.timeout));
            self.end(id, AbortReason::TimedOut, Some(error));
        }
        if self.begin_deadline().is_some_and(|deadline| deadline <= now) {
            let error = format!("the storage did not begin it within {:?}", self.options.timeout);
            self.give_up_order(Error::unavailable(error));
        }
        self.work_off();
        if self.completed.has_leftovers() && self.next_sweep <= now {
            self.clear_away();
            self.work_off();
            self.next_sweep = now.saturating_add(SWEEP_PAUSE);
        }
        let may_begin = self.has_room() && self.stopping().is_none() && !self.is_beginning();
        let periodic = self.next_periodic.filter(|_| may_begin);
        let periodic = periodic.map(|at| at.max(self.end_of_pause()));
        let deadlines = self.pending.values().map(|pending| pending.deadline);
        let deadlines = deadlines.chain(self.begin_deadline());
        let sweep = self.completed.has_leftovers().then_some(self.next_sweep);
        let next = deadlines.chain(periodic.filter(|at| *at > now)).chain(sweep).min();
        Tick {
            due: periodic.is_some_and(|at| at <= now),
            next: next.map(|at| at.saturating_sub(now)),
        }
    }

    /// Refuses a checkpoint that must wait.
    pub(super) fn check_may_start(&self) -> Result<()> {
        if !self.has_room() {
            return Err(Error::unavailable(format!(
                "{} checkpoint(s) are under way and no more may be; try again when one has ended",
                self.options.max_concurrent
            )));
        }
        let now = self.components.clock.now();
        let wait = self.end_of_pause().saturating_sub(now);
        if wait > Duration::ZERO {
            return Err(Error::unavailable(format!(
                "the minimum pause between checkpoints lasts another {wait:?}"
            )));
        }
        Ok(())
    }

    /// Sets the next periodic checkpoint, one having begun, or the job having started, at `now`.
    pub(super) fn schedule_after(&mut self, now: Duration) {
        let interval = self.options.interval;
        self.next_periodic = interval.map(|interval| now.saturating_add(interval));
    }

    fn has_room(&self) -> bool {
        let running = self.under_way().filter(|pending| !pending.is_savepoint()).count();
        running < self.options.max_concurrent
    }

    fn end_of_pause(&self) -> Duration {
        let end = self.last_end.map(|end| end.saturating_add(self.options.min_pause));
        end.unwrap_or_default()
    }
}
