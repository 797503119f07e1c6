//! Walks the entries of a raw block: structure, order, counts and digest.
//!
//! The writer audits every block before it seals it and the reader every block before it hands it
//! out: one piece of code decides what a valid block is, so that the two cannot drift apart.
//!
//! # Invariants (of a section, block after block)
//! * I1 Entries fill the raw bytes exactly and are as many as the block says.
//! * I2 A list segment begins a list (first index 0), begins a run (appends), or continues the
//!   segment directly before it among the blocks of its kind.
//! * I3 In ordered files, keys of one kind of blocks ascend strictly.

use super::digest::Digester;
use super::layout::{EntryLayout, FixedLayout, ListSegment};
use super::records::BlockKind;
use crate::EntryKey;

/// What a section holds so far, and where its last entry was.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) entries: u64,
    pub(crate) elements: u64,
    pub(crate) tombstones: u64,
    pub(crate) digest: u128,
    /// Where the last block of entries ended.
    entries_end: LastKey,
    /// Where the last block of list appends ended.
    appends_end: LastKey,
    /// Where the last block of tombstones ended, and of removals of maps.
    tombstones_end: LastKey,
    maps_end: LastKey,
    /// A block of another kind than removals of maps was seen.
    removals_end: bool,
}

/// A raw block as the audit needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawBlock<'a> {
    pub(crate) kind: BlockKind,
    pub(crate) count: u32,
    pub(crate) raw: &'a [u8],
    /// Whether keys have to ascend.
    pub(crate) ordered: bool,
}

type Verdict = Result<(), &'static str>;

/// Who wants to know of each entry, and where it begins in its block.
pub(crate) type Begins<'a, 'b> = Option<&'a mut (dyn FnMut(usize, EntryKey<'_>) + 'b)>;

const FILL: &str = "entries do not fill their block";
const ORDER: &str = "entries are not in ascending order";

#[derive(Debug, Default)]
struct LastKey {
    bytes: Vec<u8>,
    key_end: usize,
    namespace_end: usize,
    known: bool,
    /// Of lists and runs: the index after the last element.
    next: u64,
}

impl LastKey {
    fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let (front, map_key) = self.bytes.split_at(self.namespace_end.min(self.bytes.len()));
        let (key, namespace) = front.split_at(self.key_end.min(front.len()));
        (key, namespace, map_key)
    }

    fn is(&self, key: EntryKey<'_>) -> bool {
        self.known && self.parts() == (key.key(), key.namespace(), key.map_key())
    }

    fn precedes(&self, key: EntryKey<'_>) -> bool {
        !self.known || self.parts() < (key.key(), key.namespace(), key.map_key())
    }

    fn follow(&mut self, key: EntryKey<'_>) -> Verdict {
        if !self.precedes(key) {
            return Err(ORDER);
        }
        self.set(key);
        Ok(())
    }

    fn set(&mut self, key: EntryKey<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(key.bytes());
        (self.key_end, self.namespace_end) = (key.key_end(), key.namespace_end());
        self.known = true;
    }
}

impl Audit {
    /// Checks and counts a block; in ordered files, `begins` is told of each entry, of lists and runs of
    /// their first segments.
    pub(crate) fn block(
        &mut self,
        layout: &EntryLayout,
        block: RawBlock<'_>,
        digester: &mut Digester,
        begins: Begins<'_, '_>,
    ) -> Verdict {
        let tombstone = block.kind == BlockKind::Tombstones;
        if block.kind != BlockKind::MapRemovals {
            self.removals_end = true;
        } else if self.removals_end {
            return Err("removals of maps come after other entries of their section");
        }
        let count = block.count as usize;
        if count == 0 {
            return Err("a block has no entries");
        }
        let least = match block.kind {
            BlockKind::MapRemovals => layout.of_maps().least_bytes(true),
            _ => layout.least_bytes(tombstone),
        };
        if count > block.raw.len() / least.max(1) && count > 1 {
            return Err(FILL);
        }
        match (block.kind, layout.is_list) {
            (BlockKind::Tombstones, _) => {
                self.removals(layout, block, |key| digester.tombstone(key), begins)?;
            }
            (BlockKind::MapRemovals, _) if !layout.is_map => {
                return Err("only maps are removed as a whole");
            }
            (BlockKind::MapRemovals, _) => {
                let layout = layout.of_maps();
                self.removals(&layout, block, |key| digester.map_removal(key), begins)?;
            }
            (_, true) => self.segments(layout, block, digester, begins)?,
            (BlockKind::Entries, false) => match &layout.fixed {
                Some(fixed) => self.fixed(fixed, block, digester, begins)?,
                None => self.entries(layout, block, digester, begins)?,
            },
            (BlockKind::ListAppends, false) => return Err("only lists are appended to"),
        }
        self.digest = self.digest.wrapping_add(digester.take());
        Ok(())
    }

    fn fixed(
        &mut self,
        layout: &FixedLayout,
        block: RawBlock<'_>,
        digester: &mut Digester,
        begins: Begins<'_, '_>,
    ) -> Verdict {
        let width = layout.entry_bytes();
        if block.raw.len() != width.saturating_mul(block.count as usize) {
            return Err(FILL);
        }
        self.entries = self.entries.saturating_add(u64::from(block.count));
        digester.fixed_entries(layout, block.raw);
        if !block.ordered {
            return Ok(());
        }
        let keys = layout.key_bytes();
        if width == 0 || keys == 0 {
            if let (Some(begins), Some(key)) = (begins, layout.entry_key(&[])) {
                begins(0, key);
            }
            return if self.entries == 1 { Ok(()) } else { Err(ORDER) };
        }
        let last = &mut self.entries_end;
        let mut before = last.known.then_some(&last.bytes[..]);
        for entry in block.raw.chunks_exact(width) {
            let key = entry.get(..keys);
            if before >= key {
                return Err(ORDER);
            }
            before = key;
        }
        let end = block.raw.rchunks_exact(width).next();
        last.set(end.and_then(|entry| layout.entry_key(entry)).ok_or(FILL)?);
        let Some(begins) = begins else { return Ok(()) };
        for (index, entry) in block.raw.chunks_exact(width).enumerate() {
            begins(index * width, layout.entry_key(entry).ok_or(FILL)?);
        }
        Ok(())
    }

    fn entries(
        &mut self,
        layout: &EntryLayout,
        block: RawBlock<'_>,
        digester: &mut Digester,
        mut begins: Begins<'_, '_>,
    ) -> Verdict {
        let mut rest = block.raw;
        for _ in 0..block.count {
            let offset = block.raw.len() - rest.len();
            let (key, value) = layout.take_entry(&mut rest).ok_or(FILL)?;
            if block.ordered {
                self.entries_end.follow(key)?;
                if let Some(begins) = &mut begins {
                    begins(offset, key);
                }
            }
            digester.entry(key, value);
        }
        self.entries = self.entries.saturating_add(u64::from(block.count));
        if rest.is_empty() { Ok(()) } else { Err(FILL) }
    }

    /// Tombstones and removals of maps, which `digest` tells apart.
    fn removals(
        &mut self,
        layout: &EntryLayout,
        block: RawBlock<'_>,
        mut digest: impl FnMut(EntryKey<'_>),
        mut begins: Begins<'_, '_>,
    ) -> Verdict {
        let tombstones = block.kind == BlockKind::Tombstones;
        let last = if tombstones { &mut self.tombstones_end } else { &mut self.maps_end };
        let mut rest = block.raw;
        for _ in 0..block.count {
            let offset = block.raw.len() - rest.len();
            let key = layout.take_tombstone(&mut rest).ok_or(FILL)?;
            if block.ordered {
                last.follow(key)?;
                if let Some(begins) = &mut begins {
                    begins(offset, key);
                }
            }
            digest(key);
        }
        self.tombstones = self.tombstones.saturating_add(u64::from(block.count));
        if rest.is_empty() { Ok(()) } else { Err(FILL) }
    }

    fn segments(
        &mut self,
        layout: &EntryLayout,
        block: RawBlock<'_>,
        digester: &mut Digester,
        mut begins: Begins<'_, '_>,
    ) -> Verdict {
        let mut rest = block.raw;
        for _ in 0..block.count {
            let offset = block.raw.len() - rest.len();
            let segment = layout.take_segment(&mut rest).ok_or(FILL)?;
            if self.segment(&segment, block)?
                && let Some(begins) = &mut begins
            {
                begins(offset, segment.key);
            }
            for (index, element) in (segment.first..).zip(segment.elements.iter()) {
                digester.element(segment.key, index, element);
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(FILL) }
    }

    /// Checks and counts a segment; says whether it begins a list or run.
    fn segment(
        &mut self,
        segment: &ListSegment<'_>,
        block: RawBlock<'_>,
    ) -> Result<bool, &'static str> {
        let begins = block.kind == BlockKind::Entries;
        let last = if begins { &mut self.entries_end } else { &mut self.appends_end };
        let continues = segment.first > 0 && last.next == segment.first && last.is(segment.key);
        if !continues {
            if begins != (segment.first == 0) {
                return Err("a list segment does not continue the one before it");
            }
            if block.ordered && !last.precedes(segment.key) {
                return Err(ORDER);
            }
            last.set(segment.key);
            self.entries = self.entries.saturating_add(1);
        }
        let count = segment.elements.count();
        self.elements = self.elements.saturating_add(count);
        last.next = segment.first.saturating_add(count);
        Ok(!continues)
    }
}
