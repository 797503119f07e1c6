//! [`Memory`], which begins a cache line, and [`Buffer`]: memory that is divided into sets of `N` bytes.
//!
//! # Invariants
//! I1. Memory begins at a multiple of 64: sets of a power of two of bytes share no cache line that they need not.
//! I2. What was not written yet is 0. The operating system brings such memory when it is touched.
//! I3. A set begins with a word of four bytes, the generation and 12 bits of the set's own. If it is not the present
//!     generation, the set is empty, whatever else it says: so all sets are emptied by counting on. No generation
//!     is 0.

use alluvium_backend_memory::{prefer_huge_pages, prefetch};

const CACHE_LINE: usize = 64;

/// Bits of a set's own beside the generation.
const OWN_BITS: u32 = 12;

/// Bytes that begin a cache line.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: Vec<u8>,
    /// Where the first line begins in `bytes`.
    start: usize,
}

impl Memory {
    /// None.
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// So many, all 0.
    pub(super) fn zeroed(length: usize) -> Self {
        let mut bytes = vec![0; length.saturating_add(CACHE_LINE)];
        prefer_huge_pages(&mut bytes);
        let start = bytes.as_ptr().align_offset(CACHE_LINE);
        Self { bytes, start }
    }

    /// `N` bytes from `at` on.
    #[inline]
    pub(super) fn chunk<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        self.bytes.get(self.start.wrapping_add(at)..)?.first_chunk()
    }

    /// `N` bytes from `at` on, to be changed.
    #[inline]
    pub(super) fn chunk_mut<const N: usize>(&mut self, at: usize) -> Option<&mut [u8; N]> {
        self.bytes.get_mut(self.start.wrapping_add(at)..)?.first_chunk_mut()
    }

    /// `length` bytes from `at` on.
    #[inline]
    pub(super) fn part(&self, at: usize, length: usize) -> Option<&[u8]> {
        let at = self.start.wrapping_add(at);
        self.bytes.get(at..at.wrapping_add(length))
    }

    /// `length` bytes from `at` on, to be changed.
    #[inline]
    pub(super) fn part_mut(&mut self, at: usize, length: usize) -> Option<&mut [u8]> {
        let at = self.start.wrapping_add(at);
        self.bytes.get_mut(at..at.wrapping_add(length))
    }

    /// Asks the processor to load the line with the byte at `at`.
    #[inline]
    pub(super) fn prefetch(&self, at: usize) {
        prefetch(self.bytes.as_ptr().wrapping_add(self.start.wrapping_add(at)));
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Sets of `N` bytes; see the module's page.
#[derive(Debug)]
pub(super) struct Buffer<const N: usize> {
    memory: Memory,
    sets: usize,
    generation: u32,
}

impl<const N: usize> Buffer<N> {
    /// Without sets.
    pub(super) const fn new() -> Self {
        Self { memory: Memory::new(), sets: 0, generation: 1 }
    }

    /// Starts over with so many sets, all empty.
    pub(super) fn resize(&mut self, sets: usize) {
        // First the old ones go.
        *self = Self::new();
        if sets > 0 {
            *self = Self { memory: Memory::zeroed(sets.saturating_mul(N)), sets, generation: 1 };
        }
    }

    /// Empties all sets (I3).
    pub(super) fn clear(&mut self) {
        self.generation += 1;
        if self.generation >> (u32::BITS - OWN_BITS) != 0 {
            self.resize(self.sets);
        }
    }

    /// What a set of the present generation begins with, whose own bits are these.
    #[inline]
    pub(super) const fn head(&self, own: u32) -> u32 {
        self.generation << OWN_BITS | own
    }

    /// A set's own bits, if it begins with `head` and belongs to the present generation.
    #[inline]
    pub(super) const fn own(&self, head: u32) -> Option<u32> {
        if head >> OWN_BITS == self.generation { Some(head & ((1 << OWN_BITS) - 1)) } else { None }
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
        self.memory.held_bytes()
    }

    /// A set.
    #[inline]
    pub(super) fn set(&self, set: usize) -> Option<&[u8; N]> {
        self.memory.chunk(set.wrapping_mul(N))
    }

    /// A set, to be changed.
    #[inline]
    pub(super) fn set_mut(&mut self, set: usize) -> Option<&mut [u8; N]> {
        self.memory.chunk_mut(set.wrapping_mul(N))
    }

    /// Bytes of the sets.
    #[inline]
    pub(super) fn lend(&self, Found { at, length }: Found) -> &[u8] {
        self.memory.part(at, length).unwrap_or_default()
    }

    /// Asks the processor to load a set.
    #[inline]
    pub(super) fn prefetch(&self, set: usize) {
        for line in 0..N.div_ceil(CACHE_LINE) {
            self.memory.prefetch(set.wrapping_mul(N).wrapping_add(line * CACHE_LINE));
        }
    }
}

/// Where a value is; good until something is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(super) at: usize,
    pub(super) length: usize,
}
