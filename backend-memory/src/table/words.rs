//! Memory that one thread writes while another one copies it.
//!
//! # Role
//! A snapshot copies blocks of entries that own nothing while the writer changes values in place, and
//! copies again if it did (`shard.rs`, D4). What is copied in vain must still not be a data race:
//! both sides go unit by unit through relaxed atomics, which compile to plain loads and stores.
//!
//! # Invariants
//! A1. Both sides see the same memory in units of the same size: slots in [`Unit::of`] the key and the
//!     value, generations byte by byte. Blocks are aligned to more than a word, so a slot whose
//!     parts are words is aligned to one. Generations in words would be copied with fewer instructions,
//!     and stored with ten more: the writer has to be the faster one.

#![expect(unsafe_code, reason = "atomic access to memory that is not declared as atomic")]

use super::hints::prefetch;
use super::raw::Head;
use super::tags::{Tags, WIDTH};
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();
/// Bytes of a cache line.
const LINE: usize = 64;
/// How far ahead of a copy memory is asked for: beyond the page, where processors do not look by
/// themselves.
const AHEAD: usize = 1 << 10;

/// In what units slots are copied while values change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Byte,
    Word,
}

impl Unit {
    /// That of slots with this key and value (A1).
    pub(super) const fn of<K, C>() -> Self {
        let words = size_of::<K>().is_multiple_of(WORD) && size_of::<C>().is_multiple_of(WORD);
        if words { Self::Word } else { Self::Byte }
    }
}

/// Stores `value` at `place`, the value of a slot.
///
/// # Safety
/// `place` is in a living block; nobody else writes it, and others read it through [`copy`] only, in
/// the same unit (A1); `C` is without padding.
#[inline]
pub(super) unsafe fn store<C>(place: *mut C, value: &C, unit: Unit) {
    let source = std::ptr::from_ref(value);
    match unit {
        Unit::Word => {
            let (place, source) = (place.cast::<u64>(), source.cast::<u64>());
            for word in 0..size_of::<C>() / WORD {
                // SAFETY: `word` is within the value, all of which is initialised (no padding).
                let value = unsafe { source.wrapping_add(word).read_unaligned() };
                // SAFETY: as above; the slot is aligned to a word (A1).
                let place = unsafe { AtomicU64::from_ptr(place.wrapping_add(word)) };
                place.store(value, Ordering::Relaxed);
            }
        }
        Unit::Byte => {
            let (place, source) = (place.cast::<u8>(), source.cast::<u8>());
            for byte in 0..size_of::<C>() {
                // SAFETY: `byte` is within the value.
                let value = unsafe { source.wrapping_add(byte).read() };
                // SAFETY: as above.
                let place = unsafe { AtomicU8::from_ptr(place.wrapping_add(byte)) };
                place.store(value, Ordering::Relaxed);
            }
        }
    }
}

/// Stores a generation.
///
/// # Safety
/// `place` is in a living block; nobody else writes it, and others read it through [`copy_heads`] only.
#[inline]
pub(super) unsafe fn store_generation(place: *mut u8, generation: u8) {
    // SAFETY: as the caller promised.
    unsafe { AtomicU8::from_ptr(place) }.store(generation, Ordering::Relaxed);
}

/// Copies `count` heads.
///
/// # Safety
/// `source` lies in a living block, where tags do not change, and generations through
/// [`store_generation`] only; `target` has room for as many.
pub(super) unsafe fn copy_heads(source: NonNull<Head>, target: *mut Head, count: usize) {
    for index in 0..count {
        let source = source.as_ptr().wrapping_add(index);
        if index % (LINE / size_of::<Head>()) == 0 {
            prefetch(source.wrapping_add(AHEAD / size_of::<Head>()).cast());
        }
        let target = target.wrapping_add(index);
        // SAFETY: within the heads, and tags do not change (the caller).
        let tags = unsafe { source.cast::<Tags>().read() };
        // SAFETY: within the room (the caller); a head begins with its tags.
        unsafe { target.cast::<Tags>().write(tags) };
        let gens = offset_of!(Head, gens);
        let (source, target) = (source.cast::<u8>(), target.cast::<u8>());
        for byte in gens..gens + WIDTH {
            // SAFETY: within the head; it may be stored to as a byte (the caller).
            let generation = unsafe { AtomicU8::from_ptr(source.wrapping_add(byte)) };
            // SAFETY: within the room.
            unsafe { target.wrapping_add(byte).write(generation.load(Ordering::Relaxed)) };
        }
    }
}

/// Copies `count` slots.
///
/// # Safety
/// `source` lies in a living block, is initialised, if only with zeros, and changes through
/// [`store`] or atomic stores of such units only; `target` has room for as many.
#[inline]
pub(super) unsafe fn copy<S>(source: NonNull<S>, target: *mut S, count: usize, unit: Unit) {
    let bytes = size_of::<S>().saturating_mul(count);
    match unit {
        Unit::Word => {
            let (source, target) = (source.as_ptr().cast::<u64>(), target.cast::<u64>());
            let copy = |word: usize| {
                // SAFETY: within the slots (the caller), which are aligned to a word (A1).
                let value = unsafe { AtomicU64::from_ptr(source.wrapping_add(word)) };
                let value = value.load(Ordering::Relaxed);
                // SAFETY: within the room.
                unsafe { target.wrapping_add(word).write_unaligned(value) };
            };
            let (words, in_line) = (bytes / WORD, LINE / WORD);
            for line in 0..words / in_line {
                let first = line * in_line;
                prefetch(source.wrapping_add(first + AHEAD / WORD).cast());
                (first..first + in_line).for_each(copy);
            }
            (words - words % in_line..words).for_each(copy);
        }
        Unit::Byte => {
            let (source, target) = (source.as_ptr().cast::<u8>(), target.cast::<u8>());
            for byte in 0..bytes {
                // SAFETY: within the slots (the caller).
                let value = unsafe { AtomicU8::from_ptr(source.wrapping_add(byte)) };
                let value = value.load(Ordering::Relaxed);
                // SAFETY: within the room.
                unsafe { target.wrapping_add(byte).write(value) };
            }
        }
    }
}
