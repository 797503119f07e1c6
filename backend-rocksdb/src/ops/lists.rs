//! Lists: the head is read and written, chunks are added to.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    Elements, KeyGroup, ListSize, Result, Slot, StateKey, StateOperation, VisitElement,
};
use rocksdb::WriteBatch;

use crate::address::{Shape, set_address, successor};
use crate::database::Database;
use crate::failure::failed;
use crate::list::{Head, chunk_address};
use crate::states::{MOST_VALUE_BYTES, too_large};
use crate::store::{Buffers, RocksStore};
use crate::walk::{check_count, chunks};

/// The head of the list at an address, if there is one.
///
/// # Errors
/// Those of the database; `Corrupted`.
pub(crate) fn head_at(database: &Database, shape: Shape, address: &[u8]) -> Result<Option<Head>> {
    let stored = database.db.get_pinned(address).map_err(|error| failed("get", error))?;
    stored.map(|stored| Head::decode(shape.value(&stored)?)).transpose()
}

/// Refuses elements that RocksDB cannot hold, each by itself.
///
/// # Errors
/// `LimitExceeded`.
pub(crate) fn check_elements(
    meta: &StateMeta,
    group: impl Fn() -> KeyGroup,
    elements: Elements<'_>,
) -> Result<()> {
    if elements.size() <= MOST_VALUE_BYTES {
        return Ok(());
    }
    let longest = elements.iter().map(|element| element.len() as u64).max().unwrap_or(0);
    if longest > MOST_VALUE_BYTES { Err(too_large(meta, group(), longest)) } else { Ok(()) }
}

impl RocksStore {
    /// [`KeyedStore::append`](alluvium_state_api::KeyedStore::append).
    pub(crate) fn append_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, stored, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::List)?;
        if elements.is_empty() {
            return Ok(());
        }
        set_address(address, state.id, key);
        let old = head_at(database, state.shape, address)?;
        let mut head = old.unwrap_or_default();
        let stamps = elements.count().saturating_mul(meta.stamp_bytes() as u64);
        let added = elements.size().saturating_sub(stamps);
        let size = head.size(meta.stamp_bytes()).bytes.saturating_add(added);
        meta.check_size(|| key.key_group(), size)?;
        check_elements(meta, || key.key_group(), elements)?;
        stored.clear();
        state.shape.wrap(key.entry(), stored)?;
        let mut batch = WriteBatch::default();
        head.append(address, elements, &mut batch);
        head.encode(stored);
        batch.put(&address, &stored);
        state.count(u64::from(old.is_none()), 0);
        let written = database.write(batch);
        self.written(written)
    }

    /// [`KeyedStore::read_list`](alluvium_state_api::KeyedStore::read_list).
    pub(crate) fn read_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, value, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::List)?;
        set_address(address, state.id, key);
        let Some(head) = head_at(database, state.shape, address)? else {
            return Ok(false);
        };
        let mut seen = 0;
        let mut each = |elements: Elements<'_>| {
            seen += elements.count();
            for element in elements {
                if visit(element)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        chunk_address(value, address, 0);
        let flow = if head.chunks == 1 {
            let chunk = database.db.get_pinned(&value).map_err(|error| failed("get", error))?;
            each(Elements::parse(chunk.as_deref().unwrap_or_default())?)?
        } else {
            let mut iterator = database.iterator(successor(address));
            iterator.seek(&value);
            chunks(&mut iterator, address, each)?
        };
        if flow.is_continue() {
            check_count(head, seen)?;
        }
        Ok(true)
    }

    /// [`KeyedStore::replace_list`](alluvium_state_api::KeyedStore::replace_list).
    pub(crate) fn replace_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, stored, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::List)?;
        meta.check_entry(|| Ok(key.key_group()), elements.size(), elements.count())?;
        check_elements(meta, || key.key_group(), elements)?;
        set_address(address, state.id, key);
        stored.clear();
        state.shape.wrap(key.entry(), stored)?;
        let mut batch = WriteBatch::default();
        let old = head_at(database, state.shape, address)?;
        if let Some(old) = old {
            old.remove_chunks(address, &mut batch);
        }
        if elements.is_empty() {
            if old.is_none() {
                return Ok(());
            }
            batch.delete(&address);
        } else {
            let mut head = Head::default();
            head.append(address, elements, &mut batch);
            head.encode(stored);
            batch.put(&address, &stored);
        }
        state.count(u64::from(!elements.is_empty()), u64::from(old.is_some()));
        let written = database.write(batch);
        self.written(written)
    }

    /// [`KeyedStore::remove`](alluvium_state_api::KeyedStore::remove) of a list.
    pub(crate) fn remove_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.replace_elements(slot, key, Elements::default())
    }

    /// [`KeyedStore::list_size`](alluvium_state_api::KeyedStore::list_size).
    pub(crate) fn size_of_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        self.poison.check()?;
        let Self { states, database, buffers: Buffers { address, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::List)?;
        set_address(address, state.id, key);
        let head = head_at(database, state.shape, address)?;
        Ok(head.map(|head| head.size(meta.stamp_bytes())).unwrap_or_default())
    }
}
