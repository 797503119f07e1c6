//! The directory of a section's lookups: how many pages it has, and where its data blocks are.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | `u32` | number of pages |
//! | 4 | `u32` | buckets per page |
//! | 8 | 4 x `u32` | number of data blocks of each kind |
//! | 24 | 16 bytes | reserved |
//! | 40 | `u64` x 2 each | of each data block, by number: offset of its header in the file, stored length |
//!
//! With the block's header, that of a data block begins at a multiple of its length: in one cache line.

use std::ops::Range;

use super::super::block::BLOCK_HEADER_BYTES;
use super::super::index::Extent;
use super::super::records::BlockKind;
use super::super::wire::{Input, out_of_range};
use super::{BUCKET_BYTES, KINDS, MOST_BLOCKS, MOST_BUCKETS, home_of, page_of, position_of};
use crate::{Error, Result};

/// Bytes in front of what is said of data blocks.
const FIXED_BYTES: usize = 40;
const RESERVED: [u8; 16] = [0; 16];
/// What is said of a data block: offset and length.
type Entry = [u8; 16];
/// Where that of the first one begins in the directory's block.
const ENTRIES_AT: usize = BLOCK_HEADER_BYTES + FIXED_BYTES;

/// The fewest bytes of a directory's block: it has a data block.
pub(crate) const LEAST_DIRECTORY_BYTES: u64 = (ENTRIES_AT + size_of::<Entry>()) as u64;

/// Offset and length.
#[inline]
fn decoded(entry: &Entry) -> (u64, u64) {
    let ([offset, length], _) = entry.as_chunks() else { return (0, 0) };
    (u64::from_le_bytes(*offset), u64::from_le_bytes(*length))
}

/// Where a data block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataBlock {
    /// Where its header begins in the file.
    pub at: u64,
    /// Its stored bytes, which are its raw bytes, without the header.
    pub length: u64,
    /// What its entries say.
    pub kind: BlockKind,
}

impl DataBlock {
    /// Where it is in the file, header included.
    #[inline]
    pub const fn range(&self) -> Range<u64> {
        self.at..self.raw_range().end
    }

    /// Where its raw bytes are in the file.
    #[inline]
    pub const fn raw_range(&self) -> Range<u64> {
        // Within the section, if the bytes are those that were decoded; anywhere, if not.
        let raw = self.at.wrapping_add(BLOCK_HEADER_BYTES as u64);
        raw..raw.wrapping_add(self.length)
    }
}

/// How many pages there are, and buckets in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) pages: u32,
    pub(super) buckets: u32,
}

impl Shape {
    /// Bytes from the first bucket to the directory's block: later pages have a header, rounded up to
    /// a bucket, in front.
    pub(super) const fn length(self) -> u64 {
        let (pages, buckets) = (self.pages as u64, self.buckets as u64);
        (pages * (buckets + 1) - 1) * BUCKET_BYTES as u64
    }

    /// Bytes between the end of the data blocks and the first bucket.
    pub(super) const fn lead(data_end: u64) -> u64 {
        let header_end = data_end + BLOCK_HEADER_BYTES as u64;
        header_end.next_multiple_of(BUCKET_BYTES as u64) - data_end
    }
}

/// The data blocks of a section, as they were written or seen.
#[derive(Debug, Default)]
pub(super) struct DataBlocks([Vec<(u64, u64)>; 4]);

impl DataBlocks {
    /// Adds a block, whose header is at `at`.
    pub(super) fn push(&mut self, kind: BlockKind, at: u64, length: u64) {
        if let Some(blocks) = self.0.get_mut(position_of(kind)) {
            blocks.push((at, length));
        }
    }

    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The number of blocks of a kind.
    pub(super) fn len_of(&self, kind: BlockKind) -> usize {
        self.0.get(position_of(kind)).map_or(0, Vec::len)
    }

    /// The kind of the block with this number, and its number among those of its kind.
    pub(super) fn of_number(&self, number: u32) -> Option<(BlockKind, usize)> {
        let mut index = number as usize;
        for (kind, blocks) in KINDS.into_iter().zip(&self.0) {
            if index < blocks.len() {
                return Some((kind, index));
            }
            index -= blocks.len();
        }
        None
    }

    /// Where the numbers of a kind begin.
    pub(super) fn first_of(&self, kind: BlockKind) -> usize {
        self.0.iter().take(position_of(kind)).map(Vec::len).sum()
    }

    /// The stored bytes of the directory's block; `base` is added to all offsets.
    pub(super) fn encode(&self, shape: Shape, base: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.len() * size_of::<Entry>());
        for number in [shape.pages, shape.buckets] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for blocks in &self.0 {
            // Fewer than MOST_BLOCKS, which the writer checks.
            out.extend_from_slice(&u32::try_from(blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend_from_slice(&RESERVED);
        for (at, length) in self.0.iter().flatten() {
            out.extend_from_slice(&(base + at).to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
        }
        out
    }
}

/// Where pages and data blocks of a section are. It keeps numbers only, no bytes: whoever asks for
/// a data block has the bytes of the directory's block, mapped or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    shape: Shape,
    /// Where the numbers of each kind begin; then the number of data blocks.
    firsts: [u32; 5],
    /// Where the first page's block begins.
    pages_at: u64,
    /// Where the directory's block begins.
    at: u64,
}

impl Directory {
    /// Decodes the stored bytes of the directory's block, which begins at `at` and ends with `extent`.
    pub(crate) fn decode(stored: &[u8], count: u32, at: u64, extent: Extent) -> Result<Self> {
        let mut input = Input::new(stored, false);
        let pages = input.u32("number of lookup pages")?;
        let buckets = input.u32("buckets per lookup page")?;
        let mut firsts = [0u32; 5];
        let mut blocks = 0u32;
        for first in firsts.iter_mut().skip(1) {
            let more = input.u32("number of data blocks")?;
            blocks = blocks
                .checked_add(more)
                .filter(|blocks| *blocks as usize <= MOST_BLOCKS)
                .ok_or_else(|| out_of_range("number of data blocks", u64::from(more)))?;
            *first = blocks;
        }
        let reserved = input.take(RESERVED.len(), "reserved")?;
        let (entries, left) = input.rest().as_chunks();
        if pages == 0
            || !(1..=MOST_BUCKETS).contains(&buckets)
            || (reserved, left) != (&RESERVED[..], &[])
            || blocks != count
            || entries.len() != blocks as usize
            || blocks == 0
        {
            return Err(Error::corrupted("a directory contradicts itself"));
        }
        let shape = Shape { pages, buckets };
        let pages_at = tiled(entries, firsts, extent)?;
        let buckets_at = pages_at + Shape::lead(pages_at);
        if buckets_at.checked_add(shape.length()) != Some(at) {
            return Err(Error::corrupted("lookup pages do not end where their directory begins"));
        }
        Ok(Self { shape, firsts, pages_at, at })
    }

    /// The number of lookup pages; at least 1.
    pub const fn pages(&self) -> u32 {
        self.shape.pages
    }

    /// The number of buckets that each page has.
    pub(crate) const fn buckets_of_page(&self) -> u32 {
        self.shape.buckets
    }

    /// The page in which an entry with this hash has its slot.
    #[inline]
    pub const fn page_of(&self, hash: u64) -> u32 {
        page_of(hash, self.shape.pages)
    }

    /// Where the block of a page is in the file: what [`StateFile::verify_page`][1] takes.
    ///
    /// [1]: crate::format::StateFile::verify_page
    pub fn page(&self, page: u32) -> Range<u64> {
        let buckets = self.buckets(page);
        let bucket = BUCKET_BYTES as u64;
        let start = if page == 0 { self.pages_at } else { buckets.start.saturating_sub(bucket) };
        start..buckets.end
    }

    /// Where the buckets of a page are in the file: what [`LookupPage::new`](super::LookupPage::new)
    /// takes. They begin at a multiple of 64.
    #[inline]
    pub const fn buckets(&self, page: u32) -> Range<u64> {
        let Shape { pages, buckets } = self.shape;
        let (length, later) = (buckets as u64, pages.saturating_sub(page).saturating_sub(1) as u64);
        let end = self.at.saturating_sub(later * (length + 1) * BUCKET_BYTES as u64);
        end.saturating_sub(length * BUCKET_BYTES as u64)..end
    }

    /// Where the bucket is in the file in which the search for a hash begins: 64 bytes, which
    /// [`HomeBucket`](super::HomeBucket) takes.
    #[inline]
    pub const fn home_of(&self, hash: u64) -> u64 {
        let Shape { pages, buckets } = self.shape;
        // Buckets from there to the directory, headers of pages included. No more than there are.
        let later = pages.wrapping_sub(page_of(hash, pages)) as u64;
        let left = later.wrapping_mul(buckets as u64 + 1).wrapping_sub(1);
        let left = left.wrapping_sub(home_of(hash, buckets) as u64);
        self.at.wrapping_sub(left.wrapping_mul(BUCKET_BYTES as u64))
    }

    /// The numbers of the data blocks of a kind, in which keys ascend.
    pub fn blocks_of(&self, kind: BlockKind) -> Range<u32> {
        let first = |at: usize| self.firsts.get(at).copied().unwrap_or_default();
        first(position_of(kind))..first(position_of(kind) + 1)
    }

    /// The number of data blocks.
    pub const fn blocks(&self) -> u32 {
        let [.., blocks] = self.firsts;
        blocks
    }

    /// The data block with this number, given all bytes of the directory's block; `None` if there is
    /// none, or these are other bytes.
    #[inline]
    pub fn block(&self, bytes: &[u8], number: u32) -> Option<DataBlock> {
        let kind = self.kind_of(number)?;
        let entry =
            bytes.get(ENTRIES_AT + size_of::<Entry>() * number as usize..)?.first_chunk()?;
        let (at, length) = decoded(entry);
        Some(DataBlock { at, length, kind })
    }

    /// The kind of the data block with this number.
    #[inline]
    pub fn kind_of(&self, number: u32) -> Option<BlockKind> {
        let [_, ends @ ..] = &self.firsts;
        // Mostly all are entries.
        if ends.first().is_some_and(|end| number < *end) {
            return Some(BlockKind::Entries);
        }
        KINDS.into_iter().zip(ends).find(|(_, end)| number < **end).map(|(kind, _)| kind)
    }
}

/// Checks that data blocks lie in the front of `extent` and fill it; returns where they end.
fn tiled(entries: &[Entry], firsts: [u32; 5], extent: Extent) -> Result<u64> {
    let mut all = entries.iter().map(decoded);
    let (mut end, mut total) = (extent.offset, 0u64);
    for (first, last) in firsts.iter().zip(firsts.iter().skip(1)) {
        let mut before = extent.offset;
        for (at, length) in all.by_ref().take(last.saturating_sub(*first) as usize) {
            let length = length.saturating_add(BLOCK_HEADER_BYTES as u64);
            if at < before || at > extent.end() || length > extent.end() - at {
                return Err(out_of_range("offset of a data block", at));
            }
            before = at + length;
            end = end.max(before);
            total = total.saturating_add(length);
        }
    }
    if total != end - extent.offset {
        return Err(Error::corrupted("data blocks of a directory do not fill their section"));
    }
    Ok(end)
}
