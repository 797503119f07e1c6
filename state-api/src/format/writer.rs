//! Puts a state file together: header, sections, index, footer.
//!
//! # Role
//! Snapshot tasks create it and choose how sections come: encoded elsewhere
//! ([`append_section`](StateFileWriter::append_section)), one after the other
//! ([`into_sequential`](StateFileWriter::into_sequential)), or all at once, entries in any order
//! ([`into_scatter`](StateFileWriter::into_scatter)).
//!
//! # Failure
//! After an error the writer is dropped, and the file with it. A file without its footer is refused
//! by every reader, so that a torn one is never taken for a whole one.
//!
//! # Example
//! See the [module](super).

use std::sync::Arc;

use super::builder::{Bench, Encoding, Finished};
use super::checksum::{crc32c, frame_checksum};
use super::footer::Footer;
use super::header::{FileForm, StateFileSpec};
use super::index::{self, Section};
use super::layout::EntryLayout;
use super::output::Output;
use super::scatter::ScatterWriter;
use super::section::{EncodedSection, SectionEncoding};
use super::sequential::SequentialWriter;
use crate::schema::StateMeta;
use crate::snapshot::{
    CancelToken, Compression, Digest, EntryCount, Progress, SnapshotContext, StateSummary,
    StoredFile,
};
use crate::storage::{FileScope, FileWriter, InlinePolicy};
use crate::{Error, Result};

/// Memory for the buffers of a [`ScatterWriter`]: 16 MiB.
pub const DEFAULT_BUFFER_BYTES: usize = 16 << 20;

/// How a state file is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteOptions {
    /// How blocks are compressed.
    pub compression: Compression,
    /// Memory for all buffers of a [`ScatterWriter`] together, in bytes.
    pub buffer_bytes: usize,
    /// The most bytes that one state may have in the file.
    pub inline_limit_bytes: Option<u64>,
    /// Whether single entries can be found in the file, for a backend that leaves its state there. Entries
    /// then ascend by key, namespace and map key, for each kind of calls (entries, tombstones, ...). Not
    /// for canonical and compressed files, nor for a [`ScatterWriter`].
    pub lookups: bool,
    /// Checked after each block.
    pub cancel: CancelToken,
    /// Advanced after each block.
    pub progress: Progress,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            buffer_bytes: DEFAULT_BUFFER_BYTES,
            inline_limit_bytes: None,
            lookups: false,
            cancel: CancelToken::default(),
            progress: Progress::default(),
        }
    }
}

impl WriteOptions {
    /// What a snapshot task is given: cancellation, progress, and the limit of inline snapshots.
    pub fn of(context: &SnapshotContext<'_>, compression: Compression) -> Self {
        let inline_limit_bytes = match context.sink.inline_policy() {
            InlinePolicy::Everything { limit_bytes } => Some(limit_bytes),
            InlinePolicy::Small { .. } => None,
        };
        Self {
            compression,
            inline_limit_bytes,
            cancel: context.cancel.clone(),
            progress: context.progress.clone(),
            ..Self::default()
        }
    }
}

/// What a finished state file holds.
#[derive(Clone, Debug)]
pub struct WrittenStateFile {
    /// Where it is.
    pub stored: StoredFile,
    /// XXH3-128 of header, index and footer: what it takes to recognise the file without reading it all.
    pub frame_checksum: u128,
    /// The content of each state of the table, in its order.
    pub states: Vec<StateTotals>,
    /// Bytes of blocks by key group, from the first covered one on.
    pub group_bytes: Vec<u64>,
}

/// The content of one state of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateTotals {
    /// Keys and namespaces, or map entries; lists and runs of appended elements count once.
    pub entries: u64,
    /// List elements.
    pub elements: u64,
    /// Removed entries.
    pub tombstones: u64,
    /// The digest over all of these.
    pub digest: Digest,
    /// Bytes of blocks in the file.
    pub stored_bytes: u64,
}

impl StateTotals {
    /// Adds a section.
    pub(crate) fn add(&mut self, section: &Section) {
        self.entries = self.entries.saturating_add(section.entries);
        self.elements = self.elements.saturating_add(section.elements);
        self.tombstones = self.tombstones.saturating_add(section.tombstones);
        self.digest.0 = self.digest.0.wrapping_add(section.digest.0);
        self.stored_bytes = self.stored_bytes.saturating_add(section.stored_bytes());
    }

    /// The summary of a state that is wholly in this file.
    pub fn summary(&self, meta: StateMeta) -> StateSummary {
        StateSummary { meta, entries: EntryCount::Exact(self.entries), digest: Some(self.digest) }
    }
}

/// Writes a state file section by section.
#[derive(Debug)]
pub struct StateFileWriter {
    pub(crate) bench: Bench,
    pub(crate) buffer_bytes: usize,
    header: Arc<[u8]>,
    sections: Vec<Section>,
}

impl StateFileWriter {
    /// Begins a file of a snapshot.
    ///
    /// # Errors
    /// `InvalidInput` for a specification that is not valid; `Unavailable` where the sink fails.
    pub fn create(
        context: &SnapshotContext<'_>,
        scope: FileScope,
        spec: StateFileSpec,
        compression: Compression,
    ) -> Result<Self> {
        let options = WriteOptions::of(context, compression);
        Self::new(context.sink.create(scope)?, spec, options)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn new(
        file: Box<dyn FileWriter>,
        spec: StateFileSpec,
        options: WriteOptions,
    ) -> Result<Self> {
        let header = spec.encode(options.compression, options.lookups)?;
        let encoding = Encoding::new(spec, options.compression, options.lookups)?;
        let mut output = Output::new(Some(file), options.cancel, options.progress);
        output.append(&header)?;
        let mut bench = Bench::new(encoding, EntryLayout::UNSET, output);
        bench.inline_limit = options.inline_limit_bytes;
        Ok(Self {
            bench,
            buffer_bytes: options.buffer_bytes,
            header: header.into(),
            sections: Vec::new(),
        })
    }

    /// What the file holds.
    pub fn spec(&self) -> &StateFileSpec {
        &self.bench.encoding.spec
    }

    /// Makes encoders of single sections, for this and other threads.
    pub fn encoding(&self) -> SectionEncoding {
        SectionEncoding {
            encoding: Arc::clone(&self.bench.encoding),
            cancel: self.bench.output.cancel.clone(),
            progress: self.bench.output.progress.clone(),
        }
    }

    /// Entries come by section: ordered for canonical files, in any order for others.
    pub fn into_sequential(self) -> SequentialWriter {
        SequentialWriter::new(self)
    }

    /// Entries come in any order. Not for canonical files, nor for those with lookups.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) for a canonical file, and one with lookups.
    pub fn into_scatter(self) -> Result<ScatterWriter> {
        ScatterWriter::new(self)
    }

    /// Appends a section that was encoded for this file; an empty one adds nothing.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) if sections of a canonical file do not ascend;
    /// `LimitExceeded` above the limit of inline snapshots; `Cancelled`, `Unavailable`.
    pub fn append_section(&mut self, encoded: EncodedSection) -> Result<()> {
        let EncodedSection { section, bytes } = encoded;
        let Some((mut section, lookups)) = section else {
            return Ok(());
        };
        let start = self.bench.output.position();
        self.bench.charge(section.state, bytes.len() as u64)?;
        self.bench.output.cancel.check()?;
        section.extents.clear();
        section.push_extent(start, bytes.len() as u64);
        self.bench.output.append(&bytes)?;
        self.record(Some((section, lookups)))
    }

    /// A writer for another thread, of parts of sections of the same file.
    pub(crate) fn share(&mut self) -> Self {
        Self {
            bench: self.bench.share(),
            buffer_bytes: self.buffer_bytes,
            header: Arc::clone(&self.header),
            sections: Vec::new(),
        }
    }

    /// Leaves what is buffered to the file, and says of the sections from `first` on where they are in it.
    pub(crate) fn hand_over(&mut self, first: usize) -> Result<()> {
        let output = &mut self.bench.output;
        output.hand_over()?;
        for section in self.sections.iter_mut().skip(first) {
            for extent in std::mem::take(&mut section.extents) {
                section.push_extent(output.in_file(extent.offset), extent.length);
            }
        }
        Ok(())
    }

    /// Sections that were noted so far.
    pub(crate) fn noted(&self) -> usize {
        self.sections.len()
    }

    /// Takes over what a writer for another thread noted.
    pub(crate) fn join(&mut self, other: Self) {
        self.sections.extend(other.sections);
    }

    /// Notes a section whose blocks are in the output, after its lookups were written behind them.
    pub(crate) fn record(&mut self, finished: Option<Finished>) -> Result<()> {
        let Some((mut section, lookups)) = finished else {
            return Ok(());
        };
        if let Some(lookups) = lookups {
            lookups.write(&mut self.bench, &mut section)?;
        }
        let place = (section.state, section.group);
        let follows = self.sections.last().is_none_or(|last| (last.state, last.group) < place);
        if self.spec().form == FileForm::Canonical && !follows {
            let error = Error::bug("the sections of a canonical file must ascend");
            return Err(self.bench.encoding.locate(error, place.0, place.1));
        }
        self.sections.push(section);
        Ok(())
    }

    /// Writes index and footer and makes the file durable.
    ///
    /// # Errors
    /// `Unavailable` where the storage fails.
    pub fn finish(mut self) -> Result<WrittenStateFile> {
        self.bench.output.unshare()?;
        let sections = merged(std::mem::take(&mut self.sections));
        let mut states = vec![StateTotals::default(); self.spec().states.len()];
        for section in &sections {
            if let Some(totals) = states.get_mut(usize::from(section.state)) {
                totals.add(section);
            }
        }
        let range = self.spec().range;
        let mut group_bytes = vec![0u64; usize::from(range.len())];
        for section in &sections {
            let at = usize::from(section.group.index().saturating_sub(range.start()));
            if let Some(bytes) = group_bytes.get_mut(at) {
                *bytes = bytes.saturating_add(section.stored_bytes());
            }
        }
        let header_length = self.header.len() as u64;
        let lookups = self.bench.encoding.lookups;
        let index = index::encode(self.spec(), lookups, header_length, &sections);
        let footer = Footer {
            index_offset: self.bench.output.position(),
            index_length: index.len() as u64,
            index_checksum: crc32c(&index),
        };
        debug_assert_eq!(
            index::decode(self.spec(), lookups, &index, header_length, footer.index_offset).ok(),
            Some(sections),
            "what was written is what will be read"
        );
        self.bench.output.append(&index)?;
        let footer = footer.encode();
        self.bench.output.append(&footer)?;
        let frame_checksum = frame_checksum(&self.header, &index, &footer);
        let stored = self.bench.output.finish()?;
        Ok(WrittenStateFile { stored, frame_checksum, states, group_bytes })
    }
}

/// Sections in order; those that were written in parts are put together.
fn merged(mut sections: Vec<Section>) -> Vec<Section> {
    // Stable: parts that one thread wrote stay in the order of the file.
    sections.sort_by_key(|section| (section.state, section.group));
    sections.dedup_by(|later, earlier| {
        let same = (later.state, later.group) == (earlier.state, earlier.group);
        if same {
            earlier.absorb(later);
        }
        same
    });
    for section in &mut sections {
        // Threads wrote their parts at the same time.
        if !section.extents.is_sorted_by_key(|extent| extent.offset) {
            let mut extents = std::mem::take(&mut section.extents);
            extents.sort_unstable_by_key(|extent| extent.offset);
            for extent in extents {
                section.push_extent(extent.offset, extent.length);
            }
        }
    }
    sections
}
