//! A copy of one shard as of a snapshot.
//!
//! # Role
//! Made under the shard's lock as fast as memory allows: where entries own nothing, the block is
//! copied as it is, while the writer may go on changing them (`order.rs`); else live entries are copied one by one, their bytes into an arena. What is part of the snapshot is worked out
//! later, outside the lock, by [`ShardImage::for_each`].
//!
//! # Invariants
//! I1. Of the copied entries, those with an epoch of at most the snapshot's are part of it; those
//!     touched later are not, but the undo log has them as they were (L1). So `for_each` yields
//!     every entry as of the snapshot exactly once.
//! I2. With a base epoch, only entries touched after it are yielded.

use super::Epoch;
use super::block::Mirror;
use super::cell::{Cell, Fixed};
use super::key::KeyRep;
use super::pool::Pool;
use super::raw::Slot;
use super::records::{Chunk, Record, Records};
use super::shard::Shard;
use super::view::Marks;
use super::words::Unit;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// An entry of a snapshot.
pub(crate) struct Item<'a, C: Cell> {
    /// The encoded key.
    pub(crate) key: &'a [u8],
    /// The value.
    pub(crate) image: &'a C::Image,
    /// Where bytes of the value lie that are not in the image.
    pub(crate) arena: &'a [u8],
    /// The epoch of the last change.
    pub(crate) epoch: Epoch,
}

/// A copy of one shard as of a snapshot. Reusing one reuses its memory.
pub(crate) struct ShardImage<K: KeyRep, C: Cell> {
    mirror: Mirror<Slot<K, C>>,
    live: Records<K, C>,
    undo: Option<(Arc<Chunk<K, C>>, Arc<Marks>)>,
    base: Epoch,
    snapshot: Epoch,
    since: Option<Epoch>,
}

impl<K: KeyRep, C: Cell> std::fmt::Debug for ShardImage<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardImage").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl<K: KeyRep, C: Cell> Default for ShardImage<K, C> {
    fn default() -> Self {
        Self {
            mirror: Mirror::default(),
            live: Records::default(),
            undo: None,
            base: 0,
            snapshot: 0,
            since: None,
        }
    }
}

impl<K: KeyRep, C: Cell> ShardImage<K, C> {
    /// Forgets the copy, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.mirror.clear();
        self.live.clear();
        self.undo = None;
    }

    /// Copies a shard, which the caller has locked, for the snapshot that ended `snapshot`. Says whether
    /// there may be anything to yield.
    pub(super) fn capture(
        &mut self,
        shard: &Shard<K, C>,
        snapshot: Epoch,
        since: Option<Epoch>,
    ) -> bool {
        self.clear();
        (self.base, self.snapshot, self.since) = (shard.base, snapshot, since);
        if since.is_some_and(|base| shard.touched() <= base) {
            return false;
        }
        if Mirror::<Slot<K, C>>::POSSIBLE {
            self.mirror.copy(&shard.block, const { Unit::of::<K, C>() });
            return true;
        }
        for (entry, generation) in shard.block.entries() {
            let epoch = shard.epoch_of(generation);
            if epoch <= snapshot && since.is_none_or(|base| epoch > base) {
                self.live.push(entry, epoch);
            }
        }
        true
    }

    /// Leaves an entry to the undo log, if the copy has it (`records.rs`, L2). `place` is where it was
    /// when it was kept: since then, another one may have come there.
    pub(super) fn hide(&mut self, place: usize, key: &K::Image) {
        let is = |entry: &Slot<K, C>| entry.key.bytes() == K::image_bytes(key, &[]);
        self.mirror.hide(place, is);
    }

    /// Makes this the image of nothing, for the snapshot that ended `snapshot`.
    pub(super) fn reset(&mut self, snapshot: Epoch, since: Option<Epoch>) {
        self.clear();
        (self.snapshot, self.since) = (snapshot, since);
    }

    /// Adds entries from the snapshot's undo log; of which shards, does not matter.
    pub(super) fn add_undo(&mut self, undo: Arc<Chunk<K, C>>, marks: &Arc<Marks>) {
        self.undo = Some((undo, Arc::clone(marks)));
    }

    /// Gives up what came from the undo log.
    pub(super) fn take_undo(&mut self, pool: &Pool<K, C>) {
        if let Some((undo, _)) = self.undo.take() {
            pool.keep_chunk(undo);
        }
    }

    /// Makes an image that the writer took, for want of knowing better, yield only what was
    /// touched after `since`.
    pub(super) fn restrict(&mut self, since: Option<Epoch>) {
        self.since = since;
    }

    /// Yields the entries as of the snapshot: all of them, or those touched since the base epoch
    /// of an incremental [`TableView`](super::TableView).
    pub(crate) fn for_each(&self, mut each: impl FnMut(Item<'_, C>)) {
        let since = self.since.map_or(0, |base| base.saturating_add(1));
        let wanted = since..=self.snapshot;
        let mut unused = Vec::new();
        for (entry, generation) in self.mirror.entries() {
            let epoch = self.base.saturating_add(Epoch::from(generation));
            if wanted.contains(&epoch) {
                let image = entry.cell.image(&mut unused);
                each(Item { key: entry.key.bytes(), image: &image, arena: &unused, epoch });
            }
        }
        self.for_each_record(&wanted, each);
    }

    /// Yields the entries that were copied one by one.
    fn for_each_record(&self, wanted: &RangeInclusive<Epoch>, mut each: impl FnMut(Item<'_, C>)) {
        let mut tell = |(key, image): (&K::Image, &C::Image), arena: &[u8], epoch: Epoch| {
            if wanted.contains(&epoch) {
                each(Item { key: K::image_bytes(key, arena), image, arena, epoch });
            }
        };
        for Record { key, image, epoch } in &self.live.list {
            tell((key, image), &self.live.arena, *epoch);
        }
        if let Some((undo, marks)) = &self.undo {
            for logged in undo.records(marks) {
                tell((&logged.key, &logged.image), undo.arena(), logged.epoch(self.snapshot));
            }
        }
    }
}

impl<const K: usize, const V: usize> ShardImage<[u8; K], Fixed<V>> {
    /// As [`for_each`](Self::for_each), with keys and values whose widths the compiler knows. Two
    /// functions do the same: `each` is the loop's own, `other` is for what the undo log has.
    #[inline]
    pub(crate) fn for_each_plain(
        &self,
        mut each: impl FnMut(&[u8; K], &[u8; V]),
        mut other: impl FnMut(&[u8; K], &[u8; V]),
    ) {
        let since = self.since.map_or(0, |base| base.saturating_add(1));
        // As generations of this shard, which count from its base.
        let oldest = u8::try_from(since.saturating_sub(self.base));
        let newest = self.snapshot.checked_sub(self.base);
        if let (Ok(oldest), Some(newest)) = (oldest, newest) {
            let newest = u8::try_from(newest).unwrap_or(u8::MAX);
            self.mirror.for_each(oldest..=newest, |entry| each(&entry.key, &entry.cell.0));
        }
        self.for_each_record(&(since..=self.snapshot), |item| {
            if let Some(key) = item.key.first_chunk() {
                other(key, &item.image.0);
            }
        });
    }
}
