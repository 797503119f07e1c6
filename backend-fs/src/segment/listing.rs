//! All entries of a small section with their hashes, for who looks into several sections at once.
//!
//! # Cost
//! Of a mapped section blocks are read one after the other, and nothing behind them: neither pages nor directory.

use std::ops::Range;

use alluvium_state_api::format::{BLOCK_HEADER_BYTES, BlockKind, Place as At, Record};
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result, entry_hash_of, hash_bytes};

use super::pages::part;
use super::probe::{Wanted, fixed_at, key_of, same};
use super::{BlockCache, Place, Segment, Widths};

pub(crate) const KINDS: [BlockKind; 4] =
    [BlockKind::Entries, BlockKind::Tombstones, BlockKind::ListAppends, BlockKind::MapRemovals];

/// Something that a section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) kind: BlockKind,
    /// Bytes between the beginning of the section and its own.
    pub(crate) offset: u32,
}

/// A section that is being listed.
struct Listing<'s> {
    segment: &'s Segment,
    section: usize,
    widths: Widths,
    start: u64,
    told: u64,
    /// The key of the last run of appended elements.
    run: Option<Vec<u8>>,
}

impl Segment {
    /// Where the section of a state in a key group is in the file, and how many things it says, if it has one
    /// that is live.
    pub(crate) fn extent_of(&self, state: u16, group: KeyGroup) -> Option<(Range<u64>, u64)> {
        let (_, slot) = self.section_of(state, group)?;
        Some((slot.range.clone(), slot.says))
    }

    /// Bytes of each key and each entry of a state, where all have the same, in a map.
    pub(crate) fn widths(&self, state: u16) -> Option<Widths> {
        let first = self.states.get(usize::from(state))?.sections.start;
        let widths = self.sections.get(first)?.widths;
        (self.map.is_some() && widths.entry > 0).then_some(widths)
    }

    /// The value of an entry of fixed widths at a place of the file that was [listed](Self::list), if it is that of
    /// `key`; of a segment that is mapped.
    ///
    /// # Errors
    /// `Corrupted` where there is none.
    #[inline]
    pub(crate) fn listed_at(
        &self,
        (at, widths): (u64, Widths),
        (state, group): (u16, KeyGroup),
        key: EntryKey<'_>,
    ) -> Result<Option<Place>> {
        let map = self.map.as_deref().unwrap_or_default();
        // S1: all blocks of the section were verified when they were listed.
        match fixed_at(map, at, widths) {
            Some((found, place)) => Ok(same(found, key.bytes()).then_some(place)),
            None => Err(self.unlisted(state, group)),
        }
    }

    #[cold]
    fn unlisted(&self, state: u16, group: KeyGroup) -> Error {
        let section = self.section_of(state, group).map_or(usize::MAX, |(section, _)| section);
        self.misled(section, "a place names an entry that is not there")
    }

    /// Tells hash and place of each entry, tombstone, first segment of a list or run, and removal of a map.
    /// All data blocks of the section are read and verified.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) fn list(
        &self,
        cache: &mut BlockCache,
        state: u16,
        group: KeyGroup,
        tell: &mut impl FnMut(u64, Listed),
    ) -> Result<()> {
        let Some((section, slot)) = self.section_of(state, group) else {
            return Ok(());
        };
        let (widths, start) = (slot.widths, slot.range.start);
        let mut listing = Listing { segment: self, section, widths, start, told: 0, run: None };
        if let Some(map) = &self.map {
            listing.mapped(map, &slot.range, tell)?;
        } else {
            for kind in KINDS {
                for number in self.opened(section)?.directory.blocks_of(kind) {
                    let (block, raw) = self.block(cache, section, number)?;
                    listing.block(kind, block.raw_range().start, raw, tell)?;
                }
            }
        }
        if listing.told == slot.says {
            return Ok(());
        }
        Err(self.misled(section, "a section has another number of entries than the index says"))
    }

    /// What the section of a state in a key group has at a place that [`list`](Self::list) told, if that is
    /// about `key`: the removal of a map or not, as is asked for.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    #[inline]
    pub(crate) fn listed(
        &self,
        cache: &mut BlockCache,
        (state, group): (u16, KeyGroup),
        Listed { kind, offset }: Listed,
        (key, removal): (EntryKey<'_>, bool),
    ) -> Result<Option<Place>> {
        let Some((section, slot)) = self.section_of(state, group) else {
            return Ok(None);
        };
        let wanted = Wanted { section, widths: slot.widths, key, removal };
        let at = slot.range.start.saturating_add(u64::from(offset));
        let number = self.block_with(section, kind, at)?;
        let (block, raw) = self.block(cache, section, number)?;
        let offset = at.saturating_sub(block.raw_range().start);
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.compare(wanted, &block, raw, At { block: number, offset })
    }

    /// The number of the block of this kind that has a byte of the file.
    fn block_with(&self, section: usize, kind: BlockKind, at: u64) -> Result<u32> {
        let open = self.opened(section)?;
        let mut blocks = open.directory.blocks_of(kind);
        while blocks.start.saturating_add(1) < blocks.end {
            let middle = blocks.start.midpoint(blocks.end);
            if self.data_block(section, open, middle)?.at <= at {
                blocks.start = middle;
            } else {
                blocks.end = middle;
            }
        }
        Ok(blocks.start)
    }
}

impl Listing<'_> {
    /// Goes from block to block.
    fn mapped(
        &mut self,
        map: &[u8],
        range: &Range<u64>,
        tell: &mut impl FnMut(u64, Listed),
    ) -> Result<()> {
        let (mut rest, mut at) = (part(map, range), range.start);
        let section = self.segment.section(self.section)?;
        while let Some(block) = self.segment.file.first_block(section, rest, at)? {
            let raw = block.raw();
            self.block(block.kind(), at.saturating_add(BLOCK_HEADER_BYTES as u64), raw, tell)?;
            let length = BLOCK_HEADER_BYTES.saturating_add(raw.len());
            rest = rest.get(length..).unwrap_or_default();
            at = at.saturating_add(length as u64);
        }
        Ok(())
    }

    /// Tells what a block says, whose raw bytes begin at `at` in the file.
    fn block(
        &mut self,
        kind: BlockKind,
        at: u64,
        raw: &[u8],
        tell: &mut impl FnMut(u64, Listed),
    ) -> Result<()> {
        let end = at.saturating_sub(self.start).saturating_add(raw.len() as u64);
        let Ok(end) = u32::try_from(end) else {
            return Err(Error::bug("a section of 4 GiB is not listed"));
        };
        let first = end.saturating_sub(u32::try_from(raw.len()).unwrap_or_default());
        if kind == BlockKind::Entries && self.has_keys_alone(raw)? {
            self.keys_alone(first, raw, tell);
            return Ok(());
        }
        self.any(kind, first, raw, tell)
    }

    /// Whether entries all have the same width, and neither namespace nor map key.
    fn has_keys_alone(&self, raw: &[u8]) -> Result<bool> {
        if self.widths.entry == 0 {
            return Ok(false);
        }
        let first = self.segment.layout(self.section)?.record_at(BlockKind::Entries, raw, 0);
        Ok(first.is_ok_and(|(record, _)| key_of(&record).suffix().is_empty()))
    }

    fn keys_alone(&mut self, first: u32, raw: &[u8], tell: &mut impl FnMut(u64, Listed)) {
        let Widths { key, entry } = self.widths;
        let entries = raw.chunks_exact(entry as usize);
        self.told = self.told.saturating_add(entries.len() as u64);
        for (offset, entry) in (first..).step_by(entry as usize).zip(entries) {
            let key = entry.get(..key as usize).unwrap_or_default();
            tell(hash_bytes(key), Listed { kind: BlockKind::Entries, offset });
        }
    }

    fn any(
        &mut self,
        kind: BlockKind,
        first: u32,
        raw: &[u8],
        tell: &mut impl FnMut(u64, Listed),
    ) -> Result<()> {
        let layout = self.segment.layout(self.section)?;
        let mut offset = 0;
        // A block has an entry, be it of no bytes at all.
        loop {
            let read = layout.record_at(kind, raw, offset);
            let (record, end) = read.map_err(|_error| {
                self.segment.misled(self.section, "entries do not fill a block")
            })?;
            let key = key_of(&record);
            if !goes_on(&record, key, &mut self.run) {
                let offset = first.saturating_add(u32::try_from(offset).unwrap_or_default());
                tell(entry_hash_of(key), Listed { kind, offset });
                self.told = self.told.saturating_add(1);
            }
            if end <= offset || end >= raw.len() {
                return Ok(());
            }
            offset = end;
        }
    }
}

/// Whether a record goes on with the list or run before it; the key of the latter is kept in `run`.
fn goes_on(record: &Record<'_>, key: EntryKey<'_>, run: &mut Option<Vec<u8>>) -> bool {
    match record {
        Record::List(segment) => segment.first > 0,
        Record::Append(_) => {
            let goes_on = run.as_deref() == Some(key.bytes());
            if !goes_on {
                *run = Some(key.bytes().to_vec());
            }
            goes_on
        }
        _ => false,
    }
}
