//! The entries of one kind of a section, in order: one block after the other.
//!
//! # Invariants
//! * N1 A lane is at an entry that was decoded, or at its end.
//! * N2 The segments of a list or run count as one entry: a lane is at the first of them.
//! * N3 Every step goes forward in the blocks of the kind, so that each walk ends (S2).
//!
//! # Cost
//! A seek looks at the first entry of log2(blocks) blocks. From one list to the next one is a gallop over
//! blocks, so that a long list is passed without being read.

use std::ops::Range;

use alluvium_state_api::format::{BlockKind, DataBlock, EntryLayout, Place as At, Record};
use alluvium_state_api::{EntryKey, Error, Result};

use super::cursor::{Item, What};
use super::pages::Window;
use super::probe::{key_of, place_of};
use super::{BlockCache, Segment};

/// One kind of a section.
#[derive(Debug)]
pub(super) struct Lane<'s> {
    segment: &'s Segment,
    section: usize,
    kind: BlockKind,
    layout: &'s EntryLayout,
    /// Bytes of each entry, where these are the same for all.
    width: Option<usize>,
    /// The numbers of its blocks.
    blocks: Range<u32>,
    held: Held<'s>,
    /// What is held.
    block: Option<DataBlock>,
    now: Option<Now>,
    /// The key of the list at which it is, to pass its other segments.
    passing: Vec<u8>,
}

/// The block at which a lane is.
#[derive(Debug)]
enum Held<'s> {
    Mapped(&'s [u8]),
    Copied(Vec<u8>),
    /// A piece of the file, and where in the file the block's raw bytes are.
    Windowed(Window, Range<u64>),
}

/// The entry at which a lane is.
#[derive(Clone, Debug)]
struct Now {
    at: At,
    /// Where the next one begins.
    end: usize,
}

impl<'s> Lane<'s> {
    /// What a search for an entry looks through.
    pub(super) const KINDS: [BlockKind; 3] =
        [BlockKind::Entries, BlockKind::Tombstones, BlockKind::ListAppends];

    /// A lane at its end.
    pub(super) fn new(segment: &'s Segment, section: usize, kind: BlockKind) -> Result<Self> {
        let open = segment.opened(section)?;
        let width = segment.sections.get(section).map_or(0, |slot| slot.widths.entry as usize);
        let width = Some(width).filter(|width| *width > 0 && kind == BlockKind::Entries);
        Ok(Self {
            segment,
            section,
            kind,
            layout: segment.layout(section)?,
            width,
            blocks: open.directory.blocks_of(kind),
            held: Held::Mapped(&[]),
            block: None,
            now: None,
            passing: Vec::new(),
        })
    }

    /// Reads past map and cache, in large pieces.
    pub(super) fn sequential(mut self) -> Self {
        self.held = Held::Windowed(Window::default(), 0..0);
        self
    }

    /// Whether it has no entries at all.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn raw(&self) -> &[u8] {
        match &self.held {
            Held::Mapped(raw) => raw,
            Held::Copied(raw) => raw,
            Held::Windowed(window, raw) => window.get(raw),
        }
    }

    fn record(&self, offset: usize) -> Result<(Record<'_>, usize)> {
        let read = self.layout.record_at(self.kind, self.raw(), offset);
        read.map_err(|_error| self.segment.misled(self.section, "entries do not fill their block"))
    }

    /// The key at which it is.
    pub(super) fn key(&self) -> Result<Option<EntryKey<'_>>> {
        match &self.now {
            Some(now) => Ok(Some(key_of(&self.record(now.at.offset as usize)?.0))),
            None => Ok(None),
        }
    }

    /// The entry at which it is.
    pub(super) fn item(&self) -> Result<Option<Item<'_>>> {
        let (Some(now), Some(block)) = (&self.now, &self.block) else {
            return Ok(None);
        };
        let (record, end) = self.record(now.at.offset as usize)?;
        let what = match record {
            Record::Entry(_, value) => What::Value(value),
            Record::List(_) => What::List,
            Record::Append(segment) => What::Append { first: segment.first },
            Record::Tombstone(_) | Record::MapRemoval(_) => What::Removed,
        };
        let place = place_of(self.section, block, now.at, &record, end)?;
        Ok(Some(Item { key: key_of(&record), what, place }))
    }

    /// Goes to the first entry.
    pub(super) fn rewind(&mut self, cache: &mut BlockCache) -> Result<()> {
        self.enter(cache, self.blocks.start)
    }

    /// Goes to the first entry whose bytes are at least `from`.
    pub(super) fn seek(&mut self, cache: &mut BlockCache, from: &[u8]) -> Result<()> {
        let first = self.partition(cache, self.blocks.clone(), |key| key < from)?;
        let Some(before) = first.checked_sub(1).filter(|before| self.blocks.contains(before))
        else {
            return self.enter(cache, first);
        };
        self.enter(cache, before)?;
        self.leap(from)?;
        while self.now.as_ref().is_some_and(|now| now.at.block == before)
            && self.key()?.is_some_and(|key| key.bytes() < from)
        {
            self.step(cache)?;
        }
        Ok(())
    }

    /// Within a block whose entries have one width, goes to the last one below `from`.
    fn leap(&mut self, from: &[u8]) -> Result<()> {
        let (Some(width), Some(now)) = (self.width, self.now.clone()) else {
            return Ok(());
        };
        let (mut low, mut high) = (0, self.raw().len() / width);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if key_of(&self.record(middle * width)?.0).bytes() < from {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.settle(now.at.block, low * width)
    }

    /// Goes to the next entry.
    pub(super) fn advance(&mut self, cache: &mut BlockCache) -> Result<()> {
        let mut passing = std::mem::take(&mut self.passing);
        passing.clear();
        let list = match &self.now {
            Some(now) => match self.record(now.at.offset as usize)?.0 {
                Record::List(segment) | Record::Append(segment) => {
                    passing.extend_from_slice(segment.key.bytes());
                    true
                }
                _ => false,
            },
            None => false,
        };
        self.step(cache)?;
        if list {
            self.pass(cache, &passing)?;
        }
        self.passing = passing;
        Ok(())
    }

    /// Goes past the other segments of the list under `key`.
    fn pass(&mut self, cache: &mut BlockCache, key: &[u8]) -> Result<()> {
        while self.key()?.is_some_and(|next| next.bytes() == key) {
            match &self.now {
                Some(now) if now.at.offset == 0 => {
                    let last = self.last_from(cache, now.at.block, key)?;
                    if last > now.at.block {
                        self.enter(cache, last)?;
                    }
                }
                _ => {}
            }
            self.step(cache)?;
        }
        Ok(())
    }

    /// The last block from `block` on that begins with `key`, as `block` does; found by ever longer leaps.
    fn last_from(&self, cache: &mut BlockCache, block: u32, key: &[u8]) -> Result<u32> {
        let (mut low, mut leap) = (block, 1_u32);
        let high = loop {
            let next = low.saturating_add(leap);
            if next >= self.blocks.end {
                break self.blocks.end;
            }
            if !self.begins(cache, next, |first| first <= key)? {
                break next;
            }
            (low, leap) = (next, leap.saturating_mul(2));
        };
        let above = self.partition(cache, low + 1..high, |first| first <= key)?;
        Ok(above - 1)
    }

    /// The first of `blocks` whose first key is not `below`, or their end.
    fn partition(
        &self,
        cache: &mut BlockCache,
        mut blocks: Range<u32>,
        below: impl Fn(&[u8]) -> bool,
    ) -> Result<u32> {
        while blocks.start < blocks.end {
            let middle = blocks.start.midpoint(blocks.end);
            if self.begins(cache, middle, &below)? {
                blocks.start = middle + 1;
            } else {
                blocks.end = middle;
            }
        }
        Ok(blocks.start)
    }

    /// Whether the first key of a block fits.
    fn begins(
        &self,
        cache: &mut BlockCache,
        block: u32,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<bool> {
        let (block, raw) = self.segment.block(cache, self.section, block)?;
        let read = self.layout.record_at(block.kind, raw, 0);
        let first =
            read.map_err(|_error| self.segment.misled(self.section, "a block has no entry"));
        Ok(fits(key_of(&first?.0).bytes()))
    }

    /// Goes to what follows, be it a segment of the same list.
    fn step(&mut self, cache: &mut BlockCache) -> Result<()> {
        match &self.now {
            None => Ok(()),
            Some(now) if now.end < self.raw().len() => {
                let (block, end) = (now.at.block, now.end);
                self.settle(block, end)
            }
            Some(now) => self.enter(cache, now.at.block + 1),
        }
    }

    /// Goes to the beginning of a block, or to the end if it is none of this kind.
    fn enter(&mut self, cache: &mut BlockCache, block: u32) -> Result<()> {
        self.now = None;
        if !self.blocks.contains(&block) {
            return Ok(());
        }
        let held = if let Held::Windowed(window, raw) = &mut self.held {
            let held = self.segment.windowed_block(window, self.section, block)?;
            *raw = held.raw_range();
            held
        } else if let Some((held, raw)) = self.segment.mapped(self.section, block)? {
            self.held = Held::Mapped(raw);
            held
        } else {
            let (held, raw) = self.segment.block(cache, self.section, block)?;
            if let Held::Copied(copy) = &mut self.held {
                copy.clear();
                copy.extend_from_slice(raw);
            } else {
                self.held = Held::Copied(raw.to_vec());
            }
            held
        };
        self.block = Some(held);
        self.settle(block, 0)
    }

    /// Is at the entry at `offset`.
    fn settle(&mut self, block: u32, offset: usize) -> Result<()> {
        let (_, end) = self.record(offset)?;
        let offset = u32::try_from(offset)
            .map_err(|_error| Error::corrupted("a block is longer than 4 GiB"))?;
        // N3: also where an entry has no bytes at all.
        let end = if end > offset as usize { end } else { usize::MAX };
        self.now = Some(Now { at: At { block, offset }, end });
        Ok(())
    }
}
