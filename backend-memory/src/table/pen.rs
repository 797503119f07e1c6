//! Where the writer copies plain entries to before it first changes them in an epoch.
//!
//! # Role
//! Nearly every update that runs beside a snapshot is the first one of its entry. A [`Pen`] has at hand
//! what such an update asks: whether the snapshot needs the entry, and where its copy goes. It leaves to
//! others, by saying no, what is seldom: several snapshots, and full chunks.
//!
//! # Invariants
//! B1. The pen is that of the only ticket, if this is of the last epoch before the current one: then each
//!     entry that was not touched in the current epoch belongs to the snapshot. It finds nothing needed
//!     if there is no ticket; and it has no room if there are others, and where entries are not plain.
//! B2. What else may be true of the tickets is seen when the chunk is full: until then the pen may be
//!     behind, at the chunk of a ticket that ended, or at one that is full.

#![expect(unsafe_code, reason = "writes to a chunk that snapshots read (`records.rs`, L3)")]

use super::Epoch;
use super::cell::Cell;
use super::key::KeyRep;
use super::raw::{At, Mark, Slot};
use super::records::{Chunk, Origin};
use super::view::{Marks, Ticket};
use std::sync::Arc;

/// See the module.
pub(super) struct Pen<K: KeyRep, C: Cell> {
    chunk: Arc<Chunk<K, C>>,
    marks: Arc<Marks>,
}

impl<K: KeyRep, C: Cell> Pen<K, C> {
    /// Has no room.
    pub(super) fn dry() -> Self {
        Self { chunk: Chunk::of::<0>(), marks: Arc::new(Marks::new(0)) }
    }

    /// Goes where these tickets want it, in this epoch (B1).
    ///
    /// # Safety
    /// The caller is the writer, and entries are plain.
    pub(super) unsafe fn go(&mut self, tickets: &[Arc<Ticket<K, C>>], epoch: Epoch) {
        match tickets {
            [] if self.marks.is_empty() && self.chunk.has_room() => {}
            [] => *self = Self { chunk: Chunk::of::<1>(), ..Self::dry() },
            [ticket] if ticket.epoch.wrapping_add(1) == epoch => {
                // SAFETY: as the caller promised.
                let chunk = unsafe { ticket.open_chunk() };
                *self = Self { chunk, marks: Arc::clone(ticket.marks()) };
            }
            _ if self.marks.is_empty() && !self.chunk.has_room() => {}
            _ => *self = Self::dry(),
        }
    }

    /// Copies an entry, if it is needed; `false` where there is no room. The mark is that of its shard,
    /// and knows the current generation there.
    ///
    /// # Safety
    /// The caller is the writer, entries are plain, and the place holds one (`raw.rs`, R4).
    #[inline]
    pub(super) unsafe fn keep(&self, at: At<Slot<K, C>>, mark: Mark) -> bool {
        if !self.chunk.has_room() {
            return false;
        }
        if !self.marks.needs(mark.owner()) || cfg!(canary = "undo") {
            return true;
        }
        // SAFETY: nobody else writes the entry (the caller).
        let origin = Origin::of(at, mark, unsafe { at.generation() });
        // SAFETY: as above.
        let entry = unsafe { at.entry() };
        // SAFETY: the writer is the chunk's one writer, and plain entries have no bytes for an arena.
        unsafe { self.chunk.push(entry, origin) }
    }
}
