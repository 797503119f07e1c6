//! The writer's side of the shards, and the rule by which it shares them with snapshots.
//!
//! # Role
//! [`Shards`] finds, changes, grows and splits. It alone writes; views (`view.rs`) read. While no
//! snapshot is in flight the writer locks nothing, and all that a change costs beyond the change
//! is one comparison of the entry's generation with the current one.
//!
//! # Invariants
//! W1. Only the writer, through `&mut Shards`, changes blocks. It reads them without a lock.
//! W2. The writer touches a `Shard` only through [`with`], which locks it if any ticket needs it
//!     (V2), or, to change a plain value in place, as a shared reference. A view reads it under the
//!     lock, only while its ticket needs it, and changes nothing.
//! W3. So the probe's view of a block (E2) is always alive: only the writer replaces blocks, and
//!     publishes the new one before anything else. And an [`At`] holds until the next `&mut` call
//!     that is not a change of this very entry.
//! W4. `window` keeps the epochs that anybody may ask about so near to each other that their
//!     difference fits into a generation byte with room to spare (D1, D2).
//! W5. The mark of a shard has the generation of the current epoch there, if the shard knows that
//!     something in it changes in that epoch (D3), and no ticket is active or values are plain; and
//!     otherwise one that no entry has. An entry of that generation may be changed in place:
//!     no snapshot in flight can need it, and no increment either that does not have it
//!     already. One that copies a plain value meanwhile finds by its generation that it is too new.

#![expect(unsafe_code, reason = "the writer works without a lock while nobody looks (W1 to W3)")]

use super::Epoch;
use super::block::{Block, Mirror};
use super::cell::Cell;
use super::directory::Directory;
use super::hash::{Hash, Seed};
use super::key::KeyRep;
use super::lock::Lock;
use super::order;
use super::pen::Pen;
use super::policy::{self, Meta};
use super::pool::Pool;
use super::raw::{At, Mark, Slot};
use super::shard::Shard;
use super::tombs::Tombs;
use super::view::{SEGMENT, Segment, TableView, Ticket, cell};
use std::sync::Arc;

mod growth;

/// Most epochs between the oldest that matters and the current one (W4).
const WINDOW: Epoch = 200;

/// An epoch that never comes.
const NEVER: Epoch = Epoch::MAX;

/// How a table hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    pub(super) seed: Seed,
    pub(super) of_bytes: fn(&[u8]) -> u64,
}

impl Hasher {
    fn of<K: KeyRep>(self, key: &K) -> Hash {
        key.hash().unwrap_or_else(|| self.seed.mix((self.of_bytes)(key.bytes())))
    }
}

/// Calls `work` with a shard, locked if need be, and with the tickets that may need it.
fn with<K: KeyRep, C: Cell, R>(
    segments: &[Segment<K, C>],
    active: &[Arc<Ticket<K, C>>],
    id: u32,
    work: impl FnOnce(&mut Shard<K, C>, &[Arc<Ticket<K, C>>]) -> R,
) -> R {
    let Some(cell) = cell(segments, id) else {
        unreachable!("the directory leads to shards that exist")
    };
    if active.iter().any(|ticket| ticket.needs(id)) {
        work(&mut cell.lock(), active)
    } else {
        // SAFETY: no ticket needs the shard, nor will one before this returns: tickets are made
        // by the writer, which is here (W2). Only `Shards` calls this, from `&mut self`.
        work(unsafe { &mut *cell.data_ptr() }, &[])
    }
}

/// All shards of a table.
pub(super) struct Shards<K: KeyRep, C: Cell> {
    directory: Directory<Slot<K, C>>,
    metas: Vec<Meta>,
    segments: Vec<Segment<K, C>>,
    active: Vec<Arc<Ticket<K, C>>>,
    pen: Pen<K, C>,
    pub(super) tombs: Tombs,
    pub(super) hasher: Hasher,
    pool: Arc<Pool<K, C>>,
    scratch: Vec<Hash>,
    epoch: Epoch,
    len: usize,
    bytes: usize,
}

impl<K: KeyRep, C: Cell> Shards<K, C> {
    /// Whether values are changed in place while snapshots copy them (V2).
    pub(super) const PLAIN: bool = Mirror::<Slot<K, C>>::POSSIBLE;

    /// One empty shard.
    pub(super) fn new(hasher: Hasher) -> Self {
        let mut shards = Self {
            directory: Directory::new(Block::NONE.view(Mark::new(0, Mark::NEVER))),
            metas: Vec::new(),
            segments: Vec::new(),
            active: Vec::new(),
            pen: Pen::dry(),
            tombs: Tombs::default(),
            hasher,
            pool: Arc::default(),
            scratch: Vec::new(),
            epoch: 1,
            len: 0,
            bytes: 0,
        };
        shards.start(0, 0);
        shards.take_pen();
        shards
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated: blocks, what keys and values have outside them, directory, log.
    pub(super) fn heap_bytes(&self) -> usize {
        let metas = self.metas.capacity().saturating_mul(size_of::<Meta>());
        let cells = SEGMENT.saturating_mul(size_of::<Lock<Shard<K, C>>>());
        let segments = self.segments.len().saturating_mul(cells);
        let parts = [self.directory.heap_bytes(), metas, segments, self.tombs.heap_bytes()];
        parts.into_iter().fold(self.bytes, usize::saturating_add)
    }

    /// Finds a key. The place holds until `self` is changed (W3).
    #[inline]
    pub(super) fn find(&self, hash: Hash, probe: K::Probe<'_>) -> Option<At<Slot<K, C>>> {
        let view = self.directory.view(hash);
        // SAFETY: the block is alive (W3), and nobody writes while `self` is borrowed (W1).
        unsafe { view.find(hash, probe, |entry, probe, hash| entry.key.is(probe, hash)) }
    }

    /// The value of a key.
    #[inline]
    pub(super) fn get(&self, hash: Hash, probe: K::Probe<'_>) -> Option<&C> {
        // SAFETY: just found, and nobody writes while `self` is borrowed (W1).
        self.find(hash, probe).map(|at| unsafe { &at.entry().cell })
    }

    /// First pass of a batch: loads tags.
    #[inline]
    pub(super) fn prefetch_tags(&self, hash: Hash) {
        self.directory.view(hash).prefetch_tags(hash);
    }

    /// Bits that choose a shard.
    pub(super) fn depth(&self) -> u32 {
        self.directory.depth()
    }

    /// Both passes at once, for a single key.
    #[inline]
    pub(super) fn prefetch_home(&self, hash: Hash) {
        self.directory.view(hash).prefetch_home(hash);
    }

    /// Second pass of a batch: loads slots.
    #[inline]
    pub(super) fn prefetch_slot(&self, hash: Hash) {
        // SAFETY: the block is alive (W3), and nobody writes while `self` is borrowed (W1).
        unsafe { self.directory.view(hash).prefetch_slot(hash) }
    }

    /// Calls `each` with every entry.
    pub(super) fn for_each(&self, mut each: impl FnMut(&Slot<K, C>)) {
        for (place, view) in self.directory.places().enumerate() {
            if self.meta(view.mark.owner()).pattern as usize == place {
                // SAFETY: the block is alive (W3), and nobody writes while `self` is borrowed.
                unsafe { view.entries() }.for_each(|(entry, _)| each(entry));
            }
        }
    }

    /// The mark of a key's shard (W5). Holds until `self` is changed otherwise.
    #[inline]
    pub(super) fn mark(&self, hash: Hash) -> Mark {
        self.directory.view(hash).mark
    }

    /// Changes an entry in place.
    ///
    /// # Safety
    /// `at` was found for this `hash` since the last change of `self`, and `mark` asked for.
    #[inline]
    pub(super) unsafe fn edit<R>(
        &mut self,
        hash: Hash,
        (at, mark): (At<Slot<K, C>>, Mark),
        change: impl FnOnce(&mut C) -> R,
    ) -> R {
        // SAFETY: the place is fresh (the caller), the block alive, and nobody writes it (W3).
        let may_change = unsafe { at.generation() } == mark.current();
        if Self::PLAIN {
            // SAFETY: as the caller promised.
            if !may_change && !unsafe { self.keep(at, mark) } {
                // SAFETY: as the caller promised.
                unsafe { self.keep_slowly(at, mark) };
            }
            // SAFETY: the place is fresh (the caller); snapshots copy it atomically (V2).
            return unsafe { at.edit_plain(change) };
        }
        if !may_change {
            // SAFETY: as the caller promised.
            return unsafe { self.touch(hash, at, change) };
        }
        // SAFETY: the place is fresh (the caller), and no snapshot looks (W5).
        let (entry, _) = unsafe { at.entry_mut() };
        let before = entry.cell.heap_bytes();
        let result = change(&mut entry.cell);
        self.account(hash, before, entry.cell.heap_bytes());
        result
    }

    /// As [`edit`](Self::edit), for the first change of an entry in an epoch, and for any while a
    /// snapshot is in flight.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn touch<R>(
        &mut self,
        hash: Hash,
        at: At<Slot<K, C>>,
        change: impl FnOnce(&mut C) -> R,
    ) -> R {
        let id = self.directory.owner(hash);
        let code = self.generation(id);
        let (epoch, pool) = (self.epoch, &*self.pool);
        let (result, before, after) = with(&self.segments, &self.active, id, |shard, tickets| {
            // SAFETY: the place is fresh (the caller), and the shard ours alone (`with`).
            let (entry, generation) = unsafe { at.entry_mut() };
            if *generation != code {
                let was = shard.epoch_of(*generation);
                for ticket in tickets.iter().filter(|ticket| ticket.needs(id)) {
                    // SAFETY: `with` locked the shard, for the ticket needs it.
                    unsafe { ticket.keep(entry, (id, at.place()), was, pool) };
                }
                *generation = if cfg!(canary = "dirty-mark") { *generation } else { code };
                shard.touch(epoch);
            }
            let before = entry.cell.heap_bytes();
            let result = change(&mut entry.cell);
            (result, before, entry.cell.heap_bytes())
        });
        self.note_touched(id, code);
        self.account(hash, before, after);
        result
    }

    /// Prepares the first change of a plain entry in an epoch: keeps it, and sets its generation (`order.rs`).
    /// Without a lock, whose atomic operation would keep the processor from overlapping this key's
    /// cache misses with the next one's, and without a look at anything that is not in the nearest
    /// caches. Each instruction counts here: what is seldom needed is left to another function, for
    /// which `false` asks.
    ///
    /// # Safety
    /// As [`edit`](Self::edit), and entries are plain.
    #[inline]
    unsafe fn keep(&self, at: At<Slot<K, C>>, mark: Mark) -> bool {
        // SAFETY: the place is fresh, entries are plain (the caller), and this is the writer.
        let keep = || mark.current() != Mark::NEVER && unsafe { self.pen.keep(at, mark) };
        // SAFETY: as the caller promised.
        order::before_change(keep, || unsafe { Self::renew(at, mark.current()) })
    }

    /// Gives an entry the generation `code`.
    ///
    /// # Safety
    /// As [`edit`](Self::edit).
    #[inline]
    unsafe fn renew(at: At<Slot<K, C>>, code: u8) {
        if !cfg!(canary = "dirty-mark") {
            // SAFETY: the place is fresh (the caller); snapshots read atomically (V2).
            unsafe { at.set_generation(code) };
        }
    }

    /// As [`keep`](Self::keep), whatever there is to do.
    ///
    /// # Safety
    /// As there.
    #[cold]
    #[inline(never)]
    unsafe fn keep_slowly(&mut self, at: At<Slot<K, C>>, mark: Mark) {
        let id = mark.owner();
        let code = self.generation(id);
        let keep = || {
            // SAFETY: the place is fresh (the caller), and nobody else writes the entry (W1).
            let generation = unsafe { at.generation() };
            let was = self.meta(id).base.saturating_add(Epoch::from(generation));
            for ticket in self.active.iter().filter(|ticket| ticket.needs(id)) {
                // SAFETY: as above.
                let entry = unsafe { at.entry() };
                // SAFETY: plain entries have no bytes for an arena.
                unsafe { ticket.keep(entry, (id, at.place()), was, &self.pool) };
            }
            true
        };
        // SAFETY: as above.
        order::before_change(keep, || unsafe { Self::renew(at, code) });
        if let Some(cell) = cell(&self.segments, id) {
            // SAFETY: only the writer makes exclusive references, and it is here (W2).
            unsafe { &*cell.data_ptr() }.touch(self.epoch);
        }
        self.note_touched(id, code);
        self.take_pen();
    }

    /// Sees to it that the pen is where it has to be (`pen.rs`, B1).
    fn take_pen(&mut self) {
        if Self::PLAIN {
            // SAFETY: this is the writer, and entries are plain.
            unsafe { self.pen.go(&self.active, self.epoch) };
        }
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, hash: Hash, entry: Slot<K, C>) {
        let mut id = self.directory.owner(hash);
        let meta = self.meta(id);
        if meta.room == 0 || meta.bytes > policy::MOST_BYTES {
            self.make_room(id);
            id = self.directory.owner(hash);
        }
        let code = self.generation(id);
        let (epoch, bytes) = (self.epoch, entry.key.heap_bytes() + entry.cell.heap_bytes());
        let new = with(&self.segments, &self.active, id, |shard, _| {
            shard.touch(epoch);
            shard.block.insert(hash, code, entry)
        });
        self.len = self.len.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(meta) = self.metas.get_mut(id as usize) {
            meta.len = meta.len.saturating_add(1);
            meta.room = meta.room.saturating_sub(u32::from(new));
            meta.bytes = meta.bytes.saturating_add(bytes);
        }
    }

    /// Takes an entry out.
    ///
    /// # Safety
    /// `at` was found for this `hash` since the last change of `self`.
    pub(super) unsafe fn remove(&mut self, hash: Hash, at: At<Slot<K, C>>) -> Slot<K, C> {
        let id = self.directory.owner(hash);
        self.generation(id);
        let (epoch, pool) = (self.epoch, &*self.pool);
        let (entry, emptied) = with(&self.segments, &self.active, id, |shard, tickets| {
            for ticket in tickets.iter().filter(|ticket| ticket.needs(id)) {
                // SAFETY: the place is fresh (the caller), and the shard ours alone (`with`).
                let entry = unsafe { at.entry() };
                // SAFETY: as above.
                let was = shard.epoch_of(unsafe { at.generation() });
                // SAFETY: `with` locked the shard, for the ticket needs it.
                unsafe { ticket.keep(entry, (id, at.place()), was, pool) };
            }
            shard.touch(epoch);
            // SAFETY: as above.
            unsafe { at.take() }
        });
        let bytes = entry.key.heap_bytes() + entry.cell.heap_bytes();
        self.len = self.len.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(meta) = self.metas.get_mut(id as usize) {
            meta.len = meta.len.saturating_sub(1);
            meta.room = meta.room.saturating_add(u32::from(emptied));
            meta.bytes = meta.bytes.saturating_sub(bytes);
        }
        if self.tombs.horizon().is_some() {
            self.tombs.record(entry.key.bytes(), self.len);
        }
        if policy::wants_shrink(&self.meta(id), self.directory.view(hash).count()) {
            self.rebuild(id);
        }
        entry
    }

    /// Ends the epoch; `None` if too many have passed since the oldest snapshot still in flight.
    pub(super) fn begin_snapshot(&mut self, as_base: bool) -> Option<TableView<K, C>> {
        self.reap();
        let oldest = self.active.iter().map(|ticket| ticket.epoch).min();
        let late = |epoch: Epoch| self.epoch.saturating_sub(epoch) >= WINDOW;
        if oldest.is_some_and(late) || self.epoch >= NEVER - 2 * WINDOW {
            return None;
        }
        if self.tombs.horizon().is_some_and(late) {
            self.tombs.set_horizon(None);
        }
        let ticket = Arc::new(Ticket::new(self.epoch, self.metas.len(), &self.pool));
        let view = TableView {
            segments: self.segments.clone(),
            pool: Arc::clone(&self.pool),
            tombs: self.tombs.seal(self.epoch),
            horizon: self.tombs.horizon(),
            len: self.len,
            base: None,
            since: None,
            next: 0,
            seen_open: false,
            ticket: Arc::clone(&ticket),
        };
        if as_base && self.tombs.horizon().is_none() {
            self.tombs.set_horizon(Some(self.epoch));
        }
        self.active.push(ticket);
        self.epoch = self.epoch.saturating_add(1);
        self.directory.forget();
        self.take_pen();
        Some(view)
    }

    /// Forgets what increments upon snapshots before `horizon` would need, or all increments.
    pub(super) fn set_horizon(&mut self, horizon: Option<Epoch>) -> bool {
        let known = |epoch: Epoch| self.tombs.horizon().is_some_and(|known| known <= epoch);
        let possible = horizon.is_none_or(|epoch| known(epoch) && epoch < self.epoch);
        if possible {
            self.tombs.set_horizon(horizon);
        }
        possible
    }
}
