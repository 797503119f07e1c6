//! Memory that one thread writes while another one copies it.
//!
//! # Role
//! A snapshot copies blocks of entries that own nothing while the writer changes values in place, and
//! copies again if it did (`shard.rs`, D4). What is copied in vain must still not be a data race:
//! both sides go unit by unit through relaxed atomics, which compile to plain loads and stores.
//!
//! # Invariants
//! A1. Both sides see the same memory in units of the same size: slots in [`Unit::of`] the key and the
//!     value, what is known of slots in words. Blocks are aligned to more than a word, so a slot whose
//!     parts are words is aligned to one.

#![expect(unsafe_code, reason = "atomic access to memory that is not declared as atomic")]

use super::hints::prefetch;
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

/// Stores one byte of a word, of which others are not written at the same time either.
///
/// # Safety
/// `place` is in a living block, in memory that begins and ends at words; nobody else writes its word, and
/// others read it through [`copy`] only, in words (A1).
#[inline]
#[expect(clippy::cast_ptr_alignment, reason = "so many bytes before it the word begins")]
pub(super) unsafe fn store_byte(place: *mut u8, byte: u8) {
    let index = place.addr() % WORD;
    let word = place.wrapping_sub(index).cast::<u64>();
    let shift = 8 * if cfg!(target_endian = "little") { index } else { WORD - 1 - index };
    // SAFETY: the word is within the memory (the caller), and aligned.
    let word = unsafe { AtomicU64::from_ptr(word) };
    let others = word.load(Ordering::Relaxed) & !(0xff << shift);
    word.store(others | u64::from(byte) << shift, Ordering::Relaxed);
}

/// Copies `count` slots, or anything else that consists of such units.
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
            for word in 0..bytes / WORD {
                if word % (LINE / WORD) == 0 {
                    prefetch(source.wrapping_add(word + AHEAD / WORD).cast());
                }
                // SAFETY: within the slots (the caller), which are aligned to a word (A1).
                let value = unsafe { AtomicU64::from_ptr(source.wrapping_add(word)) };
                let value = value.load(Ordering::Relaxed);
                // SAFETY: within the room.
                unsafe { target.wrapping_add(word).write_unaligned(value) };
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_stored_in_its_place_and_no_other() {
        #[repr(align(8))]
        struct Words([u8; 16]);
        for index in 0..16 {
            let mut words = Words([7; 16]);
            // SAFETY: the memory consists of two words, and is ours.
            unsafe { store_byte(words.0.as_mut_ptr().wrapping_add(index), 200) };
            let mut want = [7; 16];
            want[index] = 200;
            assert_eq!(words.0, want);
        }
    }
}
