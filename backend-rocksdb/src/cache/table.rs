//! [`Table`]: entries by address, in slots that keep their numbers.
//!
//! An entry's address and what is stored lie in one piece of memory. The index has slots only and asks them for their
//! hashes, so that it is small and an entry costs one allocation.
//!
//! # Invariants
//! H1. The index has each entry once; slots that it does not have are free.
//! H2. `heap_bytes` is the sum of what the entries have allocated.

use alluvium_state_api::{Elements, Error, Result};
use hashbrown::HashTable;

use super::tail::Tail;
use crate::list::{Parts, Stored, encode_short, is_short};

/// What the allocator takes for each piece of memory, about.
const ALLOCATION_BYTES: usize = 16;
/// What the index takes for an entry, about.
const INDEX_BYTES: usize = 8;
/// Slots grow by this part of them at a time: twice as many at once would exceed the limit for good.
const GROWTH: usize = 8;

/// What the database has at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// Perhaps something.
    Unknown,
    /// Nothing.
    Absent,
    /// An older value, or the same.
    Present,
}

/// What the state has at an address.
#[derive(Debug)]
pub(super) enum Held {
    /// Not known any more: the database has it.
    Forgotten,
    /// Nothing.
    Absent(Below),
    /// The value that is stored in the entry, or the short list.
    Value(Below),
    /// A long list; its bounds are stored in the entry.
    List(Box<Tail>),
    /// What is known of the entries of a map, perhaps all: so many bytes of bounds are stored in the entry, and a
    /// [cell](super::cell), of which the database lacks as many bytes.
    Map { bounds: u8, is_complete: bool, unwritten: u16 },
}

/// What is known of an address.
#[derive(Debug)]
pub(super) struct Entry {
    hash: u64,
    /// The address, and what is stored.
    bytes: Vec<u8>,
    address_bytes: u32,
    pub(super) held: Held,
    /// Whether it was asked for since the hand passed by.
    pub(super) is_referenced: bool,
    /// Whether the database may have something else.
    pub(super) is_unwritten: bool,
}

impl Entry {
    /// Where it lies.
    #[inline]
    pub(super) fn address(&self) -> &[u8] {
        self.parts().0
    }

    /// What is stored.
    #[inline]
    pub(super) fn stored(&self) -> &[u8] {
        self.parts().1
    }

    /// The address and what is stored, and where that begins.
    pub(super) fn bytes_mut(&mut self) -> (&mut Vec<u8>, usize) {
        (&mut self.bytes, usize::try_from(self.address_bytes).unwrap_or(usize::MAX))
    }

    #[inline]
    fn parts(&self) -> (&[u8], &[u8]) {
        let end = usize::try_from(self.address_bytes).unwrap_or(usize::MAX);
        self.bytes.split_at_checked(end).unwrap_or_default()
    }

    /// Replaces what is stored by two pieces end to end.
    #[inline]
    pub(super) fn store(&mut self, first: &[u8], second: &[u8]) {
        self.bytes.truncate(usize::try_from(self.address_bytes).unwrap_or(usize::MAX));
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
    }

    /// What it holds, of a state of lists, behind so many bytes of bounds.
    ///
    /// # Errors
    /// `Corrupted` where that is no list.
    pub(super) fn list(&self, bounds: usize) -> Result<Parts<'_>> {
        match &self.held {
            Held::Absent(_) | Held::Forgotten | Held::Map { .. } => Ok(Parts::default()),
            Held::List(tail) => Ok(tail.parts()),
            Held::Value(_) => {
                match Stored::decode(self.stored().get(bounds..).unwrap_or_default())? {
                    Stored::Short(loose) => Ok(Parts { head: None, loose }),
                    Stored::Long(_) => Err(Error::bug("a long list is kept as a short one")),
                }
            }
        }
    }

    /// Appends to the list that it holds, with these bounds.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub(super) fn append(&mut self, bounds: &[u8], elements: Elements<'_>) -> Result<()> {
        let below = match &mut self.held {
            Held::List(tail) => {
                tail.append(elements);
                return Ok(());
            }
            Held::Value(below) | Held::Absent(below) => *below,
            Held::Forgotten | Held::Map { .. } => Below::Unknown,
        };
        let has = self.list(bounds.len())?.loose;
        if !is_short(has.size(), elements.size()) {
            self.held = Held::List(Box::new(Tail::grown(below, [has, elements])));
            self.store(bounds, &[]);
        } else if has.is_empty() {
            self.held = Held::Value(below);
            self.store(bounds, &[]);
            encode_short(elements, &mut self.bytes);
        } else {
            self.bytes.extend_from_slice(elements.framed());
        }
        Ok(())
    }

    /// Bytes of memory, with its slot and its place in the index.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        size_of::<Option<Self>>() + INDEX_BYTES + self.heap_bytes()
    }

    /// Bytes that are to be written, with what it takes to do so; of a map this is not what the database has.
    #[inline]
    pub(super) fn unwritten_bytes(&self) -> usize {
        match self.held {
            Held::Map { unwritten, .. } => {
                let fixed = size_of::<Option<Self>>() + INDEX_BYTES + ALLOCATION_BYTES;
                fixed + self.address().len() + usize::from(unwritten)
            }
            _ => self.bytes(),
        }
    }

    /// Bytes that it has allocated.
    #[inline]
    fn heap_bytes(&self) -> usize {
        let list = match &self.held {
            Held::List(tail) => tail.heap_bytes() + ALLOCATION_BYTES,
            _ => 0,
        };
        self.bytes.capacity() + ALLOCATION_BYTES + list
    }
}

/// Entries by address; see the module's page.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    heap_bytes: usize,
}

impl Table {
    /// The slot of an address.
    #[inline]
    pub(super) fn find(&self, hash: u64, address: &[u8]) -> Option<u32> {
        let is_it = |at: &u32| {
            self.get(*at).is_some_and(|entry| entry.hash == hash && entry.address() == address)
        };
        self.index.find(hash, is_it).copied()
    }

    /// The entry in a slot.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&Entry> {
        self.slots.get(at as usize)?.as_ref()
    }

    /// Takes note that the entry in a slot was asked for; whether it holds anything.
    #[inline]
    pub(super) fn touch(&mut self, at: u32) -> bool {
        let Some(entry) = self.slots.get_mut(at as usize).and_then(Option::as_mut) else {
            return false;
        };
        entry.is_referenced = true;
        !matches!(entry.held, Held::Forgotten)
    }

    /// Whether the entry in a slot was asked for since it was last asked this.
    pub(super) fn rest(&mut self, at: u32) -> bool {
        let entry = self.slots.get_mut(at as usize).and_then(Option::as_mut);
        entry.is_some_and(|entry| std::mem::replace(&mut entry.is_referenced, false))
    }

    /// Changes the entry in a slot; the bytes that were to be written before, and are now, where it is marked as unwritten.
    #[inline]
    pub(super) fn change(&mut self, at: u32, change: impl FnOnce(&mut Entry)) -> (usize, usize) {
        let Some(entry) = self.slots.get_mut(at as usize).and_then(Option::as_mut) else {
            return (0, 0);
        };
        let unwritten =
            |entry: &Entry| if entry.is_unwritten { entry.unwritten_bytes() } else { 0 };
        let (heap, before) = (entry.heap_bytes(), unwritten(entry));
        change(entry);
        self.heap_bytes = self.heap_bytes.saturating_add(entry.heap_bytes()).saturating_sub(heap);
        (before, unwritten(entry))
    }

    /// Adds an entry whose address is not there.
    pub(super) fn insert(&mut self, hash: u64, address: &[u8], stored: usize, held: Held) -> u32 {
        let mut bytes = Vec::with_capacity(address.len().saturating_add(stored));
        bytes.extend_from_slice(address);
        let address_bytes = u32::try_from(address.len()).unwrap_or(u32::MAX);
        let (is_referenced, is_unwritten) = (false, false);
        let entry = Entry { hash, bytes, address_bytes, held, is_referenced, is_unwritten };
        self.heap_bytes = self.heap_bytes.saturating_add(entry.heap_bytes());
        let at = if let Some(at) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(at as usize) {
                *slot = Some(entry);
            }
            at
        } else {
            if self.slots.len() == self.slots.capacity() {
                self.slots.reserve_exact(self.slots.len() / GROWTH + 64);
            }
            self.slots.push(Some(entry));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        let slots = &self.slots;
        let hash_of = |at: &u32| {
            slots.get(*at as usize).and_then(Option::as_ref).map_or(0, |entry| entry.hash)
        };
        self.index.insert_unique(hash, at, hash_of);
        at
    }

    /// Removes the entry in a slot.
    pub(super) fn remove(&mut self, at: u32) {
        let Some(entry) = self.slots.get_mut(at as usize).and_then(Option::take) else {
            return;
        };
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == at) {
            found.remove();
        }
        self.heap_bytes = self.heap_bytes.saturating_sub(entry.heap_bytes());
        self.free.push(at);
    }

    /// Slots, used or free.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of memory, of the entries and the table itself.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.heap_bytes
            + self.slots.capacity() * size_of::<Option<Entry>>()
            + self.free.capacity() * size_of::<u32>()
            + self.index.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn entries_are_found_changed_and_removed() {
        let (mut table, mut model) = (Table::default(), BTreeMap::new());
        for round in 0u32..10_000 {
            let address = (round.wrapping_mul(2_654_435_761) % 700).to_be_bytes();
            // Few hashes, so that entries collide.
            let hash = xxh3_64(&address) & !0xffff | 7;
            let value = round.to_le_bytes();
            match table.find(hash, &address) {
                Some(at) if round % 3 == 0 => {
                    table.remove(at);
                    model.remove(&address);
                }
                found => {
                    let at = found.unwrap_or_else(|| {
                        table.insert(hash, &address, 4, Held::Value(Below::Absent))
                    });
                    table.change(at, |entry| entry.store(&value[..1], &value[1..]));
                    model.insert(address, value);
                }
            }
            assert_eq!(table.index.len(), model.len());
        }
        for (address, value) in &model {
            let at = table.find(xxh3_64(address) & !0xffff | 7, address).unwrap();
            assert_eq!(table.get(at).unwrap().stored(), value);
        }
        let heap: usize = table.slots.iter().flatten().map(Entry::heap_bytes).sum();
        assert_eq!(
            (table.heap_bytes, table.slots() as usize),
            (heap, model.len() + table.free.len())
        );
    }
}
