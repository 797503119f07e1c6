//! [`Slots`]: entries whose keys and values have fixed widths, in sets of two cache lines.
//!
//! | offset in a set | type | field |
//! |---|---|---|
//! | 0 | `u32` | generation |
//! | 4 | `u8` | entries |
//! | 5 | `u8` | which of them goes next, when all slots are taken |
//! | 8 | 8 x `u8` | tags |
//! | 16 | | slots: key, value |
//!
//! # Invariants
//! I4. Tags are given so that one key has different tags in different states ([`Mark`]): who has the same
//!     tag and the same key is of the same state.

use super::buffer::{Buffer, Found};
use super::tier::{Mark, Table};
use crate::segment::same;
use crate::word::matching;

/// Bytes of a set.
pub(super) const SET: usize = 128;
/// Bytes in front of its slots.
const HEADER: usize = 16;
/// Slots of a set at most.
const MOST_WAYS: usize = 8;

/// A table of sets; see the module's page.
#[derive(Debug)]
pub(super) struct Slots {
    sets: Buffer<SET>,
    /// Bytes of a key.
    key: usize,
    /// Bytes of a key and a value.
    width: usize,
    ways: u8,
}

/// How many entries of such widths have room in a set.
pub(super) fn ways(entry_bytes: usize) -> usize {
    (SET - HEADER).checked_div(entry_bytes).unwrap_or(0).min(MOST_WAYS)
}

impl Slots {
    /// An empty table without sets, for keys and values of such widths.
    pub(super) fn new(key: usize, value: usize) -> Self {
        let width = key.saturating_add(value);
        let ways = u8::try_from(ways(width)).unwrap_or_default();
        Self { sets: Buffer::new(), key, width, ways }
    }
}

impl Table<SET> for Slots {
    #[inline]
    fn sets(&self) -> &Buffer<SET> {
        &self.sets
    }

    fn sets_mut(&mut self) -> &mut Buffer<SET> {
        &mut self.sets
    }

    #[inline]
    fn find(&self, set: usize, Mark { tag, .. }: Mark, key: &[u8]) -> Option<Found> {
        let (start, set) = self.sets.set(set)?;
        let ([head, tags, ..], _) = set.as_chunks() else { return None };
        let head = Head::decoded(u64::from_le_bytes(*head));
        if head.generation != self.sets.generation() || key.len() != self.key {
            return None;
        }
        // Tags behind those that count are of no entry.
        let mut found = matching(u64::from_le_bytes(*tags), tag);
        while found != 0 {
            let way = found.trailing_zeros() as usize / 8;
            let at = HEADER.wrapping_add(way.wrapping_mul(self.width));
            let value = at.wrapping_add(self.key);
            if way < usize::from(head.count) && same(set.get(at..value)?, key) {
                let (at, length) = (start.wrapping_add(value), self.width.wrapping_sub(self.key));
                return Some(Found { at, length });
            }
            found &= found - 1;
        }
        None
    }

    fn add(&mut self, set: usize, mark: Mark, key: &[u8], value: &[u8]) -> Option<usize> {
        if (key.len(), key.len() + value.len()) != (self.key, self.width) {
            return None;
        }
        let generation = self.sets.generation();
        let (head, rest) = self.sets.set_mut(set)?.split_first_chunk_mut()?;
        let mut new = Head::decoded(u64::from_le_bytes(*head));
        if new.generation != generation {
            new = Head { generation, count: 0, next: 0 };
        }
        let is_full = new.count == self.ways;
        let way = usize::from(if is_full { new.next } else { new.count });
        if is_full {
            new.next = if new.next + 1 < self.ways { new.next + 1 } else { 0 };
        } else {
            new.count += 1;
        }
        *head = new.encoded().to_le_bytes();
        let (tags, slots) = rest.split_at_mut(HEADER - head.len());
        *tags.get_mut(way)? = mark.tag;
        let slot = slots.get_mut(way * self.width..(way + 1) * self.width)?;
        let (of_key, of_value) = slot.split_at_mut(self.key);
        of_key.copy_from_slice(key);
        of_value.copy_from_slice(value);
        Some(usize::from(is_full))
    }
}

/// What a set begins with.
#[derive(Clone, Copy)]
struct Head {
    generation: u32,
    count: u8,
    next: u8,
}

impl Head {
    #[inline]
    const fn decoded(word: u64) -> Self {
        let [a, b, c, d, count, next, _, _] = word.to_le_bytes();
        Self { generation: u32::from_le_bytes([a, b, c, d]), count, next }
    }

    const fn encoded(self) -> u64 {
        let [a, b, c, d] = self.generation.to_le_bytes();
        u64::from_le_bytes([a, b, c, d, self.count, self.next, 0, 0])
    }
}
