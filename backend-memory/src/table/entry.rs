//! One key of a table, found or not.
//!
//! # Invariants
//! N1. An [`Occupied`] borrows its table mutably from the probe on, so nothing moves the slot it found.
//!     Every operation that could consumes the entry. What it lends borrows the entry,
//!     or the table where the entry is gone.

#![expect(unsafe_code, reason = "uses the slot that its own probe found (N1)")]

use super::cell::Cell;
use super::hash::Hash;
use super::key::KeyRep;
use super::raw::{At, Mark, Slot};
use super::shared::Shards;

/// A key's place in a table: read, then change, in one probe.
pub(crate) enum Entry<'t, 'k, K: KeyRep, C: Cell> {
    Occupied(Occupied<'t, K, C>),
    Vacant(Vacant<'t, 'k, K, C>),
}

/// The place of a key that is in a table.
pub(crate) struct Occupied<'t, K: KeyRep, C: Cell> {
    shards: &'t mut Shards<K, C>,
    hash: Hash,
    at: At<Slot<K, C>>,
    /// The shard, and with which generation the value may be changed in place: looked up with the
    /// slot, when its neighbours in memory are.
    mark: Mark,
}

impl<'t, K: KeyRep, C: Cell> Occupied<'t, K, C> {
    /// The value.
    #[inline]
    pub(crate) fn get(&self) -> &C {
        // SAFETY: the probe found the slot, and nothing changed the table since (N1); the
        // reference lives no longer than the borrow of `self`.
        &unsafe { self.at.entry() }.cell
    }

    /// Changes the value in place. `change` may run under a lock that a snapshot waits for: it
    /// should be short. The entry counts as changed whatever it does.
    #[inline]
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut C) -> R) -> R {
        // SAFETY: the probe found the slot, and nothing but edits of it changed the table (N1).
        unsafe { self.shards.edit(self.hash, (self.at, self.mark), change) }
    }

    /// The value, if it counts as changed already and no snapshot needs it as it is: for a change that leaves its
    /// [`heap_bytes`](Cell::heap_bytes) as they are. Otherwise [`edit`](Self::edit) has to be used.
    #[inline]
    pub(crate) fn in_place(self) -> Option<&'t mut C> {
        // SAFETY: the probe found the slot, and nothing but edits of it changed the table (N1).
        if Shards::<K, C>::PLAIN || unsafe { self.at.generation() } != self.mark.current() {
            return None;
        }
        // SAFETY: as above; no snapshot looks at an entry of that generation (W5 of `shared.rs`).
        Some(&mut unsafe { self.at.entry_mut() }.0.cell)
    }

    /// Removes the key; its value comes back.
    #[inline]
    pub(crate) fn remove(self) -> C {
        // SAFETY: the probe found the slot, and nothing but edits of it changed the table (N1).
        unsafe { self.shards.remove(self.hash, self.at) }.cell
    }
}

/// The place of a key that is not in a table.
pub(crate) struct Vacant<'t, 'k, K: KeyRep, C: Cell> {
    shards: &'t mut Shards<K, C>,
    hash: Hash,
    probe: K::Probe<'k>,
}

impl<K: KeyRep, C: Cell> Vacant<'_, '_, K, C> {
    /// Adds the key with its value.
    #[inline(never)]
    pub(crate) fn insert(self, cell: C) {
        let key = K::store(self.probe, self.hash);
        self.shards.insert(self.hash, Slot { key, cell });
    }
}

impl<K: KeyRep, C: Cell> std::fmt::Debug for Entry<'_, '_, K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Occupied(_) => "Occupied",
            Self::Vacant(_) => "Vacant",
        })
    }
}

impl<'t, 'k, K: KeyRep, C: Cell> Entry<'t, 'k, K, C> {
    /// Looks for the key.
    #[inline]
    pub(super) fn new(shards: &'t mut Shards<K, C>, hash: Hash, probe: K::Probe<'k>) -> Self {
        match shards.find(hash, probe) {
            Some(at) => {
                let mark = shards.mark(hash);
                Self::Occupied(Occupied { shards, hash, at, mark })
            }
            None => Self::Vacant(Vacant { shards, hash, probe }),
        }
    }

    /// The value, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<&C> {
        match self {
            Self::Occupied(entry) => Some(entry.get()),
            Self::Vacant(_) => None,
        }
    }

    /// Sets the value; the old one comes back.
    #[inline]
    pub(crate) fn put(self, cell: C) -> Option<C> {
        match self {
            Self::Occupied(mut entry) => {
                Some(entry.edit(move |place| std::mem::replace(place, cell)))
            }
            Self::Vacant(entry) => {
                entry.insert(cell);
                None
            }
        }
    }

    /// As [`Occupied::edit`], if there is a value.
    #[inline]
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut C) -> R) -> Option<R> {
        match self {
            Self::Occupied(entry) => Some(entry.edit(change)),
            Self::Vacant(_) => None,
        }
    }

    /// Removes the key; its value comes back.
    #[inline]
    pub(crate) fn remove(self) -> Option<C> {
        match self {
            Self::Occupied(entry) => Some(entry.remove()),
            Self::Vacant(_) => None,
        }
    }
}
