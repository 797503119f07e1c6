//! The lock of a shard.
//!
//! # Role
//! Held by the writer for one change, by a snapshot to copy one shard: ten microseconds or so.
//! Taking it is one atomic exchange, and releasing it a plain store. That is why it is not
//! `parking_lot`'s: while a snapshot runs every insertion, every removal and every change of a value
//! that owns memory takes the lock, and a second atomic operation keeps the processor from
//! overlapping one key's cache misses with the next one's.
//!
//! # Invariants
//! O1. The value is reached through the one guard there is, or by those who can show that nobody
//!     else uses it (`shared.rs`, W2).
//! O2. Who waits spins for about as long as a copy takes, then lets others run, then sleeps: the
//!     holder may have lost its processor.

#![expect(unsafe_code, reason = "a lock cannot be built without")]

use crate::sync::{AtomicBool, Ordering, sleep, spin_loop, yield_now};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How somebody waits: longer and longer (O2).
#[derive(Debug, Default)]
pub(super) struct Pause {
    tries: u32,
}

impl Pause {
    /// Waits a moment.
    pub(super) fn wait(&mut self) {
        self.tries = self.tries.saturating_add(1);
        match self.tries {
            0..=200 => spin_loop(),
            201..=220 => yield_now(),
            _ => sleep(Duration::from_micros(20)),
        }
    }
}

/// A value behind a lock.
pub(super) struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one thread at a time (O1), as a mutex does.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// An unlocked value.
    pub(super) fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, T> {
        if self.held.swap(true, Ordering::Acquire) {
            self.wait();
        }
        Guard { lock: self }
    }

    #[cold]
    fn wait(&self) {
        let mut pause = Pause::default();
        while self.held.load(Ordering::Relaxed) || self.held.swap(true, Ordering::Acquire) {
            pause.wait();
        }
    }

    /// Where the value is, for those who need no lock (O1).
    #[inline]
    pub(super) fn data_ptr(&self) -> *mut T {
        self.value.get()
    }
}

/// The lock, held.
pub(super) struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, and this is the one guard (O1).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and this is the one guard (O1).
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}
