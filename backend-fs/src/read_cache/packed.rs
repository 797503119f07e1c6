//! [`Packed`]: entries of any widths, in sets of four cache lines.
//!
//! | offset in a set | type | field |
//! |---|---|---|
//! | 0 | `u32` | generation, and twelve bits that are 0 |
//! | 4 | `u8` | bytes of entries |
//! | 5 | | entries, oldest first: state, length of the key, length of the value, one byte each; key; value |
//!
//! # Invariants
//! I5. Entries fill the bytes that the set counts.

use super::buffer::{Buffer, Found};
use super::tier::{Mark, Table};
use crate::segment::same;

/// Bytes in front of a set's entries.
const HEADER: usize = 5;
/// Bytes in front of an entry's key.
const ENTRY_HEADER: usize = 3;
/// Bytes of a set.
const SET: usize = 256;

/// A table of sets; see the module's page.
#[derive(Debug)]
pub(super) struct Packed {
    sets: Buffer<SET>,
}

impl Packed {
    /// An empty table without sets.
    pub(super) const fn new() -> Self {
        Self { sets: Buffer::new() }
    }

    /// Bytes of entries in a set that begins so.
    #[inline]
    fn used(&self, [a, b, c, d, used]: [u8; HEADER]) -> usize {
        self.sets.own(u32::from_le_bytes([a, b, c, d])).map_or(0, |_none| usize::from(used))
    }
}

impl Table for Packed {
    fn set_bytes(&self) -> usize {
        SET
    }

    fn sets(&self) -> usize {
        self.sets.sets()
    }

    fn resize(&mut self, sets: usize) {
        self.sets.resize(sets);
    }

    fn clear(&mut self) {
        self.sets.clear();
    }

    fn held_bytes(&self) -> usize {
        self.sets.held_bytes()
    }

    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        self.sets.set_of(hash)
    }

    #[inline]
    fn prefetch(&self, set: usize, _: Mark) {
        self.sets.prefetch(set);
    }

    #[inline]
    fn lend(&self, found: Found) -> &[u8] {
        self.sets.lend(found)
    }

    #[inline]
    fn find(&self, set: usize, Mark { state, .. }: Mark, key: &[u8]) -> Option<Found> {
        let start = set.wrapping_mul(SET);
        let (head, entries) = self.sets.set(set)?.split_first_chunk()?;
        let used = self.used(*head);
        let mut rest = entries.get(..used)?;
        while let Some(([of, key_length, length], entry)) = rest.split_first_chunk::<ENTRY_HEADER>()
        {
            let (key_length, length) = (usize::from(*key_length), usize::from(*length));
            let value = entry.get(key_length..)?;
            if *of == state && same(entry.get(..key_length)?, key) {
                return Some(Found { at: start + HEADER + used - value.len(), length });
            }
            rest = value.get(length..)?;
        }
        None
    }

    fn add(&mut self, set: usize, mark: Mark, key: &[u8], value: &[u8]) -> Option<usize> {
        let new = self.sets.head(0);
        let (key_length, length) = (u8::try_from(key.len()).ok()?, u8::try_from(value.len()).ok()?);
        let needed = ENTRY_HEADER + key.len() + value.len();
        let mut end = self.used(*self.sets.set(set)?.first_chunk()?);
        let (head, entries) = self.sets.set_mut(set)?.split_first_chunk_mut::<HEADER>()?;
        let room = entries.len().checked_sub(needed)?;
        let (mut gone, mut from) = (0, 0);
        while end - from > room {
            let [_, key_length, length] = entries.get(from..)?.first_chunk::<ENTRY_HEADER>()?;
            from += ENTRY_HEADER + usize::from(*key_length) + usize::from(*length);
            gone += 1;
        }
        entries.copy_within(from..end, 0);
        end -= from;
        let (of_generation, of_used) = head.split_at_mut(size_of::<u32>());
        of_generation.copy_from_slice(&new.to_le_bytes());
        of_used.copy_from_slice(&[u8::try_from(end + needed).ok()?]);
        let entry = entries.get_mut(end..end + needed)?;
        let (of_lengths, rest) = entry.split_at_mut(ENTRY_HEADER);
        of_lengths.copy_from_slice(&[mark.state, key_length, length]);
        let (of_key, of_value) = rest.split_at_mut(key.len());
        of_key.copy_from_slice(key);
        of_value.copy_from_slice(value);
        Some(gone)
    }
}
