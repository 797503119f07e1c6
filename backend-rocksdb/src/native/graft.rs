//! Adds key groups of further native snapshots to a database: their tables as they are where that can be, or what is in
//! them entry by entry.

use std::path::PathBuf;

use alluvium_state_api::{KeyGroupRange, Result};

use super::Former;
use super::adopt::adopt;
use super::tidy::Cut;
use super::{copy, whole};
use crate::address::StateId;
use crate::chain::Uploads;
use crate::database::Database;
use crate::options::RocksOptions;
use crate::states::States;

/// A directory that goes away.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    database: &'a Database,
    pub(super) path: PathBuf,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the directory's next owner.
        drop(self.database.directory().remove_database(&self.path));
    }
}

/// What came with key groups of another database.
#[derive(Debug, Default)]
pub(crate) struct Grafted {
    /// Tables of the former store, as far as increments may refer to them, by the names that they have now.
    pub(crate) uploads: Uploads,
    /// What came with them and was cut off.
    pub(crate) cuts: Vec<Cut>,
}

/// Adds what is wanted of a former database. `store` are all key groups of the store.
///
/// # Errors
/// `Corrupted`, `NotFound`, `Unavailable`.
pub(crate) fn graft(
    database: &Database,
    former: &Former<'_>,
    store: KeyGroupRange,
    states: &States,
    options: &RocksOptions,
) -> Result<Grafted> {
    let directory = database.directory();
    let scratch = Scratch { database, path: directory.fresh_database()? };
    adopt(&**directory.fs(), former.part, &scratch.path)?;
    let other = database.open_beside(&scratch.path)?;
    let numbers = translation(former, states);
    let is_same = numbers.iter().all(|(ours, theirs)| ours == theirs);
    if options.rescaling.ingests && is_same {
        let taken = whole::take(database, &other, former, store, &scratch)?;
        if let Some(grafted) = taken {
            return Ok(grafted);
        }
    }
    copy::copy(database, &other, former.range, &numbers, options, &scratch)?;
    Ok(Grafted::default())
}

/// The numbers that each state has here and there, in ascending order of ours.
fn translation(former: &Former<'_>, states: &States) -> Vec<(StateId, StateId)> {
    let states = former.part.snapshot.states.iter().filter_map(|state| {
        Some((states.number(&state.meta.name)?, *former.numbers.get(&state.meta.name)?))
    });
    let mut numbers: Vec<_> = states.collect();
    numbers.sort_unstable();
    numbers
}
