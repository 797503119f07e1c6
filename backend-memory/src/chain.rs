//! The files that the next incremental snapshot builds on, and which of them it replaces.
//!
//! # How a chain stays short
//! An increment adds one file to the files of the confirmed checkpoint below it. Entries that it
//! overwrites stay behind in older files as garbage. Instead of rewriting everything now and then,
//! each increment writes *some key groups in full*; the older files then no longer count for those
//! groups (`SnapshotFile::live`), and a file that counts for none leaves the chain. [`plan`]
//! chooses so many that what a restore reads stays within [`MOST_READ_PERCENT`] of the state and a
//! chain has at most [`MOST_FILES`] files. With c % changed per checkpoint that costs about 2c % more.
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

/// What a restore may read, in percent of a full snapshot.
const MOST_READ_PERCENT: u64 = 120;

/// Files in a chain from which on the oldest is phased out, and at most.
const MANY_FILES: usize = 32;
const MOST_FILES: usize = 64;

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
    fn without(&self, range: KeyGroupRange, replaced: &[bool]) -> Option<Self> {
        let counts = |group: KeyGroup| {
            let live = self.file.live.iter().any(|live| live.contains(group));
            live && !replaced.get(index_of(range, group)).copied().unwrap_or(false)
        };
        let live = range.runs_where(counts);
        let file = SnapshotFile { live, ..self.file.clone() };
        (!file.live.is_empty()).then(|| Self { file, group_bytes: Arc::clone(&self.group_bytes) })
    }

    /// Bytes that a restore reads of the file.
    pub(crate) fn read_bytes(&self, range: KeyGroupRange) -> u64 {
        if self.file.live.as_slice() == [range] {
            return self.file.stored.length;
        }
        range.iter().map(|group| self.live_bytes(range, group)).sum()
    }

    fn live_bytes(&self, range: KeyGroupRange, group: KeyGroup) -> u64 {
        let live = self.file.live.iter().any(|live| live.contains(group));
        if live { self.group_bytes.get(index_of(range, group)).copied().unwrap_or(0) } else { 0 }
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

/// What an increment writes, and what it keeps of its base.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By key group of the range: is it written in full?
    pub(crate) full: Vec<bool>,
    /// The files of the base that still count.
    pub(crate) kept: Vec<ChainFile>,
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

/// The plan of an increment that holds what changed and nothing else, and keeps no files.
pub(crate) fn changes_alone(range: KeyGroupRange) -> Plan {
    Plan { full: vec![false; usize::from(range.len())], kept: Vec::new() }
}

/// Chooses the key groups that an increment on `base` writes in full, given what a full snapshot
/// would have in bytes.
pub(crate) fn plan(base: &Base, range: KeyGroupRange, full_bytes: u64) -> Plan {
    let groups = usize::from(range.len());
    let mut full = vec![false; groups];
    if let Some(oldest) = base.files.first().filter(|_| base.files.len() >= MANY_FILES) {
        let live: Vec<KeyGroup> = oldest.file.live.iter().flat_map(|live| live.iter()).collect();
        let left = MOST_FILES.saturating_sub(base.files.len()).max(1);
        for group in live.iter().take(live.len().div_ceil(left)) {
            if let Some(full) = full.get_mut(index_of(range, *group)) {
                *full = true;
            }
        }
    }
    let in_chain: Vec<u64> = range
        .iter()
        .map(|group| base.files.iter().map(|file| file.live_bytes(range, group)).sum())
        .collect();
    let average = full_bytes / (groups.max(1) as u64);
    let total: u64 = in_chain.iter().sum();
    let mut excess = total.saturating_sub(full_bytes.saturating_mul(MOST_READ_PERCENT) / 100);
    let mut order: Vec<usize> = (0..groups).collect();
    order.sort_by_key(|group| std::cmp::Reverse(in_chain.get(*group).copied().unwrap_or(0)));
    for group in order {
        let garbage = in_chain.get(group).copied().unwrap_or(0).saturating_sub(average);
        if excess == 0 || garbage == 0 {
            break;
        }
        if let Some(full) = full.get_mut(group) {
            *full = true;
        }
        excess = excess.saturating_sub(garbage);
    }
    let kept = base.files.iter().filter_map(|file| file.without(range, &full)).collect();
    Plan { full, kept }
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

    /// Simulates a store whose state stays at 64 x 10,000 bytes while `changed` bytes per group
    /// change between checkpoints; returns bytes read by a restore and written, per checkpoint.
    fn run(changed: u64, checkpoints: u64) -> (u64, u64, usize) {
        let (mut most_read, mut written, mut most_files) = (0, 0, 0);
        let mut files = vec![file(10_000)];
        for checkpoint in 0..checkpoints {
            let id = CheckpointId::new(checkpoint + 1);
            let base = Base::new(id, Vec::new(), files).unwrap();
            let plan = plan(&base, range(), 640_000);
            let bytes: Vec<u64> =
                plan.full.iter().map(|full| if *full { 10_000 } else { changed }).collect();
            written += bytes.iter().sum::<u64>();
            files = plan.kept;
            files.push(ChainFile { group_bytes: bytes.into(), ..file(0) });
            let read = |group| files.iter().map(|f| f.live_bytes(range(), group)).sum::<u64>();
            most_read = most_read.max(range().iter().map(read).sum());
            most_files = most_files.max(files.len());
        }
        (most_read, written / checkpoints, most_files)
    }

    #[test]
    fn one_percent_churn_stays_within_the_bounds() {
        let (read, written, files) = run(100, 400);
        assert!(read <= 640_000 * 130 / 100, "a restore reads {read}");
        assert!(written <= 640_000 * 35 / 1000, "a checkpoint writes {written}");
        assert!(files <= MOST_FILES + 1, "{files} files");
    }

    #[test]
    fn low_churn_does_not_grow_the_chain() {
        let (read, written, files) = run(1, 1000);
        assert!(read <= 640_000 * 130 / 100 && files <= MOST_FILES + 1, "{read} in {files} files");
        assert!(written <= 640_000 * 25 / 1000, "a checkpoint writes {written}");
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
