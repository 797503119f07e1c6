//! Rewrites all values of a state after its codec changed.
//!
//! The new table is built beside the old one, so that an error leaves the state as it was. It starts
//! without history: the next incremental snapshot is a full one.

use std::ops::ControlFlow;

use alluvium_state_api::{
    Elements, ElementsBuffer, EntryKey, Error, Result, Rewrite, Slot, StateOperation,
};

use crate::load::Loader;
use crate::store::MemoryStore;
use crate::tables::any::{AnyTable, with_keyed, with_values};
use crate::tables::state::State;

/// Rewrites the values, elements or map values of a slot.
pub(crate) fn rewrite(store: &mut MemoryStore, slot: Slot, change: &mut Rewrite<'_>) -> Result<()> {
    let meta = store.directory.check(slot, StateOperation::Any)?;
    let Some(old) = store.states.get(slot.index()) else {
        return Err(Error::bug("a state has no table"));
    };
    let mut fresh = State::new(store.space.identity(), meta, store.seed);
    let mut scratch = Vec::new();
    let mut loader = Loader { state: &mut fresh, meta, scratch: &mut scratch };
    let mut out = Vec::new();
    let mut failed = None;
    let mut guard = |result: Result<()>| {
        if let Err(error) = result {
            failed.get_or_insert(error);
        }
    };
    let check = |key: EntryKey<'_>, bytes, elements| {
        meta.check_entry(|| store.space.group_of(key.key()), bytes, elements)
    };
    let mut value = |bytes: &[u8], out: &mut Vec<u8>| -> Result<()> {
        out.clear();
        change(bytes, out)
    };
    with_values!(&old.table, table => table.for_each(|key, cell| {
        use crate::cells::value::ValueCell;
        guard(old.shape.parts(key).and_then(|entry| {
            value(ValueCell::bytes(cell), &mut out)?;
            check(entry, out.len() as u64, 1)?;
            loader.put(entry, &out)
        }));
    }), {
        AnyTable::Lists(any) => with_keyed!(Lists, any, table => table.for_each(|key, list| {
            guard(old.shape.parts(key).and_then(|entry| {
                let mut elements = ElementsBuffer::default();
                list.for_each(&mut |bytes| {
                    value(bytes, &mut out)?;
                    elements.push(&out)?;
                    let list = elements.as_elements();
                    check(entry, list.size(), list.count())?;
                    Ok(ControlFlow::Continue(()))
                })?;
                let elements: Elements<'_> = elements.as_elements();
                loader.list(entry, 0, elements)
            }));
        })),
        AnyTable::Maps(any) => with_keyed!(Maps, any, table => table.for_each(|key, map| {
            guard(old.shape.parts(key).and_then(|entry| {
                let mut bytes = entry.bytes().to_vec();
                let end = entry.namespace_end();
                map.for_each_from(&[], |map_key, old| {
                    value(old, &mut out)?;
                    check(entry, out.len() as u64, 1)?;
                    bytes.truncate(end);
                    bytes.extend_from_slice(map_key);
                    let entry = EntryKey::new(&bytes, entry.key_end(), end)?;
                    loader.put(entry, &out).map(ControlFlow::Continue)
                })
                .map(drop)
            }));
        })),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(place) = store.states.get_mut(slot.index()) {
        *place = fresh;
    }
    store.chain.reset();
    Ok(())
}
