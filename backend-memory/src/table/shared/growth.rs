//! How shards come into being, grow, split and shrink.
//!
//! None of it is on the hot path, and all of it but [`Shards::start`] is bounded by the size of
//! one shard. A shard that a snapshot still needs may be rebuilt, under its lock: that changes
//! nothing about its entries. Before it is split, it is captured (V1).

use std::mem::needs_drop;

use super::super::hash::Hash;
use super::super::raw::capacity;
use super::{
    Arc, Block, Cell, Directory, Epoch, KeyRep, Lock, Mark, Meta, SEGMENT, Shard, Shards, Slot,
    policy, with,
};

impl<K: KeyRep, C: Cell> Shards<K, C> {
    /// What is known of a shard.
    #[inline]
    pub(super) fn meta(&self, id: u32) -> Meta {
        self.metas.get(id as usize).copied().unwrap_or_default()
    }

    /// The generation of the current epoch in a shard.
    #[inline]
    pub(super) fn generation(&mut self, id: u32) -> u8 {
        if self.active.iter().any(|ticket| ticket.ended()) {
            self.reap();
        }
        let age = self.epoch.saturating_sub(self.meta(id).base);
        u8::try_from(age).ok().filter(|age| *age < Mark::NEVER).unwrap_or_else(|| self.rebase(id))
    }

    /// Notes that the shard knows of a change in the current epoch, of which `generation` is the
    /// generation there (W5).
    pub(super) fn note_touched(&mut self, id: u32, generation: u8) {
        if Self::PLAIN || self.active.is_empty() {
            let meta = self.meta(id);
            self.directory.note(meta.pattern, meta.depth, Mark::new(id, generation));
        }
    }

    /// Lets go of tickets that have ended.
    #[cold]
    pub(super) fn reap(&mut self) {
        self.active.retain(|ticket| !ticket.ended());
        self.take_pen();
    }

    /// Moves a shard's base as far as those allow who may ask (W4).
    #[cold]
    pub(super) fn rebase(&mut self, id: u32) -> u8 {
        let snapshots = self.active.iter().map(|ticket| ticket.epoch);
        let floor = snapshots.chain(self.tombs.horizon()).fold(self.epoch, Epoch::min);
        let base = with(&self.segments, &self.active, id, |shard, _| {
            shard.rebase(floor);
            shard.base
        });
        let meta = Meta { base, ..self.meta(id) };
        self.put_meta(id, meta);
        self.directory.note(meta.pattern, meta.depth, Mark::new(id, Mark::NEVER));
        u8::try_from(self.epoch.saturating_sub(base)).unwrap_or(Mark::NEVER)
    }

    /// Counts what a change did to the bytes outside the slots.
    #[inline]
    pub(super) fn account(&mut self, hash: Hash, before: usize, after: usize) {
        if before != after {
            let id = self.directory.owner(hash);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
            if let Some(meta) = self.metas.get_mut(id as usize) {
                meta.bytes = meta.bytes.saturating_sub(before).saturating_add(after);
            }
        }
    }

    /// Starts with `2^depth` empty shards with room for `each` entries.
    pub(super) fn start(&mut self, depth: u32, each: u32) {
        self.directory = Directory::new(Block::NONE.view(Mark::new(0, Mark::NEVER)));
        for _ in 0..depth {
            self.directory.double();
        }
        (self.metas, self.segments) = (Vec::new(), Vec::new());
        (self.len, self.bytes) = (0, 0);
        for pattern in 0..1 << depth {
            let meta = Meta { len: each, pattern, depth, base: self.epoch, ..Meta::default() };
            let block = self.block_for(&meta);
            self.add(Meta { len: 0, ..meta }, block, 0);
        }
    }

    /// Gives an empty table that no snapshot is reading room for `entries` entries of so many bytes.
    pub(in super::super) fn reserve(&mut self, entries: usize, bytes: usize) {
        self.reap();
        let inside = entries.saturating_mul(size_of::<Slot<K, C>>());
        let outside = if needs_drop::<C>() { bytes.saturating_sub(inside) } else { 0 };
        let depth = policy::depth_for(entries, outside);
        if self.len == 0 && self.active.is_empty() && depth > self.directory.depth() {
            self.start(depth, u32::try_from(entries >> depth).unwrap_or(u32::MAX));
        }
    }

    /// Puts a new shard into the directory. Everything in it but the number of its free slots is
    /// as `meta` says.
    fn add(&mut self, mut meta: Meta, block: Block<Slot<K, C>>, touched: Epoch) {
        let Ok(id) = u32::try_from(self.metas.len()) else {
            unreachable!("there are at most 2^ROUTE_BITS shards")
        };
        if self.metas.len().is_multiple_of(SEGMENT) {
            let cells = (0..SEGMENT).map(|_| Lock::new(Shard::new(Block::NONE, 0, 0)));
            self.segments.push(cells.collect());
        }
        meta.room = capacity(block.count()).saturating_sub(meta.len);
        self.bytes = self.bytes.saturating_add(block.bytes());
        let view = block.view(Mark::new(id, Mark::NEVER));
        with(&self.segments, &self.active, id, |shard, _| {
            *shard = Shard::new(block, meta.base, touched);
        });
        self.metas.push(meta);
        self.directory.publish(meta.pattern, meta.depth, view);
    }

    /// Makes room for an entry: splits the shard or gives it a larger block.
    #[cold]
    pub(super) fn make_room(&mut self, id: u32) {
        let meta = self.meta(id);
        if policy::wants_split(&meta) && policy::may_split(&meta, self.len) {
            self.split(id);
        } else if meta.room == 0 {
            self.rebuild(id);
        }
    }

    /// Moves a shard's entries into a block of the right size.
    #[cold]
    pub(super) fn rebuild(&mut self, id: u32) {
        let (mut meta, hasher) = (self.meta(id), self.hasher);
        let block = self.block_for(&meta);
        let (view, before, after) = with(&self.segments, &self.active, id, |shard, _| {
            let before = shard.block.bytes();
            shard.rebuild(block, |key| hasher.of(key));
            (shard.block.view(Mark::new(id, Mark::NEVER)), before, shard.block.bytes())
        });
        meta.room = capacity(view.count()).saturating_sub(meta.len);
        self.put_meta(id, meta);
        self.directory.publish(meta.pattern, meta.depth, view);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
    }

    fn block_for(&self, meta: &Meta) -> Block<Slot<K, C>> {
        Block::new(policy::groups_for(meta), policy::is_large(self.bytes))
    }

    fn put_meta(&mut self, id: u32, meta: Meta) {
        if let Some(place) = self.metas.get_mut(id as usize) {
            *place = meta;
        }
    }

    /// Splits a shard by its next route bit.
    fn split(&mut self, id: u32) {
        let (meta, hasher, pool) = (self.meta(id), self.hasher, Arc::clone(&self.pool));
        if meta.depth >= self.directory.depth() {
            self.directory.double();
        }
        let bit = 1 << meta.depth;
        let half = Meta { depth: meta.depth.saturating_add(1), len: 0, bytes: 0, ..meta };
        let (mut low, mut high) = (half, Meta { pattern: meta.pattern | bit, ..half });
        let mut hashes = std::mem::take(&mut self.scratch);
        hashes.clear();
        let of_large = policy::is_large(self.bytes);
        let (view, new, touched, before) =
            with(&self.segments, &self.active, id, |shard, active| {
                for ticket in active.iter().filter(|ticket| ticket.needs(id)) {
                    ticket.capture_first(id, shard, &pool);
                }
                for (entry, _) in shard.block.entries() {
                    let hash = hasher.of(&entry.key);
                    let side = if hash.route() & bit == 0 { &mut low } else { &mut high };
                    side.len = side.len.saturating_add(1);
                    let bytes = entry.key.heap_bytes().saturating_add(entry.cell.heap_bytes());
                    side.bytes = side.bytes.saturating_add(bytes);
                    hashes.push(hash);
                }
                let mut new = Block::new(policy::groups_for(&high), of_large);
                let kept = Block::new(policy::groups_for(&low), of_large);
                let old = std::mem::replace(&mut shard.block, kept);
                let (before, mut hashes) = (old.bytes(), hashes.iter());
                old.scatter(|entry, generation| {
                    let Some(hash) = hashes.next() else {
                        unreachable!("both walks see the same entries")
                    };
                    let side = if hash.route() & bit == 0 { &mut shard.block } else { &mut new };
                    side.insert(*hash, generation, entry);
                });
                let view = shard.block.view(Mark::new(id, Mark::NEVER));
                (view, new, shard.touched(), before)
            });
        self.scratch = hashes;
        let groups = view.count();
        low.room = capacity(groups).saturating_sub(low.len);
        self.put_meta(id, low);
        self.directory.publish(low.pattern, low.depth, view);
        let after = (groups as usize).saturating_mul(Block::<Slot<K, C>>::GROUP_BYTES);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        self.add(high, new, touched);
    }
}
