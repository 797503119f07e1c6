//! Copies of entries, and the undo log of a snapshot.
//!
//! # Role
//! While a snapshot is in flight, the writer copies each entry, before it first changes it, into
//! the snapshot's [`UndoLog`]. One log serves all shards: its end stays in the first-level cache,
//! where a list per shard would cost several misses per change. The snapshot takes full chunks
//! out as it goes, and what is left when it has captured the last shard.
//!
//! # Invariants
//! L1. The log of a snapshot of epoch `e` gets every entry that existed at its instant and was
//!     changed or removed before its shard was captured, as it was, once. These are exactly the
//!     entries with an epoch of at most `e` at the moment of change; afterwards it is greater.
//! L2. The writer adds to the log under the lock of a shard that the snapshot still needs, and
//!     the snapshot takes the last chunk when it has seen that it needs no shard any more. Each
//!     addition happened before the capture of that shard, so the log is complete by then, and
//!     the last chunk needs no lock of its own.

#![expect(
    unsafe_code,
    reason = "one chunk that is the writer's first and the snapshot's then (L2)"
)]

use super::Epoch;
use super::cell::Cell;
use super::key::KeyRep;
use super::pool::Pool;
use super::raw::Slot;
use parking_lot::Mutex;
use std::cell::UnsafeCell;

/// Records of a chunk of the log, and bytes: it is full when it has so many of either.
const CHUNK: usize = 1024;
const CHUNK_BYTES: usize = 1 << 16;

/// A copy of an entry.
pub(super) struct Record<K: KeyRep, C: Cell> {
    pub(super) key: K::Image,
    pub(super) image: C::Image,
    /// When the entry was last touched.
    pub(super) epoch: Epoch,
}

/// Copies of entries, in memory that is used again.
pub(super) struct Records<K: KeyRep, C: Cell> {
    pub(super) list: Vec<Record<K, C>>,
    pub(super) arena: Vec<u8>,
}

impl<K: KeyRep, C: Cell> Default for Records<K, C> {
    fn default() -> Self {
        Self { list: Vec::new(), arena: Vec::new() }
    }
}

impl<K: KeyRep, C: Cell> Records<K, C> {
    /// Copies an entry.
    #[inline]
    pub(super) fn push(&mut self, entry: &Slot<K, C>, epoch: Epoch) {
        let key = entry.key.image(&mut self.arena);
        let image = entry.cell.image(&mut self.arena);
        self.list.push(Record { key, image, epoch });
    }

    /// Forgets the copies, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.arena.clear();
    }
}

/// What a snapshot must still see of entries that changed.
pub(super) struct UndoLog<K: KeyRep, C: Cell> {
    open: UnsafeCell<Records<K, C>>,
    full: Mutex<Vec<Records<K, C>>>,
}

// SAFETY: two threads use a log, and hand the open chunk from one to the other (L2).
unsafe impl<K: KeyRep, C: Cell> Sync for UndoLog<K, C> {}

impl<K: KeyRep, C: Cell> Default for UndoLog<K, C> {
    fn default() -> Self {
        Self { open: UnsafeCell::default(), full: Mutex::default() }
    }
}

impl<K: KeyRep, C: Cell> UndoLog<K, C> {
    /// Keeps an entry as it is.
    ///
    /// # Safety
    /// L2: the caller is the writer, and has locked a shard that the snapshot needs.
    #[inline]
    pub(super) unsafe fn push(&self, entry: &Slot<K, C>, epoch: Epoch, pool: &Pool<K, C>) {
        // SAFETY: only the writer uses the open chunk while a shard is needed (L2).
        let open = unsafe { &mut *self.open.get() };
        open.push(entry, epoch);
        if open.list.len() >= CHUNK || open.arena.len() >= CHUNK_BYTES {
            self.full.lock().push(std::mem::replace(open, pool.records()));
        }
    }

    /// Takes out a full chunk.
    pub(super) fn pop_full(&self) -> Option<Records<K, C>> {
        self.full.lock().pop()
    }

    /// Takes out the chunk that is not full, if there is anything in it.
    ///
    /// # Safety
    /// L2: the caller is the snapshot, and has seen that all its shards are captured.
    pub(super) unsafe fn take_open(&self) -> Option<Records<K, C>> {
        // SAFETY: only the snapshot uses the open chunk once no shard is needed (L2).
        let open = unsafe { &mut *self.open.get() };
        Some(std::mem::take(open)).filter(|open| !open.list.is_empty())
    }
}
