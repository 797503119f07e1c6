//! Begins a store's database with the files of a native snapshot, cut to the key groups that the store takes from it.

use std::collections::BTreeMap;

use alluvium_state_api::snapshot::{FileLocation, KeyedSnapshot};
use alluvium_state_api::{Error, KeyGroupRange, RestorePart, Result};
use rocksdb::WriteBatch;

use super::Role;
use super::adopt::adopt;
use super::names::noted_states;
use super::tidy::Cut;
use crate::address::{END_OF_GROUPS, StateId};
use crate::chain::Uploads;
use crate::database::Database;
use crate::failure::failed;
use crate::local::LocalDirectory;
use crate::options::Tuned;

/// A database that began with somebody's files.
#[derive(Debug)]
pub(crate) struct Founded {
    pub(crate) database: Database,
    /// The numbers of states in it.
    pub(crate) numbers: BTreeMap<Box<str>, StateId>,
    /// Its tables in the storage, as far as increments may refer to them.
    pub(crate) uploads: Uploads,
    /// What was cut off.
    pub(crate) cuts: Vec<Cut>,
}

/// Opens a database over the files of `part`, of which it keeps `range`. Tables without anything of it go away at once,
/// if `drops_files`.
///
/// # Errors
/// `Corrupted`, `NotFound`, `Unavailable`; `InvalidInput` for options that do not fit the files.
pub(crate) fn found(
    directory: LocalDirectory,
    tuned: Tuned,
    part: &RestorePart,
    range: KeyGroupRange,
    drops_files: bool,
) -> Result<Founded> {
    let path = directory.fresh_database()?;
    adopt(&**directory.fs(), part, &path)?;
    let database = Database::open(directory, tuned, &path)?;
    let numbers = noted_states(&database.db)?;
    check_noted(&part.snapshot, &numbers)?;
    let has = part.snapshot.range;
    let mut cuts = Vec::new();
    if has.start() < range.start() {
        cuts.push((0, range.start()));
    }
    if range.end() < has.end() {
        cuts.push((range.end(), END_OF_GROUPS));
    }
    for off in &cuts {
        cut(&database, *off, drops_files)?;
    }
    let referable = part.snapshot.files.iter().filter(|file| {
        Role::of(&file.label).is_some_and(Role::is_lasting)
            && !matches!(file.stored.location, FileLocation::Own(_))
    });
    let uploads = referable.map(|file| (file.label.clone(), file.clone())).collect();
    Ok(Founded { database, numbers, uploads, cuts })
}

/// Whether a database has noted a number for each state of its snapshot.
///
/// # Errors
/// `Corrupted`.
pub(super) fn check_noted(
    snapshot: &KeyedSnapshot,
    numbers: &BTreeMap<Box<str>, StateId>,
) -> Result<()> {
    let missing = snapshot.states.iter().find(|state| !numbers.contains_key(&*state.meta.name));
    missing.map_or(Ok(()), |state| {
        let text = "a native snapshot does not say which number the state has";
        Err(Error::corrupted(text).with_state(state.meta.name.clone()))
    })
}

/// Removes all key groups from `start` to below `end`: tables that have nothing else as a whole if
/// `drops_files`, the rest by one record.
fn cut(database: &Database, (start, end): Cut, drops_files: bool) -> Result<()> {
    let (start, end) = (start.to_be_bytes(), end.to_be_bytes());
    if drops_files {
        let removed = database.db.delete_file_in_range(start, end);
        removed.map_err(|error| failed("delete files", error))?;
    }
    let mut batch = WriteBatch::default();
    batch.delete_range(start, end);
    database.write(batch)
}
