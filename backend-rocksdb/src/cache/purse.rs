//! [`Purse`]: how much memory all tables that share it may take, and [`Share`]: what one of them has of it.
//!
//! Each store gets the same part. What a store that lies idle took before another one came it keeps until it is used
//! again; until then the other one makes do with the rest, so that the sum stays below the limit.
//!
//! What no table has taken RocksDB's cache may have: where keys are many and none is asked for more often than others,
//! tables stay small ([`Admission`](super::Admission)), and a quarter of the budget would lie idle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rocksdb::Cache;

/// Memory is taken in such pieces.
const PIECE_BYTES: usize = 64 << 10;
/// The cache gets back or gives so large a part of the purse at a time, one in so many: a table that is full becomes
/// somewhat smaller and grows again all the time.
const PARTS_LENT: usize = 8;

/// Memory for the tables of several stores.
#[derive(Debug)]
pub(crate) struct Purse {
    limit: usize,
    stores: AtomicUsize,
    taken: AtomicUsize,
    borrower: Option<Mutex<Borrower>>,
}

/// The cache that has what is not taken, besides bytes of its own.
struct Borrower {
    cache: Cache,
    own: usize,
    lent: usize,
}

impl fmt::Debug for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrower").field("lent", &self.lent).finish_non_exhaustive()
    }
}

impl Borrower {
    /// Lends the cache so many bytes. What it has beyond goes away before this returns.
    fn lend(&mut self, bytes: usize) {
        if self.lent != bytes {
            self.cache.set_capacity(self.own.saturating_add(bytes));
            self.lent = bytes;
        }
    }
}

impl Purse {
    /// So many bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Self::of(limit, None)
    }

    /// So many bytes; what is not taken of them goes to a cache, which has `own` bytes besides.
    pub(crate) fn lending(limit: u64, cache: Cache, own: usize) -> Arc<Self> {
        Self::of(limit, Some(Mutex::new(Borrower { cache, own, lent: 0 })))
    }

    fn of(limit: u64, borrower: Option<Mutex<Borrower>>) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (stores, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let purse = Self { limit, stores, taken, borrower };
        purse.exchange(0, 0);
        Arc::new(purse)
    }

    /// Takes one number of bytes, and gives back the other.
    fn exchange(&self, bytes: usize, back: usize) {
        let mut borrower = self.borrower.as_ref().map(Mutex::lock);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        let before = self.taken.fetch_sub(back, Ordering::Relaxed);
        if let Some(borrower) = &mut borrower {
            let part = (self.limit / PARTS_LENT).max(1);
            let parts = before.saturating_sub(back).div_ceil(part);
            borrower.lend(self.limit.saturating_sub(parts.saturating_mul(part)));
        }
    }
}

/// What one store has.
#[derive(Debug)]
pub(super) struct Share {
    purse: Arc<Purse>,
    taken: usize,
}

impl Share {
    /// Joins those who share.
    pub(super) fn of(purse: Arc<Purse>) -> Self {
        purse.stores.fetch_add(1, Ordering::Relaxed);
        Self { purse, taken: 0 }
    }

    /// Whether there is nothing to be had.
    pub(super) fn is_nothing(&self) -> bool {
        self.purse.limit == 0
    }

    /// Bytes that the store may take.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        let equal = self.purse.limit / self.purse.stores.load(Ordering::Relaxed).max(1);
        let left = self.purse.limit.saturating_sub(self.purse.taken.load(Ordering::Relaxed));
        equal.min(self.taken.saturating_add(left))
    }

    /// Takes note of what the store has.
    #[inline]
    pub(super) fn hold(&mut self, bytes: usize) {
        if bytes > self.taken || self.taken - bytes >= 2 * PIECE_BYTES {
            self.take(bytes.next_multiple_of(PIECE_BYTES));
        }
    }

    #[cold]
    fn take(&mut self, bytes: usize) {
        self.purse.exchange(bytes, std::mem::replace(&mut self.taken, bytes));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.take(0);
        self.purse.stores.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_share_and_what_is_left_is_given_back() {
        let purse = Purse::new(1 << 20);
        let mut one = Share::of(Arc::clone(&purse));
        assert_eq!(one.bytes(), 1 << 20);
        one.hold(900 << 10);
        let mut two = Share::of(Arc::clone(&purse));
        assert_eq!(one.bytes(), 512 << 10);
        assert!(two.bytes() <= 124 << 10, "an idle store keeps what it has");
        one.hold(500 << 10);
        assert_eq!(two.bytes(), 512 << 10);
        two.hold(1);
        drop(one);
        assert_eq!(two.bytes(), 1 << 20);
        drop(two);
        assert_eq!(purse.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_cache_has_what_tables_have_not() {
        let cache = Cache::new_lru_cache(1 << 20);
        let purse = Purse::lending(8 << 20, cache, 1 << 20);
        let lent = || purse.borrower.as_ref().unwrap().lock().lent;
        assert_eq!(lent(), 8 << 20);
        let (mut one, mut two) = (Share::of(Arc::clone(&purse)), Share::of(Arc::clone(&purse)));
        one.hold(4 << 20);
        assert_eq!(lent(), 4 << 20);
        two.hold(1);
        assert_eq!(lent(), 3 << 20, "never more than what is left");
        two.hold(9 << 20);
        assert_eq!(lent(), 0);
        one.hold((4 << 20) - 1);
        drop(two);
        assert_eq!(lent(), 4 << 20);
        drop(one);
        assert_eq!(lent(), 8 << 20);
    }
}
