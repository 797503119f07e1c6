//! From the route bits of a hash to a shard: extendible hashing.
//!
//! # Role
//! Shards double their number one at a time: a shard of depth `d` holds the keys whose lowest `d`
//! route bits are its pattern, and appears at every `2^d`-th place of the directory. The
//! directory doubles by repeating itself when a shard deeper than any other comes up.
//! Each place has a copy of the shard's [`View`], so that a probe goes from here to the block, and
//! with it finds all that the first change of an entry has to know of the shard.
//!
//! # Invariants
//! E1. The number of places is `2^depth`, at most `2^ROUTE_BITS`; `views` has that many.
//! E2. All places of a shard have the view of its present block, with the same mark.

#![expect(unsafe_code, reason = "one load without a bounds check, on every access (E1)")]

use super::hash::{Hash, ROUTE_BITS};
use super::raw::{Mark, View};

/// The directory of a table.
pub(super) struct Directory<S> {
    views: Vec<View<S>>,
    /// One less than the number of places, times the size of one.
    mask: u32,
}

impl<S> Directory<S> {
    /// One shard, with this view.
    pub(super) fn new(view: View<S>) -> Self {
        Self { views: vec![view], mask: 0 }
    }

    /// The view of a key's shard.
    #[inline]
    pub(super) fn view(&self, hash: Hash) -> &View<S> {
        const {
            assert!(size_of::<View<S>>() == 16);
        }
        // SAFETY: the mask is one less than the number of places (E1), times the size of one.
        let view = unsafe { self.views.as_ptr().byte_add(hash.route_times_16(self.mask)) };
        // SAFETY: so it is one of the places, borrowed with `self`.
        unsafe { &*view }
    }

    /// The number of a key's shard.
    #[inline]
    pub(super) fn owner(&self, hash: Hash) -> u32 {
        self.view(hash).mark.owner()
    }

    /// Bits that choose a place.
    pub(super) fn depth(&self) -> u32 {
        self.mask.count_ones()
    }

    /// Doubles the number of places.
    pub(super) fn double(&mut self) {
        if self.depth() < ROUTE_BITS {
            self.views.extend_from_within(..);
            self.mask = self.mask.wrapping_mul(2) | 16;
        }
    }

    /// Lets all places of a pattern lead to a shard, whose number is in the view's mark.
    pub(super) fn publish(&mut self, pattern: u32, depth: u32, view: View<S>) {
        self.places_of(pattern, depth).for_each(|place| *place = view);
    }

    /// Notes the mark of the shard at all places of its pattern.
    pub(super) fn note(&mut self, pattern: u32, depth: u32, mark: Mark) {
        self.places_of(pattern, depth).for_each(|place| place.mark = mark);
    }

    fn places_of(&mut self, pattern: u32, depth: u32) -> impl Iterator<Item = &mut View<S>> {
        let (first, step) = (pattern as usize, 1_usize << depth.min(ROUTE_BITS));
        self.views.iter_mut().skip(first).step_by(step)
    }

    /// Nothing may be changed in place any more.
    pub(super) fn forget(&mut self) {
        self.views.iter_mut().for_each(|view| view.mark.forget());
    }

    /// The places in order.
    pub(super) fn places(&self) -> impl Iterator<Item = View<S>> {
        self.views.iter().copied()
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.views.capacity().saturating_mul(size_of::<View<S>>())
    }
}
