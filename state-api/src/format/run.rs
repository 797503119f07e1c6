//! The list (or run of appended elements) that is being written: at most one at a time.
//!
//! Elements arrive in pieces of any size; segments must not depend on the pieces. The run gathers
//! elements until the block is full, as FORMAT.md 2.7 says, and hands a segment to its builder.
//!
//! # Invariants
//! * I1 Elements of one list follow one another; anything else ends the list.
//! * I2 The segment under construction fits the current block or is alone in its block.

use super::builder::{BLOCK_BYTES, Bench, SectionBuilder};
use super::layout::ListSegment;
use super::records::BlockKind;
use crate::{Elements, EntryKey, Error, KeyGroup, Result};

/// Bytes in front of each element.
const FRAME_BYTES: usize = size_of::<u32>();

/// The open list.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) kind: BlockKind,
    pub(crate) group: KeyGroup,
    open: bool,
    key: Vec<u8>,
    key_end: usize,
    namespace_end: usize,
    first: u64,
    count: u64,
    framed: Vec<u8>,
    /// Whether the list has blocks of its own.
    alone: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            kind: BlockKind::Entries,
            group: KeyGroup::new(0),
            open: false,
            key: Vec::new(),
            key_end: 0,
            namespace_end: 0,
            first: 0,
            count: 0,
            framed: Vec::new(),
            alone: false,
        }
    }
}

impl Run {
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether elements from `first` on of this list continue the run.
    pub(crate) fn continues(
        &self,
        kind: BlockKind,
        group: KeyGroup,
        key: EntryKey<'_>,
        first: u64,
    ) -> bool {
        self.open
            && self.kind == kind
            && self.group == group
            && self.first + self.count == first
            && self.key == key.bytes()
            && (self.key_end, self.namespace_end) == (key.key_end(), key.namespace_end())
    }

    /// Begins a run; the one before was closed.
    pub(crate) fn open(&mut self, kind: BlockKind, group: KeyGroup, key: EntryKey<'_>, first: u64) {
        self.kind = kind;
        self.group = group;
        self.open = true;
        self.key.clear();
        self.key.extend_from_slice(key.bytes());
        (self.key_end, self.namespace_end) = (key.key_end(), key.namespace_end());
        self.first = first;
        self.count = 0;
        self.framed.clear();
        self.alone = false;
    }

    fn entry_key(&self) -> Result<EntryKey<'_>> {
        EntryKey::new(&self.key, self.key_end, self.namespace_end)
    }

    /// What was gathered, as a segment.
    pub(crate) fn segment(&self) -> Result<ListSegment<'_>> {
        Ok(ListSegment {
            key: self.entry_key()?,
            first: self.first,
            elements: Elements::parse(&self.framed)?,
        })
    }

    /// Adds elements.
    pub(crate) fn extend(
        &mut self,
        bench: &mut Bench,
        builder: &mut SectionBuilder,
        elements: Elements<'_>,
    ) -> Result<()> {
        let all = elements.framed();
        if self.fits(bench, builder, elements.count(), all.len())? {
            self.framed.extend_from_slice(all);
            self.count = self.advance(elements.count())?;
            return Ok(());
        }
        let mut rest = all;
        for payload in elements {
            let length = payload.len() + FRAME_BYTES;
            let framed = super::wire::take(&mut rest, length).unwrap_or_default();
            if !self.fits(bench, builder, 1, length)? {
                self.spill(bench, builder, length)?;
            }
            self.framed.extend_from_slice(framed);
            self.count = self.advance(1)?;
        }
        Ok(())
    }

    fn advance(&self, more: u64) -> Result<u64> {
        self.count
            .checked_add(more)
            .filter(|count| self.first.checked_add(*count).is_some())
            .ok_or_else(|| Error::invalid_input("a list has more than 2^64 elements"))
    }

    fn fits(
        &self,
        bench: &Bench,
        builder: &mut SectionBuilder,
        count: u64,
        bytes: usize,
    ) -> Result<bool> {
        let (used, limit) =
            if self.alone { (0, BLOCK_BYTES) } else { (builder.used(self.kind), bench.capacity) };
        let count = self.advance(count)?;
        let length = bench.layout.segment_bytes(
            self.entry_key()?,
            self.first,
            count,
            self.framed.len() + bytes,
        );
        Ok(used + length <= limit)
    }

    /// Makes room for an element of `length` bytes that did not fit.
    fn spill(
        &mut self,
        bench: &mut Bench,
        builder: &mut SectionBuilder,
        length: usize,
    ) -> Result<()> {
        if bench.capacity < BLOCK_BYTES && !self.alone {
            builder.cut(bench, self.kind)?;
            self.alone = true;
            if self.fits(bench, builder, 1, length)? {
                return Ok(());
            }
        }
        if self.count > 0 {
            builder.segment(bench, self)?;
            self.first += self.count;
            self.count = 0;
            self.framed.clear();
            self.framed.shrink_to(4 * BLOCK_BYTES);
        }
        builder.cut(bench, self.kind)
    }

    /// Ends the run: what was gathered becomes its last segment.
    pub(crate) fn close(&mut self, bench: &mut Bench, builder: &mut SectionBuilder) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        if self.count > 0 {
            builder.segment(bench, self)?;
        }
        if self.alone { builder.cut(bench, self.kind) } else { Ok(()) }
    }
}
