//! The layout of a shard's memory, and the probe.
//!
//! # Role
//! A shard's entries lie in a block (`block.rs`): groups of sixteen slots. A [`View`] is a block
//! seen by the writer's probe, which must not go through the shard. An [`At`] is a slot found by a
//! probe.
//!
//! # Layout of a block
//! First the [`Head`]s of all groups, 32 bytes each: sixteen tags, sixteen generations. Then the
//! slots of all groups. Tags and generations share a cache line, so a change costs no line more
//! than a look. The heads lie close together, so that many of them stay in the second-level
//! cache: with each head next to its slots instead, one access at a time took twice as long.
//!
//! # Invariants
//! R1. A slot is initialised if and only if its tag is at least 2.
//! R2. A block that is probed has at least one slot that is [`EMPTY`](super::tags::EMPTY): whoever
//!     inserts counts, and fills no more than [`capacity`]. So every probe ends.
//! R3. An entry lies in its home group or, if that was full when it came, in the first group after
//!     it (cyclically) that was not. A group that was full never shows an empty slot again until
//!     the block is rebuilt (removal leaves `DELETED` there). So a probe may end at an empty slot.
//! R4. A [`View`] or [`At`] is valid until its block is dropped. The functions that take one are
//!     unsafe, and their callers see to it that the block is alive, and that no other thread
//!     writes it, or, where they write, reads it.
//! R5. A block of `count` groups is one allocation: `count` heads, then `count * WIDTH` slots.

#![expect(unsafe_code, reason = "uninitialised slots, and a probe without a lock (R1, R4)")]

use super::hash::Hash;
use super::hints::prefetch;
use super::tags::{self, DELETED, EMPTY, Mask, Tags, WIDTH};
use super::words::{self, Unit};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

/// Slots of a group that may be filled on average.
const FILL: u32 = 14;

/// Entries that a block of this many groups may hold.
pub(super) const fn capacity(groups: u32) -> u32 {
    groups.saturating_mul(FILL)
}

/// A key and its value.
pub(crate) struct Slot<K, C> {
    pub(super) key: K,
    pub(super) cell: C,
}

/// What is known of the slots of a group.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Head {
    pub(super) tags: Tags,
    pub(super) gens: [u8; WIDTH],
}

impl Head {
    pub(super) const EMPTY: Self = Self { tags: Tags::EMPTY, gens: [0; WIDTH] };

    /// The full slots with a generation from `oldest` to `newest`.
    #[inline]
    pub(super) fn full_within(&self, oldest: u8, newest: u8) -> Mask {
        self.tags.full().and(&tags::within(self.gens, oldest, newest))
    }
}

/// The slots of a group.
pub(super) type Slots<S> = [MaybeUninit<S>; WIDTH];

/// The entries of groups, with their generations.
///
/// # Safety
/// The slots are those of the heads, and initialised as these say (R1).
pub(super) unsafe fn entries<'a, S>(
    heads: &'a [Head],
    slots: &'a [Slots<S>],
) -> impl Iterator<Item = (&'a S, u8)> {
    heads.iter().zip(slots).flat_map(|(head, slots)| {
        head.tags.full().filter_map(|slot| {
            let (entry, generation) = (slots.get(slot)?, head.gens.get(slot)?);
            // SAFETY: the slot's tag says that it is full (the caller).
            Some((unsafe { entry.assume_init_ref() }, *generation))
        })
    })
}

/// Where the slots begin (R5).
#[inline]
pub(super) fn slots_of<S>(heads: NonNull<Head>, count: u32) -> NonNull<Slots<S>> {
    const {
        assert!(align_of::<S>() <= align_of::<Head>());
    }
    // SAFETY: `count` heads and as many groups of slots are one allocation (R5).
    unsafe { heads.add(count as usize) }.cast()
}

/// The slot that a key prefers in its group: the first of a cache line, more or less. Some four
/// in five keys get it or one beside it. So a probe can ask for their cache line before it has
/// seen the tags, and one miss overlaps the other.
#[inline]
pub(super) fn preferred<S>(hash: Hash) -> usize {
    let in_line = const {
        match size_of::<S>() {
            0..=16 => 4_usize,
            17..=32 => 2,
            _ => 1,
        }
    };
    hash.nibble() & !(in_line - 1)
}

/// What the writer knows of a block's shard where it finds the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    /// A generation that no entry has.
    pub(super) const NEVER: u8 = u8::MAX;

    /// The number of the shard, and with which generation entries may be changed in place.
    #[inline]
    pub(super) const fn new(owner: u32, current: u8) -> Self {
        Self(owner << 8 | current as u32)
    }

    /// The number of the shard, below `2^24`.
    #[inline]
    pub(super) const fn owner(self) -> u32 {
        self.0 >> 8
    }

    /// Entries of this generation may be changed in place.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
    pub(super) const fn current(self) -> u8 {
        self.0 as u8
    }

    /// Number and generation as they lie in memory, less a generation that is no greater.
    #[inline]
    pub(super) const fn less(self, generation: u8) -> u32 {
        self.0.wrapping_sub(generation as u32)
    }

    /// No entry may be changed in place any more.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.0 |= u32::from(Self::NEVER);
    }
}

/// A block as the writer's probe sees it, without owning it (R4).
pub(super) struct View<S> {
    heads: NonNull<Head>,
    count: u32,
    pub(super) mark: Mark,
    of: PhantomData<*const S>,
}

impl<S> Clone for View<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for View<S> {}

// SAFETY: using a view is unsafe; whoever does answers for the thread it happens on (R4).
unsafe impl<S: Send + Sync> Send for View<S> {}
// SAFETY: as above.
unsafe impl<S: Send + Sync> Sync for View<S> {}

impl<S> View<S> {
    /// The view of a block.
    pub(super) fn new(heads: NonNull<Head>, count: u32, mark: Mark) -> Self {
        Self { heads, count, mark, of: PhantomData }
    }

    /// Groups of the block.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The entries, with their generations.
    ///
    /// # Safety
    /// R4, for reading, as long as the references live.
    pub(super) unsafe fn entries<'a>(self) -> impl Iterator<Item = (&'a S, u8)>
    where
        S: 'a,
    {
        let count = self.count as usize;
        // SAFETY: there are `count` initialised heads (R5), alive, and nobody writes them.
        let heads = unsafe { std::slice::from_raw_parts(self.heads.as_ptr(), count) };
        let slots = slots_of(self.heads, self.count);
        // SAFETY: behind them are as many groups of slots (R5), and uninitialised is valid.
        let slots = unsafe { std::slice::from_raw_parts(slots.as_ptr(), count) };
        // SAFETY: they belong together.
        unsafe { entries(heads, slots) }
    }

    /// Finds the entry with this hash which `is` the one that `probe` asks for. The probe travels
    /// beside the function, and the view by reference, so that neither need lie in memory here for
    /// the sake of the cold path.
    ///
    /// # Safety
    /// R4, for reading.
    #[inline]
    pub(super) unsafe fn find<P: Copy>(
        &self,
        hash: Hash,
        probe: P,
        is: impl Fn(&S, P, Hash) -> bool,
    ) -> Option<At<S>> {
        let (head, slots) = self.home(hash);
        prefetch(slots.as_ptr().wrapping_add(preferred::<S>(hash)).cast());
        // SAFETY: the block is alive and nobody writes it (R4, the caller).
        let tags = &unsafe { head.as_ref() }.tags;
        if let Some(slot) = tags.matching(hash.needle()).first() {
            // SAFETY: they belong together, and `slot` is below `WIDTH`.
            let at = unsafe { At::new(head, slots, slot) };
            // SAFETY: no tag of a key is that of a free slot, so the slot is full (R1).
            if is(unsafe { at.entry() }, probe, hash) {
                return Some(at);
            }
        } else if tags.empty().any() {
            return None;
        }
        // SAFETY: as the caller promised.
        unsafe { self.find_on(hash, probe, is) }
    }

    /// The head of a group and its first slot.
    ///
    /// # Safety
    /// `index` is less than `count`.
    #[inline]
    unsafe fn group(&self, index: usize) -> (NonNull<Head>, NonNull<S>) {
        // SAFETY: there are `count` heads (R5).
        let head = unsafe { self.heads.add(index) };
        // SAFETY: and as many groups of slots.
        (head, unsafe { slots_of::<S>(self.heads, self.count).add(index) }.cast())
    }

    /// The head of a key's home group and its first slot.
    #[inline]
    fn home(&self, hash: Hash) -> (NonNull<Head>, NonNull<S>) {
        const {
            assert!(size_of::<Head>() == 32);
        }
        let distance = hash.group_times_32(self.count);
        // SAFETY: the home group is one of the block's groups, of which there are `count` heads (R5).
        let head = unsafe { self.heads.byte_add(distance) };
        let (slots, wide) = const { (size_of::<Slots<S>>(), size_of::<Slots<S>>() / 32) };
        let distance = if slots == wide * 32 { distance * wide } else { distance / 32 * slots };
        // SAFETY: and as many groups of slots.
        (head, unsafe { slots_of::<S>(self.heads, self.count).byte_add(distance) }.cast())
    }

    /// As [`find`](Self::find), for keys that are not the first of their tag in the home group.
    ///
    /// # Safety
    /// As there.
    #[cold]
    #[inline(never)]
    unsafe fn find_on<P: Copy>(
        &self,
        hash: Hash,
        probe: P,
        is: impl Fn(&S, P, Hash) -> bool,
    ) -> Option<At<S>> {
        let needle = hash.needle();
        let mut index = hash.group(self.count);
        loop {
            // SAFETY: `index` is below `count`.
            let (head, slots) = unsafe { self.group(index) };
            // SAFETY: the block is alive and nobody writes it (R4, the caller).
            let tags = &unsafe { head.as_ref() }.tags;
            for slot in tags.matching(needle) {
                // SAFETY: they belong together, and `slot` is below `WIDTH`.
                let at = unsafe { At::new(head, slots, slot) };
                // SAFETY: no tag of a key is that of a free slot, so the slot is full (R1).
                if is(unsafe { at.entry() }, probe, hash) {
                    return Some(at);
                }
            }
            if tags.empty().any() {
                return None;
            }
            index = index.wrapping_add(1);
            if index == self.count as usize {
                index = 0;
            }
        }
    }

    /// Asks the processor to load the tags of a key's home group.
    #[inline]
    pub(super) fn prefetch_tags(&self, hash: Hash) {
        prefetch(self.heads.as_ptr().wrapping_add(hash.group(self.count)).cast());
    }

    /// Asks the processor to load the tags of a key's home group, and the slots there that it prefers.
    #[inline]
    pub(super) fn prefetch_home(&self, hash: Hash) {
        let (head, slots) = self.home(hash);
        prefetch(head.as_ptr().cast_const().cast());
        prefetch(slots.as_ptr().wrapping_add(preferred::<S>(hash)).cast());
    }

    /// Asks the processor to load the slot in the home group that a key is likely to be in.
    ///
    /// # Safety
    /// R4, for reading.
    #[inline]
    pub(super) unsafe fn prefetch_slot(&self, hash: Hash) {
        let (head, slots) = self.home(hash);
        // SAFETY: the block is alive and nobody writes it (R4, the caller).
        let tags = &unsafe { head.as_ref() }.tags;
        let slot = tags.matching(hash.needle()).first().unwrap_or_default();
        prefetch(slots.as_ptr().wrapping_add(slot).cast());
    }
}

/// A slot that a probe found full (R4). Two pointers, so that it travels in registers: through
/// memory it cost a third of an update's time.
pub(super) struct At<S> {
    generation: NonNull<u8>,
    entry: NonNull<S>,
}

impl<S> Clone for At<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for At<S> {}

impl<S> At<S> {
    /// The slot `slot`, of sixteen, behind `head`; `slots` are the group's.
    ///
    /// # Safety
    /// They are, and `slot` is below `WIDTH`.
    #[inline]
    unsafe fn new(head: NonNull<Head>, slots: NonNull<S>, slot: usize) -> Self {
        // SAFETY: generations begin `size_of::<Tags>()` bytes into a head (its `repr`).
        let generation = unsafe { head.cast::<u8>().add(size_of::<Tags>() + slot) };
        // SAFETY: a group has `WIDTH` slots (R5).
        let entry = unsafe { slots.add(slot) };
        Self { generation, entry }
    }

    /// The entry.
    ///
    /// # Safety
    /// R4, for reading, as long as the reference lives; and the slot is still full.
    #[inline]
    pub(super) unsafe fn entry<'a>(self) -> &'a S {
        // SAFETY: the slot is full (the caller), so it is initialised (R1).
        unsafe { self.entry.as_ref() }
    }

    /// The entry, to be changed, and its generation.
    ///
    /// # Safety
    /// R4, for writing, as long as the references live; and the slot is still full.
    #[inline]
    pub(super) unsafe fn entry_mut<'a>(mut self) -> (&'a mut S, &'a mut u8) {
        // SAFETY: the block is alive and nobody else uses it (R4, the caller).
        let generation = unsafe { self.generation.as_mut() };
        // SAFETY: the slot is full (the caller), so it is initialised (R1).
        (unsafe { self.entry.as_mut() }, generation)
    }

    /// The entry's generation.
    ///
    /// # Safety
    /// R4, for reading.
    #[inline]
    pub(super) unsafe fn generation(self) -> u8 {
        // SAFETY: the block is alive and nobody writes it (R4, the caller).
        unsafe { self.generation.read() }
    }

    /// Sets the entry's generation, which a snapshot may be reading.
    ///
    /// # Safety
    /// R4, for writing, but for readers that load it atomically.
    #[inline]
    pub(super) unsafe fn set_generation(self, generation: u8) {
        // SAFETY: the block is alive and nobody else writes it (R4, the caller).
        unsafe { words::store_generation(self.generation.as_ptr(), generation) };
    }

    /// Where the entry's generation is.
    #[inline]
    pub(super) fn place(self) -> usize {
        self.generation.addr().get()
    }

    /// Takes the entry out. Says whether the slot is empty now, rather than deleted (R3).
    ///
    /// # Safety
    /// R4, for writing; and the slot is still full, which it no longer is afterwards.
    pub(super) unsafe fn take(self) -> (S, bool) {
        let slot = self.generation.addr().get() % WIDTH;
        // SAFETY: generation `slot` is so many bytes behind the beginning of its head, which is
        // aligned to twice `WIDTH`.
        let head = unsafe { self.generation.sub(size_of::<Tags>() + slot) };
        // SAFETY: the block is alive and nobody else uses it (R4, the caller).
        let head = unsafe { head.cast::<Head>().as_mut() };
        let emptied = head.tags.empty().any();
        // SAFETY: the slot is full (the caller); its tag stops saying so below (R1).
        let entry = unsafe { self.entry.read() };
        if let Some(tag) = head.tags.0.get_mut(slot) {
            *tag = if emptied { EMPTY } else { DELETED };
        }
        (entry, emptied)
    }
}

impl<K, C> At<Slot<K, C>> {
    /// Changes a value that owns nothing, which a snapshot may be reading: in a copy, which is then
    /// stored word by word.
    ///
    /// # Safety
    /// R4, for writing, but for readers that load words atomically; the slot is still full; and a
    /// bitwise copy of `C` is as good as a clone.
    #[inline]
    pub(super) unsafe fn edit_plain<R>(self, change: impl FnOnce(&mut C) -> R) -> R {
        // SAFETY: the slot is full (the caller), so there is a value behind the pointer.
        let place = unsafe { &raw mut (*self.entry.as_ptr()).cell };
        // SAFETY: nobody else writes it (the caller), and it owns nothing.
        let mut copy = ManuallyDrop::new(unsafe { place.read() });
        let result = change(&mut copy);
        // SAFETY: the place is valid, and aligned as `Slot` has it; others load words (the caller).
        unsafe { words::store::<C>(place, &copy, const { Unit::of::<K, C>() }) };
        result
    }
}
