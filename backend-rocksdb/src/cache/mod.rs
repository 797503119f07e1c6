//! [`WriteBack`]: what was read and written lately, in memory in front of the database.
//!
//! # Why
//! To read a value, change it and write it back costs RocksDB some microseconds, whatever it has in its caches. Most
//! streams go back to few keys. So values, and the ends of lists, are kept in a table; what changes in it is written
//! when it must be: sorted, in batches, once for many changes.
//!
//! # How
//! The table has a part of the store's memory budget ([`Purse`]). What was not asked for lately makes room, by the clock
//! algorithm. What the database lacks is limited in bytes, too, since a snapshot waits for it to be written: when there
//! is too much, the half of it that was not asked for lately goes to the database. Whether an address that is not there
//! gets a place at all follows from how often accesses hit ([`Admission`]). A short list is kept as values are; of a long
//! one the table has the head, and the elements that the database lacks ([`Tail`](tail::Tail)). What is known of a map is one
//! entry ([`maps`]): single values, of small maps all of them, so that a scan needs no database.
//!
//! # Invariants
//! B1. What an entry holds is what the state has at its address; of what no entry holds the database has the newest.
//! B2. Who walks through a state, or takes a view or the files of the database, writes everything first
//!     ([`WriteBack::flush`]); who walks through a map of which not all is known here, what the table has of that map.
//! B3. `unwritten` has each entry that differs from the database, once.
//! B4. After [`settle`](WriteBack::settle) the table has no more memory than its share, but for what one operation adds.

mod admission;
mod cell;
mod maps;
mod purse;
mod room;
mod table;
mod tail;

use std::sync::Arc;

use alluvium_state_api::{Elements, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::list::{Head, Parts};
use crate::options::BatchLimits;
use admission::Admission;
pub(crate) use maps::{CellBuilder, EntryProbe};
pub(crate) use purse::Purse;
use purse::Share;
pub(crate) use table::Below;
use table::{Entry, Held, Table};
use tail::Tail;

/// An entry may have this part of the table, one in so many.
const PART_OF_ONE: usize = 64;
/// The unwritten may have this part of the table, one in so many.
const PART_OF_UNWRITTEN: usize = 4;
/// Elements that the database lacks are written when they have as many bytes.
pub(crate) const MOST_ADDED_BYTES: u64 = 32 << 10;

/// What was found of an address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probe {
    hash: u64,
    slot: Option<u32>,
    hit: bool,
}

impl Probe {
    /// The entry that holds what the state has at the address.
    #[inline]
    pub(crate) fn hit(self) -> Option<u32> {
        if self.hit { self.slot } else { None }
    }
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct WriteBack {
    table: Table,
    share: Share,
    admission: Admission,
    unwritten: Vec<u32>,
    unwritten_bytes: usize,
    /// A limit of the unwritten besides the part of the table that it may have.
    most_unwritten: usize,
    hand: u32,
    batches: BatchLimits,
}

impl WriteBack {
    /// An empty table; at most `most_unwritten` bytes of it are not in the database.
    pub(crate) fn new(purse: Arc<Purse>, most_unwritten: u64, batches: BatchLimits) -> Self {
        Self {
            table: Table::default(),
            share: Share::of(purse),
            admission: Admission::default(),
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            most_unwritten: usize::try_from(most_unwritten).unwrap_or(usize::MAX),
            hand: 0,
            batches,
        }
    }

    /// Looks an address up.
    #[inline]
    pub(crate) fn probe(&mut self, address: &[u8]) -> Probe {
        if self.share.is_nothing() {
            return Probe::default();
        }
        let probe = self.look_up(address);
        self.admission.note(probe.hash, probe.hit);
        probe
    }

    #[inline]
    fn look_up(&mut self, address: &[u8]) -> Probe {
        let hash = xxh3_64(address);
        let slot = self.table.find(hash, address);
        let hit = slot.is_some_and(|slot| self.table.touch(slot));
        Probe { hash, slot, hit }
    }

    /// What is stored in an entry that was hit, of a state without lists; none where there is no value.
    #[inline]
    pub(crate) fn value(&self, at: u32) -> Option<&[u8]> {
        self.table.get(at).filter(|entry| matches!(entry.held, Held::Value(_))).map(Entry::stored)
    }

    /// The list of an entry that was hit, behind so many bytes of bounds.
    ///
    /// # Errors
    /// `Corrupted` where it is none.
    #[inline]
    pub(crate) fn list(&self, at: u32, bounds: usize) -> Result<Parts<'_>> {
        self.table.get(at).map_or_else(|| Ok(Parts::default()), |entry| entry.list(bounds))
    }

    /// Keeps what the database has at an address that missed: a value, a short list, or nothing.
    pub(crate) fn keep(
        &mut self,
        probe: Probe,
        address: &[u8],
        stored: Option<&[u8]>,
    ) -> Option<u32> {
        let held = match stored {
            Some(_) => Held::Value(Below::Present),
            None => Held::Absent(Below::Absent),
        };
        let stored = stored.unwrap_or_default();
        let at = self.place(probe, address, stored.len(), held)?;
        self.change(at, |entry| entry.store(stored, &[]));
        Some(at)
    }

    /// Puts a value of two pieces; `false` if there is no place for it, and it must go to the database. `below` is what
    /// the database is known to have, where the address missed.
    #[inline]
    pub(crate) fn put(
        &mut self,
        probe: Probe,
        address: &[u8],
        (bounds, value): (&[u8], &[u8]),
        below: Below,
    ) -> bool {
        let bytes = bounds.len() + value.len();
        let at = if let Some(at) = probe.hit() {
            if !self.is_small(bytes) {
                self.forget(at);
                return false;
            }
            at
        } else if let Some(at) = self.place(probe, address, bytes, Held::Absent(below)) {
            at
        } else {
            return false;
        };
        self.change_unwritten(at, |entry| {
            entry.store(bounds, value);
            if let Held::Absent(below) = entry.held {
                entry.held = Held::Value(below);
            }
        });
        true
    }

    /// Removes the value of an address that was hit.
    #[inline]
    pub(crate) fn remove(&mut self, at: u32) {
        self.change_unwritten(at, |entry| {
            if let Held::Value(below) = entry.held {
                entry.held = Held::Absent(below);
                entry.store(&[], &[]);
            }
        });
    }

    /// Keeps a long list, of an address that missed, of which the database has everything.
    pub(crate) fn keep_list(
        &mut self,
        probe: Probe,
        address: &[u8],
        bounds: &[u8],
        head: Head,
    ) -> Option<u32> {
        let held = Held::List(Box::new(Tail::of(head)));
        let at = self.place(probe, address, bounds.len(), held)?;
        self.change(at, |entry| entry.store(bounds, &[]));
        Some(at)
    }

    /// Appends to a list that was hit.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    #[inline]
    pub(crate) fn append(&mut self, at: u32, bounds: &[u8], elements: Elements<'_>) -> Result<()> {
        let mut appended = Ok(());
        self.change_unwritten(at, |entry| appended = entry.append(bounds, elements));
        appended
    }

    /// Makes a list that was hit one of which the database has everything.
    pub(crate) fn set_list(&mut self, at: u32, bounds: &[u8], head: Head) {
        self.change(at, |entry| {
            entry.held = Held::List(Box::new(Tail::of(head)));
            entry.store(bounds, &[]);
        });
    }

    /// Removes a list that was hit, whose chunks are gone from the database with their head.
    pub(crate) fn remove_list(&mut self, at: u32) {
        self.change_unwritten(at, |entry| {
            let below = match &entry.held {
                Held::Value(below) | Held::Absent(below) => *below,
                Held::List(tail) => tail.below(),
                Held::Forgotten | Held::Map { .. } => Below::Unknown,
            };
            entry.held = Held::Absent(below);
            entry.store(&[], &[]);
        });
    }

    /// Forgets what an entry holds, which the database has, or is about to get.
    pub(crate) fn forget(&mut self, at: u32) {
        self.change(at, |entry| {
            entry.held = Held::Forgotten;
            entry.store(&[], &[]);
        });
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.table.bytes() as u64
    }

    /// How many entries the database lacks, or has in another form.
    pub(crate) fn unwritten(&self) -> u64 {
        let entries = self.unwritten.iter().filter_map(|at| self.table.get(*at));
        entries.map(|entry| entry.unwritten_items().map_or(1, |items| items.count() as u64)).sum()
    }

    /// Whether there is a value or a list that the database lacks.
    pub(crate) fn lacks_something(&self) -> bool {
        let mut entries = self.unwritten.iter().filter_map(|at| self.table.get(*at));
        entries.any(|entry| match &entry.held {
            Held::Value(_) => true,
            Held::List(tail) => !tail.parts().loose.is_empty(),
            Held::Map { .. } => {
                let mut items = entry.unwritten_items().into_iter().flatten();
                items.any(|item| item.mark.is_present)
            }
            Held::Absent(_) | Held::Forgotten => false,
        })
    }

    /// A place for an address that missed, if it gets one.
    fn place(&mut self, probe: Probe, address: &[u8], bytes: usize, held: Held) -> Option<u32> {
        if !self.is_small(address.len() + bytes) || !self.admission.admits(probe.hash) {
            return None;
        }
        if let Some(at) = probe.slot {
            self.change(at, |entry| entry.held = held);
            return Some(at);
        }
        Some(self.table.insert(probe.hash, address, bytes, held))
    }

    /// Whether one entry may have so many bytes.
    #[inline]
    fn is_small(&self, bytes: usize) -> bool {
        bytes <= self.share.bytes() / PART_OF_ONE
    }

    #[inline]
    fn change(&mut self, at: u32, change: impl FnOnce(&mut Entry)) {
        let (before, after) = self.table.change(at, change);
        self.unwritten_bytes = self.unwritten_bytes.saturating_add(after).saturating_sub(before);
    }

    /// Changes an entry, from which on the database lacks something (B3).
    #[inline]
    fn change_unwritten(&mut self, at: u32, change: impl FnOnce(&mut Entry)) {
        let mut counted = false;
        self.change(at, |entry| {
            counted = std::mem::replace(&mut entry.is_unwritten, true);
            change(entry);
        });
        if !counted {
            self.unwritten.push(at);
        }
    }
}

#[cfg(test)]
mod tests;
