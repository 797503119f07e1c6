//! [`Tidying`]: what a rescale has cut off leaves the tables in the background, where a setting wants it.
//!
//! # Invariants
//! Y1. The job has the database only while it holds the lock; once the lock says that the store has gone, it does
//!     nothing. So a store that is closed waits for what compacts to notice, and the directory is free afterwards, also
//!     where the job was never run.

use std::sync::{Arc, Weak};

use alluvium_state_api::{Result, Spawner};
use parking_lot::Mutex;
use rocksdb::{BottommostLevelCompaction, CompactOptions};

use crate::database::Database;

/// Key groups that were cut off: from, to below.
pub(crate) type Cut = (u16, u16);

/// Compaction of what was cut off; it ends with this.
#[derive(Debug)]
pub(crate) struct Tidying {
    database: Weak<Database>,
    /// Whether the store has gone.
    is_over: Arc<Mutex<bool>>,
}

impl Tidying {
    /// Begins, if there is something to do.
    ///
    /// # Errors
    /// Those of the spawner.
    pub(crate) fn begin(
        database: &Arc<Database>,
        spawner: &dyn Spawner,
        cuts: Vec<Cut>,
    ) -> Result<Option<Self>> {
        if cuts.is_empty() {
            return Ok(None);
        }
        let is_over = Arc::new(Mutex::new(false));
        let (theirs, lock) = (Arc::downgrade(database), Arc::clone(&is_over));
        let job = move || {
            let is_over = lock.lock();
            if !*is_over && let Some(database) = theirs.upgrade() {
                for cut in cuts {
                    compact(&database, cut);
                }
            }
        };
        spawner.spawn("rocksdb-tidying", Box::new(job))?;
        Ok(Some(Self { database: Arc::downgrade(database), is_over }))
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        if let Some(database) = self.database.upgrade() {
            database.db.cancel_all_background_work(false);
        }
        *self.is_over.lock() = true;
    }
}

/// Compacts the tables that have something of a cut, down to the last level. RocksDB keeps a failure to itself, and tells it
/// with the next write.
fn compact(database: &Database, (start, end): Cut) {
    let mut options = CompactOptions::default();
    options.set_exclusive_manual_compaction(false);
    options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
    database.db.compact_range_opt(Some(start.to_be_bytes()), Some(end.to_be_bytes()), &options);
}
