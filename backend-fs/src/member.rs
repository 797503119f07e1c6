//! [`Member`]: a segment of a store, with what the store knows about it besides what it holds.

use std::sync::Arc;

use alluvium_state_api::format::{StateFile, StateTotals};
use alluvium_state_api::schema::StateKind;
use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::{KeyGroup, KeyGroupRange, Result};

use crate::local::LocalFile;
use crate::segment::{ReadMode, Segment};

/// A segment of a store.
#[derive(Debug)]
pub(crate) struct Member {
    segment: Arc<Segment>,
    /// The file as snapshots describe it; its place is the private directory.
    described: SnapshotFile,
    /// By id of the state: what it has in the live key groups.
    totals: Vec<StateTotals>,
    /// By id of the state: whether it may have removed maps.
    removes_maps: Vec<bool>,
    live_bytes: u64,
}

impl Member {
    /// Opens a file that is as described, of which the live key groups count.
    pub(crate) fn open(file: LocalFile, described: SnapshotFile, mode: ReadMode) -> Result<Self> {
        let segment = Segment::open(file, described.stored.length, &described.live, mode)?;
        Ok(Self::counting(Arc::new(segment), described))
    }

    /// The same where it is open already.
    pub(crate) fn over(
        local: LocalFile,
        file: StateFile,
        described: SnapshotFile,
        mode: ReadMode,
    ) -> Result<Self> {
        let segment = Segment::over(local, file, &described.live, mode)?;
        Ok(Self::counting(Arc::new(segment), described))
    }

    /// The same without the key groups for which `gone` says true; `None` where it counts for none then.
    pub(crate) fn without(&self, gone: impl Fn(KeyGroup) -> bool) -> Option<Self> {
        let range = self.segment.spec().range;
        let live = range.runs_where(|group| self.is_live(group) && !gone(group));
        let described = SnapshotFile { live, ..self.described.clone() };
        let some = !described.live.is_empty();
        some.then(|| Self::counting(Arc::clone(&self.segment), described))
    }

    fn counting(segment: Arc<Segment>, described: SnapshotFile) -> Self {
        let states = segment.spec().states.len();
        let (mut totals, mut live_bytes) = (vec![StateTotals::default(); states], 0u64);
        for range in &described.live {
            for (total, part) in totals.iter_mut().zip(segment.state_file().totals(*range)) {
                total.entries = total.entries.saturating_add(part.entries);
                total.tombstones = total.tombstones.saturating_add(part.tombstones);
                total.stored_bytes = total.stored_bytes.saturating_add(part.stored_bytes);
                total.digest.0 = total.digest.0.wrapping_add(part.digest.0);
                live_bytes = live_bytes.saturating_add(part.stored_bytes);
            }
        }
        let metas = segment.spec().states.iter().zip(&totals);
        let removes_maps =
            metas.map(|(meta, total)| meta.kind == StateKind::Map && total.tombstones > 0);
        let removes_maps = removes_maps.collect();
        Self { segment, described, totals, removes_maps, live_bytes }
    }

    /// What it holds.
    #[inline]
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// A number that no other segment of the store has.
    pub(crate) fn id(&self) -> u64 {
        self.segment.local().id()
    }

    /// The file as snapshots describe it.
    pub(crate) fn described(&self) -> &SnapshotFile {
        &self.described
    }

    /// The key groups that count.
    pub(crate) fn live(&self) -> &[KeyGroupRange] {
        &self.described.live
    }

    /// Whether a key group counts.
    pub(crate) fn is_live(&self, group: KeyGroup) -> bool {
        self.live().iter().any(|live| live.contains(group))
    }

    /// Bytes that a restore reads of it: all of the file, or what counts of it.
    pub(crate) fn read_bytes(&self) -> u64 {
        if self.live() == [self.segment.spec().range] {
            return self.described.stored.length;
        }
        self.live_bytes
    }

    /// Bytes of the sections that count.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// What a state has in the key groups that count.
    pub(crate) fn totals(&self, state: u16) -> StateTotals {
        self.totals.get(usize::from(state)).copied().unwrap_or_default()
    }

    /// Entries of all states in the key groups that count.
    pub(crate) fn entries(&self) -> u64 {
        self.totals.iter().map(|total| total.entries).fold(0, u64::saturating_add)
    }

    /// Whether a state may have removed maps.
    #[inline]
    pub(crate) fn removes_maps(&self, state: u16) -> bool {
        self.removes_maps.get(usize::from(state)).copied().unwrap_or(false)
    }

    /// The id of the state with this name.
    pub(crate) fn state_id(&self, name: &str) -> Option<u16> {
        self.segment.state_id(name)
    }
}
