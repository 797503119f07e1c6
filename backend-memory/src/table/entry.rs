//! One key of a table, found or not.
//!
//! # Invariants
//! N1. An [`Entry`] borrows its table mutably from the probe on, so nothing moves the slot it found.
//!     Every operation that could consumes the entry.

#![expect(unsafe_code, reason = "uses the slot that its own probe found (N1)")]

use super::cell::Cell;
use super::hash::Hash;
use super::key::KeyRep;
use super::raw::{At, Slot};
use super::shared::Shards;

/// A key's place in a table: read, then change, in one probe.
pub(crate) struct Entry<'t, 'k, K: KeyRep, C: Cell> {
    shards: &'t mut Shards<K, C>,
    hash: Hash,
    probe: K::Probe<'k>,
    at: Option<At<Slot<K, C>>>,
}

impl<K: KeyRep, C: Cell> std::fmt::Debug for Entry<'_, '_, K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("found", &self.at.is_some()).finish_non_exhaustive()
    }
}

impl<'t, 'k, K: KeyRep, C: Cell> Entry<'t, 'k, K, C> {
    /// Looks for the key.
    #[inline]
    pub(super) fn new(shards: &'t mut Shards<K, C>, hash: Hash, probe: K::Probe<'k>) -> Self {
        let at = shards.find(hash, probe);
        Self { shards, hash, probe, at }
    }

    /// The value, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<&C> {
        // SAFETY: the probe found the slot, and nothing changed the table since (N1); the
        // reference lives no longer than the borrow of `self`.
        self.at.map(|at| unsafe { &at.entry().cell })
    }

    /// Sets the value; the old one comes back.
    #[inline]
    pub(crate) fn put(self, cell: C) -> Option<C> {
        let Some(at) = self.at else {
            self.add(cell);
            return None;
        };
        let put = |place: &mut C| std::mem::replace(place, cell);
        // SAFETY: the probe found the slot, and nothing changed the table since (N1).
        Some(unsafe { self.shards.edit(self.hash, at, put) })
    }

    /// Changes the value in place, if there is one. `change` may run under a lock that a snapshot
    /// waits for: it should be short. The entry counts as changed whatever it does.
    #[inline]
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut C) -> R) -> Option<R> {
        // SAFETY: the probe found the slot, and nothing but edits of it changed the table (N1).
        self.at.map(|at| unsafe { self.shards.edit(self.hash, at, change) })
    }

    /// Removes the key; its value comes back.
    #[inline]
    pub(crate) fn remove(self) -> Option<C> {
        // SAFETY: the probe found the slot, and nothing but edits of it changed the table (N1).
        self.at.map(|at| unsafe { self.shards.remove(self.hash, at) }.cell)
    }

    #[inline(never)]
    fn add(self, cell: C) {
        let key = K::store(self.probe, self.hash);
        self.shards.insert(self.hash, Slot { key, cell });
    }
}
