//! Flaws of single operations.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::EntryCount;
use alluvium_state_api::{
    Change, Elements, ElementsBuffer, EntryKey, KeyBatch, KeyGroupRange, KeyedStore, MergeValues,
    Modify, ModifyEach, Registration, Result, Scan, Slot, StateKey, StoreStatistics, VisitEntry,
};

use super::flaw::Flaw;

/// Several elements are appended last one first.
#[derive(Debug, Default)]
pub(crate) struct AppendsInReverse;

impl Flaw for AppendsInReverse {
    fn append(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        store.append(slot, key, reversed(elements)?.as_elements())
    }
}

pub(crate) fn reversed(elements: Elements<'_>) -> Result<ElementsBuffer> {
    let (payloads, mut buffer) = (elements.iter().collect::<Vec<_>>(), ElementsBuffer::default());
    payloads.into_iter().rev().try_for_each(|payload| buffer.push(payload))?;
    Ok(buffer)
}

/// What a closure wrote before it failed becomes the value.
#[derive(Debug, Default)]
pub(crate) struct KeepsFailedChange;

impl Flaw for KeepsFailedChange {
    fn modify(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        let mut failed = None;
        let modified = store.modify(slot, key, &mut |old, out| {
            change(old, out).or_else(|error| {
                failed = Some(error);
                Ok(if out.is_empty() { Change::Remove } else { Change::Put })
            })
        });
        failed.map_or(modified, Err)
    }
}

/// A scan ends before its last entry.
#[derive(Debug, Default)]
pub(crate) struct ScanLosesLast;

impl Flaw for ScanLosesLast {
    fn scan(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        scan: Scan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let mut entries = collect(store, slot, scan)?;
        entries.pop();
        replay(&entries, visit)
    }
}

type Entries = Vec<(Vec<u8>, (usize, usize), Vec<u8>)>;

fn collect(store: &mut MemoryStore, slot: Slot, scan: Scan<'_>) -> Result<Entries> {
    let mut entries = Vec::new();
    store.scan(slot, scan, &mut |entry, value| {
        let ends = (entry.key_end(), entry.namespace_end());
        entries.push((entry.bytes().to_vec(), ends, value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(entries)
}

fn replay(entries: &Entries, visit: &mut VisitEntry<'_>) -> Result<()> {
    for (bytes, (key_end, namespace_end), value) in entries {
        if visit(EntryKey::new(bytes, *key_end, *namespace_end)?, value)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// A scan of one map goes on into the maps behind it.
#[derive(Debug, Default)]
pub(crate) struct ScanCrossesPrefix;

impl Flaw for ScanCrossesPrefix {
    fn scan(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        scan: Scan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let Scan::Map { prefix, from } = scan else {
            return store.scan(slot, scan, visit);
        };
        let from = [prefix.bytes(), from].concat();
        let range = KeyGroupRange::single(prefix.key_group());
        let entries = collect(store, slot, Scan::KeyGroups { range, from: &from })?;
        replay(&entries, visit)
    }
}

/// The lower bound of a scan is left out of it.
#[derive(Debug, Default)]
pub(crate) struct ScanBeginsAfterBound;

impl Flaw for ScanBeginsAfterBound {
    fn scan(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        scan: Scan<'_>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let (Scan::Map { from, .. } | Scan::KeyGroups { from, .. }) = scan;
        store.scan(slot, scan, &mut |entry, value| {
            let bound = !from.is_empty() && (entry.map_key() == from || entry.bytes() == from);
            if bound { Ok(ControlFlow::Continue(())) } else { visit(entry, value) }
        })
    }
}

/// Removing a map leaves its last entry.
#[derive(Debug, Default)]
pub(crate) struct RemovePrefixStopsEarly;

impl Flaw for RemovePrefixStopsEarly {
    fn remove_prefix(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        prefix: &StateKey<'_>,
    ) -> Result<()> {
        let mut entries = collect(store, slot, Scan::Map { prefix: *prefix, from: &[] })?;
        entries.pop();
        for (bytes, (key_end, namespace_end), _) in &entries {
            let entry = EntryKey::new(bytes, *key_end, *namespace_end)?;
            store.remove(slot, &prefix.with_entry(entry))?;
        }
        Ok(())
    }
}

/// States have no limit.
#[derive(Debug, Default)]
pub(crate) struct LimitNotChecked;

impl Flaw for LimitNotChecked {
    fn register(&mut self, store: &mut MemoryStore, meta: &StateMeta) -> Result<Registration> {
        store.register(&StateMeta { size_limit: 1 << 31, ..meta.clone() })
    }
}

/// The last source of a merge is removed without being merged.
#[derive(Debug, Default)]
pub(crate) struct MergeDropsSource;

impl Flaw for MergeDropsSource {
    fn merge_namespaces(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        if let Some(last) = sources.len().checked_sub(1).and_then(|last| sources.get(last)) {
            store.remove(slot, &last)?;
        }
        store.merge_namespaces(slot, target, sources, merge)
    }
}

/// The sources of a merge stay where they are.
#[derive(Debug, Default)]
pub(crate) struct MergeKeepsSources;

impl Flaw for MergeKeepsSources {
    fn merge_namespaces(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        let mut kept = Vec::new();
        for source in sources.iter() {
            // Lists have no value to get: their sources go as they should.
            if let Ok(Some(value)) = store.get(slot, &source) {
                kept.push((source, value.to_vec()));
            }
        }
        store.merge_namespaces(slot, target, sources, merge)?;
        kept.iter().try_for_each(|(source, value)| store.put(slot, source, value))
    }
}

/// A key that occurs twice in a batch is changed once.
#[derive(Debug, Default)]
pub(crate) struct BatchSkipsRepeated;

impl Flaw for BatchSkipsRepeated {
    fn modify_many(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        let mut seen = BTreeSet::new();
        for (index, key) in keys.iter().enumerate() {
            if seen.insert(key.bytes()) {
                store.modify(slot, &key, &mut |old, out| change(index, old, out))?;
            }
        }
        Ok(())
    }
}

/// Statistics count an entry too many in every state that has one.
#[derive(Debug, Default)]
pub(crate) struct CountsOneMore;

impl Flaw for CountsOneMore {
    fn statistics(&self, mut right: StoreStatistics) -> StoreStatistics {
        for state in right.states.iter_mut().filter(|state| state.entries.get() > 0) {
            state.entries = EntryCount::Exact(state.entries.get() + 1);
        }
        right
    }
}
