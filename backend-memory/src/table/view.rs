//! What a snapshot sees of a table.
//!
//! # Role
//! [`TableView`] is made by the writer in a moment, goes to whatever thread does the rest of the
//! snapshot, and yields the table shard by shard as of that moment, while the writer goes on.
//! A [`Ticket`] is what the two have in common.
//!
//! # Invariants
//! V1. A shard is captured once per ticket, under its lock, by the view or by the writer (who does
//!     so before it splits the shard). Whoever does marks it, with where the log ended, before
//!     unlocking.
//! V2. As long as a ticket needs a shard, the writer logs what the ticket must still see, and changes
//!     the shard under its lock; but for values that own nothing, which it changes in place, in an
//!     order (`order.rs`). Whether a ticket needs a shard changes from yes to no, once.
//! V3. The shards of a ticket are those that existed at its moment: later ones got their entries
//!     from shards that the writer captured first.
//! V4. A ticket ends when its view is through or dropped. The writer looks for that before every change
//!     that it takes a lock for, and when a chunk of the log is full, and lets go of the ticket.

#![expect(unsafe_code, reason = "the writer's side of the undo log (V2)")]

use super::Epoch;
use super::cell::Cell;
use super::image::ShardImage;
use super::key::KeyRep;
use super::lock::Lock;
use super::pool::Pool;
use super::raw::Slot;
use super::records::{Chunk, Origin, UndoLog};
use super::shard::Shard;
use super::tombs::Sealed;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::sync::Arc;

/// Shards in a segment.
pub(super) const SEGMENT: usize = 64;

/// Shards that are looked at to tell how much changed.
const SAMPLE: usize = 16;

/// Shards that came into being together.
pub(super) type Segment<K, C> = Arc<[Lock<Shard<K, C>>]>;

/// The cell of a shard.
#[inline]
pub(super) fn cell<K: KeyRep, C: Cell>(
    segments: &[Segment<K, C>],
    id: u32,
) -> Option<&Lock<Shard<K, C>>> {
    segments.get(id as usize / SEGMENT)?.get(id as usize % SEGMENT)
}

/// Which shards were captured, and where the log ended then (V1).
pub(super) struct Marks {
    /// A bit per shard that is still to be captured: a thousand bytes for ten million entries, so
    /// that the writer finds it in its first-level cache.
    needed: Box<[AtomicU64]>,
    ends: Box<[AtomicU64]>,
}

impl Marks {
    /// Not captured yet.
    const NEEDED: u64 = u64::MAX;

    pub(super) fn new(shards: usize) -> Self {
        let word = |at: usize| match shards.saturating_sub(at.saturating_mul(64)) {
            rest @ 0..64 => AtomicU64::new((1 << rest) - 1),
            _ => AtomicU64::new(u64::MAX),
        };
        Self {
            needed: (0..shards.div_ceil(64)).map(word).collect(),
            ends: (0..shards).map(|_| AtomicU64::new(Self::NEEDED)).collect(),
        }
    }

    /// Are these the marks of no shard?
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Is this shard still to be captured? What was read of it before a "no" happened before it.
    #[inline]
    pub(super) fn needs(&self, id: u32) -> bool {
        let word = self.needed.get(id as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (id % 64) & 1 != 0)
    }

    /// This shard was captured; its entries are in the log up to `end`.
    pub(super) fn mark(&self, id: u32, end: u64) {
        if let Some(place) = self.ends.get(id as usize) {
            place.store(end, Ordering::Release);
        }
        if let Some(word) = self.needed.get(id as usize / 64) {
            word.fetch_and(!(1 << (id % 64)), Ordering::Release);
        }
    }

    /// Whether an entry at this position of the log must be read from there: when it was kept, its
    /// shard was not captured yet. The same whenever it is asked (`records.rs`, L2).
    #[inline]
    pub(super) fn leaves_to_log(&self, shard: u32, position: u64) -> bool {
        let end = self.ends.get(shard as usize).map(|end| end.load(Ordering::Relaxed));
        end.is_some_and(|end| position < end)
    }
}

/// What the writer and a view have in common.
pub(super) struct Ticket<K: KeyRep, C: Cell> {
    /// The epoch that the snapshot ended.
    pub(super) epoch: Epoch,
    marks: Arc<Marks>,
    ended: AtomicBool,
    by_writer: Mutex<Vec<ShardImage<K, C>>>,
    undo: UndoLog<K, C>,
}

impl<K: KeyRep, C: Cell> Ticket<K, C> {
    /// A ticket for `shards` shards.
    pub(super) fn new(epoch: Epoch, shards: usize, pool: &Pool<K, C>) -> Self {
        Self {
            epoch,
            marks: Arc::new(Marks::new(shards)),
            ended: AtomicBool::new(false),
            by_writer: Mutex::new(Vec::new()),
            undo: UndoLog::new(pool),
        }
    }

    /// Is this shard still to be captured? What was read of it before a "no" happened before it.
    #[inline]
    pub(super) fn needs(&self, id: u32) -> bool {
        self.marks.needs(id)
    }

    /// Is the snapshot through, or given up?
    #[inline]
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Keeps an entry, last touched in `epoch`, that the writer is about to change or remove, if
    /// the snapshot is to see it. `place` is where its generation is.
    ///
    /// # Safety
    /// The caller is the writer, and has locked the entry's shard, which this ticket needs, if
    /// entries have bytes for an arena.
    pub(super) unsafe fn keep(
        &self,
        entry: &Slot<K, C>,
        (shard, place): (u32, usize),
        epoch: Epoch,
        pool: &Pool<K, C>,
    ) {
        if epoch <= self.epoch && !cfg!(canary = "undo") {
            let origin = Origin::new(shard, place, (epoch, self.epoch));
            // SAFETY: as the caller promised (L4).
            unsafe { self.undo.push(entry, origin, pool) };
        }
    }

    /// Which shards are still to be captured.
    pub(super) fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// The chunk that the writer may add plain entries to by itself.
    ///
    /// # Safety
    /// The caller is the writer.
    pub(super) unsafe fn open_chunk(&self) -> Arc<Chunk<K, C>> {
        // SAFETY: as the caller promised.
        unsafe { self.undo.open() }
    }

    /// Captures a shard, which the caller has locked and this ticket needs (V1). Says whether there may
    /// be anything to yield.
    fn capture(
        &self,
        (id, shard): (u32, &Shard<K, C>),
        since: Option<Epoch>,
        image: &mut ShardImage<K, C>,
    ) -> bool {
        let begin = self.undo.end();
        let any = image.capture(shard, self.epoch, since);
        let end = self.undo.end_of((id, begin), |place, key| image.hide(place, key));
        self.marks.mark(id, end);
        any
    }

    /// Captures, for the writer, a shard that it has locked and is about to split (V1).
    pub(super) fn capture_first(&self, id: u32, shard: &Shard<K, C>, pool: &Pool<K, C>) {
        let mut image = pool.image();
        if self.capture((id, shard), None, &mut image) {
            self.by_writer.lock().push(image);
        }
    }
}

/// A table as of one moment, to be read once.
pub(crate) struct TableView<K: KeyRep, C: Cell> {
    pub(super) ticket: Arc<Ticket<K, C>>,
    pub(super) segments: Vec<Segment<K, C>>,
    pub(super) pool: Arc<Pool<K, C>>,
    pub(super) tombs: Vec<Arc<Sealed>>,
    pub(super) horizon: Option<Epoch>,
    pub(super) len: usize,
    /// The base of an increment.
    pub(super) base: Option<Epoch>,
    /// What is left out: entries last changed in this epoch or before.
    pub(super) since: Option<Epoch>,
    pub(super) next: u32,
    /// The undo log's last chunk was yielded.
    pub(super) seen_open: bool,
}

impl<K: KeyRep, C: Cell> std::fmt::Debug for TableView<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("TableView");
        debug.field("epoch", &self.ticket.epoch).field("since", &self.since);
        debug.field("len", &self.len).finish_non_exhaustive()
    }
}

impl<K: KeyRep, C: Cell> TableView<K, C> {
    /// The epoch that this snapshot ended: what a later increment on top of it names as its base.
    pub(crate) fn epoch(&self) -> Epoch {
        self.ticket.epoch
    }

    /// Entries in the table at the moment of the snapshot.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes this view incremental: it will yield only what was inserted or changed after the
    /// snapshot of epoch `base`. To be called before the first [`next_shard`](Self::next_shard).
    /// Returns `false`, and leaves the view full, if the table does not remember that far back.
    pub(crate) fn since(&mut self, base: Epoch) -> bool {
        let known = self.horizon.is_some_and(|horizon| horizon <= base);
        if known && base <= self.ticket.epoch && self.next == 0 {
            (self.base, self.since) = (Some(base), Some(base));
        }
        self.base == Some(base)
    }

    /// Makes an incremental view yield entries that did not change, too; [`removed`](Self::removed)
    /// stays as it is. To be called before the first [`next_shard`](Self::next_shard).
    pub(crate) fn include_unchanged(&mut self) {
        self.since = None;
    }

    /// Yields the keys removed after the base of an incremental view; nothing for a full one.
    /// Some may be there again, and are then yielded by [`next_shard`](Self::next_shard) too: an
    /// increment is applied by removing first. A key may come more than once.
    pub(crate) fn removed(&self, mut each: impl FnMut(&[u8])) {
        let Some(base) = self.base else { return };
        for sealed in self.tombs.iter().filter(|sealed| sealed.epoch() > base) {
            sealed.for_each(&mut each);
        }
    }

    /// About how many entries [`next_shard`](Self::next_shard) and [`removed`](Self::removed) will yield, from
    /// a look at a few shards.
    pub(crate) fn estimate_yield(&self) -> u64 {
        let Self { ticket, segments, since: Some(base), .. } = self else {
            return self.len as u64;
        };
        let shards = ticket.marks.ends.len();
        let (mut image, mut looked, mut found) = (ShardImage::default(), 0u64, 0u64);
        for id in (0..shards).step_by(shards.div_ceil(SAMPLE).max(1)) {
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            let Some(cell) = ticket.needs(id).then(|| cell(segments, id)).flatten() else {
                continue;
            };
            let shard = cell.lock();
            if ticket.needs(id) {
                looked += 1;
                let any = image.capture(&shard, ticket.epoch, Some(*base));
                drop(shard);
                if any {
                    image.for_each(|_| found += 1);
                }
            }
        }
        let removed = self.tombs.iter().filter(|sealed| sealed.epoch() > *base);
        let removed: usize = removed.map(|sealed| sealed.count()).sum();
        let found = found.saturating_mul(shards as u64).checked_div(looked).unwrap_or(0);
        found.saturating_add(removed as u64)
    }

    /// Copies the next shard into `out`, whose memory is used again; `false` when there is none
    /// left. Shards come in no particular order; those without anything to yield are left out.
    pub(crate) fn next_shard(&mut self, out: &mut ShardImage<K, C>) -> bool {
        let Self { ticket, segments, pool, since, .. } = self;
        out.take_undo(pool);
        while (self.next as usize) < ticket.marks.ends.len() {
            let id = self.next;
            self.next = id.saturating_add(1);
            let Some(cell) = ticket.needs(id).then(|| cell(segments, id)).flatten() else {
                continue;
            };
            let shard = cell.lock();
            if !ticket.needs(id) {
                continue;
            }
            let mut any = ticket.capture((id, &shard), *since, out);
            drop(shard);
            if let Some(undo) = ticket.undo.pop_full() {
                out.add_undo(undo, &ticket.marks);
                any = true;
            }
            if any {
                return true;
            }
        }
        if let Some(image) = ticket.by_writer.lock().pop() {
            pool.keep_image(std::mem::replace(out, image));
            out.restrict(*since);
            return true;
        }
        while !self.seen_open {
            let (undo, open) = ticket.undo.pop_last();
            self.seen_open = open;
            if undo.records(&ticket.marks).next().is_some() {
                out.reset(ticket.epoch, *since);
                out.add_undo(undo, &ticket.marks);
                return true;
            }
        }
        ticket.ended.store(true, Ordering::Release);
        false
    }
}

impl<K: KeyRep, C: Cell> Drop for TableView<K, C> {
    fn drop(&mut self) {
        self.ticket.ended.store(true, Ordering::Release);
        self.ticket.by_writer.lock().clear();
    }
}
