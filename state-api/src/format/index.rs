//! The index of a state file: where the blocks of each section are and what they hold.
//!
//! For each state of the table: varint number of its sections, then for each section, ascending:
//!
//! | type | field |
//! |---|---|
//! | varint | key group, minus the previous one plus one (of the first: minus the first covered group) |
//! | varint | entries |
//! | varint | elements, only for lists |
//! | varint | tombstones, only in increments |
//! | varint | number of blocks |
//! | varint | number of extents |
//! | varint x 2 each | zigzag of offset minus the end of the extent listed before; length in bytes |
//! | varint | bytes of the directory's block, only with lookups |
//! | `u128` | content digest |
//!
//! # Invariants
//! * I1 Sections ascend strictly by (state, key group) and lie in the covered range.
//! * I2 Extents of a section ascend; all extents together tile the bytes from header to index.
//! * I3 With lookups, a section is one extent, and its directory within it.
//!
//! # Cost
//! About 25 bytes per section of one extent; 6 more for each further one.

use smallvec::SmallVec;

use super::header::StateFileSpec;
use super::lookup::LEAST_DIRECTORY_BYTES;
use super::wire::{Input, put_difference, put_varint};
use super::{FileForm, block::BLOCK_HEADER_BYTES};
use crate::schema::StateKind;
use crate::snapshot::Digest;
use crate::{Error, KeyGroup, Result};

/// The fewest bytes of a section in the index.
const LEAST_SECTION_BYTES: usize = 4 + 2 + 16;
/// The fewest bytes of an extent in the index.
const LEAST_EXTENT_BYTES: usize = 2;

/// A contiguous run of whole blocks of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Extent {
    pub(crate) const fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// What a state file holds of one state in one key group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The id of the state.
    pub state: u16,
    /// The key group.
    pub group: KeyGroup,
    /// Keys and namespaces, or map entries; lists and runs of appended elements count once.
    pub entries: u64,
    /// List elements.
    pub elements: u64,
    /// Removed entries.
    pub tombstones: u64,
    /// The digest over all of these.
    pub digest: Digest,
    /// Blocks.
    pub blocks: u64,
    /// One, but for files in whose sections other threads or parts come in between.
    pub(crate) extents: SmallVec<[Extent; 1]>,
    /// Bytes of the directory's block, at the end of the only extent; 0 in files without lookups.
    pub(crate) directory_bytes: u64,
}

impl Section {
    /// A section without any blocks so far.
    pub(crate) fn empty(state: u16, group: KeyGroup) -> Self {
        Self {
            state,
            group,
            entries: 0,
            elements: 0,
            tombstones: 0,
            digest: Digest(0),
            blocks: 0,
            extents: SmallVec::new(),
            directory_bytes: 0,
        }
    }

    /// Bytes of its blocks in the file.
    pub fn stored_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// Appends an extent, merged with the last where they touch.
    pub(crate) fn push_extent(&mut self, offset: u64, length: u64) {
        match self.extents.last_mut() {
            Some(last) if last.end() == offset => last.length += length,
            _ => self.extents.push(Extent { offset, length }),
        }
    }

    /// Adds another part of the same section, which lies further back in the file.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.entries += other.entries;
        self.elements += other.elements;
        self.tombstones += other.tombstones;
        self.blocks += other.blocks;
        self.digest.0 = self.digest.0.wrapping_add(other.digest.0);
        for extent in &other.extents {
            self.push_extent(extent.offset, extent.length);
        }
    }
}

/// Encodes the index of `sections`, which ascend by (state, key group).
pub(crate) fn encode(
    spec: &StateFileSpec,
    lookups: bool,
    header_length: u64,
    sections: &[Section],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(sections.len() * 32);
    let mut end = header_length;
    let mut rest = sections;
    for (id, state) in spec.states.iter().enumerate() {
        let count = rest.iter().take_while(|section| usize::from(section.state) == id).count();
        let (mine, others) = rest.split_at_checked(count).unwrap_or_default();
        rest = others;
        put_varint(&mut out, count as u64);
        let mut next = spec.range.start();
        for section in mine {
            let delta = section.group.index().saturating_sub(next);
            next = section.group.index().saturating_add(1);
            put_varint(&mut out, u64::from(delta));
            put_varint(&mut out, section.entries);
            if state.kind == StateKind::List {
                put_varint(&mut out, section.elements);
            }
            if spec.form == FileForm::Increment {
                put_varint(&mut out, section.tombstones);
            }
            put_varint(&mut out, section.blocks);
            put_varint(&mut out, section.extents.len() as u64);
            for extent in &section.extents {
                put_difference(&mut out, extent.offset, end);
                put_varint(&mut out, extent.length);
                end = extent.end();
            }
            if lookups {
                put_varint(&mut out, section.directory_bytes);
            }
            out.extend_from_slice(&section.digest.0.to_le_bytes());
        }
    }
    debug_assert!(rest.is_empty(), "I1: sections ascend");
    out
}

/// Decodes an index whose blocks lie in `header_length..index_offset`.
pub(crate) fn decode(
    spec: &StateFileSpec,
    lookups: bool,
    bytes: &[u8],
    header_length: u64,
    index_offset: u64,
) -> Result<Vec<Section>> {
    let mut input = Input::new(bytes, false);
    let mut sections = Vec::new();
    let mut end = header_length;
    for (id, state) in (0u16..).zip(&spec.states) {
        let count = input.count(LEAST_SECTION_BYTES, "number of sections")?;
        sections.reserve(count);
        let mut next = u64::from(spec.range.start());
        for _ in 0..count {
            let group = next.saturating_add(input.varint("key group")?);
            if group >= u64::from(spec.range.end()) {
                return Err(super::wire::out_of_range("key group", group));
            }
            next = group + 1;
            let group = KeyGroup::new(u16::try_from(group).unwrap_or(u16::MAX));
            let list = state.kind == StateKind::List;
            let increment = spec.form == FileForm::Increment;
            let mut section = Section {
                entries: input.varint("entries")?,
                elements: if list { input.varint("elements")? } else { 0 },
                tombstones: if increment { input.varint("tombstones")? } else { 0 },
                blocks: input.varint("number of blocks")?,
                ..Section::empty(id, group)
            };
            extents(&mut input, &mut section, &mut end)?;
            if lookups {
                section.directory_bytes = input.varint("length of the directory")?;
                check_directory(&section)?;
            }
            section.digest = Digest(input.u128("digest")?);
            sections.push(section);
        }
    }
    input.end("index")?;
    check_tiling(spec, &sections, header_length, index_offset)?;
    Ok(sections)
}

fn extents(input: &mut Input<'_>, section: &mut Section, end: &mut u64) -> Result<()> {
    let count = input.count(LEAST_EXTENT_BYTES, "number of extents")?;
    section.extents.reserve_exact(count);
    for _ in 0..count {
        let offset = input.difference(*end, "offset of an extent")?;
        let length = input.varint("length of an extent")?;
        let ascends = section.extents.last().is_none_or(|last| last.end() < offset);
        *end = offset.saturating_add(length);
        if !ascends || length < BLOCK_HEADER_BYTES as u64 {
            return Err(super::wire::out_of_range("extent", offset));
        }
        section.extents.push(Extent { offset, length });
    }
    let most = section.stored_bytes_checked()? / BLOCK_HEADER_BYTES as u64;
    if section.blocks == 0 || section.blocks > most || count as u64 > section.blocks {
        return Err(super::wire::out_of_range("number of blocks", section.blocks));
    }
    Ok(())
}

/// Checks I3.
fn check_directory(section: &Section) -> Result<()> {
    let length = section.directory_bytes;
    let holds = matches!(&section.extents[..], [extent] if extent.length > length);
    if holds && length >= LEAST_DIRECTORY_BYTES {
        return Ok(());
    }
    Err(super::wire::out_of_range("length of the directory", length))
}

impl Section {
    fn stored_bytes_checked(&self) -> Result<u64> {
        self.extents
            .iter()
            .try_fold(0u64, |sum, extent| sum.checked_add(extent.length))
            .ok_or_else(|| Error::corrupted("extents are longer than any file"))
    }
}

/// Checks I2: extents fill the bytes between header and index, and canonical ones in order.
fn check_tiling(
    spec: &StateFileSpec,
    sections: &[Section],
    header_length: u64,
    index_offset: u64,
) -> Result<()> {
    let mut all = Vec::with_capacity(sections.len());
    all.extend(sections.iter().flat_map(|section| &section.extents).copied());
    let ordered = all.is_sorted_by_key(|extent| extent.offset);
    if spec.form == FileForm::Canonical
        && (!ordered || sections.iter().any(|section| section.extents.len() != 1))
    {
        return Err(Error::corrupted("the sections of a canonical file are not in order"));
    }
    all.sort_unstable_by_key(|extent| extent.offset);
    let end = all
        .iter()
        .try_fold(header_length, |end, extent| (extent.offset == end).then_some(extent.end()));
    if end == Some(index_offset) {
        return Ok(());
    }
    Err(Error::corrupted("the index does not account for every byte of the file"))
}
