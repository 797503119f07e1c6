//! Single values and the entries of maps: one key of the database each.

use alluvium_state_api::{
    Change, KeyBatch, Modify, Result, Slot, StateKey, StateOperation, VisitEach,
};

use crate::address::set_address;
use crate::failure::failed;
use crate::states::check_value;
use crate::store::{Buffers, RocksStore};

/// Keys that RocksDB looks up at a time.
const KEYS_AT_ONCE: usize = 256;

impl RocksStore {
    /// [`KeyedStore::get`](alluvium_state_api::KeyedStore::get).
    pub(crate) fn get_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, value, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Value)?;
        set_address(address, state.id, key);
        let found = database.db.get_pinned(&address).map_err(|error| failed("get", error))?;
        let Some(stored) = found else {
            return Ok(None);
        };
        value.clear();
        value.extend_from_slice(state.shape.value(&stored)?);
        Ok(Some(value))
    }

    /// [`KeyedStore::put`](alluvium_state_api::KeyedStore::put).
    pub(crate) fn put_value(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, stored, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        check_value(meta, key, value.len())?;
        set_address(address, state.id, key);
        stored.clear();
        state.shape.wrap(key.entry(), stored)?;
        let value = if stored.is_empty() {
            value
        } else {
            stored.extend_from_slice(value);
            stored
        };
        let put = database.put(address, value);
        state.count(1, 0);
        self.written(put)
    }

    /// [`KeyedStore::remove`](alluvium_state_api::KeyedStore::remove) of what is no list.
    pub(crate) fn remove_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Any)?;
        set_address(address, state.id, key);
        let deleted = database.delete(address);
        state.count(0, 1);
        self.written(deleted)
    }

    /// [`KeyedStore::modify`](alluvium_state_api::KeyedStore::modify).
    pub(crate) fn modify_value(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, buffers, .. } = self;
        let Buffers { address, stored, value } = buffers;
        let (meta, state) = states.find(slot, StateOperation::Value)?;
        set_address(address, state.id, key);
        value.clear();
        let (was_there, change) = {
            let old = database.db.get_pinned(&address).map_err(|error| failed("get", error))?;
            let old = old.as_ref().map(|stored| state.shape.value(stored)).transpose()?;
            (old.is_some(), change(old, value)?)
        };
        let outcome = match change {
            Change::Keep => return Ok(()),
            Change::Remove if !was_there => return Ok(()),
            Change::Remove => {
                state.count(0, 1);
                database.delete(address)
            }
            Change::Put => {
                check_value(meta, key, value.len())?;
                stored.clear();
                state.shape.wrap(key.entry(), stored)?;
                stored.extend_from_slice(value);
                state.count(u64::from(!was_there), 0);
                database.put(address, stored)
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
        let Self { states, database, buffers: Buffers { address, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Value)?;
        let state = *state;
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(KEYS_AT_ONCE));
        let mut index = 0;
        let mut rest = keys.iter().peekable();
        while rest.peek().is_some() {
            bytes.clear();
            ends.clear();
            for key in rest.by_ref().take(KEYS_AT_ONCE) {
                set_address(address, state.id, &key);
                bytes.extend_from_slice(address);
                ends.push(bytes.len());
            }
            let mut start = 0;
            let addresses = ends.iter().map(|end| {
                bytes.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default()
            });
            for found in database.get_many(addresses)? {
                let found = found.map_err(|error| failed("get", error))?;
                let value = found.as_ref().map(|stored| state.shape.value(stored)).transpose()?;
                visit(index, value)?;
                index += 1;
            }
        }
        Ok(())
    }
}
