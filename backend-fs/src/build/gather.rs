//! [`Gathered`]: what state files have of some key groups, sorted as a segment wants it.
//!
//! # How
//! Records are copied into one arena. What is sorted is a number for each: state, key group, the first
//! eight bytes of the key, and where the record is, from the highest bits to the lowest. Only where all
//! but the last are equal are keys compared, and what the records say.
//!
//! # Cost
//! Memory: the raw bytes of the key groups and 72 bytes per record.

use std::ops::Range;

use alluvium_state_api::format::{ListSegment, Record, StateFile};
use alluvium_state_api::{Elements, EntryKey, Error, KeyGroup, KeyGroupRange, ListSize, Result};

use crate::layer::list_mark;

/// What the records of a file mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What they say.
    Plain,
    /// They are a layer's entries: what `marks` and `cleared` do not say does not count.
    LayerMain,
    /// They are a layer's marks.
    LayerMarks,
    /// They are a layer's removed maps.
    LayerCleared,
}

/// What a record says of its key. The order is that of the records of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Says {
    /// The map of this key and namespace was removed.
    MapRemoved,
    /// The list has so many elements below, or the entry was removed.
    Mark,
    /// The entry was removed.
    Removed,
    /// The entry has this value.
    Value,
    /// Elements from this index on.
    Elements(Piece, u64),
}

/// Whether elements begin a list or go on with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    /// They are the list.
    Whole,
    /// They were appended.
    Appended,
}

/// One record.
#[derive(Clone, Copy, Debug)]
struct Rec {
    state: u16,
    group: u16,
    key_end: u32,
    namespace_end: u32,
    says: Says,
    start: usize,
    key_len: u32,
    value_len: usize,
}

/// A record with its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) state: u16,
    pub(crate) group: KeyGroup,
    pub(crate) key: EntryKey<'a>,
    pub(crate) says: Says,
    /// Value, framed elements or mark.
    pub(crate) bytes: &'a [u8],
}

impl Found<'_> {
    /// Whether another record is about the same entry.
    pub(crate) fn same_entry(&self, other: &Found<'_>) -> bool {
        (self.state, self.group) == (other.state, other.group)
            && self.key.bytes() == other.key.bytes()
    }

    /// Elements below a list, where the record is a mark.
    pub(crate) fn base(&self) -> Result<ListSize> {
        list_mark(Some(self.bytes)).map(Option::unwrap_or_default)
    }

    /// The elements of a piece of a list.
    pub(crate) fn elements(&self) -> Result<Elements<'_>> {
        Elements::parse(self.bytes)
    }
}

/// Sorted records; see the module's page. Used again from range to range.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    records: Vec<Rec>,
    order: Vec<Rank>,
}

/// State (16 bits), key group (16), 0 for removals of maps (1), first bytes of the key (64), index of the
/// record (31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u128);

impl Rank {
    const INDEX_BITS: u32 = 31;

    fn new(rec: &Rec, key: &[u8], index: u32) -> Self {
        let section = u128::from(rec.state) << 16 | u128::from(rec.group);
        let section = section << 1 | u128::from(rec.says != Says::MapRemoved);
        let key = section << 64 | u128::from(prefix_of(key));
        Self(key << Self::INDEX_BITS | u128::from(index))
    }

    const fn index(self) -> usize {
        self.0 as usize & ((1 << Self::INDEX_BITS) - 1)
    }

    /// Whether the numbers do not tell which comes first.
    const fn is_even_with(self, other: Self) -> bool {
        self.0 >> Self::INDEX_BITS == other.0 >> Self::INDEX_BITS
    }
}

impl Gathered {
    /// Forgets what was gathered.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.order.clear();
    }

    /// Adds what `file` has of the key groups in `range`. `states` has the ids that the states of the file get.
    pub(crate) fn add(
        &mut self,
        file: &StateFile,
        states: &[u16],
        range: KeyGroupRange,
        role: Role,
    ) -> Result<()> {
        let mut blocks = file.blocks(range);
        while let Some(block) = blocks.next_block()? {
            let state = states.get(usize::from(block.state())).copied();
            let state = state.ok_or_else(|| Error::bug("a block of a state without an id"))?;
            for record in block.records() {
                if let Some((key, says, bytes)) = meaning(record, role) {
                    self.push((state, block.group()), key, says, bytes)?;
                }
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        (state, group): (u16, KeyGroup),
        key: EntryKey<'_>,
        says: Says,
        bytes: &[u8],
    ) -> Result<()> {
        let small = |number: usize| {
            u32::try_from(number).map_err(|_large| Error::bug("a key of 4 GiB was read"))
        };
        let index = small(self.records.len())?;
        if index >> Rank::INDEX_BITS > 0 {
            return Err(Error::unsupported("a key group with 2^31 records cannot be sorted"));
        }
        let rec = Rec {
            state,
            group: group.index(),
            key_end: small(key.key_end())?,
            namespace_end: small(key.namespace_end())?,
            says,
            start: self.bytes.len(),
            key_len: small(key.bytes().len())?,
            value_len: bytes.len(),
        };
        self.order.push(Rank::new(&rec, key.bytes(), index));
        self.records.push(rec);
        self.bytes.extend_from_slice(key.bytes());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Sorts by state, key group, removals of maps first, key, and what is said.
    pub(crate) fn sort(&mut self) {
        let Self { bytes, records, order } = self;
        order.sort_unstable();
        let rec = |rank: &Rank| records.get(rank.index());
        let key = |rank: &Rank| rec(rank).map(|rec| key_bytes(bytes, rec));
        for even in order.chunk_by_mut(|one, next| one.is_even_with(*next)) {
            if even.len() > 1 {
                let says = |rank: &Rank| rec(rank).map(|rec| rec.says);
                even.sort_by(|one, other| {
                    key(one).cmp(&key(other)).then_with(|| says(one).cmp(&says(other)))
                });
            }
        }
    }

    /// The record at an index.
    pub(crate) fn get(&self, index: usize) -> Result<Option<Found<'_>>> {
        let Some(rec) = self.order.get(index).and_then(|rank| self.records.get(rank.index()))
        else {
            return Ok(None);
        };
        let value = key_range(rec).end..key_range(rec).end.saturating_add(rec.value_len);
        let key = EntryKey::new(
            key_bytes(&self.bytes, rec),
            rec.key_end as usize,
            rec.namespace_end as usize,
        )?;
        Ok(Some(Found {
            state: rec.state,
            group: KeyGroup::new(rec.group),
            key,
            says: rec.says,
            bytes: self.bytes.get(value).unwrap_or_default(),
        }))
    }
}

fn key_range(rec: &Rec) -> Range<usize> {
    rec.start..rec.start.saturating_add(rec.key_len as usize)
}

fn key_bytes<'a>(bytes: &'a [u8], rec: &Rec) -> &'a [u8] {
    bytes.get(key_range(rec)).unwrap_or_default()
}

/// The first bytes of a key as a number that orders as they do.
pub(super) fn prefix_of(key: &[u8]) -> u64 {
    let mut prefix = [0; 8];
    for (to, from) in prefix.iter_mut().zip(key) {
        *to = *from;
    }
    u64::from_be_bytes(prefix)
}

/// What a record of a file in this role means, if anything.
fn meaning(record: Record<'_>, role: Role) -> Option<(EntryKey<'_>, Says, &[u8])> {
    Some(match (role, record) {
        (Role::LayerMarks, Record::Entry(key, mark)) => (key, Says::Mark, mark),
        (Role::LayerCleared, Record::Entry(key, _)) => (key, Says::MapRemoved, &[]),
        (Role::LayerMarks | Role::LayerCleared, _) => return None,
        (_, Record::Entry(key, value)) => (key, Says::Value, value),
        (_, Record::List(segment)) => piece(segment, Piece::Whole),
        (_, Record::Append(segment)) => piece(segment, Piece::Appended),
        (Role::LayerMain, _) => return None,
        (_, Record::Tombstone(key)) => (key, Says::Removed, &[]),
        (_, Record::MapRemoval(key)) => (key, Says::MapRemoved, &[]),
    })
}

fn piece(segment: ListSegment<'_>, kind: Piece) -> (EntryKey<'_>, Says, &[u8]) {
    (segment.key, Says::Elements(kind, segment.first), segment.elements.framed())
}

/// Splits `range` so that the files have about `budget` raw bytes in each part.
pub(crate) fn portions(
    files: &[&StateFile],
    range: KeyGroupRange,
    budget: u64,
) -> Vec<KeyGroupRange> {
    let mut bytes = vec![0u64; usize::from(range.len())];
    for file in files {
        for section in file.sections().iter().filter(|section| range.contains(section.group)) {
            let at = usize::from(section.group.index().saturating_sub(range.start()));
            if let Some(bytes) = bytes.get_mut(at) {
                *bytes = bytes.saturating_add(section.stored_bytes());
            }
        }
    }
    let mut portions = Vec::new();
    let (mut start, mut sum) = (range.start(), 0u64);
    for (group, bytes) in (range.start()..).zip(bytes) {
        if sum > 0 && sum.saturating_add(bytes) > budget {
            portions.extend(KeyGroupRange::new(start, group));
            (start, sum) = (group, 0);
        }
        sum = sum.saturating_add(bytes);
    }
    if sum > 0 {
        portions.extend(KeyGroupRange::new(start, range.end()));
    }
    portions
}
