//! Filling tables with what files or a migration say, entry by entry.
//!
//! Nothing here asks for limits: what was accepted once stays readable under any limit.

use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{Elements, EntryKey, Error, Result};

use crate::cells::list::ListCell;
use crate::cells::map::MapCell;
use crate::cells::value::ValueCell;
use crate::ops::wrong_width;
use crate::table::{KeyRep, Table};
use crate::tables::any::{with_keyed, with_values};
use crate::tables::state::{AnyTable, State};

/// Fills one state; holds a buffer for addresses.
pub(crate) struct Loader<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) meta: &'a StateMeta,
    pub(crate) scratch: &'a mut Vec<u8>,
}

#[cold]
fn misfit(meta: &StateMeta, what: &str) -> Error {
    Error::corrupted(format!("{what} for a {} state", meta.kind.name()))
        .with_state(meta.name.clone())
}

impl Loader<'_> {
    /// Sets a value, or the value of a map key.
    #[inline]
    pub(crate) fn put(&mut self, entry: EntryKey<'_>, value: &[u8]) -> Result<()> {
        let now = self.state.now();
        let address = self.state.shape.address_of(entry, self.scratch);
        match &mut self.state.table {
            AnyTable::Values(any) => {
                with_values!(any, table => put_value(table, address, value, self.meta))
            }
            AnyTable::Maps(any) => {
                let fresh = with_keyed!(Maps, any, table => {
                    with_map(table, address, self.meta, || MapCell::new(now), |map| {
                        map.put(entry.map_key(), value, now)
                    })
                })?;
                self.state.map_entries += u64::from(fresh);
                Ok(())
            }
            AnyTable::Lists(_) => Err(misfit(self.meta, "a value")),
        }
    }

    /// Adds list elements from index `first` on; 0 begins the list anew.
    pub(crate) fn list(
        &mut self,
        entry: EntryKey<'_>,
        first: u64,
        elements: Elements<'_>,
    ) -> Result<()> {
        let now = self.state.now();
        let address = self.state.shape.address_of(entry, self.scratch);
        let AnyTable::Lists(any) = &mut self.state.table else {
            return Err(misfit(self.meta, "list elements"));
        };
        with_keyed!(Lists, any, table => {
            let (hash, bytes) = address;
            let Some(probe) = probe_of(table, bytes) else { return Err(misfit(self.meta, "a key of this width")) };
            if first == 0 {
                table.insert(hash, probe, ListCell::new(elements, now));
                return Ok(());
            }
            let mut entry = table.entry(hash, probe);
            let present = entry.get().map_or(0, ListCell::elements);
            if present != first {
                return Err(misfit(self.meta, &format!("elements from index {first} on a list of {present}")));
            }
            entry.edit(|list| list.append(elements, now));
            Ok(())
        })
    }

    /// Removes an entry; of maps one map entry.
    pub(crate) fn remove(&mut self, entry: EntryKey<'_>) {
        let now = self.state.now();
        let (hash, bytes) = self.state.shape.address_of(entry, self.scratch);
        match &mut self.state.table {
            AnyTable::Values(any) => with_values!(any, table => {
                probe_of(table, bytes).and_then(|probe| table.remove(hash, probe));
            }),
            AnyTable::Lists(any) => with_keyed!(Lists, any, table => {
                probe_of(table, bytes).and_then(|probe| table.remove(hash, probe));
            }),
            AnyTable::Maps(any) => with_keyed!(Maps, any, table => {
                let Some(probe) = probe_of(table, bytes) else { return };
                let mut map = table.entry(hash, probe);
                let removed = map.edit(|map| map.remove(entry.map_key(), now)).unwrap_or(false);
                self.state.map_entries -= u64::from(removed);
                if map.get().is_some_and(|map| map.len() == 0) {
                    map.remove();
                }
            }),
        }
    }

    /// Removes a whole map.
    pub(crate) fn remove_map(&mut self, entry: EntryKey<'_>) -> Result<()> {
        let (hash, bytes) = self.state.shape.address_of(entry, self.scratch);
        let AnyTable::Maps(any) = &mut self.state.table else {
            return Err(misfit(self.meta, "the removal of a map"));
        };
        with_keyed!(Maps, any, table => {
            let map = probe_of(table, bytes).and_then(|probe| table.remove(hash, probe));
            self.state.map_entries -= map.map_or(0, |map| map.len());
        });
        Ok(())
    }

    /// Prepares an empty table for so many keys.
    pub(crate) fn reserve(&mut self, keys: u64) {
        let keys = usize::try_from(keys).unwrap_or(0);
        match &mut self.state.table {
            AnyTable::Values(any) => with_values!(any, table => table.reserve(keys)),
            AnyTable::Lists(any) => with_keyed!(Lists, any, table => table.reserve(keys)),
            AnyTable::Maps(_) => {}
        }
    }
}

fn probe_of<'k, K: KeyRep, C: crate::table::Cell>(
    _: &Table<K, C>,
    bytes: &'k [u8],
) -> Option<K::Probe<'k>> {
    K::probe(bytes)
}

#[inline]
fn put_value<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    (hash, bytes): (u64, &[u8]),
    value: &[u8],
    meta: &StateMeta,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(misfit(meta, "a key of this width"));
    };
    let cell = V::make(value).ok_or_else(|| wrong_width(meta, value.len()))?;
    table.insert(hash, probe, cell);
    Ok(())
}

fn with_map<K: KeyRep, R>(
    table: &mut Table<K, MapCell>,
    (hash, bytes): (u64, &[u8]),
    meta: &StateMeta,
    new: impl FnOnce() -> MapCell,
    work: impl Fn(&mut MapCell) -> R,
) -> Result<R> {
    let Some(probe) = K::probe(bytes) else {
        return Err(misfit(meta, "a key of this width"));
    };
    let mut entry = table.entry(hash, probe);
    if let Some(result) = entry.edit(&work) {
        return Ok(result);
    }
    let mut map = new();
    let result = work(&mut map);
    entry.put(map);
    Ok(result)
}
