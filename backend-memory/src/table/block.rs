//! The memory of one shard, and copies of it.
//!
//! A [`Block`] owns the groups whose layout and invariants `raw.rs` describes (R1 to R5); it grows
//! by being replaced. A [`Mirror`] is what a snapshot copies of one.

#![expect(unsafe_code, reason = "owns memory that is partly uninitialised (R1, R5)")]

use super::hash::Hash;
use super::order;
use super::raw::{Head, Mark, Slots, View, entries, preferred, slots_of};
use super::regions;
use super::tags::{DELETED, EMPTY, Tags, WIDTH};
use super::words::{self, Unit};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::needs_drop;
use std::ops::RangeInclusive;
use std::ptr::NonNull;

/// The memory of one shard.
pub(super) struct Block<S> {
    heads: NonNull<Head>,
    count: u32,
    in_region: bool,
    owns: PhantomData<S>,
}

// SAFETY: a block owns its slots, as a `Vec<S>` does.
unsafe impl<S: Send> Send for Block<S> {}
// SAFETY: a shared block gives out shared references to its slots only, as a `Vec<S>` does.
unsafe impl<S: Sync> Sync for Block<S> {}

impl<S> Block<S> {
    /// No memory at all. Must not be probed.
    pub(super) const NONE: Self =
        Self { heads: NonNull::dangling(), count: 0, in_region: false, owns: PhantomData };

    /// Bytes of a group.
    pub(super) const GROUP_BYTES: usize = size_of::<Head>() + size_of::<Slots<S>>();

    fn layout(count: u32) -> Option<Layout> {
        let bytes = (count as usize).checked_mul(Self::GROUP_BYTES)?;
        Layout::from_size_align(bytes, align_of::<Head>()).ok()
    }

    /// An empty block of `count` groups, at least one; in a region, if it is of a large table.
    pub(super) fn new(count: u32, of_large: bool) -> Self {
        let count = count.max(1);
        let Some(layout) = Self::layout(count) else {
            handle_alloc_error(Layout::new::<Head>());
        };
        let fits = of_large && layout.size() <= regions::LARGEST;
        let in_region = fits.then(|| regions::take(layout.size())).flatten();
        let memory = match in_region {
            Some(memory) => {
                // SAFETY: the memory is ours, and has the size of the layout.
                unsafe { memory.write_bytes(0, layout.size()) };
                memory
            }
            None => Self::allocate(layout),
        };
        let heads = memory.cast::<Head>();
        for index in 0..count as usize {
            // SAFETY: `index` is below the number of heads (R5).
            let head = unsafe { heads.add(index) };
            // SAFETY: as above; the memory is ours, aligned, and not yet anyone else's.
            unsafe { head.write(Head::EMPTY) };
        }
        Self { heads, count, in_region: in_region.is_some(), owns: PhantomData }
    }

    fn allocate(layout: Layout) -> NonNull<u8> {
        // A mirror copies free slots, too, so they must be initialised.
        let memory = if Mirror::<S>::POSSIBLE {
            // SAFETY: there is at least one group, and a head is not zero-sized.
            unsafe { alloc_zeroed(layout) }
        } else {
            // SAFETY: as above.
            unsafe { alloc(layout) }
        };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// Groups.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        (self.count as usize).saturating_mul(Self::GROUP_BYTES)
    }

    /// The entries, with their generations.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&S, u8)> {
        // SAFETY: while `self` is borrowed, the block is alive and nobody writes it.
        unsafe { self.view(Mark::new(0, Mark::NEVER)).entries() }
    }

    /// The generations, for whoever alone has the block.
    pub(super) fn generations_mut(&mut self) -> impl Iterator<Item = &mut u8> {
        self.parts_mut().0.iter_mut().flat_map(|head| &mut head.gens)
    }

    fn parts_mut(&mut self) -> (&mut [Head], &mut [Slots<S>]) {
        let count = self.count as usize;
        // SAFETY: there are `count` initialised heads (R5), which are ours.
        let heads = unsafe { std::slice::from_raw_parts_mut(self.heads.as_ptr(), count) };
        let slots = slots_of(self.heads, self.count);
        // SAFETY: behind them are as many groups of slots (R5), and uninitialised is valid.
        (heads, unsafe { std::slice::from_raw_parts_mut(slots.as_ptr(), count) })
    }

    /// The block as the writer's probe sees it; `mark` comes along.
    pub(super) fn view(&self, mark: Mark) -> View<S> {
        View::new(self.heads, self.count, mark)
    }

    /// Adds an entry whose key is not there. Says whether that took an empty slot, rather than one
    /// where something was removed; the caller counts the empty ones (R2).
    pub(super) fn insert(&mut self, hash: Hash, generation: u8, entry: S) -> bool {
        let mut index = hash.group(self.count);
        let (heads, slots) = self.parts_mut();
        loop {
            let (Some(head), Some(slots)) = (heads.get_mut(index), slots.get_mut(index)) else {
                index = 0;
                continue;
            };
            let Some(slot) = head.tags.free().first_from(preferred::<S>(hash)) else {
                index = index.wrapping_add(1);
                continue;
            };
            // SAFETY: `slot` is below `WIDTH`.
            unsafe { slots.get_unchecked_mut(slot) }.write(entry);
            // SAFETY: as above.
            *unsafe { head.gens.get_unchecked_mut(slot) } = generation;
            // SAFETY: as above.
            let tag = unsafe { head.tags.0.get_unchecked_mut(slot) };
            return std::mem::replace(tag, hash.needle().tag()) == EMPTY;
        }
    }

    /// Takes the block apart, handing every entry with its generation to `place`.
    pub(super) fn scatter(mut self, mut place: impl FnMut(S, u8)) {
        let (heads, slots) = self.parts_mut();
        for (head, slots) in heads.iter_mut().zip(slots) {
            let full = head.tags.full();
            head.tags = Tags::EMPTY;
            for slot in full {
                // SAFETY: `slot` is below `WIDTH`.
                let entry = unsafe { slots.get_unchecked(slot) };
                // SAFETY: the slot was full (R1), and its tag no longer says so.
                let entry = unsafe { entry.assume_init_read() };
                place(entry, head.gens.get(slot).copied().unwrap_or_default());
            }
        }
    }
}

impl<S> Drop for Block<S> {
    fn drop(&mut self) {
        if self.count == 0 {
            return;
        }
        if needs_drop::<S>() {
            let (heads, slots) = self.parts_mut();
            for (head, slots) in heads.iter().zip(slots) {
                for slot in head.tags.full() {
                    // SAFETY: `slot` is below `WIDTH`.
                    let entry = unsafe { slots.get_unchecked_mut(slot) };
                    // SAFETY: the slot is full (R1), and nobody will look at it again.
                    unsafe { entry.assume_init_drop() };
                }
            }
        }
        let (memory, Some(layout)) = (self.heads.cast(), Self::layout(self.count)) else { return };
        if self.in_region {
            // SAFETY: taken in `new` with this size (Q1), and the block is gone.
            unsafe { regions::give_back(memory, layout.size()) };
        } else {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(memory.as_ptr(), layout) };
        }
    }
}

/// A bitwise copy of a block whose entries have no drop glue, in memory that is used again.
pub(super) struct Mirror<S> {
    heads: Vec<Head>,
    slots: Vec<Slots<S>>,
    /// Where the heads were.
    source: usize,
}

impl<S> Default for Mirror<S> {
    fn default() -> Self {
        Self { heads: Vec::new(), slots: Vec::new(), source: 0 }
    }
}

impl<S> Mirror<S> {
    /// Whether entries may be copied bit by bit: they own nothing (C3), and have no padding.
    pub(super) const POSSIBLE: bool = !needs_drop::<S>() && align_of::<S>() == 1;

    /// Copies the block, whose values and generations may be changing; copies nothing where that is
    /// not possible.
    pub(super) fn copy(&mut self, block: &Block<S>, unit: Unit) {
        self.clear();
        if !Self::POSSIBLE {
            return;
        }
        let count = block.count as usize;
        self.slots.reserve(count);
        self.heads.reserve(count);
        self.source = block.heads.addr().get();
        let (target, source) = (self.slots.as_mut_ptr(), slots_of(block.heads, block.count));
        order::copy(
            // SAFETY: `count` groups of slots can be read there (R5), all of them initialised (`new`),
            // and were reserved here.
            || unsafe { words::copy(source, target, count, unit) },
            // SAFETY: there are `count` initialised heads (R5), which were reserved here; their
            // generations change one by one, and their tags not at all.
            || unsafe { words::copy_heads(block.heads, self.heads.as_mut_ptr(), count) },
        );
        // SAFETY: the capacity is at least that, and an uninitialised slot is a valid one.
        unsafe { self.slots.set_len(count) };
        // SAFETY: the capacity is at least that, and they were initialised.
        unsafe { self.heads.set_len(count) };
    }

    /// Removes from the copy the entry whose generation was at this address, if it `is` the one.
    pub(super) fn hide(&mut self, place: usize, is: impl Fn(&S) -> bool) {
        let offset = place.wrapping_sub(self.source);
        let (group, slot) = (offset / size_of::<Head>(), offset % WIDTH);
        let found = self.heads.get_mut(group).zip(self.slots.get(group));
        let Some((head, slots)) = found else { return };
        let Some((tag, entry)) = head.tags.0.get_mut(slot).zip(slots.get(slot)) else { return };
        // SAFETY: heads and slots were copied together, and the tag says that the slot is full (R1).
        if *tag > DELETED && is(unsafe { entry.assume_init_ref() }) {
            *tag = EMPTY;
        }
    }

    /// The entries copied, with their generations.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&S, u8)> {
        // SAFETY: heads and slots were copied together, and entries own nothing.
        unsafe { entries(&self.heads, &self.slots) }
    }

    /// Calls `each` with the entries copied whose generation is one of `wanted`.
    #[inline]
    pub(super) fn for_each(&self, wanted: RangeInclusive<u8>, mut each: impl FnMut(&S)) {
        let (oldest, newest) = wanted.into_inner();
        for (head, slots) in self.heads.iter().zip(&self.slots) {
            for slot in head.full_within(oldest, newest) {
                if let Some(entry) = slots.get(slot) {
                    // SAFETY: the slot's tag says that it is full (R1).
                    each(unsafe { entry.assume_init_ref() });
                }
            }
        }
    }

    /// Forgets the copy, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.slots.clear();
    }
}
