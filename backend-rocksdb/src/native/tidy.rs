//! What a rescale has cut off leaves the tables in the background, where a setting wants it.

use alluvium_state_api::Result;
use rocksdb::{BottommostLevelCompaction, CompactOptions};

use crate::background::Jobs;
use crate::database::Database;

/// Key groups that were cut off: from, to below.
pub(crate) type Cut = (u16, u16);

/// Begins to compact what was cut off, if something was.
///
/// # Errors
/// Those of the spawner.
pub(crate) fn tidy(jobs: &mut Jobs, cuts: Vec<Cut>) -> Result<()> {
    if cuts.is_empty() {
        return Ok(());
    }
    jobs.space().begin("rocksdb-tidying", move |database| {
        for cut in cuts {
            compact(database, cut);
        }
    })
}

/// Compacts the tables that have something of a cut, down to the last level. RocksDB keeps a failure to itself, and tells it
/// with the next write.
fn compact(database: &Database, (start, end): Cut) {
    let mut options = CompactOptions::default();
    options.set_exclusive_manual_compaction(false);
    options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
    database.db.compact_range_opt(Some(start.to_be_bytes()), Some(end.to_be_bytes()), &options);
}
