//! Checks lookups while everything of a section is read: that pages name its entries and nothing else, and
//! that the directory is what a writer of these blocks writes.
//!
//! Pages are compared by a sum over place and tag of each slot. That each slot is where a search
//! comes by is left to who searches: what it does not find there is not there.

use super::super::records::BlockKind;
use super::page::LookupPage;
use super::{DATA_BLOCK_BYTES, DataBlocks, OFFSET_BITS, Shape, tag_of};
use crate::{EntryKey, entry_hash_of};

type Verdict = Result<(), &'static str>;

/// What was seen of a section.
#[derive(Debug, Default)]
pub(crate) struct LookupCheck {
    blocks: DataBlocks,
    entries: u64,
    /// The sum over all entries.
    wanted: u64,
    pages: u32,
    buckets: u32,
    named: u64,
    /// The sum over all slots.
    found: u64,
    /// A page could not take all its entries.
    full: bool,
    complete: bool,
}

impl LookupCheck {
    /// Takes an entry of the block of `kind` that comes next, which begins at `offset` in its raw bytes.
    pub(crate) fn entry(&mut self, kind: BlockKind, offset: usize, key: EntryKey<'_>) {
        let index = self.blocks.len_of(kind);
        let tag = tag_of(entry_hash_of(key));
        self.entries += 1;
        self.wanted = self.wanted.wrapping_add(term(kind, index, offset as u64, tag));
    }

    /// Takes the block whose entries were told, and whose header is at `at`.
    pub(crate) fn block(&mut self, kind: BlockKind, count: u32, raw: &[u8], at: u64) -> Verdict {
        if self.pages > 0 {
            return Err("data blocks come after lookup pages");
        }
        if raw.len() > DATA_BLOCK_BYTES && count > 1 {
            return Err("a data block is too long for lookups");
        }
        self.blocks.push(kind, at, raw.len() as u64);
        Ok(())
    }

    /// Takes a lookup page, whose header is at `at`.
    pub(crate) fn page(&mut self, stored: &[u8], count: u32, at: u64) -> Verdict {
        let page = LookupPage::decode(stored, count, at)?;
        if self.complete || (self.pages > 0 && page.buckets() != self.buckets) {
            return Err("lookup pages differ in size");
        }
        self.buckets = page.buckets();
        self.pages = self.pages.checked_add(1).ok_or("a section has too many lookup pages")?;
        self.full |= page.is_full();
        self.named += u64::from(count);
        for (tag, place) in page.places() {
            let (kind, index) =
                self.blocks.of_number(place.block).ok_or("a slot names no block")?;
            self.found = self.found.wrapping_add(term(kind, index, place.offset.into(), tag));
        }
        Ok(())
    }

    /// Takes the directory.
    pub(crate) fn directory(&mut self, stored: &[u8], count: u32) -> Verdict {
        if self.complete || self.pages == 0 {
            return Err("a section has no lookup page, or two directories");
        }
        let shape = Shape { pages: self.pages, buckets: self.buckets };
        let same =
            u32::try_from(self.blocks.len()) == Ok(count) && self.blocks.encode(shape, 0) == stored;
        if !same {
            return Err("the directory differs from the blocks of its section");
        }
        self.complete = true;
        let all = (self.named, self.found) == (self.entries, self.wanted);
        let right = if self.full { self.named < self.entries } else { all };
        if right {
            return Ok(());
        }
        Err("lookup pages do not name the entries of their section")
    }

    /// Whether the directory was seen.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }
}

/// What an entry adds to a sum: bits well mixed (the end of `MurmurHash3`).
fn term(kind: BlockKind, index: usize, offset: u64, tag: u8) -> u64 {
    let block = ((index as u64) << 2) | (u64::from(kind.code()) - 1);
    let mut mixed = (((block << OFFSET_BITS) | offset) << 8) | u64::from(tag);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 33)
}
