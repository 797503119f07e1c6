//! Gathers what a section's lookups say while its data blocks are written, and writes them behind these.
//!
//! # Cost
//! 16 bytes of memory per entry of the section while it is written, and 9 more when it ends.

use super::super::block::{BlockContent, Unsealed};
use super::super::builder::Bench;
use super::super::index::Section;
use super::page::{Bucket, insert};
use super::{
    BUCKET_BYTES, DataBlocks, LookupPage, MOST_BLOCKS, MOST_BUCKETS, OFFSET_BITS, Place, Shape,
    page_of,
};
use crate::format::BlockKind;
use crate::{EntryKey, Error, Result, entry_hash_of};

/// Entries for each two buckets, on average; the buckets have 20 slots.
const ENTRIES_PER_TWO_BUCKETS: u64 = 15;
/// Entries of the largest page, on average.
const PAGE_ENTRIES: u64 = MOST_BUCKETS as u64 / 2 * ENTRIES_PER_TWO_BUCKETS;

/// An entry that waits for its slot.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    hash: u64,
    kind: BlockKind,
    /// The number of its block among those of its kind.
    index: u32,
    offset: u16,
}

/// What is known of a section whose data blocks are being written.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    waiting: Vec<Waiting>,
    /// Offsets count from where the section begins.
    blocks: DataBlocks,
    /// Bytes of data blocks.
    length: u64,
}

impl Lookups {
    /// Takes an entry of the block of `kind` that comes next, which begins at `offset` in its raw bytes.
    pub(crate) fn entry(&mut self, kind: BlockKind, offset: usize, key: EntryKey<'_>) {
        // Both are checked when the block is complete.
        let index = u32::try_from(self.blocks.len_of(kind)).unwrap_or(u32::MAX);
        let offset = u16::try_from(offset).unwrap_or(u16::MAX);
        self.waiting.push(Waiting { hash: entry_hash_of(key), kind, index, offset });
    }

    /// Takes the block whose entries were told, and which follows the one before.
    pub(crate) fn block(&mut self, kind: BlockKind, raw: &[u8], stored: u64) -> Result<()> {
        if self.waiting.last().is_some_and(|last| last.offset >= 1 << OFFSET_BITS) {
            return Err(Error::bug("a block with lookups is longer than 4 KiB"));
        }
        if self.blocks.len() >= MOST_BLOCKS {
            return Err(Error::invalid_input(
                "one state has a TiB in one key group, which is more than lookups can find; raise \
                 the maximum parallelism",
            ));
        }
        self.blocks.push(kind, self.length, raw.len() as u64);
        self.length += stored;
        Ok(())
    }

    /// Writes pages and directory behind the data blocks of `section`.
    pub(crate) fn write(self, bench: &mut Bench, section: &mut Section) -> Result<()> {
        let start = section.extents.first().map_or(0, |extent| extent.offset);
        let data_end = start + self.length;
        debug_assert_eq!(data_end, bench.output.position(), "a section is one extent");
        let shape = Shape::of(self.waiting.len() as u64)?;
        let pages = self.pages(shape);
        debug_assert!(self.are_found(shape, &pages), "what was written is what will be found");
        let mut padding = Shape::lead(data_end) - super::HEADER_BYTES;
        let mut stored = Vec::new();
        for (count, buckets) in pages {
            stored.clear();
            stored.resize(usize::try_from(padding).unwrap_or_default(), 0);
            stored.extend_from_slice(buckets.as_flattened());
            append(bench, section, BlockContent::LookupPage, count, &stored)?;
            padding = BUCKET_BYTES as u64 - super::HEADER_BYTES;
        }
        let count = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let directory = self.blocks.encode(shape, start);
        section.directory_bytes =
            append(bench, section, BlockContent::Directory, count, &directory)?;
        Ok(())
    }

    /// The buckets of all pages, and how many entries each has.
    fn pages(&self, shape: Shape) -> Vec<(u32, Vec<Bucket>)> {
        let page = (0, vec![[0; BUCKET_BYTES]; shape.buckets as usize]);
        let mut pages = vec![page; shape.pages as usize];
        for entry in &self.waiting {
            let page = pages.get_mut(page_of(entry.hash, shape.pages) as usize);
            if let Some((count, buckets)) = page {
                *count += u32::from(insert(buckets, entry.hash, self.place(entry)));
            }
        }
        pages
    }

    fn place(&self, entry: &Waiting) -> Place {
        let first = u32::try_from(self.blocks.first_of(entry.kind)).unwrap_or(u32::MAX);
        Place { block: first + entry.index, offset: u32::from(entry.offset) }
    }

    fn are_found(&self, shape: Shape, pages: &[(u32, Vec<Bucket>)]) -> bool {
        self.waiting.iter().all(|entry| {
            let page = pages.get(page_of(entry.hash, shape.pages) as usize);
            page.is_some_and(|(_, buckets)| {
                let page = LookupPage::new(buckets.as_flattened());
                let mut candidates = page.candidates(entry.hash);
                candidates.any(|place| place == self.place(entry)) || !candidates.is_complete()
            })
        })
    }
}

impl Shape {
    /// How many pages and buckets so many entries get.
    fn of(entries: u64) -> Result<Self> {
        let pages = entries.div_ceil(PAGE_ENTRIES).max(1);
        let buckets = (2 * entries).div_ceil(pages * ENTRIES_PER_TWO_BUCKETS).max(1);
        match (u32::try_from(pages), u32::try_from(buckets)) {
            (Ok(pages), Ok(buckets)) => Ok(Self { pages, buckets: buckets.min(MOST_BUCKETS) }),
            _ => Err(Error::invalid_input("one key group of a state has 2^44 entries or more")),
        }
    }
}

/// Seals a block and puts it into the file; returns its length.
fn append(
    bench: &mut Bench,
    section: &mut Section,
    content: BlockContent,
    count: u32,
    stored: &[u8],
) -> Result<u64> {
    let unsealed =
        Unsealed { content, state: section.state, group: section.group, count, raw: stored };
    let length = bench.append(&unsealed)?;
    section.blocks += 1;
    let end = section.extents.last_mut();
    if let Some(extent) = end {
        extent.length += length;
    }
    Ok(length)
}
