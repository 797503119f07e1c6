//! Gathers entries of fixed width by key group before they go to the group's block.
//!
//! # Role
//! A block of 64 KiB for each of many groups is more than the caches hold: an entry at a time, every
//! fourth would wait for memory. The stage is small enough to stay cached, and goes into the blocks
//! by half a kilobyte. Widths are known to the compiler, so that an entry is a few moves.
//!
//! # Invariants
//! * G1 What is staged of a slot is a whole number of entries.

use super::layout::FixedLayout;

/// Bytes staged of each key group.
const STAGE_BYTES: usize = 512;
/// The smallest blocks that are worth it, in bytes.
const LEAST_CAPACITY_BYTES: usize = 4 << 10;

/// What is staged of a key group; begins with a cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Slot([u8; STAGE_BYTES]);

/// A few entries for each slot.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    slots: Vec<Slot>,
    fills: Vec<usize>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// It is staged.
    Kept,
    /// It is staged, and there is no room for another one in its slot.
    Full,
    /// There is no such slot.
    Refused,
}

impl Stage {
    /// A stage with so many slots; without any where it is of no use.
    pub(crate) fn new(slots: usize, layout: Option<FixedLayout>, capacity: usize) -> Self {
        let useful = layout.is_some_and(|layout| (1..=64).contains(&layout.entry_bytes()));
        let slots = if useful && capacity >= LEAST_CAPACITY_BYTES { slots } else { 0 };
        Self { slots: vec![Slot([0; STAGE_BYTES]); slots], fills: vec![0; slots] }
    }

    /// Whether it has slots.
    pub(crate) fn is_used(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Adds an entry; all of them have the same widths.
    #[inline]
    pub(crate) fn put<const K: usize, const V: usize>(
        &mut self,
        slot: usize,
        key: &[u8; K],
        value: &[u8; V],
    ) -> Staged {
        let (Some(bytes), Some(fill)) = (self.slots.get_mut(slot), self.fills.get_mut(slot)) else {
            return Staged::Refused;
        };
        let free = bytes.0.get_mut(*fill..).and_then(|free| free.split_first_chunk_mut::<K>());
        let Some((front, back)) = free else {
            return Staged::Refused;
        };
        let Some(back) = back.first_chunk_mut::<V>() else {
            return Staged::Refused;
        };
        (*front, *back) = (*key, *value);
        *fill += K + V;
        if *fill > STAGE_BYTES - (K + V) { Staged::Full } else { Staged::Kept }
    }

    /// What is staged of a slot, which is empty afterwards.
    pub(crate) fn take(&mut self, slot: usize) -> &[u8] {
        let fill = self.fills.get_mut(slot).map(std::mem::take).unwrap_or_default();
        self.slots.get(slot).and_then(|slot| slot.0.get(..fill)).unwrap_or_default()
    }
}
