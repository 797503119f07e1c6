//! Gathers entries of fixed width by key group before they go to the group's block.
//!
//! # Role
//! A block of 64 KiB for each of many groups is more than the caches hold: an entry at a time, every
//! fourth would wait for memory. The stage is small enough to stay cached, and goes into the blocks
//! by half a kilobyte.
//!
//! # Invariants
//! * G1 What is staged of a slot is a whole number of entries.

use super::layout::FixedLayout;

/// Bytes staged of each key group.
const STAGE_BYTES: usize = 512;
/// The widest entries that are staged, in bytes.
const MOST_ENTRY_BYTES: usize = 64;
/// The smallest blocks that are worth it, in bytes.
const LEAST_CAPACITY_BYTES: usize = 4 << 10;

/// A few entries for each slot.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    key: usize,
    value: usize,
    /// Bytes of a slot; none if nothing is staged.
    room: usize,
    bytes: Vec<u8>,
    fills: Vec<usize>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// It is staged.
    Kept,
    /// It is staged, and there is no room for another one in its slot.
    Full,
    /// It has other widths, or there is no such slot.
    Refused,
}

impl Stage {
    /// A stage for entries of this layout; one that refuses all of them where it is of no use.
    pub(crate) fn new(slots: usize, layout: Option<FixedLayout>, capacity: usize) -> Self {
        let Some(layout) = layout.filter(|layout| {
            (1..=MOST_ENTRY_BYTES).contains(&layout.entry_bytes())
                && capacity >= LEAST_CAPACITY_BYTES
        }) else {
            return Self::default();
        };
        let room = STAGE_BYTES - STAGE_BYTES % layout.entry_bytes();
        Self {
            key: layout.key_bytes(),
            value: layout.value,
            room,
            bytes: vec![0; room.saturating_mul(slots)],
            fills: vec![0; slots],
        }
    }

    /// Adds an entry.
    #[inline]
    pub(crate) fn put(&mut self, slot: usize, key: &[u8], value: &[u8]) -> Staged {
        let Some(fill) = self.fills.get_mut(slot) else {
            return Staged::Refused;
        };
        let start = slot * self.room + *fill;
        let width = self.key + self.value;
        let free = self.bytes.get_mut(start..start + width);
        let parts = free.and_then(|free| free.split_at_mut_checked(key.len()));
        let Some((front, back)) = parts else {
            return Staged::Refused;
        };
        if key.len() != self.key || value.len() != back.len() {
            return Staged::Refused;
        }
        copy(front, key);
        copy(back, value);
        *fill += width;
        if *fill >= self.room { Staged::Full } else { Staged::Kept }
    }

    /// What is staged of a slot, which is empty afterwards.
    pub(crate) fn take(&mut self, slot: usize) -> &[u8] {
        let fill = self.fills.get_mut(slot).map(std::mem::take).unwrap_or_default();
        let start = slot * self.room;
        self.bytes.get(start..start + fill).unwrap_or_default()
    }
}

/// Copies between slices of one length: the commonest one without a call.
#[inline]
fn copy(target: &mut [u8], source: &[u8]) {
    match (<&mut [u8; 8]>::try_from(&mut *target), <&[u8; 8]>::try_from(source)) {
        (Ok(target), Ok(source)) => *target = *source,
        _ => target.copy_from_slice(source),
    }
}
