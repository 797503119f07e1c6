//! Finds single entries by their hash, and lends their values.
//!
//! # Cost
//! Of a mapped segment that is warm: a line of the directory, the line of the bucket, a line of the
//! directory for each candidate (mostly there already), and that of the entry. One in 25 searches of
//! what is not there looks at an entry that has the same tag.

use std::mem;

use alluvium_state_api::format::{BlockKind, Place as Candidate, Record};
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result};

use super::lane::Lane;
use super::pages::OpenSection;
use super::{BlockCache, Segment};

/// Where an entry of a segment is: a number, which borrows nothing and is good for that segment as
/// long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) kind: BlockKind,
    pub(super) section: u32,
    pub(super) block: u32,
    /// Where it begins in the raw bytes of its block.
    pub(super) offset: u32,
    /// Where its value begins; [`NO_VALUE`] where it has none.
    pub(super) value: u32,
    pub(super) value_length: u32,
}

/// Behind the end of any block.
const NO_VALUE: u32 = u32::MAX;

impl Place {
    /// What the segment says of the entry.
    #[inline]
    pub(crate) const fn kind(&self) -> BlockKind {
        self.kind
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Wanted<'k> {
    section: usize,
    key: EntryKey<'k>,
    /// The removal of a map, and not an entry.
    removal: bool,
}

impl Segment {
    /// Where the segment has something about an entry, whose hash ([`entry_hash_of`][1]) is `hash`: its
    /// value, its list, elements that were appended to it, or that it was removed. Removals of whole
    /// maps are [`map_removed`](Self::map_removed).
    ///
    /// # Errors
    /// `Corrupted`, `Unavailable`.
    ///
    /// [1]: alluvium_state_api::entry_hash_of
    #[inline]
    pub(crate) fn find(
        &self,
        cache: &mut BlockCache,
        state: u16,
        group: KeyGroup,
        key: EntryKey<'_>,
        hash: u64,
    ) -> Result<Option<Place>> {
        match self.section_of(state, group) {
            Some(section) => self.look_up(cache, Wanted { section, key, removal: false }, hash),
            None => Ok(None),
        }
    }

    /// Whether the segment says that the map under a key and a namespace, whose hash is `hash`, was removed:
    /// of older segments, none of its entries counts.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    #[inline]
    pub(crate) fn map_removed(
        &self,
        cache: &mut BlockCache,
        state: u16,
        group: KeyGroup,
        prefix: EntryKey<'_>,
        hash: u64,
    ) -> Result<bool> {
        let Some(section) = self.section_of(state, group) else {
            return Ok(false);
        };
        if self.opened(section)?.directory.blocks_of(BlockKind::MapRemovals).is_empty() {
            return Ok(false);
        }
        let wanted = Wanted { section, key: prefix, removal: true };
        self.look_up(cache, wanted, hash).map(|found| found.is_some())
    }

    /// The value at a place that [`find`](Self::find) or a cursor of this segment returned.
    ///
    /// # Errors
    /// As [`find`](Self::find); `Bug` for a place that has no value, or of another segment.
    #[inline]
    pub(crate) fn value<'a>(&'a self, cache: &'a mut BlockCache, place: Place) -> Result<&'a [u8]> {
        let (_, raw) = self.block(cache, place.section as usize, place.block)?;
        let start = place.value as usize;
        let value = raw.get(start..start.saturating_add(place.value_length as usize));
        value.ok_or_else(|| Error::bug("a place was asked for a value that it does not have"))
    }

    #[inline]
    fn look_up(
        &self,
        cache: &mut BlockCache,
        wanted: Wanted<'_>,
        hash: u64,
    ) -> Result<Option<Place>> {
        let section = wanted.section;
        let open = self.opened(section)?;
        let Some(map) = &self.map else {
            return self.look_up_cached(cache, wanted, hash, open);
        };
        let page = open.directory.page_of(hash);
        let mut candidates = self.mapped_page(map, section, open, page)?.candidates(hash);
        for candidate in candidates.by_ref() {
            let (kind, raw) = self.mapped_block(map, section, open, candidate.block)?;
            if let Some(place) = self.compare(wanted, kind, raw, candidate)? {
                return Ok(Some(place));
            }
        }
        if candidates.is_complete() { Ok(None) } else { self.search(cache, wanted) }
    }

    fn look_up_cached(
        &self,
        cache: &mut BlockCache,
        wanted: Wanted<'_>,
        hash: u64,
        open: &OpenSection,
    ) -> Result<Option<Place>> {
        let page = open.directory.page_of(hash);
        // Loading a block may drop the page.
        let mut found = mem::take(&mut cache.candidates);
        found.clear();
        let mut candidates = self.cached_page(cache, wanted.section, open, page)?.candidates(hash);
        found.extend(candidates.by_ref());
        let complete = candidates.is_complete();
        let mut place = Ok(None);
        for candidate in &found {
            let block = self.block(cache, wanted.section, candidate.block);
            place = block.and_then(|(kind, raw)| self.compare(wanted, kind, raw, *candidate));
            if !matches!(place, Ok(None)) {
                break;
            }
        }
        cache.candidates = found;
        match place? {
            None if !complete => self.search(cache, wanted),
            place => Ok(place),
        }
    }

    /// Whether what is wanted is at `candidate`.
    #[inline]
    fn compare(
        &self,
        wanted: Wanted<'_>,
        kind: BlockKind,
        raw: &[u8],
        candidate: Candidate,
    ) -> Result<Option<Place>> {
        if (kind == BlockKind::MapRemovals) != wanted.removal {
            return Ok(None);
        }
        let layout = self.layout(wanted.section)?;
        let read = layout.record_at(kind, raw, candidate.offset as usize);
        let (record, end) = read.map_err(|_error| {
            self.misled(wanted.section, "a place names an entry that is not there")
        })?;
        if key_of(&record) != wanted.key {
            return Ok(None);
        }
        if matches!(record, Record::List(segment) if segment.first > 0) {
            let error = self.misled(wanted.section, "a place names the middle of a list");
            return Err(error);
        }
        place(wanted.section, kind, candidate, &record, end).map(Some)
    }

    /// Finds by order what found no room in its page.
    #[cold]
    fn search(&self, cache: &mut BlockCache, wanted: Wanted<'_>) -> Result<Option<Place>> {
        let kinds = if wanted.removal { &[BlockKind::MapRemovals][..] } else { &Lane::KINDS };
        for kind in kinds {
            let mut lane = Lane::new(self, wanted.section, *kind)?;
            lane.seek(cache, wanted.key.bytes())?;
            if lane.key()?.is_some_and(|key| key == wanted.key) {
                return lane.item().map(|item| item.map(|item| item.place));
            }
        }
        Ok(None)
    }
}

/// The key of what a block says.
#[inline]
pub(super) fn key_of<'a>(record: &Record<'a>) -> EntryKey<'a> {
    match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => *key,
        Record::List(segment) | Record::Append(segment) => segment.key,
    }
}

/// The place of a record that ends at `end`.
#[inline]
pub(super) fn place(
    section: usize,
    kind: BlockKind,
    at: Candidate,
    record: &Record<'_>,
    end: usize,
) -> Result<Place> {
    let length = if let Record::Entry(_, value) = record { value.len() } else { 0 };
    let number = |number: usize| {
        u32::try_from(number).map_err(|_error| Error::corrupted("a block is longer than 4 GiB"))
    };
    Ok(Place {
        kind,
        section: number(section)?,
        block: at.block,
        offset: at.offset,
        value: if matches!(record, Record::Entry(..)) { number(end - length)? } else { NO_VALUE },
        value_length: number(length)?,
    })
}
