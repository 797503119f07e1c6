//! Writes a state file whose entries come in any order: a small buffer per key group.
//!
//! # Role
//! The own-form and increment writer of stores that stream their tables once, without sorting.
//!
//! # Invariants
//! * I1 One state is being written at a time; choosing another one seals what is buffered.
//! * I2 The buffers of all key groups together stay within the memory budget, apart from an entry that
//!   is larger than its buffer and a list segment of up to 64 KiB.
//!
//! # Cost
//! One copy into the group's buffer per entry, then digest and checksum per block. Buffers have
//! between 256 bytes and 64 KiB: with 32,768 groups and 16 MiB about 512 bytes.

use super::builder::{BLOCK_BYTES, SectionBuilder};
use super::header::FileForm;
use super::records::BlockKind;
use super::run::Run;
use super::section;
use super::writer::{StateFileWriter, WrittenStateFile};
use crate::{Elements, EntryKey, Error, KeyGroup, Result};

/// The smallest buffer of a key group, in bytes.
const LEAST_CAPACITY_BYTES: usize = 256;

/// Writes a state file whose entries come in any order.
#[derive(Debug)]
pub struct ScatterWriter {
    writer: StateFileWriter,
    state: Option<u16>,
    /// A builder for each key group of the range.
    builders: Vec<SectionBuilder>,
    first_group: u16,
    run: Run,
    /// Removals of maps are buffered, which have to be sealed before anything else comes.
    removing: bool,
    /// The states that were chosen so far.
    chosen: Vec<u16>,
    /// Whether the state was chosen before.
    again: bool,
}

impl ScatterWriter {
    pub(crate) fn new(mut writer: StateFileWriter) -> Result<Self> {
        let spec = writer.spec();
        if spec.form == FileForm::Canonical {
            return Err(Error::bug("entries of a canonical file come in order"));
        }
        let kinds = if spec.form == FileForm::Increment { 2 } else { 1 };
        let buffers = usize::from(spec.range.len()).max(1) * kinds;
        let first_group = spec.range.start();
        let capacity = writer.buffer_bytes / buffers;
        writer.bench.capacity = capacity.clamp(LEAST_CAPACITY_BYTES, BLOCK_BYTES);
        Ok(Self {
            writer,
            state: None,
            builders: Vec::new(),
            first_group,
            run: Run::default(),
            removing: false,
            chosen: Vec::new(),
            again: false,
        })
    }

    /// Chooses the state that the following entries belong to.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) for an unknown state; `Cancelled`, `Unavailable`,
    /// `LimitExceeded`.
    pub fn state(&mut self, state: u16) -> Result<()> {
        if self.state == Some(state) {
            return Ok(());
        }
        self.end_state()?;
        self.writer.bench.layout = self.writer.bench.encoding.layout(state)?;
        let range = self.writer.spec().range;
        self.builders.extend(range.iter().map(|group| SectionBuilder::new(state, group)));
        self.again = self.chosen.contains(&state);
        self.chosen.push(state);
        self.state = Some(state);
        Ok(())
    }

    fn end_state(&mut self) -> Result<()> {
        self.settle()?;
        self.state = None;
        for builder in std::mem::take(&mut self.builders) {
            let section = builder.finish(&mut self.writer.bench)?;
            self.writer.record(section)?;
        }
        Ok(())
    }

    fn close_run(&mut self) -> Result<()> {
        if !self.run.is_open() {
            return Ok(());
        }
        let slot = self.slot(self.run.group);
        match self.builders.get_mut(slot) {
            Some(builder) => self.run.close(&mut self.writer.bench, builder),
            None => Err(Error::bug("the open list has no builder")),
        }
    }

    #[cold]
    fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.removing) {
            for builder in &mut self.builders {
                builder.cut(&mut self.writer.bench, BlockKind::MapRemovals)?;
            }
        }
        self.close_run()
    }

    #[inline]
    fn prepare(&mut self, group: KeyGroup) -> Result<usize> {
        if self.run.is_open() || self.removing {
            self.settle()?;
        }
        Ok(self.slot(group))
    }

    /// The index of the group's builder; beyond all builders for a group that is not covered.
    fn slot(&self, group: KeyGroup) -> usize {
        usize::from(group.index().wrapping_sub(self.first_group))
    }

    /// Adds an entry of any state but a list.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) if key or value do not fit the state's codecs, the group is not
    /// covered or no state was chosen; `Cancelled`, `Unavailable`, `LimitExceeded`.
    #[inline]
    pub fn put(&mut self, group: KeyGroup, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        let slot = self.prepare(group)?;
        let bench = &mut self.writer.bench;
        let Some(builder) = self.builders.get_mut(slot) else {
            return Err(not_covered(group));
        };
        builder.entry(bench, key, value)
    }

    /// Adds elements of a list, from index `first` on. Pieces of one list follow one another.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn list(
        &mut self,
        group: KeyGroup,
        key: EntryKey<'_>,
        first: u64,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.extend(BlockKind::Entries, group, key, (first, elements))
    }

    /// Appends elements to a list that has `first` elements in the files before (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn append(
        &mut self,
        group: KeyGroup,
        key: EntryKey<'_>,
        first: u64,
        elements: Elements<'_>,
    ) -> Result<()> {
        self.extend(BlockKind::ListAppends, group, key, (first, elements))
    }

    fn extend(
        &mut self,
        kind: BlockKind,
        group: KeyGroup,
        key: EntryKey<'_>,
        (first, elements): (u64, Elements<'_>),
    ) -> Result<()> {
        let continues = self.run.continues(kind, group, key, first);
        let slot = if continues { self.slot(group) } else { self.prepare(group)? };
        let bench = &mut self.writer.bench;
        let Some(builder) = self.builders.get_mut(slot) else {
            return Err(not_covered(group));
        };
        section::extend(bench, builder, &mut self.run, kind, key, (first, elements))
    }

    /// Removes an entry: a map entry, or everything under key and namespace (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(&mut self, group: KeyGroup, key: EntryKey<'_>) -> Result<()> {
        let slot = self.prepare(group)?;
        let bench = &mut self.writer.bench;
        let Some(builder) = self.builders.get_mut(slot) else {
            return Err(not_covered(group));
        };
        section::remove(bench, builder, &mut self.run, key)
    }

    /// Removes a whole map, given key and namespace (increments only). Removals of maps come before
    /// everything else that is told of their state.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove_map(&mut self, group: KeyGroup, key: EntryKey<'_>) -> Result<()> {
        if self.again {
            return Err(Error::bug("removals of maps come when a state is chosen first"));
        }
        let slot = self.slot(group);
        self.removing = true;
        match self.builders.get_mut(slot) {
            Some(builder) => builder.map_removal(&mut self.writer.bench, key),
            None => Err(not_covered(group)),
        }
    }

    /// Seals what is buffered, writes index and footer and makes the file durable.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn finish(mut self) -> Result<WrittenStateFile> {
        self.end_state()?;
        self.writer.finish()
    }
}

#[cold]
fn not_covered(group: KeyGroup) -> Error {
    Error::bug("no state was chosen, or the key group is not covered by the file")
        .with_key_group(group)
}
