//! Lookups: what finds an entry of a section by its hash, where it lies (FORMAT.md 2.10).
//!
//! # Role
//! A backend that leaves its state in files reads single entries of them: a page and a bucket follow from
//! an entry's hash, the bucket's tags say which slots are worth a look, and a slot says in which block the
//! entry is and where. One cache line of the bucket and one of the entry, whatever the size of the file.
//!
//! | what | code |
//! |---|---|
//! | where pages and data blocks are | [`Directory`] |
//! | buckets, search | `page`: [`LookupPage`], [`Candidates`] |
//! | what a writer gathers of a section | `build` |
//! | what a reader of everything checks | `check` |
//!
//! # Invariants
//! * L1 Data blocks are numbered by kind first, then by their order in the file, in which keys ascend.
//! * L2 A search ends after each bucket of its page was seen once, whatever the bytes say.
//! * L3 The same functions say for writer and readers where a hash belongs, and how a directory is encoded.

mod build;
mod check;
mod directory;
#[cfg(feature = "testkit")]
pub(crate) mod fuzz;
mod page;

pub(crate) use build::Lookups;
pub(crate) use check::LookupCheck;
pub(crate) use directory::LEAST_DIRECTORY_BYTES;
pub use directory::{DataBlock, Directory};
use directory::{DataBlocks, Shape};
pub use page::{Candidates, HomeBucket, LookupPage, Place};

use super::records::BlockKind;

/// Raw bytes of a data block that has more than one entry.
pub(crate) const DATA_BLOCK_BYTES: usize = 4 << 10;
/// Bits of an offset in a data block.
const OFFSET_BITS: u32 = 12;
/// The most data blocks of a section.
const MOST_BLOCKS: usize = 1 << 28;

/// Bytes of a block's header.
const HEADER_BYTES: u64 = super::block::BLOCK_HEADER_BYTES as u64;
/// Bytes of a bucket: a cache line.
const BUCKET_BYTES: usize = 64;
/// Slots of a bucket.
const SLOTS: usize = 10;
/// The most buckets of a page.
const MOST_BUCKETS: u32 = 512;

/// Kinds of data blocks in the order in which they are numbered.
const KINDS: [BlockKind; 4] =
    [BlockKind::Entries, BlockKind::Tombstones, BlockKind::ListAppends, BlockKind::MapRemovals];

/// The position of a kind in [`KINDS`].
const fn position_of(kind: BlockKind) -> usize {
    kind.code() as usize - 1
}

/// The upper half of the product of two 32-bit numbers: `of` parts of the range of `number`.
#[inline]
const fn scaled(number: u32, of: u32) -> u32 {
    ((number as u64 * of as u64) >> 32) as u32
}

/// The page of a hash among `pages`.
#[inline]
const fn page_of(hash: u64, pages: u32) -> u32 {
    scaled((hash >> 32) as u32, pages)
}

/// The home of a hash among the `buckets` of its page.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn home_of(hash: u64, buckets: u32) -> u32 {
    scaled(hash as u32, buckets)
}

/// The tag of a hash; never 0, which stands for a free slot. Its bits are none of those that decide upon
/// page and bucket.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
const fn tag_of(hash: u64) -> u8 {
    let tag = hash as u8;
    if tag == 0 { 1 } else { tag }
}
