//! Opens a state file: footer, index and header, all verified before anything is believed.
//!
//! # Role
//! Restoring stores, `inspect`, `verify`, `diff` and `export`. Opening reads the two ends of the file;
//! blocks are read through a [`BlockCursor`], by several threads at once if they like.
//!
//! # Invariants
//! * I1 Header, index and footer passed their checksums, and extents tile the file.
//! * I2 Nothing is allocated beyond the length of the file.
//!
//! # Cost
//! Four reads; memory for the sections (about 100 bytes each).

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checksum::{crc32c, frame_checksum};
use super::cursor::BlockCursor;
use super::footer::{FOOTER_BYTES, Footer};
use super::header::{PREFIX_BYTES, StateFileSpec};
use super::index::{self, Section};
use super::layout::{EntryLayout, FixedLayout};
use super::writer::StateTotals;
use crate::storage::FileReader;
use crate::{Error, KeyGroupRange, Result};

/// An open state file.
#[derive(Clone, Debug)]
pub struct StateFile {
    pub(crate) reader: Arc<dyn FileReader>,
    pub(crate) path: PathBuf,
    pub(crate) spec: StateFileSpec,
    pub(crate) lookups: bool,
    pub(crate) layouts: Vec<EntryLayout>,
    pub(crate) sections: Vec<Section>,
    /// Where the blocks are: between header and index.
    blocks: Range<u64>,
    frame_checksum: u128,
}

impl StateFile {
    /// Opens a file; `path` is what errors call it.
    ///
    /// # Errors
    /// `Corrupted` for anything but an undamaged state file, `Unsupported` for one of a newer format,
    /// `Unavailable` where reading fails.
    pub fn open(reader: Arc<dyn FileReader>, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file_length = reader.len();
        let footer_offset = file_length.saturating_sub(FOOTER_BYTES as u64);
        let called = path.clone();
        let opened = move || -> Result<Self> {
            if file_length < (PREFIX_BYTES + FOOTER_BYTES) as u64 {
                return Err(Error::corrupted(format!(
                    "{file_length} bytes are too few for a state file"
                )));
            }
            let (header, spec, lookups) = read_header(&*reader, file_length)?;
            let (sections, index_offset, frame_checksum) =
                read_index(&*reader, file_length, (&spec, lookups), &header)
                    .map_err(|error| error.with_offset(footer_offset))?;
            let layouts = spec.layouts()?;
            let blocks = header.len() as u64..index_offset;
            Ok(Self { reader, path, spec, lookups, layouts, sections, blocks, frame_checksum })
        };
        opened().map_err(|error| error.with_path(called))
    }

    /// The same file under another name: what errors call it from now on.
    #[must_use]
    pub fn named(self, path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), ..self }
    }

    /// What the entries mean.
    pub const fn spec(&self) -> &StateFileSpec {
        &self.spec
    }

    /// XXH3-128 of header, index and footer, to be compared with what a snapshot says of the file
    /// ([`SnapshotFile::frame_checksum`](crate::snapshot::SnapshotFile::frame_checksum)).
    pub const fn frame_checksum(&self) -> u128 {
        self.frame_checksum
    }

    /// What the file holds, ascending by (state, key group); only sections that have something.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Where in the file header, index, footer and the sections are that `select` chooses: ranges of bytes
    /// that ascend and do not touch. Who has these alone has all that it takes to open the file and to read
    /// and verify these sections.
    pub fn ranges_of(&self, select: impl Fn(&Section) -> bool) -> Vec<Range<u64>> {
        let chosen = self.sections.iter().filter(|section| select(section));
        let extents = chosen.flat_map(|section| &section.extents);
        let mut ranges: Vec<_> = extents.map(|extent| extent.offset..extent.end()).collect();
        ranges.extend([0..self.blocks.start, self.blocks.end..self.reader.len()]);
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, before| {
            let touches = before.end == next.start;
            if touches {
                before.end = next.end;
            }
            touches
        });
        ranges
    }

    /// What the file is read through.
    pub fn reader(&self) -> &dyn FileReader {
        &*self.reader
    }

    /// The widths of a state whose entries all have the same.
    pub fn fixed_layout(&self, state: u16) -> Option<FixedLayout> {
        self.layouts.get(usize::from(state))?.fixed
    }

    /// What the index says of each state of the table, summed over the key groups of `range`.
    pub fn totals(&self, range: KeyGroupRange) -> Vec<StateTotals> {
        let mut totals = vec![StateTotals::default(); self.spec.states.len()];
        for section in self.sections.iter().filter(|section| range.contains(section.group)) {
            if let Some(state) = totals.get_mut(usize::from(section.state)) {
                state.add(section);
            }
        }
        totals
    }

    /// Reads the blocks of a range of key groups, in the order of the file.
    pub fn blocks(&self, range: KeyGroupRange) -> BlockCursor<'_> {
        self.blocks_where(|section| range.contains(section.group))
    }

    /// Reads the blocks of the sections that `select` chooses, in the order of the file. In
    /// canonical files, that is the order of states, key groups and keys.
    pub fn blocks_where(&self, select: impl Fn(&Section) -> bool) -> BlockCursor<'_> {
        BlockCursor::new(self, select)
    }

    /// Reads everything and compares it with checksums, counts and digests.
    ///
    /// # Errors
    /// `Corrupted` with the first difference; `Unavailable` where reading fails.
    pub fn verify(&self) -> Result<Vec<StateTotals>> {
        let mut blocks = self.blocks_where(|_| true);
        while blocks.next_block()?.is_some() {}
        Ok(self.totals(self.spec.groups.all()))
    }

    /// Says of an error where it is.
    #[cold]
    pub(crate) fn locate(&self, error: Error, section: &Section, offset: u64) -> Error {
        let error = error.with_path(&self.path).with_offset(offset).with_key_group(section.group);
        match self.spec.states.get(usize::from(section.state)) {
            Some(meta) => error.with_state(meta.name.clone()),
            None => error,
        }
    }
}

/// The header's bytes, what they say, and whether the file has lookups.
fn read_header(
    reader: &dyn FileReader,
    file_length: u64,
) -> Result<(Vec<u8>, StateFileSpec, bool)> {
    let mut prefix = [0; PREFIX_BYTES];
    reader.read_exact_at(0, &mut prefix)?;
    let length = StateFileSpec::length(&prefix, file_length)?;
    let mut header = vec![0; length];
    reader.read_exact_at(0, &mut header)?;
    let (spec, lookups) = StateFileSpec::decode(&header).map_err(|error| error.with_offset(0))?;
    Ok((header, spec, lookups))
}

fn read_index(
    reader: &dyn FileReader,
    file_length: u64,
    (spec, lookups): (&StateFileSpec, bool),
    header: &[u8],
) -> Result<(Vec<Section>, u64, u128)> {
    let mut bytes = [0; FOOTER_BYTES];
    let footer_offset = file_length.saturating_sub(FOOTER_BYTES as u64);
    reader.read_exact_at(footer_offset, &mut bytes)?;
    let footer = Footer::decode(&bytes, file_length)?;
    let length = usize::try_from(footer.index_length)
        .map_err(|_error| Error::corrupted("the index does not fit into memory"))?;
    let header_length = header.len() as u64;
    if footer.index_offset < header_length {
        return Err(Error::corrupted("the index lies inside the header"));
    }
    let mut index = vec![0; length];
    reader.read_exact_at(footer.index_offset, &mut index)?;
    if crc32c(&index) != footer.index_checksum {
        return Err(Error::corrupted("the index's checksum differs"));
    }
    let sections = index::decode(spec, lookups, &index, header_length, footer.index_offset)?;
    Ok((sections, footer.index_offset, frame_checksum(header, &index, &bytes)))
}
