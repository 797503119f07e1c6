//! Collecting orphans while the job runs.

use std::time::Duration;

use alluvium_state_api::Result;

use super::Coordinator;
use crate::orphans::{OrphanOptions, Orphans, Search};

/// How far the clocks of this machine and of the storage may be apart.
const CLOCK_SLACK: Duration = Duration::from_mins(5);

impl Coordinator {
    /// Finds the orphans of the job, and removes them unless it is a dry run. What is under way is
    /// safe: nothing is an orphan that is younger than the oldest checkpoint under way.
    ///
    /// # Errors
    /// As [`collect_orphans`](crate::collect_orphans); `InvalidInput` while [work](Self::next_work) is out.
    pub fn collect_orphans(&self, options: OrphanOptions) -> Result<Orphans> {
        self.check_nothing_is_out()?;
        let storage = &*self.components.storage;
        let now = self.components.clock.now();
        let started = self.pending.values().map(|pending| pending.started).min();
        let under_way = started.map_or(Duration::ZERO, |started| {
            now.saturating_sub(started).saturating_add(CLOCK_SLACK)
        });
        let mut busy = self.completed.doomed();
        busy.extend(self.pending.keys().copied());
        let search = Search {
            storage,
            completed: &self.completed,
            busy: &busy,
            now_ms: self.components.clock.wall_clock_ms(),
            min_age: options.min_age.max(under_way),
        };
        search.collect(&storage.survey()?, options.dry_run)
    }
}
