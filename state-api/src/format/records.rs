//! What a reader sees of a block: its section, its kind and its entries, borrowed.
//!
//! A [`Block`] was verified completely before it is handed out (checksum, structure, counts), so that
//! its iterators cannot fail and a store loads entries in a plain loop.

use super::layout::{EntryLayout, FixedLayout, ListSegment};
use super::wire::take;
use crate::{EntryKey, KeyGroup};

/// What the entries of a block say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// These are the values, or the lists.
    Entries,
    /// These were removed (increments only).
    Tombstones,
    /// These elements were appended (increments only).
    ListAppends,
    /// These maps were removed whole (increments only); before anything else of their section.
    MapRemovals,
}

impl BlockKind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Entries => 1,
            Self::Tombstones => 2,
            Self::ListAppends => 3,
            Self::MapRemovals => 4,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Entries),
            2 => Some(Self::Tombstones),
            3 => Some(Self::ListAppends),
            4 => Some(Self::MapRemovals),
            _ => None,
        }
    }
}

/// One thing that a state file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The entry has this value (stamp in front, if the state is stamped).
    Entry(EntryKey<'a>, &'a [u8]),
    /// A piece of a list: it replaces the list where its first index is 0, and continues the segment
    /// before it otherwise.
    List(ListSegment<'a>),
    /// Elements to append to a list that has exactly `first` elements by now.
    Append(ListSegment<'a>),
    /// The entry was removed: of maps one map entry, otherwise everything under key and namespace.
    Tombstone(EntryKey<'a>),
    /// The map under this key and namespace was removed; the section's other records come after.
    MapRemoval(EntryKey<'a>),
}

/// A verified block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    pub(crate) layout: &'a EntryLayout,
    pub(crate) kind: BlockKind,
    pub(crate) state: u16,
    pub(crate) group: KeyGroup,
    pub(crate) count: u32,
    pub(crate) raw: &'a [u8],
}

impl<'a> Block<'a> {
    /// The id of the state: its index in [`StateFileSpec::states`](super::StateFileSpec::states).
    pub const fn state(&self) -> u16 {
        self.state
    }

    /// The key group.
    pub const fn group(&self) -> KeyGroup {
        self.group
    }

    /// What its entries say.
    pub const fn kind(&self) -> BlockKind {
        self.kind
    }

    /// How many entries (of lists: segments) it has; at least 1.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The entries as they lie in memory, where all widths are fixed and the kind is `Entries`: the
    /// fastest way to load a table. Each is key, namespace, map key, value.
    pub fn fixed(&self) -> Option<(FixedLayout, &'a [u8])> {
        let fixed = self.layout.fixed.filter(|_| self.kind == BlockKind::Entries)?;
        Some((fixed, self.raw))
    }

    /// Keys and values; none unless the kind is `Entries` and the state no list.
    pub fn entries(&self) -> Entries<'a> {
        let applies = self.kind == BlockKind::Entries && !self.layout.is_list;
        Entries {
            layout: self.layout,
            rest: if applies { self.raw } else { &[] },
            left: if applies { self.count } else { 0 },
        }
    }

    /// Everything that the block says, in order.
    pub fn records(&self) -> Records<'a> {
        Records { layout: self.layout, kind: self.kind, rest: self.raw, left: self.count }
    }
}

/// Iterates over keys and values of a block.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    layout: &'a EntryLayout,
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (EntryKey<'a>, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if let Some(fixed) = &self.layout.fixed {
            return take_fixed(fixed, &mut self.rest);
        }
        self.layout.take_entry(&mut self.rest)
    }
}

#[inline]
fn take_fixed<'a>(fixed: &FixedLayout, rest: &mut &'a [u8]) -> Option<(EntryKey<'a>, &'a [u8])> {
    let key = take(rest, fixed.key_bytes())?;
    let key = EntryKey::new(key, fixed.key, fixed.key + fixed.namespace).ok()?;
    Some((key, take(rest, fixed.value)?))
}

/// Iterates over everything that a block says.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    layout: &'a EntryLayout,
    kind: BlockKind,
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.layout.take_record(self.kind, &mut self.rest)
    }
}

impl EntryLayout {
    /// Splits what a block of `kind` says next off the front.
    pub(crate) fn take_record<'a>(
        &self,
        kind: BlockKind,
        rest: &mut &'a [u8],
    ) -> Option<Record<'a>> {
        match (kind, self.is_list) {
            (BlockKind::Entries, false) => {
                let (key, value) = self.take_entry(rest)?;
                Some(Record::Entry(key, value))
            }
            (BlockKind::Entries, true) => self.take_segment(rest).map(Record::List),
            (BlockKind::ListAppends, _) => self.take_segment(rest).map(Record::Append),
            (BlockKind::Tombstones, _) => self.take_tombstone(rest).map(Record::Tombstone),
            (BlockKind::MapRemovals, _) => {
                self.of_maps().take_tombstone(rest).map(Record::MapRemoval)
            }
        }
    }
}
