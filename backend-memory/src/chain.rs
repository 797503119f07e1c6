//! The files that the next incremental snapshot builds on.
//!
//! An increment adds one file to the files of the confirmed checkpoint below it, and writes some key groups
//! in full ([`fold`](crate::fold)), so that older files no longer count for those (`SnapshotFile::live`). A
//! file that counts for none leaves the chain.
//!
//! # Invariants
//! C1. The base is a confirmed checkpoint of this store, or the one it was restored from.
//! C2. For each key group the files of a chain, limited to where they are live, oldest first, yield
//!     the state as of the base.
//! C3. Candidates are results of tasks whose checkpoints may still be confirmed, in ascending order.
//! C4. A full checkpoint that is confirmed ends the chain: its files are its own, and those of the
//!     base may be deleted with the checkpoint that it replaces. Savepoints change nothing.

use std::sync::Arc;

use alluvium_state_api::snapshot::{FileLocation, SnapshotFile};
use alluvium_state_api::{CheckpointId, KeyGroup, KeyGroupRange};

use crate::sync::{AtomicU32, Mutex, Ordering};
use crate::table::Epoch;
use crate::tables::state::State;

/// Candidates that are remembered; older ones can no longer become a base.
const MOST_CANDIDATES: usize = 64;

/// A file of a chain with the bytes that it has for each key group.
#[derive(Clone, Debug)]
pub(crate) struct ChainFile {
    pub(crate) file: SnapshotFile,
    /// Stored bytes by key group, from the first group of the store's range on.
    pub(crate) group_bytes: Arc<[u64]>,
}

impl ChainFile {
    /// The same file, without the key groups for which `replaced` says true.
    pub(crate) fn without(&self, range: KeyGroupRange, replaced: &[bool]) -> Option<Self> {
        let counts = |group: KeyGroup| {
            self.is_live(group) && !replaced.get(index_of(range, group)).copied().unwrap_or(false)
        };
        let live = range.runs_where(counts);
        let file = SnapshotFile { live, ..self.file.clone() };
        (!file.live.is_empty()).then(|| Self { file, group_bytes: Arc::clone(&self.group_bytes) })
    }

    /// Whether a key group counts.
    pub(crate) fn is_live(&self, group: KeyGroup) -> bool {
        self.file.live.iter().any(|live| live.contains(group))
    }

    /// Bytes that a restore reads of the file.
    pub(crate) fn read_bytes(&self, range: KeyGroupRange) -> u64 {
        if self.file.live.as_slice() == [range] {
            return self.file.stored.length;
        }
        range.iter().map(|group| self.live_bytes(range, group)).sum()
    }

    /// Bytes that a restore reads of a key group.
    pub(crate) fn live_bytes(&self, range: KeyGroupRange, group: KeyGroup) -> u64 {
        if self.is_live(group) {
            self.group_bytes.get(index_of(range, group)).copied().unwrap_or(0)
        } else {
            0
        }
    }
}

fn index_of(range: KeyGroupRange, group: KeyGroup) -> usize {
    usize::from(group.index().saturating_sub(range.start()))
}

/// A checkpoint on which increments may build.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) checkpoint: CheckpointId,
    /// By slot: the epoch that the checkpoint ended in the state's table.
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) files: Vec<ChainFile>,
}

impl Base {
    /// A checkpoint with these files; `None` if one of them cannot be shared.
    pub(crate) fn new(
        checkpoint: CheckpointId,
        epochs: Vec<Epoch>,
        files: Vec<ChainFile>,
    ) -> Option<Self> {
        let shareable =
            files.iter().all(|file| !matches!(file.file.stored.location, FileLocation::Own(_)));
        shareable.then_some(Self { checkpoint, epochs, files })
    }
}

/// Tasks report here what may become a base.
pub(crate) type Candidates = Arc<Mutex<Vec<Base>>>;

/// Counts a snapshot as in flight while it exists.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The chain of a store.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    base: Option<Arc<Base>>,
    candidates: Candidates,
    /// The newest checkpoint that was confirmed, full or incremental: those before it are subsumed.
    newest: Option<CheckpointId>,
    /// Full checkpoints that were asked for and may be confirmed, in ascending order.
    full: Vec<CheckpointId>,
    in_flight: Arc<AtomicU32>,
    pub(crate) last: Option<CheckpointId>,
    /// Whether increments are all that is wanted: see [`MemoryStore::into_write_layer`].
    ///
    /// [`MemoryStore::into_write_layer`]: crate::MemoryStore::into_write_layer
    pub(crate) changes_alone: bool,
}

impl Chain {
    /// The confirmed checkpoint that the next increment builds on.
    pub(crate) fn base(&self) -> Option<Arc<Base>> {
        self.base.clone()
    }

    /// Makes the checkpoint that the store was restored from the base.
    pub(crate) fn restored(&mut self, base: Base) {
        self.newest = Some(base.checkpoint);
        self.base = Some(Arc::new(base));
    }

    /// Where a task reports.
    pub(crate) fn candidates(&self) -> Candidates {
        Arc::clone(&self.candidates)
    }

    /// Begins to count a snapshot.
    pub(crate) fn start(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Snapshots in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A checkpoint was confirmed: it becomes the base, if its task reported and it is the newest.
    pub(crate) fn completed(&mut self, checkpoint: CheckpointId, states: &mut [State]) {
        if self.newest.is_some_and(|newest| newest >= checkpoint) {
            return;
        }
        if self.full.contains(&checkpoint) {
            self.reset();
            self.full.retain(|other| *other > checkpoint);
            self.newest = Some(checkpoint);
            return;
        }
        let mut candidates = self.candidates.lock();
        let Some(at) = candidates.iter().position(|base| base.checkpoint == checkpoint) else {
            return;
        };
        let base = candidates.swap_remove(at);
        candidates.retain(|other| other.checkpoint > checkpoint);
        drop(candidates);
        self.newest = Some(checkpoint);
        for (state, epoch) in states.iter_mut().zip(&base.epochs) {
            state.set_base(Some(*epoch));
        }
        self.base = Some(Arc::new(base));
    }

    /// A full checkpoint was asked for: once it is confirmed, the files of the base may go.
    pub(crate) fn full_requested(&mut self, checkpoint: CheckpointId) {
        if self.full.len() == MOST_CANDIDATES {
            self.full.remove(0);
        }
        self.full.push(checkpoint);
    }

    /// A checkpoint will never be confirmed.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) {
        self.full.retain(|other| *other != checkpoint);
        self.candidates.lock().retain(|base| base.checkpoint != checkpoint);
    }

    /// Forgets the base: the next incremental snapshot is a full one.
    pub(crate) fn reset(&mut self) {
        self.base = None;
        self.candidates.lock().clear();
    }
}

/// Reports a snapshot that may become a base.
pub(crate) fn report(candidates: &Candidates, base: Base) {
    let mut candidates = candidates.lock();
    if candidates.len() == MOST_CANDIDATES {
        candidates.remove(0);
    }
    candidates.push(base);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_state_api::snapshot::{FileFormat, StoredFile};

    fn range() -> KeyGroupRange {
        KeyGroupRange::new(10, 74).unwrap()
    }

    fn file(bytes: u64) -> ChainFile {
        let location = FileLocation::Inline(Arc::new([]));
        let stored = StoredFile { location, length: bytes * 64, checksum: 0 };
        let file = SnapshotFile {
            stored,
            frame_checksum: None,
            format: FileFormat::State,
            label: "".into(),
            live: vec![range()],
        };
        ChainFile { file, group_bytes: vec![bytes; 64].into() }
    }

    #[test]
    fn what_was_subsumed_never_becomes_the_base() {
        let id = CheckpointId::new;
        let base = |checkpoint| Base::new(id(checkpoint), Vec::new(), vec![file(1)]).unwrap();
        let mut chain = Chain::default();
        chain.full_requested(id(2));
        chain.completed(id(2), &mut []);
        report(&chain.candidates(), base(1));
        chain.completed(id(1), &mut []);
        assert!(chain.base().is_none(), "a full checkpoint completed after it");
        report(&chain.candidates(), base(4));
        report(&chain.candidates(), base(3));
        chain.completed(id(4), &mut []);
        chain.completed(id(3), &mut []);
        assert_eq!(chain.base().unwrap().checkpoint, id(4));
    }

    #[test]
    fn only_what_is_confirmed_becomes_the_base() {
        let id = CheckpointId::new;
        let base = |checkpoint| Base::new(id(checkpoint), Vec::new(), vec![file(1)]).unwrap();
        let mut chain = Chain::default();
        report(&chain.candidates(), base(4));
        chain.completed(id(3), &mut []);
        assert!(chain.base().is_none(), "the task of 3 has not reported, and 4 is not confirmed");
        chain.aborted(id(4));
        chain.completed(id(4), &mut []);
        assert!(chain.base().is_none(), "4 was aborted");
    }

    #[test]
    fn ranges_are_merged_and_have_gaps() {
        let wanted = [10u16, 11, 12, 20, 73];
        let ranges = range().runs_where(|group| wanted.contains(&group.index()));
        let found: Vec<_> = ranges.iter().map(|range| (range.start(), range.end())).collect();
        assert_eq!(found, [(10, 13), (20, 21), (73, 74)]);
    }
}
