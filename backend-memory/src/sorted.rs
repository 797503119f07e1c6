//! [`Sorted`]: entries on their way into a large table, by the part of it that they go to.
//!
//! # Why
//! A file's entries come in the order of another table, or of keys. Put into a table one by one each of them
//! waits for memory, twice: tags, and a slot. Here they are gathered for parts of a table that fit into a
//! core's cache, and go into one after the other.
//!
//! # Invariants
//! Q1. Entries of one key go into the table in the order in which they came. Who does anything else to the
//!     table lets go of what waits for it first.
//!
//! # Cost
//! Some 5 ns an entry, and memory for as many bytes as the entries have in files, up to [`MOST_BYTES`].

use std::ops::Range;

use alluvium_state_api::format::FixedLayout;

/// Shards of a part: some 200 KiB, which a core's cache holds together with what waits for them.
const PART_SHARDS_BITS: u32 = 2;
/// The most parts: more than these are no longer written side by side at speed.
const MOST_BITS: u32 = 8;
/// The fewest that are worth it.
const FEWEST_BITS: u32 = 4;
/// Entries that may wait for a shard: as many as it has, and those that a chain has superseded. With half of
/// them a chain cost its parts a visit more than a full snapshot did.
const SHARD_ENTRIES: usize = 2_500;
/// Bytes that wait, at most.
const MOST_BYTES: usize = if cfg!(test) { 1 << 14 } else { 64 << 20 };

/// Entries of one width that wait for the parts of a table; see the module's page.
#[derive(Debug)]
pub(crate) struct Sorted {
    layout: FixedLayout,
    parts: Vec<Vec<u8>>,
    bits: u32,
    /// Bytes that wait for a part, at most.
    most: usize,
}

impl Sorted {
    /// For entries of these widths, and a table of this depth. `None` where it would gain nothing.
    pub(crate) fn of(layout: FixedLayout, depth: u32) -> Option<Self> {
        let bits = depth.saturating_sub(PART_SHARDS_BITS).min(MOST_BITS);
        let width = layout.entry_bytes();
        let all = width.saturating_mul(SHARD_ENTRIES).checked_shl(depth).unwrap_or(usize::MAX);
        let most = (all.min(MOST_BYTES) >> bits).max(width);
        (bits >= FEWEST_BITS).then(|| Self {
            layout,
            parts: vec![Vec::new(); 1 << bits],
            bits,
            most,
        })
    }

    /// The widths of entries.
    #[inline]
    pub(crate) const fn layout(&self) -> FixedLayout {
        self.layout
    }

    /// How many bits choose a part.
    #[inline]
    pub(crate) const fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether there is room for one more entry in a part; there is after [`take`](Self::take).
    #[inline]
    pub(crate) fn has_room(&self, part: usize) -> bool {
        let waiting = self.parts.get(part).map_or(0, Vec::len);
        waiting.saturating_add(self.layout.entry_bytes()) <= self.most
    }

    /// All parts.
    pub(crate) fn all(&self) -> Range<usize> {
        0..self.parts.len()
    }

    /// Lets an entry wait.
    #[inline]
    pub(crate) fn push(&mut self, part: usize, entry: &[u8]) {
        let Some(waiting) = self.parts.get_mut(part) else { return };
        if waiting.capacity() == 0 {
            waiting.reserve_exact(self.most);
        }
        match <&[u8; 16]>::try_from(entry) {
            Ok(entry) => waiting.extend_from_slice(entry),
            Err(_other) => waiting.extend_from_slice(entry),
        }
    }

    /// What waits for a part, in the order in which it came. To be given [back](Self::give_back).
    pub(crate) fn take(&mut self, part: usize) -> Vec<u8> {
        self.parts.get_mut(part).map(std::mem::take).unwrap_or_default()
    }

    /// Takes a buffer back, to be filled again.
    pub(crate) fn give_back(&mut self, part: usize, mut buffer: Vec<u8>) {
        buffer.clear();
        if let Some(waiting) = self.parts.get_mut(part) {
            *waiting = buffer;
        }
    }
}
