//! Begins a store's database with the files of a native snapshot, cut to the key groups that the store takes from it.

use alluvium_state_api::Result;
use rocksdb::WriteBatch;

use super::Former;
use super::adopt::adopt;
use super::tables::{overhangs, tables};
use super::tidy::Cut;
use crate::address::END_OF_GROUPS;
use crate::chain::Uploads;
use crate::database::Database;
use crate::failure::failed;
use crate::local::LocalDirectory;
use crate::options::Tuned;

/// A database that began with somebody's files.
#[derive(Debug)]
pub(crate) struct Founded {
    pub(crate) database: Database,
    /// Its tables in the storage, as far as increments may refer to them.
    pub(crate) uploads: Uploads,
    /// What was cut off.
    pub(crate) cuts: Vec<Cut>,
}

/// Opens a database over the files of a former one, of which it keeps what is wanted. Tables without anything of that go
/// away at once, if `drops_files`. Nothing is compacted yet.
///
/// # Errors
/// `Corrupted`, `NotFound`, `Unavailable`; `InvalidInput` for options that do not fit the files.
pub(crate) fn found(
    directory: LocalDirectory,
    tuned: Tuned,
    former: &Former<'_>,
    drops_files: bool,
) -> Result<Founded> {
    let path = directory.fresh_database()?;
    adopt(&**directory.fs(), former.part, &path)?;
    let database = Database::open(directory, tuned, &path)?;
    let (has, range) = (former.part.snapshot.range, former.range);
    let before = Some((0, range.start())).filter(|_| has.start() < range.start());
    let after = Some((range.end(), END_OF_GROUPS)).filter(|_| range.end() < has.end());
    let unwanted: Vec<Cut> = before.into_iter().chain(after).collect();
    if drops_files {
        for off in &unwanted {
            drop_files(&database, *off)?;
        }
    }
    let mut cuts = overhangs(&tables(&database.db)?, range);
    cuts.retain(|off| unwanted.contains(off));
    for off in &cuts {
        cut(&database, *off)?;
    }
    let uploads = former.referable().map(|file| (file.label.clone(), file.clone())).collect();
    Ok(Founded { database, uploads, cuts })
}

/// Drops the tables that have nothing but key groups from `start` to below `end`.
fn drop_files(database: &Database, (start, end): Cut) -> Result<()> {
    let removed = database.db.delete_file_in_range(start.to_be_bytes(), end.to_be_bytes());
    removed.map_err(|error| failed("delete files", error))
}

/// Removes all key groups from `start` to below `end` by one record.
pub(super) fn cut(database: &Database, (start, end): Cut) -> Result<()> {
    let mut batch = WriteBatch::default();
    batch.delete_range(start.to_be_bytes(), end.to_be_bytes());
    database.write(batch)
}
