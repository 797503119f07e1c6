//! Whole maps, and scans in order.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{
    KeyGroupRange, Result, Scan, ScanPlan, Slot, StateKey, StateOperation, VisitEntry,
};
use rocksdb::WriteBatch;

use crate::address::{prefix, set_address, successor};
use crate::cache::CellBuilder;
use crate::list::Stored;
use crate::states::State;
use crate::store::{Buffers, RocksStore};
use crate::walk::Walk;

/// Entries of a map that are removed one by one; more of them by one range.
const MOST_SINGLE_REMOVALS: usize = 16;

impl RocksStore {
    /// [`KeyedStore::remove_prefix`](alluvium_state_api::KeyedStore::remove_prefix).
    ///
    /// A range costs one write whatever it covers, and from then on something in every read near it; so few
    /// entries are removed one by one.
    pub(crate) fn remove_map(&mut self, slot: Slot, map: &StateKey<'_>) -> Result<()> {
        self.poison.check()?;
        let Self { states, database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, .. } = buffers;
        let (_, state) = states.find(slot, StateOperation::Map)?;
        set_address(address, state.id, map);
        bounds.clear();
        state.shape.wrap(map.entry(), bounds)?;
        let probe = cache.probe_map(address);
        if let Some(gone) = cache.clear_map(probe, MOST_SINGLE_REMOVALS) {
            state.count(0, gone);
            let settled = cache.settle(database);
            return self.written(settled);
        }
        let end = successor(address);
        let mut batch = WriteBatch::default();
        let mut iterator = database.iterator(end.clone());
        iterator.seek(&address);
        while let Some(key) = iterator.key().filter(|_| batch.len() <= MOST_SINGLE_REMOVALS) {
            batch.delete(key);
            iterator.next();
        }
        crate::walk::check(&iterator)?;
        drop(iterator);
        state.count(0, batch.len() as u64);
        if batch.len() > MOST_SINGLE_REMOVALS {
            batch.clear();
            batch.delete_range(address.as_slice(), &end);
        }
        let removed = if batch.is_empty() { Ok(()) } else { database.write(batch) };
        if removed.is_ok() {
            if let Some(at) = probe.hit() {
                cache.forget(at);
            }
            cache.keep_map(probe, (address, bounds), CellBuilder::new(true));
        }
        let removed = removed.and_then(|()| cache.settle(database));
        self.written(removed)
    }

    /// [`KeyedStore::scan`](alluvium_state_api::KeyedStore::scan).
    pub(crate) fn scan_entries(
        &mut self,
        slot: Slot,
        scan: Scan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.poison.check()?;
        let plan = scan.plan(self.space.range())?;
        let (_, state) = self.states.find(slot, plan.operation)?;
        let state = *state;
        if let Scan::Map { prefix, .. } = scan {
            return self.scan_map(state, &prefix, &plan, visit);
        }
        self.flush()?;
        let (first, from) = plan.from.clone();
        let range = KeyGroupRange::new(first.index(), plan.groups.end().max(first.index()))?;
        let end = Walk::bound(plan.groups);
        let mut walk = Walk::new(self.database.iterator(end), state.id, range, from);
        let mut address = Vec::new();
        while walk.find()? {
            let (group, bytes, stored) = walk.entry()?;
            if !plan.contains(group, bytes) {
                break;
            }
            let (entry, value) = state.shape.unwrap(bytes, stored)?;
            if state.kind != StateKind::List {
                if visit(entry, value)?.is_break() {
                    break;
                }
                walk.step();
                continue;
            }
            let head = match Stored::decode(value)? {
                Stored::Short(_) => None,
                Stored::Long(head) => Some(head),
            };
            if visit(entry, &[])? == ControlFlow::Break(()) {
                break;
            }
            address.clear();
            address.extend_from_slice(&prefix(group, state.id));
            address.extend_from_slice(bytes);
            walk.skip_list(&address, head);
        }
        Ok(())
    }

    /// Visits the entries of one map: those that the table has, if it has all, or else those of the database, which
    /// the table takes up if they are few.
    fn scan_map(
        &mut self,
        state: State,
        map: &StateKey<'_>,
        plan: &ScanPlan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let Self { database, cache, buffers, .. } = self;
        let Buffers { address, value: bytes, .. } = buffers;
        set_address(address, state.id, map);
        let (group, from) = &plan.from;
        let probe = cache.probe_map(address);
        if let Some((bounds, entries)) = cache.whole_map(probe) {
            for (name, value) in entries {
                bytes.clear();
                bytes.extend_from_slice(plan.prefix);
                bytes.extend_from_slice(name);
                if *bytes >= *from && visit(state.shape.unwrap(bytes, bounds)?.0, value)?.is_break()
                {
                    break;
                }
            }
            return Ok(());
        }
        if let Some(at) = probe.hit() {
            let written = cache.hand_over(at, database);
            self.written(written)?;
        }
        let Self { database, cache, buffers, .. } = self;
        let Buffers { address, stored: bounds, .. } = buffers;
        bounds.clear();
        let is_whole = from.as_slice() == plan.prefix && cache.admits_map(probe);
        let is_whole = is_whole && state.shape.wrap(map.entry(), bounds).is_ok();
        let mut all = CellBuilder::new(is_whole);
        let iterator = database.iterator(successor(address));
        let range = KeyGroupRange::single(*group);
        let mut walk = Walk::new(iterator, state.id, range, from.clone());
        while walk.find()? {
            let (_, bytes, stored) = walk.entry()?;
            let Some(name) = bytes.strip_prefix(plan.prefix) else {
                break;
            };
            let (entry, value) = state.shape.unwrap(bytes, stored)?;
            all.push(name, value);
            if visit(entry, value)?.is_break() {
                return Ok(());
            }
            walk.step();
        }
        drop(walk);
        cache.keep_map(probe, (address, bounds), all);
        let settled = cache.settle(database);
        self.written(settled)
    }
}
