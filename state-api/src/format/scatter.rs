//! Writes a state file whose entries come in any order: a small buffer per key group.
//!
//! # Role
//! The own-form and increment writer of stores that stream their tables once, without sorting. Several
//! threads can stream one state, each through a writer of its own
//! ([`helpers`](ScatterWriter::helpers)): a section then has parts from each.
//!
//! # Invariants
//! * I1 One state is being written at a time; choosing another one seals what is buffered.
//! * I2 The buffers of all key groups and threads together stay within the memory budget, apart from an entry that
//!   is larger than its buffer and a list segment of up to 64 KiB. What waits for the file comes on top:
//!   a few buffers of 256 KiB.
//!
//! # Cost
//! One copy into the group's buffer per entry, then digest and checksum per block. Buffers have
//! between 256 bytes and 64 KiB, or 16 KiB for entries of fixed width: with 32,768 groups and 16 MiB
//! about 512 bytes. To gather entries of fixed width in half a kilobyte per group first was a gain with
//! blocks of 64 KiB, and is none with those of 16.

use super::builder::{BLOCK_BYTES, SectionBuilder};
use super::header::FileForm;
use super::records::BlockKind;
use super::run::Run;
use super::section;
use super::writer::{StateFileWriter, WrittenStateFile};
use crate::snapshot::Compression;
use crate::{Elements, EntryKey, Error, KeyGroup, Result};

/// The largest buffer of a key group where entries of fixed width stream through all of them, in
/// bytes: four times as large, those of 128 groups and two threads are more than the caches hold, and
/// cost a quarter of the processor's time.
const CACHED_BLOCK_BYTES: usize = 16 << 10;
/// Blocks to come per key group and thread from which on their ends are spread.
const SPREAD_FROM_BLOCKS: u64 = 4;
/// The smallest buffer of a key group, in bytes.
const LEAST_CAPACITY_BYTES: usize = 256;
/// The smallest buffer of a key group for which it is worth having more threads, in bytes.
const LEAST_SHARED_CAPACITY_BYTES: usize = 4 << 10;

/// Writes a state file whose entries come in any order.
#[derive(Debug)]
pub struct ScatterWriter {
    writer: StateFileWriter,
    state: Option<u16>,
    /// A builder for each key group of the range.
    builders: Vec<SectionBuilder>,
    first_group: u16,
    /// Whether blocks of different key groups become full at different times.
    spread: bool,
    run: Run,
    /// Removals of maps are buffered, which have to be sealed before anything else comes.
    removing: bool,
    /// The states that were chosen so far.
    chosen: Vec<u16>,
    /// Whether the state was chosen before.
    again: bool,
    /// So many sections are noted with their places in the file.
    placed: usize,
}

impl ScatterWriter {
    pub(crate) fn new(mut writer: StateFileWriter) -> Result<Self> {
        let spec = writer.spec();
        if spec.form == FileForm::Canonical || writer.bench.encoding.lookups {
            return Err(Error::bug(
                "entries of a canonical file or one with lookups come in order",
            ));
        }
        let first_group = spec.range.start();
        writer.bench.capacity = capacity(&writer, 1);
        Ok(Self {
            writer,
            state: None,
            builders: Vec::new(),
            first_group,
            spread: false,
            run: Run::default(),
            removing: false,
            chosen: Vec::new(),
            again: false,
            placed: 0,
        })
    }

    /// How many threads can write at once with buffers of useful size.
    pub fn most_threads(&self) -> usize {
        let buffers = usize::from(self.writer.spec().range.len()).max(1);
        self.writer.buffer_bytes / buffers / LEAST_SHARED_CAPACITY_BYTES
    }

    /// Says that so many entries of the chosen state are to come: a hint, best given before
    /// [`helpers`](Self::helpers) are made, from a thread whose priority is the snapshot's.
    ///
    /// # Errors
    /// `Unavailable` where the storage fails.
    pub fn expect_entries(&mut self, count: u64) -> Result<()> {
        let bench = &mut self.writer.bench;
        let bytes = count.saturating_mul(bench.layout.least_bytes(false) as u64);
        let blocks = bytes / (self.builders.len().saturating_mul(bench.capacity).max(1) as u64);
        if blocks >= SPREAD_FROM_BLOCKS {
            spread(&mut self.builders, bench.capacity);
        }
        self.spread = blocks >= SPREAD_FROM_BLOCKS;
        bench.output.expect(bytes)
    }

    /// Writers for other threads, of entries of the chosen state; all share the memory for buffers.
    /// To be given back to [`join`](Self::join), best after their [`end_state`](Self::end_state).
    /// Not for lists, whose pieces must follow one another, and not for increments.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) if no state was chosen, or it is a list, or the file is an
    /// increment.
    pub fn helpers(&mut self, count: usize) -> Result<Vec<Self>> {
        let spec = self.writer.spec();
        let shareable = spec.form == FileForm::Full && !self.writer.bench.layout.is_list;
        let Some(state) = self.state.filter(|_| shareable) else {
            return Err(Error::bug("only full snapshots of values and maps have helpers"));
        };
        let range = spec.range;
        self.writer.bench.capacity = capacity(&self.writer, count.saturating_add(1));
        let (spread_ends, capacity) = (self.spread, self.writer.bench.capacity);
        let builders = || {
            let mut builders: Vec<_> =
                range.iter().map(|group| SectionBuilder::new(state, group)).collect();
            if spread_ends {
                spread(&mut builders, capacity);
            }
            builders
        };
        let helper = |_| Self {
            writer: self.writer.share(),
            state: Some(state),
            builders: builders(),
            spread: self.spread,
            first_group: self.first_group,
            run: Run::default(),
            removing: false,
            chosen: vec![state],
            again: self.again,
            placed: 0,
        };
        Ok((0..count).map(helper).collect())
    }

    /// Takes over what a helper wrote, and seals what it has buffered.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn join(&mut self, mut helper: Self) -> Result<()> {
        helper.end_state()?;
        self.hand_over()?;
        self.writer.join(helper.writer);
        self.placed = self.writer.noted();
        Ok(())
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
        self.writer.bench.capacity = capacity(&self.writer, 1);
        let range = self.writer.spec().range;
        self.builders.extend(range.iter().map(|group| SectionBuilder::new(state, group)));
        self.spread = false;
        self.again = self.chosen.contains(&state);
        self.chosen.push(state);
        self.state = Some(state);
        Ok(())
    }

    /// Seals what is buffered of the chosen state; then no state is chosen.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn end_state(&mut self) -> Result<()> {
        while self.end_group()? {}
        self.hand_over()
    }

    /// Seals what is buffered of one more key group, to which nothing can be added then; `false` if
    /// there is none left. [`end_state`](Self::end_state) and [`join`](Self::join) do so for all.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn end_group(&mut self) -> Result<bool> {
        self.settle()?;
        let Some(builder) = self.builders.pop() else {
            self.state = None;
            return Ok(false);
        };
        let section = builder.finish(&mut self.writer.bench)?;
        self.writer.record(section)?;
        Ok(true)
    }

    /// Leaves what was sealed to the file, if it is shared.
    fn hand_over(&mut self) -> Result<()> {
        self.writer.hand_over(self.placed)?;
        self.placed = self.writer.noted();
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

    /// Takes entries of the chosen state, where all of them have keys (with namespace and map key) of
    /// `K` and values of `V` bytes; `None` otherwise.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn fixed_entries<const K: usize, const V: usize>(
        &mut self,
    ) -> Result<Option<FixedEntries<'_, K, V>>> {
        if self.run.is_open() || self.removing {
            self.settle()?;
        }
        let layout = self.writer.bench.layout.fixed;
        let fits = layout.is_some_and(|layout| (layout.key_bytes(), layout.value) == (K, V));
        Ok(fits.then_some(FixedEntries { writer: self, failed: None }))
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

/// Takes entries whose widths the compiler knows; made by [`ScatterWriter::fixed_entries`].
#[derive(Debug)]
pub struct FixedEntries<'a, const K: usize, const V: usize> {
    writer: &'a mut ScatterWriter,
    failed: Option<Error>,
}

impl<const K: usize, const V: usize> FixedEntries<'_, K, V> {
    /// Adds an entry. What goes wrong is told in the [end](Self::finish); what comes then, is lost.
    #[inline]
    pub fn put(&mut self, group: KeyGroup, key: &[u8; K], value: &[u8; V]) {
        const { assert!(K + V > 0, "entries without bytes would never fill a block") }
        let slot = self.writer.slot(group);
        match self.writer.builders.get_mut(slot) {
            Some(builder) if builder.has_room(K + V) => builder.push_fixed(key, value),
            _ => self.put_slowly(group, key, value),
        }
    }

    /// As [`put`](Self::put), after making room.
    #[cold]
    #[inline(never)]
    fn put_slowly(&mut self, group: KeyGroup, key: &[u8; K], value: &[u8; V]) {
        let slot = self.writer.slot(group);
        let Some(builder) = self.writer.builders.get_mut(slot) else {
            return self.fail(not_covered(group));
        };
        match builder.make_room(&mut self.writer.writer.bench, BlockKind::Entries, K + V) {
            Ok(()) => builder.push_fixed(key, value),
            Err(error) => self.fail(error),
        }
    }

    /// Makes this an error, unless there was one before.
    #[cold]
    #[inline(never)]
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Tells what went wrong.
    ///
    /// # Errors
    /// As [`ScatterWriter::put`].
    pub fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// Bytes of a buffer where so many threads write.
fn capacity(writer: &StateFileWriter, threads: usize) -> usize {
    let spec = writer.spec();
    let kinds = if spec.form == FileForm::Increment { 2 } else { 1 };
    let buffers = usize::from(spec.range.len()).max(1).saturating_mul(kinds * threads.max(1));
    let cached = spec.form == FileForm::Full
        && writer.bench.layout.fixed.is_some()
        && writer.bench.encoding.compression == Compression::None;
    let most = if cached { CACHED_BLOCK_BYTES } else { BLOCK_BYTES };
    (writer.buffer_bytes / buffers).clamp(LEAST_CAPACITY_BYTES, most)
}

/// Lets the first blocks of key groups become full one after the other. Keys are spread evenly, so that
/// all blocks would be full at once, again and again: the disk would wait for them, and then they for it.
fn spread(builders: &mut [SectionBuilder], capacity: usize) {
    let count = builders.len().max(1);
    for (at, builder) in builders.iter_mut().enumerate() {
        builder.cut_early(capacity * at / count);
    }
}

#[cold]
fn not_covered(group: KeyGroup) -> Error {
    Error::bug("no state was chosen, or the key group is not covered by the file")
        .with_key_group(group)
}
