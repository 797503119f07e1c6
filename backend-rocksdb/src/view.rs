//! [`View`]: what a database held at one instant.
//!
//! RocksDB's snapshot borrows the database, and a snapshot's task must own what it needs: the two are in one cell,
//! which drops them in the right order.
#![expect(clippy::mem_forget, reason = "self_cell's own guard, in what its macro expands to")]

use std::sync::Arc;

use rocksdb::{ReadOptions, SnapshotWithThreadMode};
use self_cell::self_cell;

use crate::database::{Database, Db, RawIterator};

type Held<'a> = SnapshotWithThreadMode<'a, Db>;

self_cell!(
    struct Pinned {
        owner: Arc<Database>,
        #[covariant]
        dependent: Held,
    }
);

/// What a database held at one instant, whatever is written afterwards; owned, for another thread.
pub(crate) struct View(Pinned);

impl View {
    /// What the database holds now.
    pub(crate) fn of(database: &Arc<Database>) -> Self {
        Self(Pinned::new(Arc::clone(database), |database| database.db.snapshot()))
    }

    /// An iterator over the keys below `end`, which leaves the cache as it is.
    pub(crate) fn iterator(&self, end: Vec<u8>) -> RawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        options.fill_cache(false);
        self.0.borrow_dependent().raw_iterator_opt(options)
    }
}
