//! [`Chain`]: which checkpoint increments build on, and where its files are in the storage.
//!
//! # Invariants
//! C1. The base is a confirmed checkpoint of this store, or the one it was restored from; only its files are
//!     referenced again.
//! C2. Candidates are results of tasks whose checkpoints may still be confirmed.
//! C3. A full checkpoint that is confirmed ends the base: its files may be deleted with the checkpoint that it
//!     replaces. Savepoints change nothing.
//! C4. RocksDB numbers its files upwards and never writes one again, also in a database that begins with the files
//!     of another one: in the life of a store a name means one content.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_state_api::CheckpointId;
use alluvium_state_api::snapshot::SnapshotFile;
use parking_lot::Mutex;

/// Candidates that are remembered; older ones can no longer become a base.
const MOST_CANDIDATES: usize = 64;

/// The files of a checkpoint that may be referenced again, by RocksDB's name for each (C4).
pub(crate) type Uploads = BTreeMap<Box<str>, SnapshotFile>;

/// What tasks report: files that later increments may reference, none of a full checkpoint.
type Candidates = BTreeMap<CheckpointId, Option<Arc<Uploads>>>;

/// Where a task reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports(Arc<Mutex<Candidates>>);

impl Reports {
    /// Reports a snapshot that may be confirmed.
    pub(crate) fn report(&self, checkpoint: CheckpointId, uploads: Option<Uploads>) {
        let mut candidates = self.0.lock();
        candidates.insert(checkpoint, uploads.map(Arc::new));
        if candidates.len() > MOST_CANDIDATES {
            candidates.pop_first();
        }
    }
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
    base: Option<Arc<Uploads>>,
    reports: Reports,
    newest: Option<CheckpointId>,
    last: Option<CheckpointId>,
    in_flight: Arc<AtomicU32>,
}

impl Chain {
    /// Whether a checkpoint of this number may begin now.
    pub(crate) fn may_begin(&self, checkpoint: CheckpointId) -> bool {
        self.last.is_none_or(|last| checkpoint > last)
    }

    /// Begins a checkpoint, which counts as in flight as long as what is returned lives.
    pub(crate) fn begin(&mut self, checkpoint: CheckpointId) -> InFlight {
        self.last = Some(checkpoint);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Snapshots in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The files that may be referenced (C1).
    pub(crate) fn base(&self) -> Option<Arc<Uploads>> {
        self.base.clone()
    }

    /// Where tasks report.
    pub(crate) fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Makes the checkpoint that the store was restored from the base.
    pub(crate) fn restored(&mut self, checkpoint: CheckpointId, uploads: Uploads) {
        (self.newest, self.last) = (Some(checkpoint), Some(checkpoint));
        self.base = Some(Arc::new(uploads));
    }

    /// A checkpoint was confirmed; late and repeated notifications change nothing.
    pub(crate) fn completed(&mut self, checkpoint: CheckpointId) {
        if self.newest.is_some_and(|newest| newest >= checkpoint) {
            return;
        }
        let mut candidates = self.reports.0.lock();
        if let Some(uploads) = candidates.remove(&checkpoint) {
            candidates.retain(|other, _| *other > checkpoint);
            drop(candidates);
            self.newest = Some(checkpoint);
            self.base = uploads;
        }
    }

    /// A checkpoint will never be confirmed.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) {
        self.reports.0.lock().remove(&checkpoint);
    }
}
