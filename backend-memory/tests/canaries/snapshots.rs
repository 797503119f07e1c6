//! Flaws of snapshots and of what follows them.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::snapshot::{
    CancelToken, EntryCount, SnapshotContext, SnapshotKind, SnapshotRequest, SnapshotTask,
};
use alluvium_state_api::{CheckpointId, Elements, KeyedStore, Modify, Result, Slot, StateKey};

use super::flaw::{Flaw, Place};
use super::operations::reversed;

/// An entry and the value that it had before.
type Before = (Place, Option<Vec<u8>>);

fn set(store: &mut MemoryStore, (place, value): &Before) -> Result<()> {
    match value {
        Some(value) => store.put(place.slot, &place.key(store), value),
        None => store.remove(place.slot, &place.key(store)),
    }
}

fn before(store: &mut MemoryStore, slot: Slot, key: &StateKey<'_>) -> Result<Before> {
    Ok((Place::new(slot, key), store.get(slot, key)?.map(<[u8]>::to_vec)))
}

/// Takes a snapshot in which an entry is as it was before; afterwards it is what it should be.
fn without(
    store: &mut MemoryStore,
    undone: Option<Before>,
    request: &SnapshotRequest,
) -> Result<Box<dyn SnapshotTask>> {
    let Some(undone) = undone.filter(|_| request.kind == SnapshotKind::Incremental) else {
        return store.snapshot(request);
    };
    let now = before(store, undone.0.slot, &undone.0.key(store))?;
    set(store, &undone)?;
    let task = store.snapshot(request);
    set(store, &now)?;
    task
}

/// The last change before a snapshot is missing in an increment.
#[derive(Debug, Default)]
pub(crate) struct ForgetsChange(Option<Before>);

impl Flaw for ForgetsChange {
    fn put(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        key: &StateKey<'_>,
        value: &[u8],
    ) -> Result<()> {
        self.0 = Some(before(store, slot, key)?);
        store.put(slot, key, value)
    }

    fn modify(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        self.0 = Some(before(store, slot, key)?);
        store.modify(slot, key, change)
    }

    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        without(store, self.0.take(), request)
    }
}

/// The last removal of a value before a snapshot is missing in an increment.
#[derive(Debug, Default)]
pub(crate) struct ForgetsRemoval(Option<Before>);

impl Flaw for ForgetsRemoval {
    fn remove(&mut self, store: &mut MemoryStore, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        if let Ok(before) = before(store, slot, key) {
            self.0 = Some(before).filter(|(_, value)| value.is_some());
        }
        store.remove(slot, key)
    }

    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        without(store, self.0.take(), request)
    }
}

/// Increments build on the newest snapshot, confirmed or not.
#[derive(Debug, Default)]
pub(crate) struct BuildsOnUnconfirmed(Option<CheckpointId>);

impl Flaw for BuildsOnUnconfirmed {
    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        if let Some(last) = self.0.replace(request.checkpoint) {
            store.checkpoint_completed(last)?;
        }
        store.snapshot(request)
    }
}

/// An aborted checkpoint counts as confirmed.
#[derive(Debug, Default)]
pub(crate) struct AbortConfirms;

impl Flaw for AbortConfirms {
    fn checkpoint_aborted(
        &mut self,
        store: &mut MemoryStore,
        checkpoint: CheckpointId,
    ) -> Result<()> {
        store.checkpoint_completed(checkpoint)
    }
}

/// The description of a snapshot counts an entry too many.
#[derive(Debug, Default)]
pub(crate) struct SummaryCountsOneMore;

impl Flaw for SummaryCountsOneMore {
    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        let task = store.snapshot(request)?;
        Ok(Box::new(move |context: SnapshotContext<'_>| {
            let mut taken = task.run(context)?;
            for state in &mut taken.states {
                state.entries = EntryCount::Exact(state.entries.get() + 1);
            }
            Ok(taken)
        }))
    }
}

/// A task goes on after it was cancelled.
#[derive(Debug, Default)]
pub(crate) struct CancelUnheard;

impl Flaw for CancelUnheard {
    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        let task = store.snapshot(request)?;
        Ok(Box::new(move |context: SnapshotContext<'_>| {
            task.run(SnapshotContext { cancel: &CancelToken::default(), ..context })
        }))
    }
}

/// Lists that were replaced are in snapshots with their elements last one first.
#[derive(Debug, Default)]
pub(crate) struct LosesListOrder(Vec<(Place, Vec<u8>)>);

impl LosesListOrder {
    fn replaced(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) {
        self.0.push((Place::new(slot, key), elements.framed().to_vec()));
    }
}

impl Flaw for LosesListOrder {
    fn replace_list(
        &mut self,
        store: &mut MemoryStore,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.replaced(slot, key, elements);
        store.replace_list(slot, key, elements)
    }

    fn snapshot(
        &mut self,
        store: &mut MemoryStore,
        request: &SnapshotRequest,
    ) -> Result<Box<dyn SnapshotTask>> {
        for (place, framed) in &self.0 {
            let backwards = reversed(Elements::parse(framed)?)?;
            store.replace_list(place.slot, &place.key(store), backwards.as_elements())?;
        }
        let task = store.snapshot(request);
        for (place, framed) in std::mem::take(&mut self.0) {
            let elements = Elements::parse(&framed)?;
            store.replace_list(place.slot, &place.key(store), elements)?;
        }
        task
    }
}
