//! Encodes one section in memory, so that several threads can encode sections of one file.
//!
//! # Role
//! A snapshot task that has its entries by key group (ordered, for the canonical form) gives each
//! thread its own encoder and appends the results in order
//! ([`StateFileWriter::append_section`](super::StateFileWriter::append_section)). The bytes do not
//! depend on who encoded them.
//!
//! # Cost
//! The whole section stays in memory. Where a section may be larger than that,
//! [`SequentialWriter`](super::SequentialWriter) streams.

use std::sync::Arc;

use super::builder::{Bench, Encoding, Finished, SectionBuilder};
use super::output::Output;
use super::records::BlockKind;
use super::run::Run;
use crate::snapshot::{CancelToken, Progress};
use crate::{Elements, EntryKey, KeyGroup, Result};

/// What [`SectionEncoder`]s of one file share; cheap to clone and send to threads.
#[derive(Clone, Debug)]
pub struct SectionEncoding {
    pub(crate) encoding: Arc<Encoding>,
    pub(crate) cancel: CancelToken,
    pub(crate) progress: Progress,
}

impl SectionEncoding {
    /// Begins a section.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) for an unknown state or a key group that is not covered.
    pub fn section(&self, state: u16, group: KeyGroup) -> Result<SectionEncoder> {
        let layout = self.encoding.layout(state)?;
        self.encoding.check_group(group)?;
        let output = Output::new(None, self.cancel.clone(), self.progress.clone());
        Ok(SectionEncoder {
            bench: Bench::new(Arc::clone(&self.encoding), layout, output),
            builder: SectionBuilder::new(state, group),
            run: Run::default(),
        })
    }
}

/// Encodes one section. Entries of canonical files and files with lookups must ascend by key, namespace,
/// map key.
#[derive(Debug)]
pub struct SectionEncoder {
    bench: Bench,
    builder: SectionBuilder,
    run: Run,
}

/// A section's blocks, ready to be appended to the file that they were encoded for.
#[derive(Debug)]
pub struct EncodedSection {
    pub(crate) section: Option<Finished>,
    pub(crate) bytes: Vec<u8>,
}

impl EncodedSection {
    /// Bytes that it adds to the file, apart from lookups.
    pub fn stored_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl SectionEncoder {
    /// Adds an entry of any state but a list.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) if key or value do not fit the state's codecs, or entries of a
    /// canonical file do not ascend; `Cancelled`.
    #[inline]
    pub fn put(&mut self, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        put(&mut self.bench, &mut self.builder, &mut self.run, key, value)
    }

    /// Adds elements of a list, from index `first` on. Pieces of one list follow one another.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn list(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        let kind = BlockKind::Entries;
        extend(&mut self.bench, &mut self.builder, &mut self.run, kind, key, (first, elements))
    }

    /// Appends elements to a list that has `first` elements in the files before (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn append(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        let kind = BlockKind::ListAppends;
        extend(&mut self.bench, &mut self.builder, &mut self.run, kind, key, (first, elements))
    }

    /// Removes an entry (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(&mut self, key: EntryKey<'_>) -> Result<()> {
        remove(&mut self.bench, &mut self.builder, &mut self.run, key)
    }

    /// Removes a whole map, given key and namespace (increments only); before everything else that
    /// is told of the section.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove_map(&mut self, key: EntryKey<'_>) -> Result<()> {
        self.builder.map_removal(&mut self.bench, key)
    }

    /// Completes the section.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn finish(mut self) -> Result<EncodedSection> {
        self.run.close(&mut self.bench, &mut self.builder)?;
        let section = self.builder.finish(&mut self.bench)?;
        Ok(EncodedSection { section, bytes: self.bench.output.buffer })
    }
}

/// Adds an entry to `builder`, which also holds the open run.
#[inline]
pub(crate) fn put(
    bench: &mut Bench,
    builder: &mut SectionBuilder,
    run: &mut Run,
    key: EntryKey<'_>,
    value: &[u8],
) -> Result<()> {
    run.close(bench, builder)?;
    builder.cut_removals(bench)?;
    builder.entry(bench, key, value)
}

/// Adds a tombstone to `builder`, which also holds the open run.
pub(crate) fn remove(
    bench: &mut Bench,
    builder: &mut SectionBuilder,
    run: &mut Run,
    key: EntryKey<'_>,
) -> Result<()> {
    bench.layout.check_key(key)?;
    run.close(bench, builder)?;
    builder.cut_removals(bench)?;
    builder.tombstone(bench, key)
}

/// Adds elements to the open run, or opens another one.
pub(crate) fn extend(
    bench: &mut Bench,
    builder: &mut SectionBuilder,
    run: &mut Run,
    kind: BlockKind,
    key: EntryKey<'_>,
    (first, elements): (u64, Elements<'_>),
) -> Result<()> {
    if !run.continues(kind, builder.group, key, first) {
        bench.layout.check_key(key)?;
        bench.layout.check_list()?;
        run.close(bench, builder)?;
        builder.cut_removals(bench)?;
        run.open(kind, builder.group, key, first);
    }
    run.extend(bench, builder, elements)
}
