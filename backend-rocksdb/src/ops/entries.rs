//! Entries of maps: one key of the database each, and one entry of the table for what is known of a map.

use alluvium_state_api::{Change, Modify, Result, Slot, StateKey, StateOperation};

use crate::address::{PREFIX_BYTES, set_address};
use crate::cache::{Below, EntryProbe, WriteBack};
use crate::database::Database;
use crate::states::{State, check_value};
use crate::store::{Buffers, RocksStore};

/// The address of an entry as that of its map and its key in the map.
#[inline]
fn split<'a>(address: &'a [u8], key: &StateKey<'_>) -> (&'a [u8], &'a [u8]) {
    let end = PREFIX_BYTES + key.entry().namespace_end();
    address.split_at_checked(end).unwrap_or((address, &[]))
}

/// Looks an entry up in the table, with its address and the bounds that stand before its value.
fn probe(
    cache: &mut WriteBack,
    state: &State,
    key: &StateKey<'_>,
    (address, bounds): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<EntryProbe> {
    set_address(address, state.id, key);
    bounds.clear();
    state.shape.wrap(key.entry(), bounds)?;
    let (map, name) = split(address, key);
    Ok(cache.probe_entry(map, name))
}

/// Sets the value of an entry, or removes it, in the table or else in the database; `bounds` is written over.
fn set(
    (cache, database): (&mut WriteBack, &Database),
    probe: EntryProbe,
    (address, key, bounds): (&[u8], &StateKey<'_>, &mut Vec<u8>),
    value: Option<&[u8]>,
    below: Below,
) -> Result<()> {
    let (map, name) = split(address, key);
    if cache.set_entry(probe, (map, bounds), name, (value, below)) {
        return cache.settle(database);
    }
    if let Some(at) = probe.map().hit() {
        cache.hand_over(at, database)?;
    }
    let Some(value) = value else {
        return database.delete(address);
    };
    bounds.extend_from_slice(value);
    database.put(address, bounds)
}

impl RocksStore {
    /// [`KeyedStore::get`](alluvium_state_api::KeyedStore::get) of an entry of a map.
    pub(super) fn get_entry(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let (_, state) = states.find(slot, StateOperation::Value)?;
        set_address(address, state.id, key);
        let (map, name) = split(address, key);
        let probe = cache.probe_entry(map, name);
        if probe.mark().is_some() {
            return Ok(self.cache.entry_value(probe));
        }
        value.clear();
        let is_there = match database.get(address)? {
            Some(found) => {
                value.extend_from_slice(state.shape.value(&found)?);
                true
            }
            None => false,
        };
        bounds.clear();
        // An entry that does not fit the state is not there, and has no place.
        if state.shape.wrap(key.entry(), bounds).is_ok() {
            cache.keep_entry(probe, (map, bounds), name, is_there.then_some(value));
        }
        let settled = cache.settle(database);
        self.written(settled)?;
        Ok(is_there.then_some(&self.buffers.value))
    }

    /// [`KeyedStore::put`](alluvium_state_api::KeyedStore::put) of an entry of a map.
    pub(super) fn put_entry(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, .. } = buffers;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        check_value(meta, key, value.len())?;
        let probe = probe(cache, state, key, (&mut *address, &mut *bounds))?;
        let known = probe.mark();
        state.count(u64::from(!known.is_some_and(|known| known.is_present)), 0);
        let below = known.map_or(Below::Unknown, |known| known.below);
        let put = set((cache, database), probe, (address, key, bounds), Some(value), below);
        self.written(put)
    }

    /// [`KeyedStore::remove`](alluvium_state_api::KeyedStore::remove) of an entry of a map.
    pub(super) fn remove_entry(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, .. } = buffers;
        let (_, state) = states.find(slot, StateOperation::Any)?;
        let probe = probe(cache, state, key, (&mut *address, &mut *bounds))?;
        let known = probe.mark();
        if known.is_some_and(|known| !known.is_present) {
            return Ok(());
        }
        state.count(0, 1);
        let below = known.map_or(Below::Unknown, |known| known.below);
        let removed = set((cache, database), probe, (address, key, bounds), None, below);
        self.written(removed)
    }

    /// [`KeyedStore::modify`](alluvium_state_api::KeyedStore::modify) of an entry of a map.
    pub(super) fn modify_entry(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        set_address(address, state.id, key);
        value.clear();
        let (map, name) = split(address, key);
        let probe = cache.probe_entry(map, name);
        let (was_there, below, change) = if let Some(known) = probe.mark() {
            (known.is_present, known.below, change(cache.entry_value(probe), value)?)
        } else {
            let found = database.get(address)?;
            let old = found.as_deref().map(|found| state.shape.value(found)).transpose()?;
            let below = if old.is_some() { Below::Present } else { Below::Absent };
            (old.is_some(), below, change(old, value)?)
        };
        let new = match change {
            Change::Keep => return Ok(()),
            Change::Remove if !was_there => return Ok(()),
            Change::Remove => None,
            Change::Put => {
                check_value(meta, key, value.len())?;
                Some(value.as_slice())
            }
        };
        bounds.clear();
        state.shape.wrap(key.entry(), bounds)?;
        state.count(u64::from(!was_there && new.is_some()), u64::from(new.is_none()));
        let outcome = set((cache, database), probe, (address, key, bounds), new, below);
        self.written(outcome)
    }
}
