//! Streams sections into a file one after the other.
//!
//! # Role
//! The canonical writer of a store that yields its entries in order, and the own-form writer of a
//! store that has them by key group. Sections and entries of any size: nothing but the block under
//! construction stays in memory.
//!
//! # Failure
//! As of [`StateFileWriter`]. In canonical files entries that do not ascend are an error of kind
//! `Bug`, reported when their block is sealed.

use super::builder::SectionBuilder;
use super::records::BlockKind;
use super::run::Run;
use super::section::{self, EncodedSection, SectionEncoding};
use super::writer::{StateFileWriter, WrittenStateFile};
use crate::{Elements, EntryKey, Error, KeyGroup, Result};

/// Writes a state file whose entries come section by section.
#[derive(Debug)]
pub struct SequentialWriter {
    writer: StateFileWriter,
    builder: Option<SectionBuilder>,
    run: Run,
}

impl SequentialWriter {
    pub(crate) fn new(writer: StateFileWriter) -> Self {
        Self { writer, builder: None, run: Run::default() }
    }

    /// Begins the section of `state` and `group`, and ends the one before.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) for an unknown state, a key group that is not covered, or a
    /// section of a canonical file that does not follow the one before; `Cancelled`, `Unavailable`,
    /// `LimitExceeded`.
    pub fn section(&mut self, state: u16, group: KeyGroup) -> Result<()> {
        self.end_section()?;
        let encoding = &self.writer.bench.encoding;
        encoding.check_group(group)?;
        let layout = encoding.layout(state)?;
        self.writer.bench.layout = layout;
        self.builder = Some(SectionBuilder::new(state, group));
        Ok(())
    }

    fn end_section(&mut self) -> Result<()> {
        let Some(mut builder) = self.builder.take() else {
            return Ok(());
        };
        self.run.close(&mut self.writer.bench, &mut builder)?;
        let section = builder.finish(&mut self.writer.bench)?;
        self.writer.record(section)
    }

    /// Adds an entry of any state but a list to the section.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) if key or value do not fit the state's codecs, entries of a
    /// canonical file do not ascend, or no section was begun; `Cancelled`, `Unavailable`,
    /// `LimitExceeded`.
    #[inline]
    pub fn put(&mut self, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        let builder = self.builder.as_mut().ok_or_else(no_section)?;
        section::put(&mut self.writer.bench, builder, &mut self.run, key, value)
    }

    /// Adds elements of a list, from index `first` on. Pieces of one list follow one another.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn list(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        self.extend(BlockKind::Entries, key, first, elements)
    }

    /// Appends elements to a list that has `first` elements in the files before (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn append(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        self.extend(BlockKind::ListAppends, key, first, elements)
    }

    fn extend(
        &mut self,
        kind: BlockKind,
        key: EntryKey<'_>,
        first: u64,
        elements: Elements<'_>,
    ) -> Result<()> {
        let builder = self.builder.as_mut().ok_or_else(no_section)?;
        let piece = (first, elements);
        section::extend(&mut self.writer.bench, builder, &mut self.run, kind, key, piece)
    }

    /// Removes an entry (increments only).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(&mut self, key: EntryKey<'_>) -> Result<()> {
        let builder = self.builder.as_mut().ok_or_else(no_section)?;
        section::remove(&mut self.writer.bench, builder, &mut self.run, key)
    }

    /// Removes a whole map, given key and namespace (increments only); before everything else that
    /// is told of the section.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove_map(&mut self, key: EntryKey<'_>) -> Result<()> {
        let builder = self.builder.as_mut().ok_or_else(no_section)?;
        builder.map_removal(&mut self.writer.bench, key)
    }

    /// Makes encoders of single sections, for this and other threads, to be given to
    /// [`append_section`](Self::append_section).
    pub fn encoding(&self) -> SectionEncoding {
        self.writer.encoding()
    }

    /// Ends the section before, and adds one that was encoded for this file.
    ///
    /// # Errors
    /// As [`StateFileWriter::append_section`].
    pub fn append_section(&mut self, section: EncodedSection) -> Result<()> {
        self.end_section()?;
        self.writer.append_section(section)
    }

    /// Ends the last section, writes index and footer and makes the file durable.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn finish(mut self) -> Result<WrittenStateFile> {
        self.end_section()?;
        self.writer.finish()
    }
}

#[cold]
fn no_section() -> Error {
    Error::bug("no section was begun")
}
