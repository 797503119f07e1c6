//! A global allocator that knows how much its thread holds, and held at most.
//!
//! # Invariants
//! M1. Every call goes to [`System`] with the same arguments, and its result comes back unchanged.
//! M2. The counters are cells of the thread without a destructor: reading them never allocates, also
//!     while a thread ends.
//!
//! What other threads allocate is not counted, so that tests beside this one do not disturb it.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// What is held, which is negative where others' memory was freed here; and the most of it.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator with counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

fn add(bytes: isize) {
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now.wrapping_add(bytes);
        held.set((now, most.max(now)));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

impl Counting {
    /// Forgets the peak so far.
    pub fn begin() -> Peak {
        let start = HELD.with(|held| {
            let (now, _) = held.get();
            held.set((now, now));
            now
        });
        Peak { start }
    }

    /// Whether it is the global allocator.
    pub fn is_installed() -> bool {
        let peak = Self::begin();
        drop(std::hint::black_box(vec![1_u8; 1 << 16]));
        peak.bytes() >= 1 << 16
    }
}

/// What was held at most since [`Counting::begin`].
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    start: isize,
}

impl Peak {
    /// More than at the beginning, in bytes.
    pub fn bytes(self) -> usize {
        let most = HELD.with(|held| held.get().1);
        usize::try_from(most.wrapping_sub(self.start)).unwrap_or(0)
    }
}

// SAFETY: M1: memory is the system allocator's, whose contract holds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: M1, upheld by the caller of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-signed(layout.size()));
        // SAFETY: M1, upheld by the caller of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: M1, upheld by the caller of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist for a moment.
        add(signed(size));
        // SAFETY: M1, upheld by the caller of `realloc`.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        add(-signed(layout.size()));
        moved
    }
}
