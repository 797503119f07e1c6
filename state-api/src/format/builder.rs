//! Builds the blocks of one section: buffers entries, cuts, audits and seals.
//!
//! # Role
//! Shared by the writer that scatters (many builders with small buffers) and by the encoder of single
//! sections (one builder with full-size buffers).
//!
//! # Invariants
//! * I1 A block is cut before the entry that would take it past the capacity; an entry never spans.
//! * I2 With full capacity, cuts and segments are those of FORMAT.md 2.7, whatever the calls were.
//! * I3 With small capacity, a list that does not fit gets blocks of its own, up to the full size.
//!
//! # Cost
//! One copy per entry into the buffer; digest and checks when the block is sealed, while it is in
//! the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::audit::{Audit, Begins, RawBlock};
use super::block::{BlockContent, Unsealed};
use super::digest::Digester;
use super::header::{FileForm, StateFileSpec};
use super::index::Section;
use super::layout::{EntryLayout, put_fixed};
use super::lookup::{DATA_BLOCK_BYTES, Lookups};
use super::output::Output;
use super::records::BlockKind;
use super::run::Run;
use crate::snapshot::{Compression, Digest};
use crate::{EntryKey, Error, ErrorKind, KeyGroup, Result};

/// The raw size at which blocks are cut: 64 KiB.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// What all sections of a file share.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) spec: StateFileSpec,
    pub(crate) layouts: Vec<EntryLayout>,
    pub(crate) compression: Compression,
    /// Whether entries can be looked up; then they come in order.
    pub(crate) lookups: bool,
}

impl Encoding {
    pub(crate) fn new(
        spec: StateFileSpec,
        compression: Compression,
        lookups: bool,
    ) -> Result<Arc<Self>> {
        let layouts = spec.layouts()?;
        Ok(Arc::new(Self { spec, layouts, compression, lookups }))
    }

    /// Whether entries of a section ascend.
    fn ordered(&self) -> bool {
        self.lookups || self.spec.form == FileForm::Canonical
    }

    pub(crate) fn layout(&self, state: u16) -> Result<EntryLayout> {
        self.layouts
            .get(usize::from(state))
            .copied()
            .ok_or_else(|| Error::bug(format!("state id {state} is not in the state table")))
    }

    pub(crate) fn check_group(&self, group: KeyGroup) -> Result<()> {
        if self.spec.range.contains(group) {
            return Ok(());
        }
        Err(Error::bug(format!("the file covers key groups {}", self.spec.range))
            .with_key_group(group))
    }

    /// Adds names to an error about a section.
    #[cold]
    pub(crate) fn locate(&self, error: Error, state: u16, group: KeyGroup) -> Error {
        let error = error.with_key_group(group);
        match self.spec.states.get(usize::from(state)) {
            Some(meta) => error.with_state(meta.name.clone()),
            None => error,
        }
    }
}

/// What builders work with: shared by all builders of a writer; each thread has its own.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) encoding: Arc<Encoding>,
    pub(crate) layout: EntryLayout,
    /// Raw bytes at which buffers are cut.
    pub(crate) capacity: usize,
    pub(crate) output: Output,
    /// Bytes of blocks so far, by state, in all benches of the file, and the most that one may have.
    stored: Arc<[AtomicU64]>,
    pub(crate) inline_limit: Option<u64>,
    digester: Digester,
    scratch: Vec<u8>,
}

const ADVICE: &str = "set state.checkpoints.dir, so that snapshots go to files, or raise \
                      state.backend.memory.max-state-size";

impl Bench {
    pub(crate) fn new(encoding: Arc<Encoding>, layout: EntryLayout, output: Output) -> Self {
        Self {
            stored: encoding.layouts.iter().map(|_| AtomicU64::new(0)).collect(),
            inline_limit: None,
            capacity: if encoding.lookups { DATA_BLOCK_BYTES } else { BLOCK_BYTES },
            encoding,
            layout,
            output,
            digester: Digester::default(),
            scratch: Vec::new(),
        }
    }

    /// A bench for another thread, for the same file.
    pub(crate) fn share(&mut self) -> Self {
        Self {
            stored: Arc::clone(&self.stored),
            inline_limit: self.inline_limit,
            capacity: self.capacity,
            ..Self::new(Arc::clone(&self.encoding), self.layout, self.output.share())
        }
    }

    /// Counts `length` bytes of blocks of `state`.
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) above the limit of inline snapshots.
    pub(crate) fn charge(&self, state: u16, length: u64) -> Result<()> {
        let Some(stored) = self.stored.get(usize::from(state)) else {
            return Ok(());
        };
        let stored = stored.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        match (self.inline_limit, self.encoding.spec.states.get(usize::from(state))) {
            (Some(limit), Some(meta)) if stored > limit => {
                Err(Error::limit_exceeded(&meta.name, None, stored, limit, ADVICE))
            }
            _ => Ok(()),
        }
    }

    /// Seals a block into the output's buffer; returns its length.
    fn seal(&mut self, block: &Unsealed<'_>) -> Result<u64> {
        let start = self.output.buffer.len();
        block.seal(self.encoding.compression, &mut self.scratch, &mut self.output.buffer)?;
        let length = self.output.buffer.len().saturating_sub(start) as u64;
        self.charge(block.state, length)?;
        Ok(length)
    }

    /// Seals a block with which progress is not concerned, and lets go of it; returns its length.
    pub(crate) fn append(&mut self, block: &Unsealed<'_>) -> Result<u64> {
        let length = self.seal(block)?;
        self.output.progress.add(0, length);
        self.output.place(length)?;
        Ok(length)
    }
}

#[derive(Debug, Default)]
struct Pending {
    raw: Vec<u8>,
    count: u32,
}

/// The section under construction.
#[derive(Debug)]
pub(crate) struct SectionBuilder {
    state: u16,
    pub(crate) group: KeyGroup,
    /// One buffer for each kind of block.
    entries: Pending,
    tombstones: Pending,
    appends: Pending,
    removals: Pending,
    audit: Audit,
    lookups: Lookups,
    section: Section,
    /// So many bytes less than the capacity are reserved for the first block.
    early: usize,
}

/// A section whose data blocks are written, and what its lookups say, if it is to have some.
pub(crate) type Finished = (Section, Option<Lookups>);

impl SectionBuilder {
    pub(crate) fn new(state: u16, group: KeyGroup) -> Self {
        Self {
            state,
            group,
            entries: Pending::default(),
            tombstones: Pending::default(),
            appends: Pending::default(),
            removals: Pending::default(),
            audit: Audit::default(),
            lookups: Lookups::default(),
            section: Section::empty(state, group),
            early: 0,
        }
    }

    /// Reserves so many bytes less than the capacity for the first block.
    pub(crate) fn cut_early(&mut self, by: usize) {
        self.early = by;
    }

    fn pending(&mut self, kind: BlockKind) -> &mut Pending {
        match kind {
            BlockKind::Entries => &mut self.entries,
            BlockKind::Tombstones => &mut self.tombstones,
            BlockKind::ListAppends => &mut self.appends,
            BlockKind::MapRemovals => &mut self.removals,
        }
    }

    /// Raw bytes waiting in the buffer of this kind.
    pub(crate) fn used(&mut self, kind: BlockKind) -> usize {
        self.pending(kind).raw.len()
    }

    /// Adds an entry.
    #[inline]
    pub(crate) fn entry(
        &mut self,
        bench: &mut Bench,
        key: EntryKey<'_>,
        value: &[u8],
    ) -> Result<()> {
        if !bench.layout.fits_fixed(key, value) {
            return self.variable_entry(bench, key, value);
        }
        let length = key.bytes().len() + value.len();
        if self.entries.raw.len() + length > bench.capacity {
            self.make_room(bench, BlockKind::Entries, length)?;
        }
        put_fixed(&mut self.entries.raw, key.bytes(), value);
        self.entries.count += 1;
        Ok(())
    }

    /// Whether the block has memory for so many bytes more. Its first one has less of it, where blocks
    /// are to become full at different times.
    #[inline]
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.entries.raw.capacity().wrapping_sub(self.entries.raw.len()) >= length
    }

    /// Adds an entry of a fixed layout with keys and values of such widths.
    #[inline]
    pub(crate) fn push_fixed<const K: usize, const V: usize>(
        &mut self,
        key: &[u8; K],
        value: &[u8; V],
    ) {
        put_fixed(&mut self.entries.raw, key, value);
        self.entries.count += 1;
    }

    fn variable_entry(&mut self, bench: &mut Bench, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        bench.layout.check_key(key)?;
        bench.layout.check_value(value)?;
        let length = bench.layout.entry_bytes(key, value);
        if self.entries.raw.len() + length > bench.capacity {
            self.make_room(bench, BlockKind::Entries, length)?;
        }
        bench.layout.put_entry(&mut self.entries.raw, key, value);
        self.entries.count += 1;
        Ok(())
    }

    /// Adds a tombstone.
    pub(crate) fn tombstone(&mut self, bench: &mut Bench, key: EntryKey<'_>) -> Result<()> {
        let length = bench.layout.tombstone_bytes(key);
        if self.tombstones.raw.len() + length > bench.capacity {
            self.make_room(bench, BlockKind::Tombstones, length)?;
        }
        bench.layout.put_tombstone(&mut self.tombstones.raw, key);
        self.tombstones.count += 1;
        Ok(())
    }

    /// Adds the removal of a map. Removals come before everything else, and are cut before it.
    pub(crate) fn map_removal(&mut self, bench: &mut Bench, key: EntryKey<'_>) -> Result<()> {
        let layout = bench.layout.of_maps();
        layout.check_key(key)?;
        let length = layout.tombstone_bytes(key);
        if self.removals.raw.len() + length > bench.capacity {
            self.make_room(bench, BlockKind::MapRemovals, length)?;
        }
        layout.put_tombstone(&mut self.removals.raw, key);
        self.removals.count += 1;
        Ok(())
    }

    /// Seals removals of maps, before anything else comes.
    #[inline]
    pub(crate) fn cut_removals(&mut self, bench: &mut Bench) -> Result<()> {
        if self.removals.count == 0 {
            return Ok(());
        }
        self.cut(bench, BlockKind::MapRemovals)
    }

    /// Adds what `run` holds as one segment; the block was cut where necessary.
    pub(crate) fn segment(&mut self, bench: &Bench, run: &Run) -> Result<()> {
        let segment = run.segment()?;
        let pending = self.pending(run.kind);
        bench.layout.put_segment(&mut pending.raw, &segment);
        pending.count += 1;
        Ok(())
    }

    /// Seals the block of this kind, and reserves memory for the next one, of `length` bytes at least.
    #[cold]
    pub(crate) fn make_room(
        &mut self,
        bench: &mut Bench,
        kind: BlockKind,
        length: usize,
    ) -> Result<()> {
        self.cut(bench, kind)?;
        let wanted = bench.capacity.saturating_sub(std::mem::take(&mut self.early)).max(length);
        let pending = self.pending(kind);
        pending.raw.reserve_exact(wanted);
        Ok(())
    }

    /// Seals the block of this kind, if it has entries.
    pub(crate) fn cut(&mut self, bench: &mut Bench, kind: BlockKind) -> Result<()> {
        let mut pending = std::mem::take(self.pending(kind));
        let sealed = if pending.count == 0 { Ok(()) } else { self.seal(bench, kind, &pending) };
        pending.raw.clear();
        pending.count = 0;
        if pending.raw.capacity() > bench.capacity.saturating_mul(2) {
            pending.raw = Vec::new();
        }
        *self.pending(kind) = pending;
        let group = self.group;
        sealed.map_err(|error| match error.kind() {
            ErrorKind::Bug | ErrorKind::InvalidInput => {
                bench.encoding.locate(error, self.state, group)
            }
            _ => error,
        })
    }

    fn seal(&mut self, bench: &mut Bench, kind: BlockKind, pending: &Pending) -> Result<()> {
        let encoding = Arc::clone(&bench.encoding);
        if kind != BlockKind::Entries && encoding.spec.form != FileForm::Increment {
            return Err(Error::bug("only increments remove entries or append to lists"));
        }
        let block =
            RawBlock { kind, count: pending.count, raw: &pending.raw, ordered: encoding.ordered() };
        let before = self.audit.entries;
        let lookups = &mut self.lookups;
        let mut entry = |offset: usize, key: EntryKey<'_>| lookups.entry(kind, offset, key);
        let begins: Begins<'_, '_> = if encoding.lookups { Some(&mut entry) } else { None };
        self.audit
            .block(&bench.layout, block, &mut bench.digester, begins)
            .map_err(|problem| Error::bug(format!("{problem}, as the store gave them")))?;
        let unsealed = Unsealed {
            content: BlockContent::Entries(kind),
            state: self.state,
            group: self.group,
            count: pending.count,
            raw: &pending.raw,
        };
        let length = bench.seal(&unsealed)?;
        if encoding.lookups {
            self.lookups.block(kind, &pending.raw, length)?;
        }
        bench.output.progress.add(self.audit.entries - before, length);
        bench.output.cancel.check()?;
        let start = bench.output.place(length)?;
        self.section.push_extent(start, length);
        self.section.blocks += 1;
        Ok(())
    }

    /// Seals what is left and returns the section, if it has a block.
    pub(crate) fn finish(mut self, bench: &mut Bench) -> Result<Option<Finished>> {
        for kind in [
            BlockKind::MapRemovals,
            BlockKind::Entries,
            BlockKind::Tombstones,
            BlockKind::ListAppends,
        ] {
            self.cut(bench, kind)?;
        }
        let mut section = self.section;
        if section.blocks == 0 {
            return Ok(None);
        }
        section.entries = self.audit.entries;
        section.elements = self.audit.elements;
        section.tombstones = self.audit.tombstones;
        section.digest = Digest(self.audit.digest);
        Ok(Some((section, bench.encoding.lookups.then_some(self.lookups))))
    }
}
