//! Memory for the blocks of large tables, which the kernel may back with huge pages.
//!
//! # Role
//! A table of millions of entries is accessed at random, and with pages of 4 KiB each access misses the
//! processor's table of pages too. So blocks of large tables lie in regions of 2 MiB that are aligned to as
//! much, for which the kernel is asked for huge pages. Where it has none, or refuses, nothing else
//! changes. All tables of a process share the regions: a few blocks do not cost a region each.
//!
//! Blocks are taken from the region that comes first in memory and has room. So tables that shrink, whose
//! shards get new blocks, move to the front, and regions become empty and are given back.
//!
//! # Invariants
//! Q1. What [`take`] returned belongs to the caller until [`give_back`]: its bytes are in no hole.
//! Q2. The holes of a region are ascending, disjoint, and do not touch each other. A region without
//!     blocks is one hole, and is freed, but for one that is kept for the next block.

#![expect(unsafe_code, reason = "allocates regions, and advises the kernel about them (Q1, Q2)")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;

use parking_lot::Mutex;

/// Size of a region, and its alignment: that of a huge page.
const REGION: usize = 2 << 20;

/// Largest block that comes from a region.
pub(super) const LARGEST: usize = REGION >> 3;

/// Blocks begin at multiples of this: a cache line.
const UNIT: usize = 64;

const LAYOUT: Layout = match Layout::from_size_align(REGION, REGION) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Part of a region: where it begins, and how long it is.
#[derive(Clone, Copy)]
struct Hole {
    at: usize,
    len: usize,
}

/// Memory from which blocks are taken.
struct Region {
    memory: NonNull<u8>,
    holes: Vec<Hole>,
    longest: usize,
}

// SAFETY: a region owns its memory, as a `Vec<u8>` does.
unsafe impl Send for Region {}

impl Region {
    /// A region without blocks; `None` where there is no memory.
    fn new() -> Option<Self> {
        // SAFETY: the layout is not of size zero.
        let memory = NonNull::new(unsafe { alloc(LAYOUT) })?;
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the region is ours, and advice about huge pages changes nothing that is in it.
            let _refused =
                unsafe { madvise(memory.as_ptr().cast(), REGION, Advice::LinuxHugepage) };
        }
        let hole = Hole { at: 0, len: REGION };
        Some(Self { memory, holes: vec![hole], longest: REGION })
    }

    fn is_empty(&self) -> bool {
        self.longest == REGION
    }

    fn measure(&mut self) {
        self.longest = self.holes.iter().map(|hole| hole.len).max().unwrap_or(0);
    }

    /// Takes so many bytes from the first hole that has them.
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let index = self.holes.iter().position(|hole| hole.len >= len)?;
        let hole = self.holes.get_mut(index)?;
        let at = hole.at;
        *hole = Hole { at: at.saturating_add(len), len: hole.len.saturating_sub(len) };
        if hole.len == 0 {
            self.holes.remove(index);
        }
        self.measure();
        // SAFETY: holes lie in the region (Q2).
        Some(unsafe { self.memory.add(at) })
    }

    /// Adds a hole, and joins it with its neighbours.
    fn give_back(&mut self, mut new: Hole) {
        let mut index = self.holes.partition_point(|hole| hole.at < new.at);
        let after = new.at.saturating_add(new.len);
        if let Some(next) = self.holes.get(index).filter(|next| next.at == after) {
            new.len = new.len.saturating_add(next.len);
            self.holes.remove(index);
        }
        let before = index.checked_sub(1).and_then(|before| self.holes.get(before).copied());
        if let Some(last) = before.filter(|last| last.at.saturating_add(last.len) == new.at) {
            new = Hole { at: last.at, len: last.len.saturating_add(new.len) };
            index = index.saturating_sub(1);
            self.holes.remove(index);
        }
        self.holes.insert(index, new);
        self.measure();
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and no block is left (Q2, `Regions`).
        unsafe { dealloc(self.memory.as_ptr(), LAYOUT) };
    }
}

/// The regions, by address.
struct Regions {
    all: BTreeMap<usize, Region>,
    empty: usize,
}

/// Those of the process. Taken for a moment whenever a shard grows, splits or shrinks.
static REGIONS: Mutex<Regions> = Mutex::new(Regions { all: BTreeMap::new(), empty: 0 });

fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of(UNIT)
}

impl Regions {
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let fits = self.all.values_mut().find(|region| region.longest >= len);
        let region = if let Some(region) = fits {
            region
        } else {
            let region = Region::new()?;
            self.empty = self.empty.saturating_add(1);
            self.all.entry(region.memory.addr().get()).or_insert(region)
        };
        self.empty = self.empty.saturating_sub(usize::from(region.is_empty()));
        region.take(len)
    }

    /// Gives memory back; a region that is then not needed any more comes back.
    fn give_back(&mut self, memory: NonNull<u8>, len: usize) -> Option<Region> {
        let address = memory.addr().get();
        let at = address % REGION;
        let first = address.saturating_sub(at);
        let region = self.all.get_mut(&first)?;
        region.give_back(Hole { at, len });
        if !region.is_empty() {
            return None;
        }
        if self.empty == 0 {
            self.empty = 1;
            return None;
        }
        self.all.remove(&first)
    }
}

/// Takes memory for a block of at most [`LARGEST`] bytes, aligned to a cache line; `None` where there is
/// none. What is in it is not known.
pub(super) fn take(bytes: usize) -> Option<NonNull<u8>> {
    REGIONS.lock().take(rounded(bytes))
}

/// Gives memory back.
///
/// # Safety
/// It came from [`take`] with as many bytes, and nobody uses it any more (Q1).
pub(super) unsafe fn give_back(memory: NonNull<u8>, bytes: usize) {
    let freed = REGIONS.lock().give_back(memory, rounded(bytes));
    drop(freed); // without the lock: it takes the kernel a while
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths that look random.
    fn lengths(count: u32) -> impl Iterator<Item = usize> {
        (1..=count).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 17) as usize % 30_000 + 1)
    }

    #[test]
    fn blocks_are_disjoint_and_empty_regions_are_freed() {
        let mut regions = Regions { all: BTreeMap::new(), empty: 0 };
        let mut blocks: Vec<(usize, usize, NonNull<u8>)> = Vec::new();
        for (turn, bytes) in lengths(4_000).enumerate() {
            if turn % 3 == 2 {
                let (_, len, memory) = blocks.swap_remove(bytes % blocks.len());
                drop(regions.give_back(memory, len));
            }
            let memory = regions.take(rounded(bytes)).unwrap();
            assert_eq!(memory.addr().get() % UNIT, 0);
            blocks.push((memory.addr().get(), rounded(bytes), memory));
        }
        let mut sorted = blocks.clone();
        sorted.sort_unstable();
        assert!(sorted.is_sorted_by(|(at, len, _), (next, ..)| at + len <= *next));
        let used: usize = blocks.iter().map(|(_, len, _)| len).sum();
        let held = regions.all.len() * REGION;
        assert!(held <= used + used / 8 + REGION, "{held} bytes are held for {used}");
        for (_, len, memory) in blocks {
            drop(regions.give_back(memory, len));
        }
        assert!(regions.all.values().all(Region::is_empty));
        assert_eq!((regions.all.len(), regions.empty), (1, 1));
    }

    #[test]
    fn what_shrinks_moves_to_the_front() {
        let mut regions = Regions { all: BTreeMap::new(), empty: 0 };
        let take = |regions: &mut Regions, len: usize| (regions.take(len).unwrap(), len);
        let mut blocks: Vec<_> =
            lengths(4_000).map(|bytes| take(&mut regions, rounded(bytes))).collect();
        let before = regions.all.len();
        for _ in 0..3 {
            for block in &mut blocks {
                let half = take(&mut regions, rounded(block.1 >> 1));
                drop(regions.give_back(block.0, block.1));
                *block = half;
            }
        }
        let after = regions.all.len();
        assert!(after * 4 <= before, "{after} regions of {before}");
    }
}
