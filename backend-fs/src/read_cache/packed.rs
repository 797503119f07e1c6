//! [`Packed`]: entries of any widths, in sets of four cache lines.
//!
//! | offset in a set | type | field |
//! |---|---|---|
//! | 0 | `u32` | generation |
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
pub(super) const SET: usize = 256;

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
}

impl Table<SET> for Packed {
    #[inline]
    fn sets(&self) -> &Buffer<SET> {
        &self.sets
    }

    fn sets_mut(&mut self) -> &mut Buffer<SET> {
        &mut self.sets
    }

    #[inline]
    fn find(&self, set: usize, Mark { state, .. }: Mark, key: &[u8]) -> Option<Found> {
        let (start, set) = self.sets.set(set)?;
        let (head, entries) = set.split_first_chunk()?;
        let used = used(*head, self.sets.generation());
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
        let generation = self.sets.generation();
        let (key_length, length) = (u8::try_from(key.len()).ok()?, u8::try_from(value.len()).ok()?);
        let needed = ENTRY_HEADER + key.len() + value.len();
        let (head, entries) = self.sets.set_mut(set)?.split_first_chunk_mut()?;
        let mut end = used(*head, generation);
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
        of_generation.copy_from_slice(&generation.to_le_bytes());
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

/// Bytes of entries in a set that begins so.
#[inline]
fn used([a, b, c, d, used]: [u8; HEADER], generation: u32) -> usize {
    if u32::from_le_bytes([a, b, c, d]) == generation { usize::from(used) } else { 0 }
}
