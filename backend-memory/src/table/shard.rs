//! One shard: a block of entries, and when they changed.
//!
//! # Role
//! A shard is the unit of growth and of capture: at most a few thousand entries, so that neither
//! takes long. It is what lies under a shard's lock (`shared.rs`).
//!
//! # Generations
//! The table counts epochs; a snapshot ends one. Each slot has a generation byte: the epoch in
//! which its entry was inserted or last changed, less the shard's `base`.
//!
//! # Invariants
//! D1. Generation 0 means "in epoch `base` or earlier". Nobody ever asks about an epoch before
//!     `base`: it is at most the oldest epoch of any snapshot in flight and of the horizon of
//!     increments (`shared.rs`, W4).
//! D2. The current epoch less `base` fits into a byte whenever a generation is written.
//!     [`Shard::rebase`] moves `base` forward before that would fail; it costs a microsecond or
//!     two, once per shard in dozens of epochs, and only for shards that are written.
//! D3. [`Shard::touched`] is the epoch of the last insertion, change or removal: an upper bound of the
//!     epochs of its entries.

use super::block::Block;
use super::cell::Cell;
use super::key::KeyRep;
use super::raw::Slot;
use super::{Epoch, hash::Hash};
use crate::sync::{AtomicU32, Ordering};

/// What lies under a shard's lock.
pub(super) struct Shard<K: KeyRep, C: Cell> {
    pub(super) block: Block<Slot<K, C>>,
    pub(super) base: Epoch,
    touched: AtomicU32,
}

impl<K: KeyRep, C: Cell> Shard<K, C> {
    /// A shard whose generations count from `base`, last changed in `touched`.
    pub(super) fn new(block: Block<Slot<K, C>>, base: Epoch, touched: Epoch) -> Self {
        Self { block, base, touched: AtomicU32::new(touched) }
    }

    /// The epoch of the last change (D3).
    #[inline]
    pub(super) fn touched(&self) -> Epoch {
        self.touched.load(Ordering::Relaxed)
    }

    /// An entry changes in `epoch` (D3).
    #[inline]
    pub(super) fn touch(&self, epoch: Epoch) {
        self.touched.store(epoch, Ordering::Relaxed);
    }

    /// The epoch that a generation stands for.
    #[inline]
    pub(super) fn epoch_of(&self, generation: u8) -> Epoch {
        self.base.saturating_add(Epoch::from(generation))
    }

    /// Moves `base` forward to `to`; everything until then becomes one and the same age (D1).
    pub(super) fn rebase(&mut self, to: Epoch) {
        let by = u8::try_from(to.saturating_sub(self.base)).unwrap_or(u8::MAX);
        self.base = self.base.max(to);
        for generation in self.block.generations_mut() {
            *generation = generation.saturating_sub(by);
        }
    }

    /// Moves all entries into an empty block that has room for them.
    pub(super) fn rebuild(&mut self, into: Block<Slot<K, C>>, hash: impl Fn(&K) -> Hash) {
        let old = std::mem::replace(&mut self.block, into);
        old.scatter(|entry, generation| {
            self.block.insert(hash(&entry.key), generation, entry);
        });
    }
}
