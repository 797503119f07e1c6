//! Access to one entry of a table of any type.
//!
//! [`MemoryStore`]'s own methods have a short path for numbers behind numbers, which callers inline; what that does
//! not take comes here, by a call, so that its registers are not spilled there.

use alluvium_state_api::{
    Change, Error, KeyedStore, Modify, NewValue, Result, Slot, StateDirectory, StateKey,
    StateOperation,
};

use crate::ops::{Target, maps, values, wrong_key, wrong_width};
use crate::store::{Buffers, MemoryStore, wrong_table};
use crate::tables::any::{AnyTable, with_keyed, with_values};
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

    /// [`KeyedStore::put`] for tables of any type.
    #[inline(never)]
    pub(crate) fn put_any(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
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

/// [`KeyedStore::get`] for tables of any type.
#[inline(never)]
pub(crate) fn get_any<'s>(
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
