//! Access to one entry of a table of any type.
//!
//! [`MemoryStore`]'s own methods have a short path for numbers behind numbers, which callers inline; what that does
//! not take comes here, by a call, so that its registers are not spilled there.

use alluvium_state_api::{
    Change, Elements, Error, KeyedStore, Modify, NewValue, Result, Slot, StateDirectory, StateKey,
    StateOperation, VisitElement,
};

use crate::cells::Now;
use crate::cells::list::ListCell;
use crate::ops::{Target, lists, maps, values, wrong_key, wrong_width};
use crate::store::{Buffers, MemoryStore, wrong_table};
use crate::table::{Blob, Entry};
use crate::tables::any::{AnyTable, Lists, Maps, with_keyed, with_values};
use crate::tables::shape::eight;
use crate::tables::state::State;

impl MemoryStore {
    /// A value has not the width of its state's codec.
    #[cold]
    pub(crate) fn misfit(&self, slot: Slot) -> Error {
        match self.directory.check(slot, StateOperation::Value) {
            Ok(meta) => wrong_width(meta, self.buffers.out.len()),
            Err(error) => error,
        }
    }

    /// [`KeyedStore::modify_with`] for tables of any type. The
    /// closure is moved here, so that it need not lie in memory where this is not called.
    #[inline(never)]
    pub(crate) fn modify_any_with(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: impl FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    ) -> Result<()> {
        self.modify_any(slot, key, &mut NewValue::modify(change))
    }

    /// [`KeyedStore::modify`] for tables of any type.
    #[inline(never)]
    fn modify_any(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        let (meta, state, buffers) = self.find(slot, StateOperation::Value)?;
        let (now, target) = (state.now(), Target { meta, key });
        let Buffers { address, out, .. } = buffers;
        let address = state.shape.address(key, address);
        with_values!(&mut state.table, table => values::modify(table, address, target, out, change), {
            AnyTable::Maps(any) => {
                let buffers = (out, now);
                let difference = with_keyed!(Maps, any, table => {
                    maps::modify(table, address, target, buffers, change)
                })?;
                state.map_entries = state.map_entries.saturating_add_signed(difference);
                Ok(())
            }
            AnyTable::Lists(_) => Err(wrong_table()),
        })
    }

    /// [`KeyedStore::get`], called and not compiled in.
    #[inline(never)]
    pub(crate) fn get_outlined(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.get(slot, key)
    }

    /// [`KeyedStore::put`] for tables of any type. Where there is a shorter way to overwrite what is there, that is tried
    /// first: the general way keeps so much on the stack that the processor's queue of stores is full, and accesses
    /// that follow each other no longer wait for memory at the same time.
    #[inline(never)]
    pub(crate) fn put_any(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        match self.states.get(slot.index()).map(|state| &state.table) {
            Some(AnyTable::K8(_)) => self.overwrite_blob(slot, key, value),
            Some(AnyTable::Maps(Maps::K8(_))) => self.overwrite_in_map(slot, key, value),
            _ => self.put_slowly(slot, key, value),
        }
    }

    /// Overwrites a value under a key of 8 bytes by one of the same length.
    #[inline(never)]
    fn overwrite_blob(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let (meta, state, _) = self.find(slot, StateOperation::Value)?;
        if value.len() as u64 <= meta.size_limit
            && let AnyTable::K8(table) = &mut state.table
            && let Some((hash, probe)) = eight(key)
            && let Entry::Occupied(entry) = table.entry(hash, probe)
            && let Some(blob) = entry.in_place()
            && blob.overwrite(value)
        {
            return Ok(());
        }
        self.put_slowly(slot, key, value)
    }

    /// Overwrites a number in a map of numbers, under a key of 8 bytes.
    #[inline(never)]
    fn overwrite_in_map(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let (meta, state, _) = self.find(slot, StateOperation::Value)?;
        let now = state.now();
        if value.len() as u64 <= meta.size_limit
            && let AnyTable::Maps(Maps::K8(table)) = &mut state.table
            && let Some((hash, probe)) = eight(key)
            && let Entry::Occupied(entry) = table.entry(hash, probe)
            && let Some(map) = entry.in_place()
            && map.overwrite(key.entry().map_key(), value, now)
        {
            return Ok(());
        }
        self.put_slowly(slot, key, value)
    }

    #[inline(never)]
    fn put_slowly(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let (meta, state, buffers) = self.find(slot, StateOperation::Value)?;
        let (now, target) = (state.now(), Target { meta, key });
        let address = state.shape.address(key, &mut buffers.address);
        with_values!(&mut state.table, table => values::put(table, address, target, value), {
            AnyTable::Maps(any) => {
                let put =
                    with_keyed!(Maps, any, table => maps::put(table, address, target, value, now));
                state.map_entries += u64::from(put?);
                Ok(())
            }
            AnyTable::Lists(_) => Err(wrong_table()),
        })
    }
}

/// What elements are to a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListWrite {
    /// More of them.
    Append,
    /// All that it is to have.
    Replace,
}

impl MemoryStore {
    /// A list under a key of 8 bytes that may be changed in place, as in [`put_any`](Self::put_any): for changes that take no
    /// memory. The state's limit comes along. It does not count stamps: a size that does, and is above it, is for the general
    /// way to judge.
    #[expect(clippy::inline_always, reason = "what it returns travels in registers")]
    #[inline(always)]
    pub(crate) fn list_in_place(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
    ) -> Option<(&mut ListCell, Now, u64)> {
        let limit = self.directory.check(slot, StateOperation::List).ok()?.size_limit;
        let state = self.states.get_mut(slot.index())?;
        let now = state.now();
        let AnyTable::Lists(Lists::K8(table)) = &mut state.table else {
            return None;
        };
        let (hash, probe) = eight(key)?;
        match table.entry(hash, probe) {
            Entry::Occupied(entry) => Some((entry.in_place()?, now, limit)),
            Entry::Vacant(_) => None,
        }
    }

    /// [`KeyedStore::append`] and [`KeyedStore::replace_list`] for tables of any lists.
    #[inline(never)]
    pub(crate) fn write_list_slowly(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
        write: ListWrite,
    ) -> Result<()> {
        let (meta, state, buffers) = self.find(slot, StateOperation::List)?;
        let (now, target) = (state.now(), Target { meta, key });
        let address = state.shape.address(key, &mut buffers.address);
        let AnyTable::Lists(any) = &mut state.table else {
            return Err(wrong_table());
        };
        with_keyed!(Lists, any, table => match write {
            ListWrite::Append => lists::append(table, address, target, elements, now),
            ListWrite::Replace => lists::replace(table, address, target, elements, now),
        })
    }

    /// [`KeyedStore::read_list`] for tables of any lists.
    #[inline(never)]
    pub(crate) fn read_list_slowly(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        let (meta, state, buffers) = self.find(slot, StateOperation::List)?;
        let target = Target { meta, key };
        let address = state.shape.address(key, &mut buffers.address);
        let AnyTable::Lists(any) = &state.table else {
            return Err(wrong_table());
        };
        with_keyed!(Lists, any, table => lists::read(table, address, target, visit))
    }
}

/// [`KeyedStore::get`] for tables of any type; shorter ways first, as in [`put_any`](MemoryStore::put_any).
#[inline(never)]
pub(crate) fn get_any<'s>(
    state: &'s State,
    directory: &StateDirectory,
    scratch: &mut Vec<u8>,
    (slot, key): (Slot, &StateKey<'_>),
) -> Result<Option<&'s [u8]>> {
    // S4: what is in a table of values or maps is read by this operation
    match (&state.table, eight(key)) {
        (AnyTable::K8(table), Some((hash, probe))) => Ok(table.get(hash, probe).map(Blob::bytes)),
        (AnyTable::Maps(Maps::K8(table)), Some((hash, probe))) => {
            let map_key = key.entry().map_key();
            Ok(table.get(hash, probe).and_then(|map| map.get(map_key)))
        }
        _ => get_slowly(state, directory, scratch, (slot, key)),
    }
}

#[inline(never)]
fn get_slowly<'s>(
    state: &'s State,
    directory: &StateDirectory,
    scratch: &mut Vec<u8>,
    (slot, key): (Slot, &StateKey<'_>),
) -> Result<Option<&'s [u8]>> {
    let meta = directory.check(slot, StateOperation::Value)?;
    let target = Target { meta, key };
    let address = state.shape.address(key, scratch);
    with_values!(&state.table, table => values::get(table, address, target), {
        AnyTable::Maps(any) => with_keyed!(Maps, any, table => maps::get(table, address, target)),
        AnyTable::Lists(_) => Err(wrong_table()),
    })
}

/// Why a value of a slot cannot be read.
#[cold]
pub(crate) fn refuse(directory: &StateDirectory, slot: Slot, key: &StateKey<'_>) -> Error {
    match directory.check(slot, StateOperation::Value) {
        Ok(meta) => wrong_key(Target { meta, key }),
        Err(error) => error,
    }
}
