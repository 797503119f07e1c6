//! Single values: one key of the database each.

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{
    Change, KeyBatch, Modify, Result, Slot, StateKey, StateOperation, VisitEach,
};

use crate::address::set_address;
use crate::cache::{Below, Probe, WriteBack};
use crate::database::Database;
use crate::failure::failed;
use crate::states::check_value;
use crate::store::{Buffers, RocksStore};

/// Keys that RocksDB looks up at a time.
const KEYS_AT_ONCE: usize = 256;

impl RocksStore {
    /// [`KeyedStore::get`](alluvium_state_api::KeyedStore::get).
    pub(crate) fn get_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.poison.check()?;
        let Self { states, database, cache, buffers: Buffers { address, value, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Value)?;
        if state.kind == StateKind::Map {
            return self.get_entry(slot, key);
        }
        set_address(address, state.id, key);
        let shape = state.shape;
        let probe = cache.probe(address);
        if let Some(at) = probe.hit() {
            return self.cache.value(at).map(|stored| shape.value(stored)).transpose();
        }
        let found = database.get(address)?;
        let stored = found.as_deref();
        let is_there = stored.is_some();
        value.clear();
        value.extend_from_slice(stored.map_or(Ok(&[][..]), |stored| shape.value(stored))?);
        cache.keep(probe, address, stored);
        let settled = cache.settle(database);
        drop(found);
        self.written(settled)?;
        Ok(is_there.then_some(&self.buffers.value))
    }

    /// [`KeyedStore::put`](alluvium_state_api::KeyedStore::put).
    pub(crate) fn put_value(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, cache, buffers: Buffers { address, stored, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        if state.kind == StateKind::Map {
            return self.put_entry(slot, key, value);
        }
        check_value(meta, key, value.len())?;
        set_address(address, state.id, key);
        stored.clear();
        state.shape.wrap(key.entry(), stored)?;
        let probe = cache.probe(address);
        let was_there = probe.hit().is_some_and(|at| cache.value(at).is_some());
        state.count(u64::from(!was_there), 0);
        let put = put(cache, database, (probe, Below::Unknown), address, (stored, value));
        self.written(put)
    }

    /// [`KeyedStore::remove`](alluvium_state_api::KeyedStore::remove) of what is no list.
    pub(crate) fn remove_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, cache, buffers: Buffers { address, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Any)?;
        if state.kind == StateKind::Map {
            return self.remove_entry(slot, key);
        }
        set_address(address, state.id, key);
        let removed = if let Some(at) = cache.probe(address).hit() {
            state.count(0, u64::from(cache.value(at).is_some()));
            cache.remove(at);
            cache.settle(database)
        } else {
            state.count(0, 1);
            database.delete(address)
        };
        self.written(removed)
    }

    /// [`KeyedStore::modify`](alluvium_state_api::KeyedStore::modify).
    pub(crate) fn modify_value(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored, value } = buffers;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        if state.kind == StateKind::Map {
            return self.modify_entry(slot, key, change);
        }
        set_address(address, state.id, key);
        value.clear();
        let probe = cache.probe(address);
        let hit = probe.hit();
        let unwrap = |stored| state.shape.value(stored);
        let (was_there, change) = if let Some(at) = hit {
            let old = cache.value(at).map(unwrap).transpose()?;
            (old.is_some(), change(old, value)?)
        } else {
            let old = database.get(address)?;
            let old = old.as_deref().map(unwrap).transpose()?;
            (old.is_some(), change(old, value)?)
        };
        let outcome = match change {
            Change::Keep => return Ok(()),
            Change::Remove if !was_there => return Ok(()),
            Change::Remove => {
                state.count(0, 1);
                if let Some(at) = hit {
                    cache.remove(at);
                    cache.settle(database)
                } else {
                    database.delete(address)
                }
            }
            Change::Put => {
                check_value(meta, key, value.len())?;
                stored.clear();
                state.shape.wrap(key.entry(), stored)?;
                state.count(u64::from(!was_there), 0);
                let below = if was_there { Below::Present } else { Below::Absent };
                put(cache, database, (probe, below), address, (stored, value))
            }
        };
        self.written(outcome)
    }

    /// [`KeyedStore::get_many`](alluvium_state_api::KeyedStore::get_many).
    pub(crate) fn get_values(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, cache, buffers: Buffers { address, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Value)?;
        let state = *state;
        if state.kind == StateKind::Map {
            for (index, key) in keys.iter().enumerate() {
                visit(index, self.get_entry(slot, &key)?)?;
            }
            return Ok(());
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(KEYS_AT_ONCE));
        let mut hits = Vec::with_capacity(KEYS_AT_ONCE);
        let mut index = 0;
        let mut rest = keys.iter().peekable();
        while rest.peek().is_some() {
            bytes.clear();
            ends.clear();
            hits.clear();
            for key in rest.by_ref().take(KEYS_AT_ONCE) {
                set_address(address, state.id, &key);
                let hit = cache.probe(address).hit();
                hits.push(hit);
                if hit.is_none() {
                    bytes.extend_from_slice(address);
                    ends.push(bytes.len());
                }
            }
            let mut start = 0;
            let addresses = ends.iter().map(|end| {
                bytes.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default()
            });
            let mut found = database.get_many(addresses)?.into_iter();
            for hit in &hits {
                let missed;
                let stored = if let Some(at) = hit {
                    cache.value(*at)
                } else {
                    let next = found.next().unwrap_or(Ok(None));
                    missed = next.map_err(|error| failed("get", error))?;
                    missed.as_deref()
                };
                visit(index, stored.map(|stored| state.shape.value(stored)).transpose()?)?;
                index += 1;
            }
        }
        Ok(())
    }
}

/// Puts a value into the table, or into the database where the table has no place for it. `bounds`, what is stored
/// before the value, is written over.
#[inline]
pub(super) fn put(
    cache: &mut WriteBack,
    database: &Database,
    (probe, below): (Probe, Below),
    address: &[u8],
    (bounds, value): (&mut Vec<u8>, &[u8]),
) -> Result<()> {
    if cache.put(probe, address, (bounds, value), below) {
        return cache.settle(database);
    }
    if bounds.is_empty() {
        return database.put(address, value);
    }
    bounds.extend_from_slice(value);
    database.put(address, bounds)
}
