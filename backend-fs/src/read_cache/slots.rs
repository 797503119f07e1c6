//! [`Slots`]: entries whose keys and values have fixed widths, in sets of twelve slots.
//!
//! What tells where an entry may be lies apart from the entries: 16 bytes of a set, so that those of many sets stay
//! in the processor's caches, and only the line of the entry itself has to come from memory. Which line that is
//! can be told before the head has come, mostly: an entry prefers four slots of the twelve, which are a line where
//! keys and values have 8 bytes.
//!
//! | offset in a head | type | field |
//! |---|---|---|
//! | 0 | `u32` | generation, and in the lowest twelve bits, which slots are taken |
//! | 4 | 12 x `u8` | tags |
//!
//! # Invariants
//! I4. Tags are given so that one key has different tags in different states ([`Mark`]): who has the same
//!     tag and the same key is of the same state.

use alluvium_backend_memory::matching_bytes;

use super::buffer::{Buffer, Found, Memory};
use super::tier::{Mark, Table};
use crate::segment::same;

/// Bytes of a set's head.
const HEAD: usize = 16;
/// Bytes of a head in front of its tags.
const TAGS: usize = 4;
/// Slots of a set.
const WAYS: usize = HEAD - TAGS;
/// Bytes of the longest entry that is kept here: a set of them has as many as a page.
pub(super) const MOST_BYTES: usize = 320;

/// Bytes of a key and a value that have 8 each.
const EIGHTS: usize = 16;
/// Slots that an entry prefers to the others.
const LINE: usize = 4;

/// The first of the slots in which an entry had best be.
#[inline]
const fn preferred(mark: Mark) -> usize {
    ((mark.rest as u64 * (WAYS / LINE) as u64) >> u32::BITS) as usize * LINE
}

/// A table of sets; see the module's page.
#[derive(Debug)]
pub(super) struct Slots {
    heads: Buffer<HEAD>,
    entries: Memory,
    /// Bytes of a key.
    key: usize,
    /// Bytes of a key and a value.
    width: usize,
    /// Which of the preferred slots goes next, where all of a set are taken.
    next: usize,
}

impl Slots {
    /// An empty table without sets, for keys and values of such widths.
    pub(super) const fn new(key: usize, value: usize) -> Self {
        let width = key.saturating_add(value);
        Self { heads: Buffer::new(), entries: Memory::new(), key, width, next: 0 }
    }

    /// Where a slot is.
    #[inline]
    const fn at(&self, set: usize, way: usize) -> usize {
        set.wrapping_mul(WAYS).wrapping_add(way).wrapping_mul(self.width)
    }

    /// The slots of a set that are taken and have a tag, as bits from the lowest on.
    #[expect(clippy::inline_always, reason = "a dozen instructions of each look")]
    #[inline(always)]
    fn alike(&self, set: usize, tag: u8) -> Option<u32> {
        let head = self.heads.set(set)?;
        let taken = self.heads.own(u32::from_le_bytes(*head.first_chunk()?))?;
        Some(matching_bytes(head, tag) >> TAGS & taken)
    }

    /// The value of a key, where both have 8 bytes, if it is the first entry with its tag.
    #[expect(clippy::inline_always, reason = "so that it travels in a register")]
    #[inline(always)]
    pub(super) fn eight(&self, set: usize, mark: Mark, key: [u8; 8]) -> Option<u64> {
        let alike = self.alike(set, mark.tag)?;
        if alike == 0 {
            return None;
        }
        let way = alike.trailing_zeros() as usize;
        let at = set.wrapping_mul(WAYS).wrapping_add(way).wrapping_mul(EIGHTS);
        let ([found, value], _) = self.entries.chunk::<EIGHTS>(at)?.as_chunks::<8>() else {
            return None;
        };
        (*found == key).then(|| u64::from_le_bytes(*value))
    }

    /// Gives an entry another value, if it is there.
    #[inline]
    pub(super) fn overwrite(&mut self, set: usize, mark: Mark, key: [u8; 8], value: [u8; 8]) {
        if let Some(Found { at, length }) = self.find(set, mark, &key)
            && let Some(place) = self.entries.part_mut(at, length)
        {
            place.copy_from_slice(&value);
        }
    }

    /// Takes away an entry, if it is there.
    #[inline]
    pub(super) fn forget(&mut self, set: usize, mark: Mark, key: &[u8]) {
        if self.alike(set, mark.tag).is_some_and(|alike| alike != 0) {
            self.take_away(set, mark, key);
        }
    }

    fn take_away(&mut self, set: usize, mark: Mark, key: &[u8]) -> Option<()> {
        let at = self.find(set, mark, key)?.at.checked_sub(self.key)?;
        let way = at.checked_sub(self.at(set, 0))?.checked_div(self.width)?;
        let head = self.heads.set_mut(set)?.first_chunk_mut()?;
        let taken = u32::from_le_bytes(*head) & !(1 << way);
        *head = taken.to_le_bytes();
        Some(())
    }

    /// Asks the processor to load the slot where an entry seems to be; the head of the set should have come.
    #[inline]
    pub(super) fn prefetch_slot(&self, set: usize, Mark { tag, .. }: Mark) {
        if let Some(alike) = self.alike(set, tag) {
            self.entries.prefetch(self.at(set, alike.trailing_zeros() as usize % WAYS));
        }
    }
}

impl Table for Slots {
    fn set_bytes(&self) -> usize {
        HEAD.saturating_add(WAYS.saturating_mul(self.width))
    }

    fn sets(&self) -> usize {
        self.heads.sets()
    }

    fn resize(&mut self, sets: usize) {
        // First the old ones go.
        self.entries = Memory::new();
        self.heads.resize(sets);
        if sets > 0 {
            self.entries = Memory::zeroed(sets.saturating_mul(WAYS.saturating_mul(self.width)));
        }
    }

    fn clear(&mut self) {
        self.heads.clear();
    }

    fn held_bytes(&self) -> usize {
        self.heads.held_bytes() + self.entries.held_bytes()
    }

    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        self.heads.set_of(hash)
    }

    #[inline]
    fn prefetch(&self, set: usize, mark: Mark) {
        self.heads.prefetch(set);
        self.entries.prefetch(self.at(set, preferred(mark)));
    }

    #[inline]
    fn find(&self, set: usize, Mark { tag, .. }: Mark, key: &[u8]) -> Option<Found> {
        let mut alike = self.alike(set, tag)?;
        while alike != 0 {
            let way = alike.trailing_zeros() as usize;
            let at = self.at(set, way);
            if key.len() == self.key && same(self.entries.part(at, self.key)?, key) {
                let (at, length) = (at.wrapping_add(self.key), self.width.wrapping_sub(self.key));
                return Some(Found { at, length });
            }
            alike &= alike - 1;
        }
        None
    }

    #[inline]
    fn lend(&self, Found { at, length }: Found) -> &[u8] {
        self.entries.part(at, length).unwrap_or_default()
    }

    fn add(&mut self, set: usize, mark: Mark, key: &[u8], value: &[u8]) -> Option<usize> {
        if (key.len(), key.len() + value.len()) != (self.key, self.width) {
            return None;
        }
        let head = u32::from_le_bytes(*self.heads.set(set)?.first_chunk()?);
        let taken = self.heads.own(head).unwrap_or(0);
        let (free, preferred) = (!taken & ((1 << WAYS) - 1), preferred(mark));
        let is_full = free == 0;
        let way = if is_full {
            self.next = (self.next + 1) % LINE;
            preferred + self.next
        } else {
            let late = free >> preferred << preferred;
            (if late == 0 { free } else { late }).trailing_zeros() as usize
        };
        let new = self.heads.head(taken | 1 << way);
        let at = self.at(set, way);
        let (of_key, of_value) = self.entries.part_mut(at, self.width)?.split_at_mut(self.key);
        of_key.copy_from_slice(key);
        of_value.copy_from_slice(value);
        let (head, tags) = self.heads.set_mut(set)?.split_at_mut(TAGS);
        head.copy_from_slice(&new.to_le_bytes());
        *tags.get_mut(way)? = mark.tag;
        Some(usize::from(is_full))
    }
}
