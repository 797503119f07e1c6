//! [`Chain`]: which checkpoint increments build on, and where its files are in the storage.
//!
//! # Invariants
//! C1. The base is a confirmed checkpoint of this store, or the one it was restored from; only its
//!     files are referenced again.
//! C2. Candidates are results of tasks whose checkpoints may still be confirmed.
//! C3. A full checkpoint that is confirmed ends the base: its files may be deleted with the checkpoint
//!     that it replaces. Savepoints change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::{CheckpointId, KeyGroupRange};
use parking_lot::Mutex;

use crate::member::Member;

/// Candidates that are remembered; older ones can no longer become a base.
const MOST_CANDIDATES: usize = 64;

/// The files of a checkpoint, by the segment that each is.
pub(crate) type Uploads = BTreeMap<u64, SnapshotFile>;

/// A confirmed checkpoint.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) checkpoint: CheckpointId,
    pub(crate) uploads: Uploads,
}

/// A checkpoint that may be confirmed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) checkpoint: CheckpointId,
    /// What its segment is relative to.
    pub(crate) basis: u64,
    /// What had changed in the layer.
    pub(crate) segment: Option<Arc<Member>>,
    /// Key groups of which the segment has everything.
    pub(crate) folded: Vec<KeyGroupRange>,
    /// The files that later increments may reference; none of a full checkpoint.
    pub(crate) uploads: Option<Uploads>,
}

/// Tasks report here.
pub(crate) type Candidates = Arc<Mutex<Vec<Candidate>>>;

/// Reports a snapshot that may be confirmed.
pub(crate) fn report(candidates: &Candidates, candidate: Candidate) {
    let mut candidates = candidates.lock();
    if candidates.len() == MOST_CANDIDATES {
        candidates.remove(0);
    }
    candidates.push(candidate);
}

/// Counts a snapshot as in flight while it exists.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The chain of a store; see the module's page.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    base: Option<Arc<Base>>,
    candidates: Candidates,
    newest: Option<CheckpointId>,
    in_flight: Arc<AtomicU32>,
    pub(crate) last: Option<CheckpointId>,
}

impl Chain {
    /// The confirmed checkpoint whose files may be referenced.
    pub(crate) fn base(&self) -> Option<Arc<Base>> {
        self.base.clone()
    }

    /// Makes the checkpoint that the store was restored from the base.
    pub(crate) fn restored(&mut self, base: Base) {
        self.newest = Some(base.checkpoint);
        self.last = Some(base.checkpoint);
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

    /// A checkpoint was confirmed: returns what its task reported, if it is the newest one.
    pub(crate) fn completed(&mut self, checkpoint: CheckpointId) -> Option<Candidate> {
        if self.newest.is_some_and(|newest| newest >= checkpoint) {
            return None;
        }
        let mut candidates = self.candidates.lock();
        let at = candidates.iter().position(|other| other.checkpoint == checkpoint)?;
        let mut candidate = candidates.swap_remove(at);
        candidates.retain(|other| other.checkpoint > checkpoint);
        drop(candidates);
        self.newest = Some(checkpoint);
        let uploads = candidate.uploads.take();
        self.base = uploads.map(|uploads| Arc::new(Base { checkpoint, uploads }));
        Some(candidate)
    }

    /// A checkpoint will never be confirmed.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) {
        self.candidates.lock().retain(|other| other.checkpoint != checkpoint);
    }

    /// Forgets what may be referenced: the next increment uploads everything.
    pub(crate) fn reset(&mut self) {
        self.base = None;
        self.candidates.lock().clear();
    }
}
