//! The smallest entries that are not written yet, as many as fit into memory.
//!
//! # Role
//! A canonical file wants its entries in order, and a snapshot has them in another one. So the input is
//! read as often as it takes: each pass gathers the entries from where the last one stopped, and when
//! there is no more room, lets go of the larger part of what it has and takes no more of that. What a
//! pass yields is complete and in order, and the next one goes on behind it.
//!
//! # Invariants
//! * I1 Of the entries between [`from`](Gatherer::from) and [`until`](Gatherer::until) every change that
//!   was read is held, or what these changes came to; `until` only falls during a pass.
//! * I2 Changes of an entry are read in the order in which they happened; `order` remembers it.
//! * I3 At least one entry stays, so that every pass gets on. Memory is that of the budget or of the
//!   largest single entry (of a list: all of its elements), whichever is more.

use std::cmp::Ordering;
use std::mem;

use alluvium_state_api::format::{ListSegment, Record};
use alluvium_state_api::{Elements, EntryKey, Error, KeyGroup, Result};

/// The least that a vector grows by, in bytes.
const LEAST_GROWTH: usize = 4 << 10;

/// What was read about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The map was removed; the entry key has no map key.
    RemoveMap,
    /// The entry was removed.
    Remove,
    /// The entry has this value.
    Put,
    /// These are elements of the list from this index on; 0 begins it.
    Segment(u64),
}

/// A change; key and value lie one behind the other in the arena.
#[derive(Clone, Copy, Debug)]
struct Item {
    change: Change,
    group: KeyGroup,
    key_end: u32,
    namespace_end: u32,
    key_length: u32,
    start: usize,
    value_length: usize,
    order: u64,
}

/// Where an entry is in the order of canonical files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position<'a> {
    group: KeyGroup,
    key: EntryKey<'a>,
}

impl Position<'_> {
    fn map(&self) -> (KeyGroup, &[u8], &[u8]) {
        (self.group, self.key.key(), self.key.namespace())
    }
}

impl PartialOrd for Position<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.map().cmp(&other.map()).then_with(|| self.key.map_key().cmp(other.key.map_key()))
    }
}

/// The same with its bytes.
#[derive(Clone, Debug)]
struct Bound {
    group: KeyGroup,
    bytes: Vec<u8>,
    key_end: usize,
    namespace_end: usize,
}

impl Bound {
    fn new(position: Position<'_>) -> Self {
        let key = position.key;
        Self {
            group: position.group,
            bytes: key.bytes().to_vec(),
            key_end: key.key_end(),
            namespace_end: key.namespace_end(),
        }
    }

    fn position(&self) -> Result<Position<'_>> {
        let key = EntryKey::new(&self.bytes, self.key_end, self.namespace_end)?;
        Ok(Position { group: self.group, key })
    }
}

/// A piece of an entry, to be written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    /// All of it.
    Value(&'a [u8]),
    /// Elements of a list from this index on; pieces of one list follow one another.
    Elements(u64, Elements<'a>),
}

/// Receives the key group, the key and the piece.
pub(super) type Emit<'f> = dyn FnMut(KeyGroup, EntryKey<'_>, Piece<'_>) -> Result<()> + 'f;

/// See the module.
#[derive(Debug)]
pub(super) struct Gatherer {
    budget: usize,
    /// So much makes it let go of something.
    limit: usize,
    arena: Vec<u8>,
    items: Vec<Item>,
    next_order: u64,
    /// Everything before it is written.
    from: Option<Bound>,
    /// Everything from it on is for the next pass.
    until: Option<Bound>,
}

impl Gatherer {
    /// One for a state; takes about `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            limit: budget / 3 * 2,
            arena: Vec::new(),
            items: Vec::new(),
            next_order: 0,
            from: None,
            until: None,
        }
    }

    /// The first key group that this pass may still want.
    pub(super) fn first_group(&self) -> KeyGroup {
        self.from.as_ref().map_or(KeyGroup::new(0), |from| from.group)
    }

    /// Takes what `record` says about a key that belongs to `group`.
    ///
    /// # Errors
    /// `Corrupted` where changes contradict each other.
    pub(super) fn add(&mut self, group: KeyGroup, record: Record<'_>) -> Result<()> {
        let (change, key, value) = match record {
            Record::Entry(key, value) => (Change::Put, key, value),
            Record::List(ListSegment { key, first, elements })
            | Record::Append(ListSegment { key, first, elements }) => {
                (Change::Segment(first), key, elements.framed())
            }
            Record::Tombstone(key) => (Change::Remove, key, &[][..]),
            Record::MapRemoval(key) => (Change::RemoveMap, key, &[][..]),
        };
        if !self.wants(Position { group, key }, change)? {
            return Ok(());
        }
        let end = |end: usize| u32::try_from(end).map_err(|_long| Error::bug("a key of 4 GiB"));
        let item = Item {
            change,
            group,
            key_end: end(key.key_end())?,
            namespace_end: end(key.namespace_end())?,
            key_length: end(key.bytes().len())?,
            start: self.arena.len(),
            value_length: value.len(),
            order: self.next_order,
        };
        self.next_order += 1;
        grow(&mut self.arena, key.bytes().len() + value.len());
        self.arena.extend_from_slice(key.bytes());
        self.arena.extend_from_slice(value);
        grow(&mut self.items, 1);
        self.items.push(item);
        if self.used() > self.limit { self.let_go() } else { Ok(()) }
    }

    /// Whether this pass takes a change at `position`. The removal of a map is wanted as long as some
    /// entry of the map is.
    fn wants(&self, position: Position<'_>, change: Change) -> Result<bool> {
        if let Some(until) = &self.until
            && position >= until.position()?
        {
            return Ok(false);
        }
        let Some(from) = &self.from else {
            return Ok(true);
        };
        let from = from.position()?;
        Ok(match change {
            Change::RemoveMap => position.map() >= from.map(),
            _ => position >= from,
        })
    }

    fn used(&self) -> usize {
        self.arena.capacity() + self.items.capacity() * size_of::<Item>()
    }

    /// Hands out what this pass has gathered, in order, and prepares the next one. Says whether there
    /// is a next one.
    ///
    /// # Errors
    /// As [`add`](Self::add), and what `emit` returns.
    pub(super) fn finish_pass(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        self.sort();
        let mut rest = &self.items[..];
        let mut removed = None;
        while let Some(pieces) = self.next_entry(&mut rest, &mut removed)? {
            for item in pieces {
                let value = self.value_of(item);
                let piece = match item.change {
                    Change::Segment(first) => Piece::Elements(first, Elements::parse(value)?),
                    _ => Piece::Value(value),
                };
                emit(item.group, self.key_of(item)?, piece)?;
            }
        }
        self.arena.clear();
        self.items.clear();
        self.limit = self.budget / 3 * 2;
        let more = self.until.take();
        let is_more = more.is_some();
        self.from = more.or(self.from.take());
        Ok(is_more)
    }

    /// Reduces what is held to what it comes to, and to the smallest entries that take a third of the
    /// budget.
    fn let_go(&mut self) -> Result<()> {
        self.sort();
        let mut kept = Self { next_order: 0, ..Self::new(self.budget) };
        let mut rest = &self.items[..];
        let mut removed = None;
        let mut cut = None;
        while let Some(pieces) = self.next_entry(&mut rest, &mut removed)? {
            if kept.used() > self.budget / 3 {
                cut = pieces.first().map(|item| self.position_of(item)).transpose()?;
                break;
            }
            for item in pieces {
                kept.take_over(item, self.key_of(item)?.bytes(), self.value_of(item));
            }
        }
        if let Some(cut) = cut {
            self.until = Some(Bound::new(cut));
        }
        // What is kept happened before anything that comes.
        self.limit = (self.budget / 3 * 2).max(kept.used().saturating_mul(2));
        self.arena = mem::take(&mut kept.arena);
        self.items = mem::take(&mut kept.items);
        Ok(())
    }

    fn take_over(&mut self, item: &Item, key: &[u8], value: &[u8]) {
        let start = self.arena.len();
        grow(&mut self.arena, key.len() + value.len());
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        grow(&mut self.items, 1);
        self.items.push(Item { start, ..*item });
    }

    /// By position; the removal of a map before its entries; by time.
    fn sort(&mut self) {
        let arena = &self.arena;
        self.items.sort_unstable_by(|a, b| {
            let rank = |item: &Item| item.change != Change::RemoveMap;
            let (left, right) = (parts(arena, a), parts(arena, b));
            (a.group, left.0, left.1, rank(a), left.2, a.order).cmp(&(
                b.group,
                right.0,
                right.1,
                rank(b),
                right.2,
                b.order,
            ))
        });
    }

    /// The pieces of the next entry that there is, from sorted items: a value, or the segments of a
    /// list.
    fn next_entry<'a>(
        &'a self,
        rest: &mut &'a [Item],
        removed: &mut Option<&'a Item>,
    ) -> Result<Option<&'a [Item]>> {
        while let Some(first) = rest.first() {
            let position = self.position_of(first)?;
            let is_removal = |item: &Item| item.change == Change::RemoveMap;
            let alike = |item: &&Item| {
                is_removal(item) == is_removal(first)
                    && self.position_of(item).is_ok_and(|other| other == position)
            };
            let count = rest.iter().take_while(alike).count().max(1);
            let (same, others) = rest.split_at(count);
            *rest = others;
            if is_removal(first) {
                *removed = same.last();
                continue;
            }
            let since = match removed {
                Some(item) if self.position_of(item)?.map() == position.map() => item.order,
                _ => 0,
            };
            let begins = |item: &Item| !matches!(item.change, Change::Segment(1..));
            let begin = same.iter().rposition(begins).unwrap_or(0);
            let pieces = same.get(begin..).unwrap_or_default();
            let last = pieces.first().filter(|item| item.order >= since);
            match last.map(|item| item.change) {
                None => {}
                Some(Change::Put) => return Ok(Some(pieces)),
                Some(Change::Remove | Change::RemoveMap) if pieces.len() == 1 => {}
                _ => return self.check_list(pieces).map(Some),
            }
        }
        Ok(None)
    }

    /// Refuses segments that do not follow one another.
    fn check_list<'a>(&self, pieces: &'a [Item]) -> Result<&'a [Item]> {
        let mut next = 0_u64;
        for item in pieces {
            let Change::Segment(first) = item.change else {
                return Err(disordered(item.group));
            };
            if first != next {
                return Err(disordered(item.group));
            }
            next = next.saturating_add(Elements::parse(self.value_of(item))?.count());
        }
        Ok(pieces)
    }

    fn position_of(&self, item: &Item) -> Result<Position<'_>> {
        Ok(Position { group: item.group, key: self.key_of(item)? })
    }

    fn key_of(&self, item: &Item) -> Result<EntryKey<'_>> {
        let bytes = slice(&self.arena, item.start, item.key_length as usize);
        EntryKey::new(bytes, item.key_end as usize, item.namespace_end as usize)
    }

    fn value_of(&self, item: &Item) -> &[u8] {
        slice(&self.arena, item.start + item.key_length as usize, item.value_length)
    }
}

/// Key, namespace and map key.
fn parts<'a>(arena: &'a [u8], item: &Item) -> (&'a [u8], &'a [u8], &'a [u8]) {
    let bytes = slice(arena, item.start, item.key_length as usize);
    let (front, map_key) = bytes.split_at(bytes.len().min(item.namespace_end as usize));
    let (key, namespace) = front.split_at(front.len().min(item.key_end as usize));
    (key, namespace, map_key)
}

fn slice(arena: &[u8], start: usize, length: usize) -> &[u8] {
    arena.get(start..start.saturating_add(length)).unwrap_or_default()
}

/// Makes room for `more` items, by a quarter at a time: doubling would pass the budget.
fn grow<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        let least = LEAST_GROWTH / size_of::<T>().max(1);
        items.reserve_exact(more.max(items.len() / 4).max(least));
    }
}

#[cold]
fn disordered(group: KeyGroup) -> Error {
    Error::corrupted("elements of a list do not continue what the files before hold of it")
        .with_key_group(group)
}
