//! Whole maps, and scans in order.

use std::ops::ControlFlow;

use alluvium_state_api::schema::StateKind;
use alluvium_state_api::{KeyGroupRange, Result, Scan, Slot, StateKey, StateOperation, VisitEntry};
use rocksdb::WriteBatch;

use crate::address::{prefix, set_address, successor};
use crate::list::Stored;
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
        let Self { states, database, buffers: Buffers { address, .. }, .. } = self;
        let (_, state) = states.find(slot, StateOperation::Map)?;
        set_address(address, state.id, map);
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
        if batch.is_empty() {
            return Ok(());
        }
        state.count(0, batch.len() as u64);
        if batch.len() > MOST_SINGLE_REMOVALS {
            batch.clear();
            batch.delete_range(address.as_slice(), &end);
        }
        let removed = database.write(batch);
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
        if state.is_cached() {
            self.flush()?;
        }
        let end = if plan.operation == StateOperation::Map {
            successor(&[&prefix(plan.from.0, state.id), plan.prefix].concat())
        } else {
            Walk::bound(plan.groups)
        };
        let (first, from) = plan.from.clone();
        let range = KeyGroupRange::new(first.index(), plan.groups.end().max(first.index()))?;
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
}
