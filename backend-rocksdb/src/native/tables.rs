//! What RocksDB tells of the tables of a database.

use alluvium_state_api::{KeyGroupRange, Result};
use rocksdb::LiveFile;

use super::tidy::Cut;
use crate::address::END_OF_GROUPS;
use crate::database::Db;
use crate::failure::failed;

/// All tables of a database, level by level, those of the first one from the newest on.
///
/// # Errors
/// `Unavailable`.
pub(super) fn tables(db: &Db) -> Result<Vec<LiveFile>> {
    db.live_files().map_err(|error| failed("list files", error))
}

/// The name of a table in its directory.
pub(super) fn label(file: &LiveFile) -> &str {
    file.name.trim_start_matches('/')
}

/// The number in that name, by which tables are in the order in which they came.
pub(super) fn number(file: &LiveFile) -> u64 {
    let digits = label(file).trim_end_matches(".sst");
    digits.parse().unwrap_or(0)
}

/// Whether a table ends before key group `group`. An end of two bytes is one of a range deletion, which is not reached.
pub(super) fn ends_below(file: &LiveFile, group: u16) -> bool {
    file.end_key.as_ref().is_some_and(|key| key.as_slice() <= group.to_be_bytes().as_slice())
}

/// Whether a table begins with key group `group` or later.
pub(super) fn begins_at(file: &LiveFile, group: u16) -> bool {
    file.start_key.as_ref().is_some_and(|key| key.as_slice() >= group.to_be_bytes().as_slice())
}

/// What some of the tables may have before `range`, and after it.
pub(super) fn overhangs(files: &[LiveFile], range: KeyGroupRange) -> Vec<Cut> {
    let mut cuts = Vec::new();
    if files.iter().any(|file| !begins_at(file, range.start())) {
        cuts.push((0, range.start()));
    }
    if files.iter().any(|file| !ends_below(file, range.end())) {
        cuts.push((range.end(), END_OF_GROUPS));
    }
    cuts
}
