//! Which state has which number, in the database itself: native snapshots have to say it.
//!
//! Keys of two bytes `ff` and a state's number, above all key groups; the value is the state's name. Below them stands
//! which layout the entries have.

use std::collections::BTreeMap;

use alluvium_state_api::{Error, Result};
use rocksdb::WriteBatch;

use crate::address::StateId;
use crate::database::{Database, Db, RawIterator};
use crate::failure::failed;

/// What their keys begin with.
const PREFIX: [u8; 2] = [0xff; 2];
/// Where the version of the layout stands.
const LAYOUT: [u8; 2] = [0xff, 0xfe];
/// The layout of [`crate::address`] and [`crate::list`].
const VERSION: [u8; 1] = [1];

fn key(id: StateId) -> [u8; 4] {
    let [a, b] = id.to_be_bytes();
    let [x, y] = PREFIX;
    [x, y, a, b]
}

/// Writes the numbers of states into the database.
///
/// # Errors
/// Those of the database, after which it is not to be written to.
pub(crate) fn note_states<'a>(
    database: &Database,
    states: impl Iterator<Item = (StateId, &'a str)>,
) -> Result<()> {
    let mut batch = WriteBatch::default();
    batch.put(LAYOUT, VERSION);
    states.for_each(|(id, name)| batch.put(key(id), name));
    database.write(batch)
}

/// The numbers of states that a database has noted.
///
/// # Errors
/// Those of the database; `Corrupted` for notes that are none; `Incompatible` for another layout.
pub(super) fn noted_states(db: &Db) -> Result<BTreeMap<Box<str>, StateId>> {
    let mut notes: RawIterator<'_> = db.raw_iterator();
    notes.seek(LAYOUT);
    let mut states = BTreeMap::new();
    if let Some((key, version)) = notes.item() {
        if key != LAYOUT {
            return Err(Error::corrupted("a database does not say which layout it has"));
        }
        if version != VERSION {
            let text = format!(
                "a database has layout {version:?} instead of {VERSION:?}, of another version of Alluvium"
            );
            return Err(Error::incompatible(text));
        }
        notes.next();
    }
    while let Some((key, name)) = notes.item() {
        let id = key.strip_prefix(&PREFIX).and_then(|id| id.try_into().ok());
        let name = std::str::from_utf8(name).ok();
        let (Some(id), Some(name)) = (id, name) else {
            return Err(Error::corrupted("a database notes something else than names of states"));
        };
        states.insert(name.into(), StateId::from_be_bytes(id));
        notes.next();
    }
    notes.status().map_err(|error| failed("iterate", error))?;
    Ok(states)
}
