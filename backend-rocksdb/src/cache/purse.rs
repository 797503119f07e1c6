//! [`Purse`]: how much memory all tables that share it may take, and [`Share`]: what one of them has of it.
//!
//! Each store gets the same part. What a store that lies idle took before another one came it keeps until it is used
//! again; until then the other one makes do with the rest, so that the sum stays below the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory is taken in such pieces.
const PIECE_BYTES: usize = 64 << 10;

/// Memory for the tables of several stores.
#[derive(Debug)]
pub(crate) struct Purse {
    limit: usize,
    stores: AtomicUsize,
    taken: AtomicUsize,
}

impl Purse {
    /// So many bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self { limit, stores: AtomicUsize::new(0), taken: AtomicUsize::new(0) })
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
        self.purse.taken.fetch_add(bytes, Ordering::Relaxed);
        self.purse.taken.fetch_sub(std::mem::replace(&mut self.taken, bytes), Ordering::Relaxed);
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
}
