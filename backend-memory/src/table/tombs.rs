//! Which keys were removed, for increments.
//!
//! # Role
//! An increment says what changed since a base; generations tell for entries that are there, this
//! log for those that are not. It is kept only from the horizon on, the oldest epoch that a later
//! increment may build upon.
//!
//! # Invariants
//! T1. With horizon `h`, the log has the key of every removal in every epoch after `h`. A key may
//!     be in it several times, and may be in the table again: an increment is applied by removing
//!     first and then inserting.
//! T2. The log is bounded: with more removals than [`SLACK`] and than entries left, an increment
//!     would be worth no more than a full snapshot, and the horizon is given up.
//! T3. A sealed epoch never changes. Views share it.

use super::Epoch;
use std::sync::Arc;

/// Removals that are logged however few entries are left.
const SLACK: usize = 1 << 16;

/// Bytes of a chunk; a longer key has a chunk of its own.
const CHUNK_BYTES: usize = 1 << 16;

/// The removals of one epoch: chunks of keys, each behind its length in four bytes.
#[derive(Debug)]
pub(super) struct Sealed {
    epoch: Epoch,
    count: usize,
    chunks: Vec<Vec<u8>>,
}

impl Sealed {
    /// The epoch.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Yields the keys.
    pub(super) fn for_each(&self, mut each: impl FnMut(&[u8])) {
        for chunk in &self.chunks {
            let mut rest = chunk.as_slice();
            while let Some((len, tail)) = rest.split_first_chunk() {
                let len = u32::from_le_bytes(*len) as usize;
                let Some((key, tail)) = tail.split_at_checked(len) else {
                    break;
                };
                each(key);
                rest = tail;
            }
        }
    }
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Tombs {
    horizon: Option<Epoch>,
    sealed: Vec<Arc<Sealed>>,
    open: Vec<Vec<u8>>,
    open_count: usize,
    count: usize,
}

impl Tombs {
    /// The oldest epoch that an increment may build upon.
    #[inline]
    pub(super) fn horizon(&self) -> Option<Epoch> {
        self.horizon
    }

    /// Moves the horizon, and forgets what is before it.
    pub(super) fn set_horizon(&mut self, horizon: Option<Epoch>) {
        self.horizon = horizon;
        if let Some(horizon) = horizon {
            self.sealed.retain(|sealed| sealed.epoch > horizon);
        } else {
            (self.sealed, self.open, self.open_count) = (Vec::new(), Vec::new(), 0);
        }
        let sealed = self.sealed.iter().map(|sealed| sealed.count);
        self.count = sealed.fold(self.open_count, usize::saturating_add);
    }

    /// Logs a removal (T1), with so many entries left (T2).
    pub(super) fn record(&mut self, key: &[u8], left: usize) {
        let Ok(len) = u32::try_from(key.len()) else {
            return self.set_horizon(None);
        };
        if self.count > left.max(SLACK) {
            return self.set_horizon(None);
        }
        let needed = key.len().saturating_add(size_of::<u32>());
        let full = |chunk: &Vec<u8>| chunk.len().saturating_add(needed) > CHUNK_BYTES;
        if self.open.last().is_none_or(full) {
            // The first chunk of an epoch starts small: most states see few removals.
            let first = if self.open.is_empty() { needed } else { CHUNK_BYTES };
            self.open.push(Vec::with_capacity(first.max(needed)));
        }
        if let Some(chunk) = self.open.last_mut() {
            chunk.extend_from_slice(&len.to_le_bytes());
            chunk.extend_from_slice(key);
        }
        self.open_count = self.open_count.saturating_add(1);
        self.count = self.count.saturating_add(1);
    }

    /// Ends an epoch. Yields what a view of it needs: all sealed epochs.
    pub(super) fn seal(&mut self, epoch: Epoch) -> Vec<Arc<Sealed>> {
        if self.open_count > 0 {
            let (chunks, count) = (std::mem::take(&mut self.open), self.open_count);
            self.open_count = 0;
            self.sealed.push(Arc::new(Sealed { epoch, count, chunks }));
        }
        self.sealed.clone()
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        let sealed = self.sealed.iter().flat_map(|sealed| &sealed.chunks);
        sealed.chain(&self.open).map(Vec::capacity).fold(0, usize::saturating_add)
    }
}
