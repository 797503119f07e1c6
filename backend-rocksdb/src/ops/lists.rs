//! Lists: the head is read and written, chunks are added to.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    Elements, KeyGroup, ListSize, Result, Slot, StateKey, StateOperation, VisitElement,
};
use rocksdb::WriteBatch;

use crate::address::{Shape, set_address, successor};
use crate::cache::{MOST_ADDED_BYTES, Tail, WriteBack};
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
        if elements.is_empty() {
            self.states.find(slot, StateOperation::List)?;
            return Ok(());
        }
        let found = self.find_list(slot, key)?;
        let Self { states, database, cache, buffers: Buffers { address, stored, .. }, .. } = self;
        let (meta, state) = states.find(slot, StateOperation::List)?;
        let stamps = elements.count().saturating_mul(meta.stamp_bytes() as u64);
        let added = elements.size().saturating_sub(stamps);
        let old = found.size(cache, meta.stamp_bytes());
        meta.check_size(|| key.key_group(), old.bytes.saturating_add(added))?;
        check_elements(meta, || key.key_group(), elements)?;
        state.count(u64::from(old.elements == 0), 0);
        let written = match found {
            FoundList::Kept(at) => append_kept(cache, database, (at, address, stored), elements),
            FoundList::Elsewhere(base) => {
                append_to_database(database, (address, stored), base, elements).map(drop)
            }
        };
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
        let found = self.find_list(slot, key)?;
        let Self { database, cache, buffers: Buffers { address, value, .. }, .. } = self;
        let (base, added) = match found {
            FoundList::Kept(at) => {
                let list = cache.list(at);
                (list.and_then(|list| list.base), list.map(Tail::added).unwrap_or_default())
            }
            FoundList::Elsewhere(base) => (base, Elements::default()),
        };
        if base.is_none() && added.is_empty() {
            return Ok(false);
        }
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
        if let Some(head) = base {
            chunk_address(value, address, 0);
            let flow = if head.chunks == 1 {
                let chunk = database.db.get_pinned(&value).map_err(|error| failed("get", error))?;
                each(Elements::parse(chunk.as_deref().unwrap_or_default())?)?
            } else {
                let mut iterator = database.iterator(successor(address));
                iterator.seek(&value);
                chunks(&mut iterator, address, &mut each)?
            };
            if flow.is_break() {
                return Ok(true);
            }
        }
        if each(added)?.is_continue() {
            let mut whole = base.unwrap_or_default();
            whole.elements = whole.elements.saturating_add(added.count());
            check_count(whole, seen)?;
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
        let (meta, _) = self.states.find(slot, StateOperation::List)?;
        meta.check_entry(|| Ok(key.key_group()), elements.size(), elements.count())?;
        check_elements(meta, || key.key_group(), elements)?;
        let found = self.find_list(slot, key)?;
        let Self { states, database, cache, buffers: Buffers { address, stored, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::List)?;
        let was_there = found.size(cache, 0).elements > 0;
        state.count(u64::from(!elements.is_empty()), u64::from(was_there));
        let base = match found {
            FoundList::Kept(at) => {
                let base = cache.list(at).and_then(|list| list.base);
                cache.set_list(at, None);
                base
            }
            FoundList::Elsewhere(base) => base,
        };
        let removed = remove_from_database(database, address, base);
        let written = match found {
            _ if elements.is_empty() || removed.is_err() => removed,
            FoundList::Kept(at) => append_kept(cache, database, (at, address, stored), elements),
            FoundList::Elsewhere(_) => {
                append_to_database(database, (address, stored), None, elements).map(drop)
            }
        };
        self.written(written)
    }

    /// [`KeyedStore::remove`](alluvium_state_api::KeyedStore::remove) of a list.
    pub(crate) fn remove_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.replace_elements(slot, key, Elements::default())
    }

    /// [`KeyedStore::list_size`](alluvium_state_api::KeyedStore::list_size).
    pub(crate) fn size_of_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        self.poison.check()?;
        let found = self.find_list(slot, key)?;
        let (meta, _) = self.states.find(slot, StateOperation::List)?;
        Ok(found.size(&self.cache, meta.stamp_bytes()))
    }

    /// Finds a list, and keeps it in the table if it may be there. Its address is in the buffers then, and its bounds.
    ///
    /// # Errors
    /// Those of the database; `Corrupted`; `InvalidInput` for an entry that does not fit the state.
    pub(super) fn find_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<FoundList> {
        // Room is made first, so that a place that is found stays one.
        let settled = self.cache.settle(&self.database);
        self.written(settled)?;
        let Self { states, database, cache, buffers: Buffers { address, stored, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::List)?;
        set_address(address, state.id, key);
        stored.clear();
        state.shape.wrap(key.entry(), stored)?;
        let probe = cache.probe(address);
        if let Some(at) = probe.hit() {
            return Ok(FoundList::Kept(at));
        }
        let base = head_at(database, state.shape, address)?;
        Ok(match cache.keep_list(probe, address, stored, base) {
            Some(at) => FoundList::Kept(at),
            None => FoundList::Elsewhere(base),
        })
    }
}

/// Where a list is.
#[derive(Clone, Copy, Debug)]
pub(super) enum FoundList {
    /// In the table.
    Kept(u32),
    /// In the database, if there is one.
    Elsewhere(Option<Head>),
}

impl FoundList {
    fn size(self, cache: &WriteBack, stamp_bytes: usize) -> ListSize {
        match self {
            Self::Kept(at) => cache.list(at).map(|list| list.size(stamp_bytes)).unwrap_or_default(),
            Self::Elsewhere(base) => base.map(|head| head.size(stamp_bytes)).unwrap_or_default(),
        }
    }
}

/// Appends to a list in the table; many elements go to the database at once.
fn append_kept(
    cache: &mut WriteBack,
    database: &Database,
    (at, address, bounds): (u32, &[u8], &mut Vec<u8>),
    elements: Elements<'_>,
) -> Result<()> {
    let added = cache.list(at).map_or(0, |list| list.added().size());
    if added.saturating_add(elements.size()) <= MOST_ADDED_BYTES {
        cache.append(at, elements);
        return cache.settle(database);
    }
    cache.flush_list(at, database)?;
    if elements.size() <= MOST_ADDED_BYTES / 2 {
        cache.append(at, elements);
        return cache.settle(database);
    }
    let base = cache.list(at).and_then(|list| list.base);
    let head = append_to_database(database, (address, bounds), base, elements)?;
    cache.set_list(at, Some(head));
    cache.settle(database)
}

/// Appends to a list in the database; `bounds` is written over.
fn append_to_database(
    database: &Database,
    (address, bounds): (&[u8], &mut Vec<u8>),
    base: Option<Head>,
    elements: Elements<'_>,
) -> Result<Head> {
    let (mut head, mut batch) = (base.unwrap_or_default(), WriteBatch::default());
    head.append(address, elements, &mut batch);
    head.encode(bounds);
    batch.put(address, &bounds);
    database.write(batch)?;
    Ok(head)
}

/// Removes a list from the database, if there is one.
fn remove_from_database(database: &Database, address: &[u8], base: Option<Head>) -> Result<()> {
    let Some(base) = base else {
        return Ok(());
    };
    let mut batch = WriteBatch::default();
    base.remove_chunks(address, &mut batch);
    batch.delete(address);
    database.write(batch)
}
