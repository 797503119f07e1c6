//! Lists: a short one is one value; of a long one the head is read and written, and chunks are added to.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    Elements, ElementsBuffer, KeyGroup, ListSize, Result, Slot, StateKey, StateOperation,
    VisitElement,
};
use rocksdb::WriteBatch;

use crate::address::{Shape, set_address, successor};
use crate::cache::{Below, MOST_ADDED_BYTES, Probe, WriteBack};
use crate::database::Database;
use crate::list::{Growing, Head, Parts, Stored, chunk_address, encode_short, is_short};
use crate::ops::values::put;
use crate::states::{MOST_VALUE_BYTES, too_large};
use crate::store::{Buffers, RocksStore};
use crate::walk::{check_count, chunks};

/// The list that the database has at an address.
///
/// # Errors
/// Those of the database; `Corrupted`.
pub(crate) fn list_at(
    database: &Database,
    shape: Shape,
    address: &[u8],
) -> Result<Option<Growing>> {
    let found = database.get(address)?;
    let decode = |found: &[u8]| Stored::decode(shape.value(found)?).map(Growing::of);
    found.as_deref().map(decode).transpose()
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
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let (meta, state) = states.find(slot, StateOperation::List)?;
        let stamps = elements.count().saturating_mul(meta.stamp_bytes() as u64);
        let added = elements.size().saturating_sub(stamps);
        let old = found.parts(cache, bounds.len(), value)?;
        let size = old.size(meta.stamp_bytes()).bytes.saturating_add(added);
        meta.check_size(|| key.key_group(), size)?;
        check_elements(meta, || key.key_group(), elements)?;
        state.count(u64::from(old.is_empty()), 0);
        state.may_have_chunks |= !is_short(old.loose.size(), elements.size());
        let written = match found {
            FoundList::Kept(at) => append_kept(cache, database, (at, address, bounds), elements),
            FoundList::Elsewhere(_) => {
                append_to_database(database, (address, bounds), old, elements)
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
        let Self { database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let parts = found.parts(cache, bounds.len(), value)?;
        if parts.is_empty() {
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
        if let Some(head) = parts.head {
            let mut chunk = Vec::new();
            chunk_address(&mut chunk, address, 0);
            let flow = if head.chunks == 1 {
                let chunk = database.get(&chunk)?;
                each(Elements::parse(chunk.as_deref().unwrap_or_default())?)?
            } else {
                let mut iterator = database.iterator(successor(address));
                iterator.seek(&chunk);
                chunks(&mut iterator, address, &mut each)?
            };
            if flow.is_break() {
                return Ok(true);
            }
        }
        if each(parts.loose)?.is_continue() {
            check_count(parts.size(0).elements, seen)?;
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
        let (meta, state) = self.states.find(slot, StateOperation::List)?;
        meta.check_entry(|| Ok(key.key_group()), elements.size(), elements.count())?;
        check_elements(meta, || key.key_group(), elements)?;
        state.may_have_chunks |= !is_short(0, elements.size());
        if !state.may_have_chunks {
            return self.replace_short(slot, key, elements);
        }
        let found = self.find_list(slot, key)?;
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let (_, state) = states.find(slot, StateOperation::List)?;
        let old = found.parts(cache, bounds.len(), value)?;
        state.count(u64::from(!elements.is_empty()), u64::from(!old.is_empty()));
        let is_elsewhere = matches!(found, FoundList::Elsewhere(_));
        let removed = match old.head {
            Some(head) => remove_chunks(database, address, head),
            None if is_elsewhere && elements.is_empty() && !old.is_empty() => {
                database.delete(address)
            }
            None => Ok(()),
        };
        if let (FoundList::Kept(at), Ok(())) = (found, &removed) {
            cache.remove_list(at);
        }
        let written = match found {
            _ if elements.is_empty() || removed.is_err() => removed,
            FoundList::Kept(at) => append_kept(cache, database, (at, address, bounds), elements),
            FoundList::Elsewhere(_) => {
                append_to_database(database, (address, bounds), Parts::default(), elements)
            }
        };
        self.written(written)
    }

    /// The same in a state whose lists are all short. What the table does not have is written over without asking
    /// what it is: the estimate of entries takes it for none, as that of values does.
    fn replace_short(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        let probe = self.probe_list(slot, key)?;
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored, value } = buffers;
        let (_, state) = states.find(slot, StateOperation::List)?;
        let was_there = match probe.hit() {
            Some(at) => !cache.list(at, stored.len())?.is_empty(),
            None => elements.is_empty(),
        };
        state.count(u64::from(!elements.is_empty()), u64::from(was_there));
        value.clear();
        encode_short(elements, value);
        let written = match probe.hit() {
            Some(at) if elements.is_empty() => {
                cache.remove_list(at);
                cache.settle(database)
            }
            None if elements.is_empty() => database.delete(address),
            _ => put(cache, database, (probe, Below::Unknown), address, (stored, value)),
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
        let Buffers { stored: bounds, value, .. } = &self.buffers;
        Ok(found.parts(&self.cache, bounds.len(), value)?.size(meta.stamp_bytes()))
    }

    /// Finds a list, and keeps it in the table if it may be there. Its address is in the buffers then, its bounds, and
    /// the elements of a short one that is elsewhere.
    ///
    /// # Errors
    /// Those of the database; `Corrupted`; `InvalidInput` for an entry that does not fit the state.
    pub(super) fn find_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<FoundList> {
        let probe = self.probe_list(slot, key)?;
        if let Some(at) = probe.hit() {
            return Ok(FoundList::Kept(at));
        }
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, value } = buffers;
        let (_, state) = states.find(slot, StateOperation::List)?;
        value.clear();
        let found = database.get(address)?;
        let list = found.as_deref().map(|found| Stored::decode(state.shape.value(found)?));
        let (kept, head) = match list.transpose()? {
            Some(Stored::Long(head)) => (cache.keep_list(probe, address, bounds, head), Some(head)),
            list => {
                let kept = cache.keep(probe, address, found.as_deref());
                if let (None, Some(Stored::Short(elements))) = (kept, list) {
                    value.extend_from_slice(elements.framed());
                }
                (kept, None)
            }
        };
        Ok(kept.map_or(FoundList::Elsewhere(head), FoundList::Kept))
    }

    /// Looks a list up in the table. Its address is in the buffers then, and its bounds.
    fn probe_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Probe> {
        // Room is made first, so that a place that is found stays one.
        let settled = self.cache.settle(&self.database);
        self.written(settled)?;
        let Self { states, cache, buffers: Buffers { address, stored: bounds, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::List)?;
        set_address(address, state.id, key);
        bounds.clear();
        state.shape.wrap(key.entry(), bounds)?;
        Ok(cache.probe(address))
    }
}

/// Where a list is.
#[derive(Clone, Copy, Debug)]
pub(super) enum FoundList {
    /// In the table.
    Kept(u32),
    /// In the database, if there is one: with this head, or short and read.
    Elsewhere(Option<Head>),
}

impl FoundList {
    /// What there is, with so many bytes of bounds; of a short one that is elsewhere `read` has the elements.
    pub(super) fn parts<'a>(
        self,
        cache: &'a WriteBack,
        bounds: usize,
        read: &'a [u8],
    ) -> Result<Parts<'a>> {
        match self {
            Self::Kept(at) => cache.list(at, bounds),
            Self::Elsewhere(head) => Ok(Parts { head, loose: Elements::parse(read)? }),
        }
    }
}

/// Appends to a list in the table; many elements go to the database at once, with those that it lacked.
fn append_kept(
    cache: &mut WriteBack,
    database: &Database,
    (at, address, bounds): (u32, &[u8], &mut Vec<u8>),
    elements: Elements<'_>,
) -> Result<()> {
    let old = cache.list(at, bounds.len())?;
    if old.loose.size().saturating_add(elements.size()) <= MOST_ADDED_BYTES {
        cache.append(at, bounds, elements)?;
    } else {
        let end = bounds.len();
        let head = append_chunks(database, (address, bounds), old, elements)?;
        bounds.truncate(end);
        cache.set_list(at, bounds, head);
    }
    cache.settle(database)
}

/// Appends to a list that is in the database as a whole; `bounds` is written over.
fn append_to_database(
    database: &Database,
    (address, bounds): (&[u8], &mut Vec<u8>),
    old: Parts<'_>,
    elements: Elements<'_>,
) -> Result<()> {
    if old.head.is_none() && is_short(old.loose.size(), elements.size()) {
        encode_short(old.loose, bounds);
        bounds.extend_from_slice(elements.framed());
        return database.put(address, bounds);
    }
    append_chunks(database, (address, bounds), old, elements).map(drop)
}

/// Adds what is in no chunk, and elements behind it, to the chunks of a list; `bounds` is written over.
fn append_chunks(
    database: &Database,
    (address, bounds): (&[u8], &mut Vec<u8>),
    old: Parts<'_>,
    elements: Elements<'_>,
) -> Result<Head> {
    let (mut head, mut batch) = (old.head.unwrap_or_default(), WriteBatch::default());
    head.with([old.loose, elements]).encode(bounds);
    batch.put(address, &bounds);
    // At once, so that no chunk is put and then merged into.
    let mut added = ElementsBuffer::default();
    added.extend(old.loose);
    added.extend(elements);
    head.append(address, added.as_elements(), &mut batch);
    database.write(batch)?;
    Ok(head)
}

/// Removes a long list from the database.
fn remove_chunks(database: &Database, address: &[u8], head: Head) -> Result<()> {
    let mut batch = WriteBatch::default();
    head.remove_chunks(address, &mut batch);
    batch.delete(address);
    database.write(batch)
}
