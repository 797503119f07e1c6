//! Finds single entries by their hash, and lends their values.
//!
//! # Cost
//! Of a mapped segment that is warm: a line of the directory, the line of the bucket, a line of the
//! directory for each candidate (mostly there already), and that of the entry. One in 25 searches of
//! what is not there looks at an entry that has the same tag.

use std::mem;

use alluvium_state_api::format::{BlockKind, DataBlock, Place as Candidate, Record};
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result};

use super::lane::Lane;
use super::pages::part;
use super::{BlockCache, Segment, Widths};

/// Where an entry of a segment is: numbers, which borrow nothing and are good for that segment as long
/// as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) kind: BlockKind,
    /// Of an entry of fixed widths in a map that was listed, this and the next two may be 0: its value is all
    /// that counts.
    pub(super) section: u32,
    pub(super) block: u32,
    /// Where it begins in the raw bytes of its block.
    pub(super) offset: u32,
    /// Where its value is in the file; nowhere, where it has none.
    value: u64,
    value_length: u32,
}

/// Behind the end of any file.
const NOWHERE: u64 = u64::MAX;

impl Place {
    /// What the segment says of the entry.
    #[inline]
    pub(crate) const fn kind(&self) -> BlockKind {
        self.kind
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'k> {
    pub(super) section: usize,
    pub(super) widths: Widths,
    pub(super) key: EntryKey<'k>,
    /// The removal of a map, and not an entry.
    pub(super) removal: bool,
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
        let Some((section, slot)) = self.section_of(state, group) else {
            return Ok(None);
        };
        let wanted = Wanted { section, widths: slot.widths, key, removal: false };
        self.look_up(cache, wanted, hash)
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
        let Some((section, slot)) = self.section_of(state, group) else {
            return Ok(false);
        };
        if self.opened(section)?.directory.blocks_of(BlockKind::MapRemovals).is_empty() {
            return Ok(false);
        }
        let wanted = Wanted { section, widths: slot.widths, key: prefix, removal: true };
        self.look_up(cache, wanted, hash).map(|found| found.is_some())
    }

    /// The value at a place that [`find`](Self::find) or a cursor of this segment returned.
    ///
    /// # Errors
    /// As [`find`](Self::find); `Bug` for a place that has no value, or of another segment.
    #[inline]
    pub(crate) fn value<'a>(&'a self, cache: &'a mut BlockCache, place: Place) -> Result<&'a [u8]> {
        let end = place.value.saturating_add(u64::from(place.value_length));
        let value = if let Some(map) = &self.map {
            part(map, &(place.value..end))
        } else {
            let block = (place.section as usize, place.block);
            self.cached_part(cache, block, place.value..end)?
        };
        if value.len() == place.value_length as usize {
            return Ok(value);
        }
        Err(Error::bug("a place was asked for a value that it does not have"))
    }

    #[inline]
    fn look_up(
        &self,
        cache: &mut BlockCache,
        wanted: Wanted<'_>,
        hash: u64,
    ) -> Result<Option<Place>> {
        let Some(map) = &self.map else {
            return self.look_up_cached(cache, wanted, hash);
        };
        let (section, open) = (wanted.section, self.opened(wanted.section)?);
        let mut home = self.mapped_home(map, section, open, hash)?;
        for candidate in home.by_ref() {
            let (block, raw) = self.mapped_block(map, section, open, candidate.block)?;
            if let Some(place) = self.compare(wanted, &block, raw, candidate)? {
                return Ok(Some(place));
            }
        }
        if home.is_all() { Ok(None) } else { self.look_further(cache, map, wanted, hash) }
    }

    /// Looks through the rest of the page, where what is wanted may have gone on from its home.
    #[cold]
    fn look_further(
        &self,
        cache: &mut BlockCache,
        map: &[u8],
        wanted: Wanted<'_>,
        hash: u64,
    ) -> Result<Option<Place>> {
        let (section, open) = (wanted.section, self.opened(wanted.section)?);
        let page = self.mapped_page(map, section, open, open.directory.page_of(hash))?;
        let mut candidates = page.beyond_home(hash);
        for candidate in candidates.by_ref() {
            let (block, raw) = self.mapped_block(map, section, open, candidate.block)?;
            if let Some(place) = self.compare(wanted, &block, raw, candidate)? {
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
    ) -> Result<Option<Place>> {
        let open = self.opened(wanted.section)?;
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
            place = block.and_then(|(block, raw)| self.compare(wanted, &block, raw, *candidate));
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
    pub(super) fn compare(
        &self,
        wanted: Wanted<'_>,
        block: &DataBlock,
        raw: &[u8],
        candidate: Candidate,
    ) -> Result<Option<Place>> {
        let Widths { key, entry } = wanted.widths;
        if entry == 0 || wanted.removal || block.kind != BlockKind::Entries {
            return self.compare_any(wanted, block, raw, candidate);
        }
        // Of these widths, equal bytes are equal parts.
        let rest = raw.get(candidate.offset as usize..).and_then(|rest| rest.get(..entry as usize));
        let Some(found) = rest.and_then(|entry| entry.get(..key as usize)) else {
            return Err(self.no_entry(wanted));
        };
        if !same(found, wanted.key.bytes()) {
            return Ok(None);
        }
        let start = u64::from(candidate.offset) + u64::from(key);
        let value = block.raw_range().start.wrapping_add(start);
        Ok(Some(place(wanted.section, block.kind, candidate, value, entry.saturating_sub(key))))
    }

    fn compare_any(
        &self,
        wanted: Wanted<'_>,
        block: &DataBlock,
        raw: &[u8],
        candidate: Candidate,
    ) -> Result<Option<Place>> {
        if (block.kind == BlockKind::MapRemovals) != wanted.removal {
            return Ok(None);
        }
        let layout = self.layout(wanted.section)?;
        let read = layout.record_at(block.kind, raw, candidate.offset as usize);
        let (record, end) = read.map_err(|_error| self.no_entry(wanted))?;
        if key_of(&record) != wanted.key {
            return Ok(None);
        }
        if matches!(record, Record::List(segment) if segment.first > 0) {
            return Err(self.misled(wanted.section, "a place names the middle of a list"));
        }
        place_of(wanted.section, block, candidate, &record, end).map(Some)
    }

    #[cold]
    fn no_entry(&self, wanted: Wanted<'_>) -> Error {
        self.misled(wanted.section, "a place names an entry that is not there")
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

/// Key and value of an entry of fixed widths that begins at `at` in a map, in a block that was verified; `None` where
/// there is none.
#[inline]
pub(super) fn fixed_at(
    map: &[u8],
    at: u64,
    Widths { key, entry }: Widths,
) -> Option<(&[u8], Place)> {
    let value = at.wrapping_add(u64::from(key));
    let nowhere = Candidate { block: 0, offset: 0 };
    let place = place(0, BlockKind::Entries, nowhere, value, entry.saturating_sub(key));
    Some(part(map, &(at..value)))
        .filter(|found| found.len() == key as usize)
        .map(|key| (key, place))
}

/// The key of what a block says.
#[inline]
pub(super) fn key_of<'a>(record: &Record<'a>) -> EntryKey<'a> {
    match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => *key,
        Record::List(segment) | Record::Append(segment) => segment.key,
    }
}

/// The place of a record of `block` that ends at `end`.
pub(super) fn place_of(
    section: usize,
    block: &DataBlock,
    at: Candidate,
    record: &Record<'_>,
    end: usize,
) -> Result<Place> {
    let Record::Entry(_, value) = record else {
        return Ok(place(section, block.kind, at, NOWHERE, u32::MAX));
    };
    let start = block.raw_range().start.wrapping_add(end.saturating_sub(value.len()) as u64);
    let length = u32::try_from(value.len());
    let length = length.map_err(|_error| Error::corrupted("a value has 4 GiB or more"))?;
    Ok(place(section, block.kind, at, start, length))
}

/// Sections are fewer than 2^32: a state has at most 2^15, and a file 2^16 states.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "sections are fewer")]
fn place(section: usize, kind: BlockKind, at: Candidate, value: u64, value_length: u32) -> Place {
    let (block, offset) = (at.block, at.offset);
    Place { kind, section: section as u32, block, offset, value, value_length }
}

/// Whether two keys are equal; those of the commonest width without a call.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    match (<&[u8; 8]>::try_from(a), <&[u8; 8]>::try_from(b)) {
        (Ok(a), Ok(b)) => u64::from_le_bytes(*a) == u64::from_le_bytes(*b),
        _ => a == b,
    }
}
