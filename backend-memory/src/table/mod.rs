//! The hash table of the memory backend, with snapshots that cost the writer almost nothing.
//!
//! # Role
//! A [`Table`] maps encoded keys to [`Cell`]s. One writer owns it. [`Table::begin_snapshot`] takes
//! a moment, whatever the size, and returns a [`TableView`] for another thread, which yields the
//! table as of that moment shard by shard while the writer goes on.
//!
//! # How it works
//! * A key's hash, mixed with a secret (`hash.rs`), leads through a directory (`directory.rs`) to
//!   a shard of a few thousand entries (`shard.rs`), and there to a group of sixteen slots
//!   (`raw.rs`). Shards grow and split one at a time, each at its own size (`policy.rs`).
//! * Beside each entry stands the epoch it was last touched in, in one byte. A snapshot ends an
//!   epoch. The first change of an entry in a new epoch is noticed by that byte; if a snapshot in
//!   flight has not captured the shard yet, the entry is first copied to its undo log.
//! * A shard has a lock, which the writer takes only while a snapshot needs the shard
//!   (`shared.rs`), and a snapshot to copy it (`view.rs`, `image.rs`).
//! * The same bytes tell what an increment must contain; what was removed is logged (`tombs.rs`).
//!
//! # Cost
//! An access loads a directory place (in the second-level cache), a line of tags and generations,
//! and a slot; [`Table::warm`] overlaps these loads for many keys. A `u64` to `u64` entry takes
//! 18 bytes at an average fill of 74 %, all in about 25, or 28 with what is free in regions.

mod block;
mod cell;
mod directory;
mod entry;
mod hash;
pub(crate) mod hints;
mod image;
mod key;
mod lock;
mod order;
mod pen;
mod policy;
mod pool;
mod raw;
mod records;
mod regions;
mod shard;
mod shared;
mod span;
pub(crate) mod tags;
#[cfg(test)]
mod tests;
mod tombs;
mod view;
mod words;

pub(crate) use cell::{Blob, Cell, Fixed};
pub(crate) use entry::{Entry, Occupied, Vacant};
pub(crate) use hash::Seed;
pub(crate) use image::{Item, ShardImage};
pub(crate) use key::{KeyRep, VarKey};
pub(crate) use span::{Span, append};
pub(crate) use view::TableView;

use shared::{Hasher, Shards};

/// Counts snapshots of a table. A snapshot is known by the epoch that it ended.
pub(crate) type Epoch = u32;

/// Keys for which [`Table::warm`] works best at once.
pub(crate) const BATCH: usize = 64;

/// A hash table from encoded keys to cells.
///
/// Every method that takes a key takes its hash too, which must be what the function given to
/// [`Table::new`] yields for the key's bytes.
pub(crate) struct Table<K: KeyRep, C: Cell> {
    shards: Shards<K, C>,
    seed: Seed,
}

impl<K: KeyRep, C: Cell> std::fmt::Debug for Table<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<K: KeyRep, C: Cell> Table<K, C> {
    /// An empty table. `hash` is the hash of a key's bytes, the same that callers pass in.
    pub(crate) fn new(seed: Seed, hash: fn(&[u8]) -> u64) -> Self {
        Self { shards: Shards::new(Hasher { seed, of_bytes: hash }), seed }
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    /// Bytes allocated: blocks to their capacity, what keys and values have outside their slots,
    /// the directory, the log of removals. Not what snapshots in flight hold.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.shards.heap_bytes()
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn get(&self, hash: u64, probe: K::Probe<'_>) -> Option<&C> {
        self.shards.get(self.seed.mix(hash), probe)
    }

    /// The place of a key, to read and change it in one probe.
    #[inline]
    pub(crate) fn entry<'k>(&mut self, hash: u64, probe: K::Probe<'k>) -> Entry<'_, 'k, K, C> {
        Entry::new(&mut self.shards, self.seed.mix(hash), probe)
    }

    /// Sets a value; the old one comes back.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, probe: K::Probe<'_>, cell: C) -> Option<C> {
        self.entry(hash, probe).put(cell)
    }

    /// Removes a key; its value comes back.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, probe: K::Probe<'_>) -> Option<C> {
        self.entry(hash, probe).remove()
    }

    /// Loads what the keys with these hashes need into the cache, all at once. Then call
    /// [`get`](Self::get) or [`entry`](Self::entry) for one after the other. Best for [`BATCH`].
    #[inline]
    pub(crate) fn warm(&self, hashes: &[u64]) {
        for hashes in hashes.chunks(BATCH) {
            for hash in hashes {
                self.prefetch_tags(*hash);
            }
            for hash in hashes {
                self.prefetch_slot(*hash);
            }
        }
    }

    /// Asks for the tags that the key with this hash needs.
    #[inline]
    pub(crate) fn prefetch_tags(&self, hash: u64) {
        self.shards.prefetch_tags(self.seed.mix(hash));
    }

    /// Asks for both, as far as that can be told before the tags have come.
    #[inline]
    pub(crate) fn prefetch_home(&self, hash: u64) {
        self.shards.prefetch_home(self.seed.mix(hash));
    }

    /// Asks for the slot that the key with this hash is likely to be in; its tags should have come.
    #[inline]
    pub(crate) fn prefetch_slot(&self, hash: u64) {
        self.shards.prefetch_slot(self.seed.mix(hash));
    }

    /// How many bits of [`part_of`](Self::part_of) tell shards apart.
    pub(crate) fn depth(&self) -> u32 {
        self.shards.depth()
    }

    /// In which of `2^bits` parts of the table the key with this hash is, each of which has shards of its own
    /// where bits are no more than its [`depth`](Self::depth).
    #[inline]
    pub(crate) fn part_of(&self, hash: u64, bits: u32) -> usize {
        let route = u64::from(self.seed.mix(hash).route());
        usize::try_from(route & ((1 << bits) - 1)).unwrap_or(0)
    }

    /// Calls `each` with the bytes of every key and its value, in no particular order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], &C)) {
        self.shards.for_each(|entry| each(entry.key.bytes(), &entry.cell));
    }

    /// Prepares an empty table for so many entries, whose keys and values have about so many bytes in all. Does nothing
    /// to any other.
    pub(crate) fn reserve(&mut self, entries: usize, bytes: usize) {
        self.shards.reserve(entries, bytes);
    }

    /// Begins a snapshot of the table as it is now. With `as_base`, the table remembers from now on
    /// what changes, so that a later snapshot can be an increment upon this one.
    ///
    /// Returns `None` if the oldest snapshot still in flight began 200 snapshots ago: it must end,
    /// or be dropped, first.
    pub(crate) fn begin_snapshot(&mut self, as_base: bool) -> Option<TableView<K, C>> {
        self.shards.begin_snapshot(as_base)
    }

    /// Says that no increment upon a snapshot before that of epoch `horizon` will be asked for;
    /// with `None`, no increment at all. To be called when a snapshot has been confirmed. Returns
    /// `false`, and changes nothing, if the table does not remember as far back as `horizon`: then
    /// that snapshot cannot be a base.
    ///
    /// The table gives the horizon up by itself, and the next snapshots can only be full, when it
    /// is 200 snapshots old, and when more keys were removed since than are left.
    pub(crate) fn set_horizon(&mut self, horizon: Option<Epoch>) -> bool {
        self.shards.set_horizon(horizon)
    }
}
