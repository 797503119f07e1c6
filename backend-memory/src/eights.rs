//! [`Eights`]: values of 8 bytes under keys of 8, for a store that keeps values elsewhere, too.

use std::ops::ControlFlow;

use alluvium_state_api::{Change, NewValue, Result, Slot};

use crate::MemoryStore;
use crate::ops::values;
use crate::table::{Entry, Fixed, Table};
use crate::tables::any::AnyTable;

/// The values of a state whose keys and values have 8 bytes, and whose keys have no namespace. Values are
/// little-endian words, so that they travel in registers.
///
/// Before a single [`get`](Self::get) that is sure to come soon, [`prefetch_all`](Self::prefetch_all) asks for what it needs. In a
/// batch, [`prefetch`](Self::prefetch) comes some keys before [`prefetch_value`](Self::prefetch_value), and that some keys
/// before [`get`](Self::get).
#[derive(Clone, Copy, Debug)]
pub struct Eights<'s>(&'s Table<[u8; 8], Fixed<8>>);

impl Eights<'_> {
    /// The value of a key.
    #[expect(clippy::inline_always, reason = "so that it travels in a register")]
    #[inline(always)]
    pub fn get(self, key: [u8; 8]) -> Option<u64> {
        self.0.get(u64::from_le_bytes(key), key).map(|value| u64::from_le_bytes(value.0))
    }

    /// Asks the processor to load where the search for a key begins.
    #[inline]
    pub fn prefetch(self, key: [u8; 8]) {
        self.0.prefetch_tags(u64::from_le_bytes(key));
    }

    /// Asks it for that and, before it has come, for where the value is likely to be.
    #[inline]
    pub fn prefetch_all(self, key: [u8; 8]) {
        self.0.prefetch_home(u64::from_le_bytes(key));
    }

    /// Asks it to load where the value is likely to be.
    #[inline]
    pub fn prefetch_value(self, key: [u8; 8]) {
        self.0.prefetch_slot(u64::from_le_bytes(key));
    }
}

impl MemoryStore {
    /// The values of a state; `None` unless its keys and values have 8 bytes, and its keys no namespace.
    #[inline]
    pub fn eights(&self, slot: Slot) -> Option<Eights<'_>> {
        let state = self.states.get(slot.index())?;
        match &state.table {
            AnyTable::Numbers(table) => Some(Eights(table)),
            _ => None,
        }
    }

    /// [`modify_with`](alluvium_state_api::KeyedStore::modify_with) for a key that has a value, where both have 8 bytes,
    /// and the key no namespace: what was decided. In all other cases nothing has happened, and the closure comes back.
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::inline_always, reason = "so that key and value travel in registers")]
    #[inline(always)]
    pub fn modify_eight<F>(
        &mut self,
        slot: Slot,
        key: [u8; 8],
        change: F,
    ) -> Result<ControlFlow<Change, F>>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        if let Some(state) = self.states.get_mut(slot.index())
            && let AnyTable::Numbers(table) = &mut state.table
            && let Entry::Occupied(entry) = table.entry(u64::from_le_bytes(key), key)
        {
            return match values::modify_occupied(entry, &mut self.buffers.out, change)? {
                Some(decided) => Ok(ControlFlow::Break(decided)),
                None => Err(self.misfit(slot)),
            };
        }
        Ok(ControlFlow::Continue(change))
    }
}
