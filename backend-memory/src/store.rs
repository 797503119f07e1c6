//! [`MemoryStore`]: keyed state in hash tables.
//!
//! # Role
//! Implements the SPI by finding the state's table and handing the operation to [`crate::ops`]. Each
//! method matches once on the kind of state and the type of its table; the rest is monomorphic.
//!
//! # Invariants
//! S1. `states` has one element per slot of `directory`.
//! S2. `map_entries` of a map state is the sum of the lengths of its maps.
//! S3. What a change must remember for increments is recorded in the tables and cells, so that a
//!     snapshot that fails, is dropped or is never confirmed costs the next one nothing.
//! S4. A table of values belongs to a state of a single value, a table of lists to a list, one of maps
//!     to a map. So what reads or changes one entry need not ask the directory.
//! S5. What a fast path hands to a cold one it copies first (`&{ *key }`): a reference would keep the key
//!     in memory on the fast path too, and stores, not instructions, limit how many accesses overlap.

use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::snapshot::{EntryCount, SnapshotRequest, SnapshotTask};
use alluvium_state_api::{
    Change, CheckpointId, Elements, Error, KeyBatch, KeyedStore, ListSize, MergeValues, Modify,
    ModifyEach, NewValue, Registration, Result, Rewrite, Scan, Slot, StateDirectory, StateKey,
    StateOperation, StoreStatistics, VisitEach, VisitElement, VisitEntry,
};

use crate::cells::value::ValueCell;
use crate::chain::Chain;
use crate::ops::{Target, lists, maps, scan, values};
use crate::point::{self, ListWrite};
use crate::table::Seed;
use crate::tables::any::{AnyTable, Lists, with_keyed, with_values};
use crate::tables::shape::eight;
use crate::tables::state::State;

/// Buffers that are used again, so that no access allocates after warm-up.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) address: Vec<u8>,
    pub(crate) out: Vec<u8>,
    hashes: Vec<u64>,
}

/// Keyed state in memory; see the crate's page.
#[derive(Debug)]
pub struct MemoryStore {
    pub(crate) space: KeySpace,
    pub(crate) directory: StateDirectory,
    pub(crate) states: Vec<State>,
    pub(crate) chain: Chain,
    pub(crate) seed: Seed,
    pub(crate) buffers: Buffers,
}

impl MemoryStore {
    pub(crate) fn empty(space: KeySpace, seed: Seed) -> Self {
        Self {
            chain: Chain::default(),
            space,
            directory: StateDirectory::default(),
            states: Vec::new(),
            seed,
            buffers: Buffers::default(),
        }
    }

    /// The same store as the write layer of another one, which keeps elsewhere what was confirmed: its
    /// increments hold what changed since the last confirmed checkpoint and refer to no earlier file.
    #[must_use]
    pub fn into_write_layer(mut self) -> Self {
        self.chain.changes_alone = true;
        self
    }

    /// Bytes of memory that the store has allocated for state, as its statistics say. Costs a step
    /// per state.
    pub fn memory_bytes(&self) -> u64 {
        self.states.iter().map(State::heap_bytes).sum()
    }

    /// How many entries a state has, as the store's statistics say; 0 for a slot of another store.
    pub fn entries(&self, slot: Slot) -> u64 {
        self.states.get(slot.index()).map_or(0, State::entries)
    }

    /// The states that the directory has gained since, empty (S1).
    pub(crate) fn add_states(&mut self) {
        for index in self.states.len()..self.directory.len() {
            let slot = Slot::new(u32::try_from(index).unwrap_or(u32::MAX));
            let Ok(meta) = self.directory.check(slot, StateOperation::Any) else {
                return;
            };
            self.states.push(State::new(self.space.identity(), meta, self.seed));
        }
    }

    /// Description and state of a slot, with buffers.
    #[inline]
    pub(crate) fn find(
        &mut self,
        slot: Slot,
        operation: StateOperation,
    ) -> Result<(&StateMeta, &mut State, &mut Buffers)> {
        let meta = self.directory.check(slot, operation)?;
        match self.states.get_mut(slot.index()) {
            Some(state) => Ok((meta, state, &mut self.buffers)),
            None => Err(no_table()),
        }
    }
}

#[cold]
pub(crate) fn no_table() -> Error {
    Error::bug("a state has no table")
}

#[cold]
pub(crate) fn wrong_table() -> Error {
    Error::bug("a state's table is not of its kind")
}

impl KeyedStore for MemoryStore {
    fn backend_name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn key_space(&self) -> &KeySpace {
        &self.space
    }

    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        let registration = self.directory.register(meta)?;
        self.add_states();
        if let Some(state) = self.states.get_mut(registration.slot.index()) {
            state.limit(meta);
        }
        Ok(registration)
    }

    fn states(&self) -> Vec<StateMeta> {
        self.directory.metas()
    }

    #[inline]
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        let Self { states, directory, buffers, .. } = self;
        let Some(state) = states.get(slot.index()) else {
            return Err(point::refuse(directory, slot, key));
        };
        // S4: what is in a table of values is read by this operation
        if let Some((table, probe)) = state.eight(key) {
            return Ok(table.get(u64::from_le_bytes(probe), probe).map(ValueCell::bytes));
        }
        point::get_any(state, directory, &mut buffers.address, (slot, key))
    }

    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
    where
        F: FnOnce(Option<&[u8]>) -> Result<R>,
    {
        // S4: what is in a table of values is read by this operation
        if let Some(state) = self.states.get(slot.index())
            && let Some((table, probe)) = state.eight(key)
        {
            return read(table.get(u64::from_le_bytes(probe), probe).map(ValueCell::bytes));
        }
        read(self.get_outlined(slot, &{ *key })?)
    }

    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        // S4: what is in a table of values is changed by this operation
        if let Some(state) = self.states.get_mut(slot.index())
            && let AnyTable::Numbers(table) = &mut state.table
            && let Ok(probe) = key.bytes().try_into()
            && let Ok(value) = value.try_into()
        {
            values::put_fixed(table, u64::from_le_bytes(probe), probe, value);
            return Ok(());
        }
        self.put_any(slot, &{ *key }, value)
    }

    #[inline]
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let (meta, state, buffers) = self.find(slot, StateOperation::Any)?;
        let (now, target) = (state.now(), Target { meta, key });
        let address = state.shape.address(key, &mut buffers.address);
        with_values!(&mut state.table, table => values::remove(table, address, target), {
            AnyTable::Lists(any) => {
                with_keyed!(Lists, any, table => lists::remove(table, address, target))
            }
            AnyTable::Maps(any) => {
                let removed =
                    with_keyed!(Maps, any, table => maps::remove(table, address, target, now));
                state.map_entries -= u64::from(removed?);
                Ok(())
            }
        })
    }

    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        let (meta, state, buffers) = self.find(slot, StateOperation::Map)?;
        let target = Target { meta, key: prefix };
        let address = state.shape.address(prefix, &mut buffers.address);
        let AnyTable::Maps(any) = &mut state.table else {
            return Err(wrong_table());
        };
        let removed = with_keyed!(Maps, any, table => maps::remove_all(table, address, target));
        state.map_entries -= removed?;
        Ok(())
    }

    #[inline]
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        self.modify_with(slot, key, |old, new| new.with_buffer(|out| change(old, out)))
    }

    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    fn modify_with<F>(&mut self, slot: Slot, key: &StateKey<'_>, change: F) -> Result<()>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        // S4: what is in a table of values is changed by this operation
        if let Some(state) = self.states.get_mut(slot.index())
            && let AnyTable::Numbers(table) = &mut state.table
            && let Ok(probe) = key.bytes().try_into()
        {
            let (hash, out) = (u64::from_le_bytes(probe), &mut self.buffers.out);
            let fits = values::modify_fixed(table, hash, probe, out, change)?;
            return if fits { Ok(()) } else { Err(self.misfit(slot)) };
        }
        self.modify_any_with(slot, &{ *key }, change)
    }

    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        if let Some((list, now, limit)) = self.list_in_place(slot, key)
            && list.size().saturating_add(elements.size()) <= limit
            && list.append_in_place(elements, now)
        {
            return Ok(());
        }
        self.write_list_slowly(slot, key, elements, ListWrite::Append)
    }

    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        // S4: what is in a table of lists is read by this operation
        if let Some(state) = self.states.get(slot.index())
            && let AnyTable::Lists(Lists::K8(table)) = &state.table
            && let Some((hash, probe)) = eight(key)
        {
            let list = table.get(hash, probe);
            return list.map_or(Ok(false), |list| list.for_each(visit).map(|()| true));
        }
        self.read_list_slowly(slot, key, visit)
    }

    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        if let Some((list, now, limit)) = self.list_in_place(slot, key)
            && !elements.is_empty()
            && elements.size() <= limit
            && list.replace_in_place(elements, now)
        {
            return Ok(());
        }
        self.write_list_slowly(slot, key, elements, ListWrite::Replace)
    }

    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        let (meta, state, buffers) = self.find(slot, StateOperation::List)?;
        let target = Target { meta, key };
        let address = state.shape.address(key, &mut buffers.address);
        let AnyTable::Lists(any) = &state.table else {
            return Err(wrong_table());
        };
        with_keyed!(Lists, any, table => lists::size(table, address, target))
    }

    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        match scan {
            Scan::Map { prefix, from } => {
                let (meta, state, buffers) = self.find(slot, StateOperation::Map)?;
                let target = Target { meta, key: &prefix };
                let Buffers { address, out, .. } = buffers;
                let address = state.shape.address(&prefix, address);
                let AnyTable::Maps(any) = &state.table else {
                    return Err(wrong_table());
                };
                let from = (from, out);
                with_keyed!(Maps, any, table => scan::map(table, address, target, from, visit))
            }
            Scan::KeyGroups { range, from } => {
                self.directory.check(slot, StateOperation::Any)?;
                if !self.space.range().covers(range) {
                    return Err(Error::invalid_input(format!(
                        "key groups {range} are not within {}, which this store owns",
                        self.space.range()
                    )));
                }
                let Some(state) = self.states.get(slot.index()) else {
                    return Err(no_table());
                };
                let groups = scan::Groups { space: &self.space, shape: state.shape, range, from };
                with_values!(&state.table, table => scan::values(table, groups, visit), {
                    AnyTable::Lists(any) => {
                        with_keyed!(Lists, any, table => scan::lists(table, groups, visit))
                    }
                    AnyTable::Maps(any) => {
                        with_keyed!(Maps, any, table => scan::maps(table, groups, visit))
                    }
                })
            }
        }
    }

    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        let (meta, state, _) = self.find(slot, StateOperation::Merge)?;
        let (now, shape) = (state.now(), state.shape);
        let target = Target { meta, key: target };
        with_values!(&mut state.table, table => values::merge(table, shape, target, sources, merge), {
            AnyTable::Lists(any) => {
                with_keyed!(Lists, any, table => lists::merge(table, shape, target, sources, now))
            }
            AnyTable::Maps(_) => Err(wrong_table()),
        })
    }

    #[inline]
    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        // S4: what is in a table of values is read by this operation
        if let Some(state) = self.states.get(slot.index())
            && let (AnyTable::Numbers(table), Some(keys)) = (&state.table, keys.fixed())
        {
            return values::get_many_fixed(table, keys, visit);
        }
        let (meta, state, buffers) = self.find(slot, StateOperation::Value)?;
        let Buffers { address, out, hashes } = buffers;
        let work = values::BatchWork { shape: state.shape, meta, address, hashes, out };
        with_values!(&state.table, table => return values::get_many(table, keys, work, visit), {
            AnyTable::Lists(_) | AnyTable::Maps(_) => {}
        });
        for (index, key) in keys.iter().enumerate() {
            let value = self.get(slot, &key)?;
            visit(index, value)?;
        }
        Ok(())
    }

    #[inline]
    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        // S4: what is in a table of values is changed by this operation
        if let Some(state) = self.states.get_mut(slot.index())
            && let (AnyTable::Numbers(table), Some(keys)) = (&mut state.table, keys.fixed())
        {
            let out = &mut self.buffers.out;
            let fit = values::modify_many_fixed(table, keys, out, change)?;
            return if fit { Ok(()) } else { Err(self.misfit(slot)) };
        }
        let (meta, state, buffers) = self.find(slot, StateOperation::Value)?;
        let Buffers { address, out, hashes } = buffers;
        let work = values::BatchWork { shape: state.shape, meta, address, hashes, out };
        with_values!(&mut state.table, table => return values::modify_many(table, keys, work, change), {
            AnyTable::Lists(_) | AnyTable::Maps(_) => {}
        });
        for (index, key) in keys.iter().enumerate() {
            self.modify(slot, &key, &mut |old, out| change(index, old, out))?;
        }
        Ok(())
    }

    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.directory.check(slot, StateOperation::Any)?;
        crate::rewrite::rewrite(self, slot, rewrite)
    }

    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        crate::snapshot::begin(self, request)
    }

    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.chain.completed(checkpoint, &mut self.states);
        Ok(())
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.chain.aborted(checkpoint);
        Ok(())
    }

    fn statistics(&self) -> StoreStatistics {
        let state = |slot: Slot| self.states.get(slot.index());
        let count = |slot| EntryCount::Exact(state(slot).map_or(0, State::entries));
        let mut statistics = self.directory.statistics(count);
        statistics.memory_bytes = self.memory_bytes();
        statistics.snapshots_in_flight = self.chain.in_flight();
        statistics
    }
}
