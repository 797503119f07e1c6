//! Segments: immutable state files with lookups in the private directory, read where they lie.
//!
//! # Role
//! A segment is opened by its header, index and footer alone, whatever its size. An entry is then found
//! by its hash ([`Segment::find`]) and lent from the map; where files are read instead of mapped, from
//! a [`BlockCache`] that the caller brings. Ordered access is [`SectionCursor`].
//!
//! # Invariants
//! * S1 No byte of a block is believed before the block's checksum was compared, once for each block in
//!   the life of the segment (mapped), or whenever it is loaded (read).
//! * S2 What a checksum does not vouch for is checked where it is used: places, lengths and order of a
//!   file that was made to mislead give `Corrupted`, and nothing else happens.
//! * S3 Only live key groups are seen.
//! * S4 The file is removed with the last owner of the segment.
//!
//! # Failure
//! `Corrupted` with path, offset, state and key group; `Unavailable` where reading fails. A mapped file
//! that another process cuts is a `SIGBUS`, see [`ReadMode`].
//!
//! # Cost
//! Open: four reads and about 150 bytes of memory for each section. Each section costs a read of its
//! directory when it is first used; directories are kept in memory where files are read (0.4 % of the
//! data), and are part of the map otherwise. One bit per block says whether it was verified.

mod ahead;
mod cache;
mod cursor;
mod hydrate;
mod lane;
mod listing;
mod lists;
mod pages;
mod probe;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use alluvium_state_api::format::{FixedLayout, Section, StateFile, StateFileSpec};
use alluvium_state_api::storage::FileReader;
use alluvium_state_api::vfs::Mapping;
use alluvium_state_api::{Error, KeyGroup, KeyGroupRange, Result};

pub(crate) use cache::BlockCache;
pub(crate) use cursor::{Item, SectionCursor, What};
pub(crate) use listing::{KINDS, Listed};
use pages::OpenSection;
pub(crate) use probe::{Place, same};

use crate::local::LocalFile;

/// How segments are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadMode {
    /// Through a memory map. Where the file system has no files that can be mapped, as the models of
    /// tests, they are read.
    #[default]
    Mapped,
    /// By reads at an offset, into a cache. For file systems on which another process or machine may
    /// cut a file, which is an error when it is read, and the end of the process when it is mapped.
    Pread,
}

/// An open segment; shared by whoever reads it.
#[derive(Debug)]
pub(crate) struct Segment {
    file: StateFile,
    map: Option<Mapping>,
    /// Parallel to the sections of the file.
    sections: Box<[Slot]>,
    /// The same, of those that were used.
    opened: Box<[OnceLock<OpenSection>]>,
    states: Box<[State]>,
    local: LocalFile,
}

/// A state: where its sections are.
#[derive(Debug)]
struct State {
    sections: Range<usize>,
    /// The key group of the first one.
    first: u16,
    /// Whether the others follow without gaps.
    dense: bool,
}

/// Bytes of each key and each entry of a state, where all have the same; else 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widths {
    key: u32,
    entry: u32,
}

/// A section as it is used.
#[derive(Debug)]
struct Slot {
    state: u16,
    group: KeyGroup,
    live: bool,
    /// Where it is in the file.
    range: Range<u64>,
    widths: Widths,
    /// Its entries and tombstones.
    says: u64,
}

impl Segment {
    /// Opens a finished file of `length` bytes, of which the key groups of `live` count.
    ///
    /// # Errors
    /// `Corrupted` for anything but an undamaged state file of this length; `Incompatible` for one
    /// without lookups, which has to be rewritten; `NotFound`, `Unavailable`.
    pub(crate) fn open(
        local: LocalFile,
        length: u64,
        live: &[KeyGroupRange],
        mode: ReadMode,
    ) -> Result<Self> {
        let file = StateFile::open(local.read(length)?.into(), local.path())?;
        Self::over(local, file, live, mode)
    }

    /// The same of a file that is open.
    ///
    /// # Errors
    /// `Incompatible` for one without lookups; `Corrupted` and `Unavailable` where it cannot be mapped.
    pub(crate) fn over(
        local: LocalFile,
        file: StateFile,
        live: &[KeyGroupRange],
        mode: ReadMode,
    ) -> Result<Self> {
        if file.sections().iter().any(|section| file.lookups(section).is_none()) {
            let text = "a file without lookups cannot be used as it is; it has to be rewritten";
            return Err(Error::incompatible(text).with_path(local.path()));
        }
        let map = match mode {
            ReadMode::Mapped => map(file.reader(), local.path())?,
            ReadMode::Pread => None,
        };
        let slot = |section: &Section| Slot {
            state: section.state,
            group: section.group,
            live: live.iter().any(|range| range.contains(section.group)),
            range: range_of(&file, section),
            widths: file.fixed_layout(section.state).map_or_else(Widths::default, Widths::of),
            says: section.entries.saturating_add(section.tombstones),
        };
        let sections: Box<[Slot]> = file.sections().iter().map(slot).collect();
        let states = 0..file.spec().states.len();
        let states = states.map(|state| State::of(&sections, state)).collect();
        let opened = sections.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { file, map, sections, opened, states, local })
    }

    /// What the entries mean.
    pub(crate) fn spec(&self) -> &StateFileSpec {
        self.file.spec()
    }

    /// The state file, for reading all of it and for what its index says.
    pub(crate) fn state_file(&self) -> &StateFile {
        &self.file
    }

    /// The id of the state with this name in this file.
    pub(crate) fn state_id(&self, name: &str) -> Option<u16> {
        self.file.spec().state_id(name)
    }

    /// The file.
    pub(crate) fn local(&self) -> &LocalFile {
        &self.local
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.reader().len()
    }

    /// Bytes of memory that sections hold which were used, besides the map and caches.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let opened = self.opened.iter().filter_map(OnceLock::get);
        opened.map(|section| section.kept_bytes() as u64).sum()
    }

    /// Whether it is mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// The section of `state` and `group` and its index, if it has one that is live.
    #[inline]
    fn section_of(&self, state: u16, group: KeyGroup) -> Option<(usize, &Slot)> {
        let state = self.states.get(usize::from(state))?;
        let index = if state.dense {
            let index = usize::from(group.index().checked_sub(state.first)?) + state.sections.start;
            if index < state.sections.end { index } else { return None }
        } else {
            self.search_section(state, group)?
        };
        self.sections.get(index).filter(|slot| slot.live).map(|slot| (index, slot))
    }

    fn search_section(&self, state: &State, group: KeyGroup) -> Option<usize> {
        let slots = self.sections.get(state.sections.clone())?;
        let found = slots.binary_search_by_key(&group, |slot| slot.group).ok()?;
        Some(state.sections.start + found)
    }

    /// Says where in the file an error is.
    #[cold]
    fn locate(&self, section: usize, error: Error, offset: u64) -> Error {
        let error = error.with_path(self.local.path()).with_offset(offset);
        let Some(section) = self.file.sections().get(section) else {
            return error;
        };
        let error = error.with_key_group(section.group);
        match self.spec().states.get(usize::from(section.state)) {
            Some(meta) => error.with_state(meta.name.clone()),
            None => error,
        }
    }
}

impl Widths {
    fn of(fixed: FixedLayout) -> Self {
        // Widths add up to less than 4 GiB, which is checked where a file is opened.
        let width = |width: usize| u32::try_from(width).unwrap_or_default();
        Self { key: width(fixed.key_bytes()), entry: width(fixed.entry_bytes()) }
    }
}

impl State {
    fn of(slots: &[Slot], state: usize) -> Self {
        let before = |state| slots.partition_point(|slot| usize::from(slot.state) < state);
        let sections = before(state)..before(state + 1);
        let group = |index: usize| slots.get(index).map_or(0, |slot| slot.group.index());
        let first = group(sections.start);
        let last = group(sections.end.saturating_sub(1));
        // Key groups ascend, so that as many as there are between first and last have no gaps.
        let dense = sections.len() == usize::from(last.saturating_sub(first)) + 1;
        Self { dense: dense && !sections.is_empty(), sections, first }
    }
}

/// Where a section is, of a file with lookups.
fn range_of(file: &StateFile, section: &Section) -> Range<u64> {
    let end = file.lookups(section).map_or(0, |directory| directory.end);
    end.saturating_sub(section.stored_bytes())..end
}

/// Maps the file behind `reader`, if it is one of the operating system.
fn map(reader: &dyn FileReader, path: &Path) -> Result<Option<Mapping>> {
    let mapped = reader.as_file().map(|file| Mapping::of(file, reader.len())).transpose();
    mapped.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            let text = "the file became shorter while it was opened; its directory must be private";
            Error::corrupted(text).with_path(path).with_source(error)
        }
        _ => Error::io("mmap", path, error),
    })
}

#[cfg(test)]
mod tests;
