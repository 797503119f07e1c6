//! The bytes of a segment: from the map, or from a cache; verified before they are believed.
//!
//! # Invariants
//! * B1 A bit of a section is set only after the checksum and the structure of its page or block were
//!   found right. Bytes never change, so the bit says no more than that, and no order of memory is asked for.
//! * B2 A directory was verified when its section is open; ranges that it yields lie in the section.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_state_api::format::{
    BLOCK_HEADER_BYTES, DataBlock, Directory, EntryLayout, HomeBucket, LookupPage, Section,
};
use alluvium_state_api::{Error, Result};

use super::{BlockCache, Segment};

/// A section whose directory was read.
#[derive(Debug)]
pub(super) struct OpenSection {
    pub(super) directory: Directory,
    bytes: Bytes,
    /// A bit for each page, then for each data block; none where blocks are read.
    verified: Box<[AtomicU64]>,
}

/// The bytes of a directory.
#[derive(Debug)]
enum Bytes {
    Mapped(Range<usize>),
    Kept(Box<[u8]>),
}

impl OpenSection {
    #[inline]
    fn is_verified(&self, bit: usize) -> bool {
        let word = self.verified.get(bit / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (bit % 64) & 1 == 1)
    }

    fn set_verified(&self, bit: usize) {
        if let Some(word) = self.verified.get(bit / 64) {
            word.fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }

    /// Bytes of memory that it holds.
    pub(super) fn kept_bytes(&self) -> usize {
        let directory = match &self.bytes {
            Bytes::Mapped(_) => 0,
            Bytes::Kept(bytes) => bytes.len(),
        };
        directory + size_of_val(&*self.verified)
    }
}

/// The part of a map at a range of the file; empty where there is none, which no block is.
#[inline]
pub(super) fn part<'m>(map: &'m [u8], range: &Range<u64>) -> &'m [u8] {
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) => map.get(start..end).unwrap_or_default(),
        _ => &[],
    }
}

impl Segment {
    pub(super) fn section(&self, index: usize) -> Result<&Section> {
        self.file.sections().get(index).ok_or_else(|| Error::bug("there is no such section"))
    }

    /// How entries of a section lie in its blocks.
    pub(super) fn layout(&self, index: usize) -> Result<&EntryLayout> {
        let layout = self.sections.get(index).and_then(|slot| self.file.layout(slot.state));
        layout.ok_or_else(|| Error::bug("there is no such section"))
    }

    /// A section whose directory was read and verified.
    #[inline]
    pub(super) fn opened(&self, index: usize) -> Result<&OpenSection> {
        match self.opened.get(index).and_then(OnceLock::get) {
            Some(open) => Ok(open),
            None => self.open_section(index),
        }
    }

    #[cold]
    fn open_section(&self, index: usize) -> Result<&OpenSection> {
        let section = self.section(index)?;
        let Some(range) = self.file.lookups(section) else {
            return Err(Error::bug("a segment without lookups was opened"));
        };
        let open = if let Some(map) = &self.map {
            let directory = self.file.directory(section, part(map, &range))?;
            let bits = directory.pages() as usize + directory.blocks() as usize;
            let verified = (0..bits.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = Bytes::Mapped(at(range.start)..at(range.end));
            OpenSection { directory, bytes, verified }
        } else {
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length].into_boxed_slice();
            self.read(index, range.start, &mut bytes)?;
            let directory = self.file.directory(section, &bytes)?;
            OpenSection { directory, bytes: Bytes::Kept(bytes), verified: Box::default() }
        };
        let slot = self.opened.get(index).ok_or_else(|| Error::bug("there is no such section"))?;
        Ok(slot.get_or_init(|| open))
    }

    /// Where a data block is.
    #[inline]
    pub(super) fn data_block(
        &self,
        index: usize,
        open: &OpenSection,
        number: u32,
    ) -> Result<DataBlock> {
        let block = self.block_of(open, number);
        block.ok_or_else(|| self.misled(index, "a place names a data block that is not there"))
    }

    /// The same; `None` if there is none with this number.
    #[inline]
    pub(super) fn block_of(&self, open: &OpenSection, number: u32) -> Option<DataBlock> {
        let bytes = match (&open.bytes, &self.map) {
            (Bytes::Mapped(range), Some(map)) => map.get(range.clone()).unwrap_or_default(),
            (Bytes::Kept(bytes), _) => bytes,
            (Bytes::Mapped(_), None) => &[],
        };
        open.directory.block(bytes, number)
    }

    /// An error of a file that was made to mislead (S2): everything passed its checksum.
    #[cold]
    pub(super) fn misled(&self, index: usize, message: &str) -> Error {
        let section = self.file.sections().get(index);
        let at = section.and_then(|section| self.file.lookups(section)).map_or(0, |at| at.start);
        self.locate(index, Error::corrupted(message), at)
    }

    pub(super) fn read(&self, index: usize, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.file.reader().read_exact_at(offset, bytes);
        read.map_err(|error| self.locate(index, error, offset))
    }

    /// A verified lookup page, of the map.
    #[inline]
    pub(super) fn mapped_page<'m>(
        &self,
        map: &'m [u8],
        index: usize,
        open: &OpenSection,
        page: u32,
    ) -> Result<LookupPage<'m>> {
        if !open.is_verified(page as usize) {
            let range = open.directory.page(page);
            if let Some(map) = &self.map {
                map.will_need(range.clone());
            }
            let bytes = part(map, &range);
            self.file.verify_page(self.section(index)?, &open.directory, page, bytes)?;
            open.set_verified(page as usize);
        }
        Ok(LookupPage::new(part(map, &open.directory.buckets(page))))
    }

    /// The bucket in which a search begins, of a verified page of the map.
    #[inline]
    pub(super) fn mapped_home<'m>(
        &self,
        map: &'m [u8],
        index: usize,
        open: &OpenSection,
        hash: u64,
    ) -> Result<HomeBucket<'m>> {
        let page = open.directory.page_of(hash);
        if !open.is_verified(page as usize) {
            self.mapped_page(map, index, open, page)?;
        }
        let at = usize::try_from(open.directory.home_of(hash)).unwrap_or(usize::MAX);
        match map.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(bucket) => Ok(HomeBucket::new(bucket, hash)),
            None => Err(self.misled(index, "a bucket lies beyond the end of the file")),
        }
    }

    /// A verified lookup page, of the cache.
    pub(super) fn cached_page<'c>(
        &self,
        cache: &'c mut BlockCache,
        index: usize,
        open: &OpenSection,
        page: u32,
    ) -> Result<LookupPage<'c>> {
        let (range, buckets) = (open.directory.page(page), open.directory.buckets(page));
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
        let lead = usize::try_from(buckets.start.saturating_sub(range.start)).unwrap_or_default();
        let key = (self.local.id(), range.start);
        let bytes = cache.get(key, length, |bytes| {
            self.read(index, range.start, bytes)?;
            let section = self.section(index)?;
            self.file.verify_page(section, &open.directory, page, bytes).map(drop)
        })?;
        Ok(LookupPage::new(bytes.get(lead..).unwrap_or_default()))
    }

    /// Where a verified data block of the map is, and its raw bytes.
    #[inline]
    pub(super) fn mapped_block<'m>(
        &self,
        map: &'m [u8],
        index: usize,
        open: &OpenSection,
        number: u32,
    ) -> Result<(DataBlock, &'m [u8])> {
        let block = self.data_block(index, open, number)?;
        let bit = open.directory.pages() as usize + number as usize;
        if !open.is_verified(bit) {
            self.verify(index, &block, part(map, &block.range()))?;
            open.set_verified(bit);
        }
        Ok((block, part(map, &block.raw_range())))
    }

    #[cold]
    fn verify(&self, index: usize, block: &DataBlock, bytes: &[u8]) -> Result<()> {
        let verified = self.file.verify_block(self.section(index)?, bytes, block.at)?;
        if verified.kind() == block.kind {
            return Ok(());
        }
        let error = Error::corrupted("a data block is of another kind than its directory says");
        Err(self.locate(index, error, block.at))
    }

    /// Where a verified data block is, and its raw bytes.
    #[inline]
    pub(super) fn block<'a>(
        &'a self,
        cache: &'a mut BlockCache,
        index: usize,
        number: u32,
    ) -> Result<(DataBlock, &'a [u8])> {
        let open = self.opened(index)?;
        if let Some(map) = &self.map {
            return self.mapped_block(map, index, open, number);
        }
        let block = self.data_block(index, open, number)?;
        let bytes = self.cached_block(cache, index, &block)?;
        Ok((block, bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default()))
    }

    /// All bytes of a verified data block, of the cache.
    fn cached_block<'c>(
        &self,
        cache: &'c mut BlockCache,
        index: usize,
        block: &DataBlock,
    ) -> Result<&'c [u8]> {
        let range = block.range();
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        cache.get((self.local.id(), block.at), length, |bytes| {
            self.read(index, block.at, bytes)?;
            self.verify(index, block, bytes)
        })
    }

    /// Bytes at a range of the file, which lies in a data block, of the cache; none if it does not.
    pub(super) fn cached_part<'c>(
        &self,
        cache: &'c mut BlockCache,
        (index, number): (usize, u32),
        range: Range<u64>,
    ) -> Result<&'c [u8]> {
        let block = self.data_block(index, self.opened(index)?, number)?;
        let bytes = self.cached_block(cache, index, &block)?;
        let (start, end) = (range.start.checked_sub(block.at), range.end.checked_sub(block.at));
        Ok(start.zip(end).map_or(&[], |(start, end)| part(bytes, &(start..end))))
    }

    /// A verified data block of the map, if there is one.
    pub(super) fn mapped(&self, index: usize, number: u32) -> Result<Option<(DataBlock, &[u8])>> {
        match &self.map {
            Some(map) => self.mapped_block(map, index, self.opened(index)?, number).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a data block, and what lies behind it, into `window`, past map and cache.
    pub(super) fn windowed_block(
        &self,
        window: &mut Window,
        index: usize,
        number: u32,
    ) -> Result<DataBlock> {
        let block = self.data_block(index, self.opened(index)?, number)?;
        let range = block.range();
        if !window.holds(&range) {
            // Blocks of the section lie between here and its directory.
            let end = self.file.lookups(self.section(index)?).map_or(range.end, |at| at.start);
            let length = end.saturating_sub(range.start).min(WINDOW_BYTES);
            let length = length.max(range.end - range.start);
            window.start = range.start;
            window.bytes.clear();
            window.bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            let read = self.read(index, range.start, &mut window.bytes);
            if read.is_err() {
                window.bytes.clear();
            }
            read?;
        }
        self.verify(index, &block, window.get(&range))?;
        Ok(block)
    }
}

/// Bytes that are read at once where a section is read from its beginning to its end.
const WINDOW_BYTES: u64 = 256 << 10;

/// A piece of a file.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn holds(&self, range: &Range<u64>) -> bool {
        self.start <= range.start && range.end <= self.start + self.bytes.len() as u64
    }

    pub(super) fn get(&self, range: &Range<u64>) -> &[u8] {
        let from = |at: u64| at.checked_sub(self.start);
        match (from(range.start), from(range.end)) {
            (Some(start), Some(end)) => part(&self.bytes, &(start..end)),
            _ => &[],
        }
    }
}
