//! Sixteen tags compared at once.
//!
//! # Role
//! The inner step of every probe: which of a group's sixteen slots may hold the key, which are
//! free. SSE2 is part of every x86-64 target; elsewhere a loop that compilers vectorise stands in.
//!
//! # Invariants
//! G1. [`EMPTY`] is 0 and [`DELETED`] is 1, so "free" is one unsigned comparison.

#![expect(unsafe_code, reason = "SSE2, which every x86-64 processor has")]

/// Slots in a group.
pub(super) const WIDTH: usize = 16;

/// Tag of a slot that was never used since its block was built: a probe ends here.
pub(super) const EMPTY: u8 = 0;

/// Tag of a slot whose key was removed while the group was full: a probe goes on.
pub(super) const DELETED: u8 = 1;

/// The tags of one group.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Tags(pub(super) [u8; WIDTH]);

/// A tag in all of eight bytes, to compare a group's tags with.
#[derive(Clone, Copy)]
pub(super) struct Needle(u64);

impl Needle {
    /// A table instead of arithmetic: one load from the first-level cache, and not the five
    /// instructions that it takes to clamp and spread a byte with SSE2. While lookups miss the
    /// cache, how many of them overlap depends on how few instructions each one has.
    const ALL: [u64; 256] = {
        let mut all = [0; 256];
        let (mut byte, mut rest) = (0, all.as_mut_slice());
        while let Some((first, others)) = rest.split_first_mut() {
            let tag = if byte > DELETED as u64 { byte } else { DELETED as u64 + 1 };
            *first = tag * 0x0101_0101_0101_0101;
            (byte, rest) = (byte + 1, others);
        }
        all
    };

    /// For the tag that this byte of a hash stands for: never [`EMPTY`] or [`DELETED`].
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "there is an element for every byte")]
    pub(super) fn new(byte: u8) -> Self {
        static ALL: [u64; 256] = Needle::ALL;
        Self(ALL[byte as usize])
    }

    /// The tag.
    #[inline]
    pub(super) fn tag(self) -> u8 {
        let [tag, ..] = self.0.to_le_bytes();
        tag
    }
}

/// A set of slots of one group, iterated from the lowest.
pub(super) struct Mask(u32);

impl Mask {
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.0 != 0
    }

    /// Those that are in both.
    #[inline]
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The lowest slot, if there is any.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        self.any().then_some(self.0.trailing_zeros() as usize)
    }

    /// The first slot from `start` on, and then from 0, if there is any.
    #[inline]
    pub(super) fn first_from(&self, start: usize) -> Option<usize> {
        let late = Self(self.0 & (u32::MAX << (start % WIDTH)));
        late.first().or(self.first())
    }
}

impl Iterator for Mask {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= self.0.wrapping_sub(1);
        Some(slot)
    }
}

impl Tags {
    /// All slots empty.
    pub(super) const EMPTY: Self = Self([EMPTY; WIDTH]);

    /// Slots that have the tag.
    #[inline]
    pub(super) fn matching(&self, needle: Needle) -> Mask {
        imp::matching(self, needle.0)
    }

    /// Slots where a probe may end.
    #[inline]
    pub(super) fn empty(&self) -> Mask {
        imp::matching(self, 0)
    }

    /// Slots that a new key may take.
    #[inline]
    pub(super) fn free(&self) -> Mask {
        imp::free(self)
    }

    /// Slots that hold a key.
    #[inline]
    pub(super) fn full(&self) -> Mask {
        Mask(!imp::free(self).0 & 0xffff)
    }
}

/// Which of sixteen bytes are `byte`, as bits from the lowest on.
#[inline]
pub fn matching_bytes(bytes: &[u8; WIDTH], byte: u8) -> u32 {
    imp::matching(&Tags(*bytes), u64::from(byte).wrapping_mul(0x0101_0101_0101_0101)).0
}

/// The slots whose byte, of sixteen, lies between these two.
#[inline]
pub(super) fn within(bytes: [u8; WIDTH], least: u8, most: u8) -> Mask {
    imp::within(&Tags(bytes), least, most)
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use super::{DELETED, Mask, Tags};
    use core::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_load_si128, _mm_max_epu8, _mm_min_epu8, _mm_movemask_epi8,
        _mm_set1_epi8, _mm_set1_epi64x,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(tags: &Tags) -> __m128i {
        // SAFETY: `Tags` is 16 readable bytes, aligned to 16 by its `repr`.
        unsafe { _mm_load_si128(tags.0.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn matching_sse2(tags: &Tags, spread: u64) -> u32 {
        let same = _mm_cmpeq_epi8(load(tags), _mm_set1_epi64x(spread.cast_signed()));
        _mm_movemask_epi8(same).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn free_sse2(tags: &Tags) -> u32 {
        let all = load(tags);
        let low = _mm_min_epu8(all, _mm_set1_epi8(DELETED.cast_signed()));
        _mm_movemask_epi8(_mm_cmpeq_epi8(low, all)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn within_sse2(bytes: &Tags, least: u8, most: u8) -> u32 {
        let all = load(bytes);
        let clamped = _mm_max_epu8(all, _mm_set1_epi8(least.cast_signed()));
        let clamped = _mm_min_epu8(clamped, _mm_set1_epi8(most.cast_signed()));
        _mm_movemask_epi8(_mm_cmpeq_epi8(clamped, all)).cast_unsigned()
    }

    #[inline]
    pub(super) fn within(bytes: &Tags, least: u8, most: u8) -> Mask {
        // SAFETY: every x86-64 processor has SSE2.
        Mask(unsafe { within_sse2(bytes, least, most) })
    }

    #[inline]
    pub(super) fn matching(tags: &Tags, spread: u64) -> Mask {
        // SAFETY: every x86-64 processor has SSE2.
        Mask(unsafe { matching_sse2(tags, spread) })
    }

    #[inline]
    pub(super) fn free(tags: &Tags) -> Mask {
        // SAFETY: every x86-64 processor has SSE2.
        Mask(unsafe { free_sse2(tags) })
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod imp {
    use super::{DELETED, Mask, Tags};

    fn collect(tags: &Tags, test: impl Fn(u8) -> bool) -> Mask {
        let bits = tags.0.iter().enumerate();
        Mask(bits.fold(0, |mask, (slot, tag)| mask | (u32::from(test(*tag)) << slot)))
    }

    pub(super) fn matching(tags: &Tags, spread: u64) -> Mask {
        let [tag, ..] = spread.to_le_bytes();
        collect(tags, |other| other == tag)
    }

    pub(super) fn free(tags: &Tags) -> Mask {
        collect(tags, |other| other <= DELETED)
    }

    pub(super) fn within(bytes: &Tags, least: u8, most: u8) -> Mask {
        collect(bytes, |other| (least..=most).contains(&other))
    }
}
