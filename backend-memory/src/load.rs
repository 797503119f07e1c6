//! Filling tables with what files or a migration say, entry by entry, or many at once where they lie
//! in a file as the table wants them.
//!
//! Nothing here asks for limits: what was accepted once stays readable under any limit.

use alluvium_state_api::format::FixedLayout;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{Elements, EntryKey, Error, Result};

use crate::cells::list::ListCell;
use crate::cells::map::MapCell;
use crate::cells::value::ValueCell;
use crate::ops::wrong_width;
use crate::sorted::Sorted;
use crate::table::{BATCH, KeyRep, Table};
use crate::tables::any::{AnyTable, with_keyed, with_values};
use crate::tables::shape::Shape;
use crate::tables::state::State;

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
        with_values!(&mut self.state.table, table => put_value(table, address, value, self.meta), {
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
        })
    }

    /// Sets the values of entries that lie side by side and all have these widths, each after `check`
    /// has seen its key; in a large table once [`settle`](Self::settle) is called, if not before.
    /// Returns `false`, and does nothing, where such a state has no table that takes them as they are.
    pub(crate) fn put_all(
        &mut self,
        layout: FixedLayout,
        raw: &[u8],
        waiting: &mut Option<Sorted>,
        check: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        let plain = layout.map_key == 0 && layout.key > 0;
        if !plain || self.state.shape.width != Some(layout.key_bytes()) {
            return Ok(false);
        }
        let (shape, meta) = (self.state.shape, self.meta);
        let hash_of = |entry: &[u8]| {
            let (address, _) = entry.split_at_checked(layout.key_bytes()).unwrap_or_default();
            check(address.get(..layout.key).unwrap_or_default())?;
            Ok(shape.hash(address))
        };
        with_values!(&mut self.state.table, table => {
            if waiting.is_none() {
                *waiting = Sorted::of(layout, table.depth());
            }
            match waiting {
                Some(waiting) => sort_values(table, raw, (shape, meta), waiting, hash_of),
                None => put_values(table, (layout, raw), meta, hash_of),
            }
        }, { _ => return Ok(false) })?;
        Ok(true)
    }

    /// Sets the values of entries, in chunks whose cache misses overlap, each chunk after `check` has seen its keys.
    pub(crate) fn put_entries<'e>(
        &mut self,
        mut entries: impl Iterator<Item = (EntryKey<'e>, &'e [u8])>,
        check: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut chunk = Vec::with_capacity(BATCH);
        let mut hashes = [0; BATCH];
        loop {
            chunk.extend(entries.by_ref().take(BATCH));
            let hashes = hashes.get_mut(..chunk.len()).unwrap_or_default();
            if hashes.is_empty() {
                return Ok(());
            }
            for (hash, (entry, _)) in hashes.iter_mut().zip(&chunk) {
                check(entry.key())?;
                *hash = self.state.shape.address_of(*entry, self.scratch).0;
            }
            with_values!(&self.state.table, table => table.warm(hashes), {
                AnyTable::Maps(any) => with_keyed!(Maps, any, table => table.warm(hashes)),
                AnyTable::Lists(_) => {}
            });
            for (entry, value) in chunk.drain(..) {
                self.put(entry, value)?;
            }
        }
    }

    /// Sets the values that wait, or only those that may be of the key of `entry`.
    pub(crate) fn settle(
        &mut self,
        waiting: &mut Option<Sorted>,
        entry: Option<EntryKey<'_>>,
    ) -> Result<()> {
        let Some(waiting) = waiting else {
            return Ok(());
        };
        let (shape, meta) = (self.state.shape, self.meta);
        let hash = entry.map(|entry| shape.address_of(entry, self.scratch).0);
        with_values!(&mut self.state.table, table => {
            let only = hash.map(|hash| table.part_of(hash, waiting.bits()));
            for part in waiting.all().filter(|part| only.is_none_or(|only| only == *part)) {
                settle_part(table, part, (shape, meta), waiting)?;
            }
            Ok(())
        }, { _ => Ok(()) })
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
        with_values!(&mut self.state.table, table => {
            probe_of(table, bytes).and_then(|probe| table.remove(hash, probe));
        }, {
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
        });
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

    /// Prepares an empty table for so many keys, which take about so many bytes in files.
    pub(crate) fn reserve(&mut self, keys: u64, bytes: u64) {
        let (keys, bytes) =
            (usize::try_from(keys).unwrap_or(0), usize::try_from(bytes).unwrap_or(0));
        with_values!(&mut self.state.table, table => table.reserve(keys, bytes), {
            AnyTable::Lists(any) => with_keyed!(Lists, any, table => table.reserve(keys, bytes)),
            AnyTable::Maps(_) => {}
        });
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
    let mut entry = table.entry(hash, probe);
    let assigned = entry.edit(|cell| cell.assign(value));
    if assigned.is_none() {
        let cell = V::make(value).ok_or_else(|| wrong_width(meta, value.len()))?;
        entry.put(cell);
    }
    if assigned == Some(false) { Err(wrong_width(meta, value.len())) } else { Ok(()) }
}

/// [`put_value`] for many entries, in chunks whose cache misses overlap. `hash_of` checks an entry and
/// yields the hash of its table key, which is what it begins with.
fn put_values<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    (layout, raw): (FixedLayout, &[u8]),
    meta: &StateMeta,
    hash_of: impl Fn(&[u8]) -> Result<u64>,
) -> Result<()> {
    let width = layout.entry_bytes();
    let mut hashes = [0; BATCH];
    for chunk in raw.chunks(width.saturating_mul(BATCH)) {
        let entries = chunk.chunks_exact(width);
        let hashes = hashes.get_mut(..entries.len()).unwrap_or_default();
        for (hash, entry) in hashes.iter_mut().zip(entries.clone()) {
            *hash = hash_of(entry)?;
        }
        table.warm(hashes);
        for (hash, entry) in hashes.iter().zip(entries) {
            let (address, value) = entry.split_at_checked(layout.key_bytes()).unwrap_or_default();
            put_value(table, (*hash, address), value, meta)?;
        }
    }
    Ok(())
}

/// Lets entries wait for their parts of the table, and puts into it what waits for a part that is full.
fn sort_values<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    raw: &[u8],
    (shape, meta): (Shape, &StateMeta),
    waiting: &mut Sorted,
    hash_of: impl Fn(&[u8]) -> Result<u64>,
) -> Result<()> {
    let bits = waiting.bits();
    for entry in raw.chunks_exact(waiting.layout().entry_bytes()) {
        let part = table.part_of(hash_of(entry)?, bits);
        if !waiting.has_room(part) {
            settle_part(table, part, (shape, meta), waiting)?;
        }
        waiting.push(part, entry);
    }
    Ok(())
}

#[inline(never)]
fn settle_part<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    part: usize,
    (shape, meta): (Shape, &StateMeta),
    waiting: &mut Sorted,
) -> Result<()> {
    let (layout, buffer) = (waiting.layout(), waiting.take(part));
    let hash_of =
        |entry: &[u8]| Ok(shape.hash(entry.get(..layout.key_bytes()).unwrap_or_default()));
    put_values(table, (layout, &buffer), meta, hash_of)?;
    waiting.give_back(part, buffer);
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
