//! [`FsStore`]: keyed state in a write layer over segments.
//!
//! # Role
//! Implements the SPI by handing each operation to [`crate::ops`], and keeps the parts together: the
//! layer that takes writes, the sealed layer while it is being written, the segments, the chain of
//! checkpoints, and what works in the background.
//!
//! # Invariants
//! S1. What an access sees is, from the newest to the oldest: the layer, the sealed layer, the segments.
//! S2. `has_below` is set before anything can be below the layer: a segment, a sealed layer, or a
//!     snapshot of the layer that may become one.
//! S3. What background work has done takes effect between two operations, on the writer's thread.
//! S4. A store that is poisoned refuses everything; what was checkpointed is not touched.

use alluvium_state_api::schema::{KeySpace, StateKind, StateMeta};
use alluvium_state_api::snapshot::{EntryCount, SnapshotRequest, SnapshotTask};
use alluvium_state_api::{
    Change, CheckpointId, Elements, Error, KeyBatch, KeyedStore, ListSize, MergeValues, Modify,
    ModifyEach, NewValue, OpenEnv, Registration, Result, Rewrite, Scan, Slot, StateDirectory,
    StateKey, StateOperation, StoreStatistics, VisitEach, VisitElement, VisitEntry,
};

use crate::background::Background;
use crate::below::Below;
use crate::chain::Chain;
use crate::layer::{Covers, Layer};
use crate::ops::values::Habit;
use crate::options::FsOptions;
use crate::read_cache::ReadCache;
use crate::segment::BlockCache;
use crate::segments::{PieceSpot, Segments};
use crate::workshop::Workshop;

/// Keyed state on the local file system; see the crate's page.
#[derive(Debug)]
pub struct FsStore {
    pub(crate) env: OpenEnv,
    pub(crate) options: FsOptions,
    pub(crate) directory: StateDirectory,
    pub(crate) layer: Layer,
    pub(crate) sealed: Option<Layer>,
    pub(crate) segments: Segments,
    pub(crate) reads: ReadCache,
    pub(crate) cache: BlockCache,
    pub(crate) pieces: Vec<PieceSpot>,
    pub(crate) workshop: Workshop,
    pub(crate) chain: Chain,
    pub(crate) background: Background,
    pub(crate) has_below: bool,
    /// What the last batch was like.
    pub(crate) batches: Habit,
    /// Operations until the next look at budgets and background work.
    pub(crate) countdown: u32,
}

/// The layer's covers and what is below, while entries of the layer are borrowed.
#[derive(Debug)]
pub(crate) struct Parts<'s> {
    pub(crate) covers: Covers<'s>,
    pub(crate) below: Below<'s>,
    /// Entries that the layer says nothing of.
    pub(crate) asked: usize,
    /// Those of them that were searched, since they were not read lately.
    pub(crate) searched: usize,
}

impl FsStore {
    /// The slot of a state in the layer.
    #[inline]
    pub(crate) fn inner(&self, slot: Slot) -> Result<Slot> {
        match self.layer.slot(slot) {
            Some(inner) => Ok(inner),
            None => Err(self.refuse(slot)),
        }
    }

    #[cold]
    fn refuse(&self, slot: Slot) -> Error {
        match self.directory.check(slot, StateOperation::Any) {
            Ok(meta) => Error::invalid_input("the state was restored and not registered yet")
                .with_state(meta.name.clone()),
            Err(error) => error,
        }
    }

    /// The store of the layer's entries, and everything that is asked where it has none.
    pub(crate) fn parts(&mut self) -> (&mut alluvium_backend_memory::MemoryStore, Parts<'_>) {
        let Self { layer, sealed, segments, reads, cache, pieces, .. } = self;
        let (main, covers) = layer.split();
        let below = Below { sealed: sealed.as_mut(), segments, reads, cache, pieces };
        (main, Parts { covers, below, asked: 0, searched: 0 })
    }

    /// What is below the layer.
    pub(crate) fn below(&mut self) -> Below<'_> {
        let Self { sealed, segments, reads, cache, pieces, .. } = self;
        Below { sealed: sealed.as_mut(), segments, reads, cache, pieces }
    }

    /// Counts an operation; now and then looks at budgets and background work (S3).
    #[inline]
    fn pulse(&mut self) -> Result<()> {
        match self.countdown.checked_sub(1) {
            Some(left) => {
                self.countdown = left;
                Ok(())
            }
            None => self.attend(),
        }
    }

    fn kind(&self, slot: Slot) -> Result<StateKind> {
        Ok(self.directory.check(slot, StateOperation::Any)?.kind)
    }
}

impl KeyedStore for FsStore {
    fn backend_name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn key_space(&self) -> &KeySpace {
        &self.env.key_space
    }

    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        let registration = self.directory.register(meta)?;
        if self.layer.slot(registration.slot).is_none() {
            self.layer.register(registration.slot, meta)?;
            self.segments.add_state(registration.slot, meta);
            self.reads.add_state(registration.slot, meta, &self.env.key_space);
        }
        Ok(registration)
    }

    fn states(&self) -> Vec<StateMeta> {
        self.directory.metas()
    }

    #[inline]
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.pulse()?;
        if !self.has_below {
            let inner = self.inner(slot)?;
            return self.layer.main.get(inner, key);
        }
        if let Ok(key) = key.bytes().try_into()
            && let Some(value) = self.get_eight(slot, key)
        {
            return Ok(Some(self.reads.lend_eight(value)));
        }
        self.get_value(slot, key)
    }

    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
    where
        F: FnOnce(Option<&[u8]>) -> Result<R>,
    {
        self.pulse()?;
        if !self.has_below {
            let inner = self.inner(slot)?;
            return self.layer.main.get_with(inner, key, read);
        }
        if let Ok(key) = key.bytes().try_into()
            && let Some(value) = self.get_eight(slot, key)
        {
            return read(Some(&value.to_le_bytes()));
        }
        read(self.get_value(slot, &{ *key })?)
    }

    #[inline]
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        self.pulse()?;
        self.put_value(slot, key, value)
    }

    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.pulse()?;
        match self.kind(slot)? {
            StateKind::List => self.remove_list(slot, key),
            _ => self.remove_value(slot, key),
        }
    }

    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        self.pulse()?;
        let inner = self.inner(slot)?;
        self.layer.main.remove_prefix(inner, prefix)?;
        if self.has_below { self.layer.mark_map(slot, prefix) } else { Ok(()) }
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
        self.pulse()?;
        self.modify_value(slot, key, change)
    }

    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        self.pulse()?;
        self.append_elements(slot, key, elements)
    }

    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        self.pulse()?;
        self.directory.check(slot, StateOperation::List)?;
        self.read_elements(slot, key, visit)
    }

    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.pulse()?;
        self.replace_elements(slot, key, elements)
    }

    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        self.pulse()?;
        self.directory.check(slot, StateOperation::List)?;
        self.size_of_list(slot, key)
    }

    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        self.pulse()?;
        self.scan_entries(slot, scan, visit)
    }

    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        self.pulse()?;
        self.merge(slot, target, sources, merge)
    }

    #[inline]
    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        self.pulse()?;
        self.get_values(slot, keys, visit)
    }

    #[inline]
    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        self.pulse()?;
        self.modify_values(slot, keys, change)
    }

    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.directory.check(slot, StateOperation::Any)?;
        self.rewrite_state(slot, rewrite)
    }

    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        self.attend()?;
        self.begin_snapshot(request)
    }

    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.attend()?;
        self.completed(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.attend()?;
        self.aborted(checkpoint)
    }

    fn statistics(&self) -> StoreStatistics {
        let mut statistics =
            self.directory.statistics(|slot| EntryCount::Estimate(self.estimate(slot)));
        statistics.memory_bytes = self.layer.memory_bytes()
            + self.sealed.as_ref().map_or(0, Layer::memory_bytes)
            + self.reads.held_bytes()
            + self.cache.held_bytes()
            + self.segments.joint_bytes();
        statistics.snapshots_in_flight = self.chain.in_flight();
        statistics.compactions_in_flight = u32::from(self.background.is_merging());
        statistics
    }
}
