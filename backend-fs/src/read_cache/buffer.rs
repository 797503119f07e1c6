//! [`Buffer`]: memory that is divided into sets of `N` bytes.
//!
//! # Invariants
//! I1. A set begins at a multiple of 64 in memory: those of 64 bytes are cache lines, and others whole ones.
//! I2. What was not written yet is 0. The operating system brings such memory when it is touched.
//! I3. A set begins with a generation, four bytes. If it is not the present one, the set is empty, whatever
//!     else it says: so all sets are emptied by counting on. No generation is 0.

use alluvium_backend_memory::{prefer_huge_pages, prefetch};

const CACHE_LINE: usize = 64;

/// Sets of `N` bytes; see the module's page.
#[derive(Debug)]
pub(super) struct Buffer<const N: usize> {
    bytes: Vec<u8>,
    /// Where the first set begins in `bytes`.
    start: usize,
    sets: usize,
    generation: u32,
}

impl<const N: usize> Buffer<N> {
    /// Without sets.
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, sets: 0, generation: 1 }
    }

    /// Starts over with so many sets, all empty.
    pub(super) fn resize(&mut self, sets: usize) {
        // First the old ones go.
        *self = Self::new();
        if sets > 0 {
            self.bytes = vec![0; sets.saturating_mul(N).saturating_add(CACHE_LINE)];
            prefer_huge_pages(&mut self.bytes);
            self.start = self.bytes.as_ptr().align_offset(CACHE_LINE);
            self.sets = sets;
        }
    }

    /// Empties all sets (I3).
    pub(super) fn clear(&mut self) {
        match self.generation.checked_add(1) {
            Some(next) => self.generation = next,
            None => self.resize(self.sets),
        }
    }

    /// The present generation.
    #[inline]
    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// The set in which an entry with this hash belongs.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "smaller than the number of sets")]
    pub(super) const fn set_of(&self, hash: u64) -> usize {
        ((hash as u128 * self.sets as u128) >> 64) as usize
    }

    /// How many sets there are.
    pub(super) const fn sets(&self) -> usize {
        self.sets
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where a set is.
    #[inline]
    const fn at(&self, set: usize) -> usize {
        self.start.wrapping_add(set.wrapping_mul(N))
    }

    /// A set, and where it begins.
    #[inline]
    pub(super) fn set(&self, set: usize) -> Option<(usize, &[u8; N])> {
        let at = self.at(set);
        Some((at, self.bytes.get(at..)?.first_chunk()?))
    }

    /// A set, to be changed.
    #[inline]
    pub(super) fn set_mut(&mut self, set: usize) -> Option<&mut [u8; N]> {
        let at = self.at(set);
        self.bytes.get_mut(at..)?.first_chunk_mut()
    }

    /// Bytes of a set.
    #[inline]
    pub(super) fn lend(&self, Found { at, length }: Found) -> &[u8] {
        self.bytes.get(at..at.wrapping_add(length)).unwrap_or_default()
    }

    /// Asks the processor to load a set.
    #[inline]
    pub(super) fn prefetch(&self, set: usize) {
        let first = self.bytes.as_ptr().wrapping_add(self.at(set));
        for line in 0..N / CACHE_LINE {
            prefetch(first.wrapping_add(line * CACHE_LINE));
        }
    }
}

/// Where a value is; good until something is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(super) at: usize,
    pub(super) length: usize,
}
