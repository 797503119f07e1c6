//! Hints to processor and kernel: they make memory faster to reach, and change nothing that is in it.
//!
//! # Invariants
//! H1. A prefetch never faults, whatever the address. Advice about huge pages changes nothing in the memory,
//!     which the caller lends for as long as it is given.

#![expect(unsafe_code, reason = "hints take addresses")]

/// A hint: the processor may load the cache line at `address`, whatever is there. Never faults; does
/// nothing on processors other than x86-64.
#[inline]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults and has no effect but on caches (H1).
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _unused = address;
}

/// A hint: the kernel may back this memory with huge pages, where it is that large. Most servers give them
/// only to who asks. Linux only.
pub fn prefer_huge_pages(memory: &mut [u8]) {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        /// What the kernel's smallest pages are at most, and advice begins at a multiple of.
        const PAGE: usize = 64 << 10;
        let skipped = memory.as_ptr().align_offset(PAGE);
        if let Some(aligned) = memory.get_mut(skipped..) {
            let (start, length) = (aligned.as_mut_ptr().cast(), aligned.len());
            // SAFETY: the memory is the caller's, and advice about huge pages changes nothing in it (H1).
            let _refused = unsafe { madvise(start, length, Advice::LinuxHugepage) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _unused = memory;
}
