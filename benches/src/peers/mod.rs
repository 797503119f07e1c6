//! Peers: what a program could keep its state in instead, played beside our backends in the same process.
//!
//! # Role
//! A [`Peer`] has a name, under which `--backend peer:NAME` plays it. Most are databases of bytes: [`Store`] says
//! what is asked of them, and [`Bytes`] plays accesses on any. Maps of a program of one's own are
//! [`Maps`](crate::workload::Maps). One from outside is registered with
//! [`Session::with_peer`](crate::session::Session::with_peer).
//!
//! The rows of `ratios` that end in `redb`, `fjall` and `rocksdb` compare the backend on the file system with these by `database`.
//!
//! # What makes it fair
//! * Keys are spread over the whole of the key space. A key is encoded as a user of the database would do it: the
//!   state, the key, the window, the map key, numbers big-endian, so that one range has what belongs to a key.
//!   All states are in one table or key space.
//! * A call of a store is a virtual one, as those of our backends by name are. Nothing is copied that the
//!   database's interface does not copy.
//! * Caches have as much memory as our backends may take (`CACHE_BYTES`), which is 512 MiB.
//! * Nobody syncs for each operation. What was written becomes durable at a checkpoint: redb by the commit
//!   of one transaction, which its documentation recommends over many; fjall by `persist(SyncAll)` after
//!   inserts that do not write to the operating system one by one (`manual_journal_persist`); `RocksDB`, which
//!   then needs no log of its writes, by a checkpoint of its own, in rows of `ratios` by a flush. Maps have no checkpoints.
//! * Reads and writes of redb share one transaction and one open table.
//! * fjall builds no filters at the last level (`expect_point_read_hits`), as its documentation
//!   recommends where keys are expected to be there, and compresses nothing, as our file system does not.
//! * `RocksDB` has the same options as our backend on it has by default, and no filters either.
//! * A list is one value of framed elements. `RocksDB` adds to it by a merge operator, as Flink does; the others
//!   have none, and read and write the whole. A sum is read and written everywhere.
//!
//! # What is not comparable
//! redb, fjall and `RocksDB` stop their writer while they make a checkpoint, and all keep it where the database is; ours
//! writes a copy of its own meanwhile. What a checkpoint of redb and fjall wrote is what the process wrote since the last
//! one, since neither tells.

pub mod bytes;
#[cfg(any(feature = "peers", feature = "rocksdb"))]
pub mod database;
#[cfg(feature = "peers")]
mod fjall;
#[cfg(feature = "peers")]
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(any(feature = "peers", feature = "rocksdb"))]
mod space;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::Outcome;

pub use bytes::Bytes;
#[cfg(feature = "peers")]
pub use fjall::Fjall;
#[cfg(feature = "peers")]
pub use redb::Redb;
#[cfg(feature = "rocksdb")]
pub use rocksdb::Rocks;

/// Memory of a database's caches.
#[cfg(any(feature = "peers", feature = "rocksdb"))]
const CACHE_BYTES: usize = 512 << 20;

/// Bytes by ordered keys of bytes.
pub trait Store: Send {
    /// Shows the value of a key.
    ///
    /// # Errors
    /// Those of the database, as everywhere here.
    fn get(&mut self, key: &[u8], show: &mut dyn FnMut(Option<&[u8]>)) -> Outcome<()>;

    /// Sets the value of a key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Adds to the end of a value; of one that is not there it becomes the beginning.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome<()>;

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn remove(&mut self, key: &[u8]) -> Outcome<()>;

    /// Shows the keys that begin with `prefix`, without it, and their values, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn scan(&mut self, prefix: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()>;

    /// Removes the keys that begin with `prefix`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn remove_all(&mut self, prefix: &[u8]) -> Outcome<()>;

    /// Makes what was written durable, in the directory `fresh`, which is not there yet, or where the store is. What
    /// can go on beside the writer is left to the task, which another thread runs.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn checkpoint(&mut self, fresh: &Path) -> Outcome<Finish>;
}

/// The rest of a checkpoint.
pub type Finish = Box<dyn FnOnce() -> Outcome<Kept> + Send>;

/// What a checkpoint left behind.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it can be opened.
    pub path: PathBuf,
    /// Whether what is written afterwards is in it, too, once the store is closed.
    pub goes_on: bool,
    /// Bytes that were written for it, or since the last one where that cannot be told.
    pub bytes_new: u64,
    /// Bytes that it has.
    pub bytes_full: u64,
    /// Files that it has.
    pub files: usize,
}

/// Opens a store at a path, fresh or over a checkpoint.
pub type OpenStore = fn(&Path) -> Outcome<Box<dyn Store>>;

/// How a peer is had.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `hashbrown`'s hash maps.
    Hashbrown,
    /// The standard library's ordered maps.
    Ordered,
    /// A database of bytes.
    Store(OpenStore),
    /// It was not built in; the feature that brings it.
    #[cfg(not(all(feature = "peers", feature = "rocksdb")))]
    Missing(&'static str),
}

/// Something to be played on under a name.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    pub(crate) kind: Kind,
}

impl Peer {
    /// A database of bytes.
    pub const fn new(name: &'static str, open: OpenStore) -> Self {
        Self { name, kind: Kind::Store(open) }
    }

    /// Whether this build has it.
    pub const fn is_built_in(&self) -> bool {
        #[cfg(not(all(feature = "peers", feature = "rocksdb")))]
        if matches!(self.kind, Kind::Missing(_)) {
            return false;
        }
        true
    }
}

/// The peers that there are, also those that were not built in.
pub fn all() -> Vec<Peer> {
    #[cfg(feature = "peers")]
    let (redb, fjall) = (Kind::Store(redb::open), Kind::Store(fjall::open));
    #[cfg(not(feature = "peers"))]
    let (redb, fjall) = (Kind::Missing("peers"), Kind::Missing("peers"));
    #[cfg(feature = "rocksdb")]
    let rocksdb = Kind::Store(rocksdb::open);
    #[cfg(not(feature = "rocksdb"))]
    let rocksdb = Kind::Missing("rocksdb");
    let of = |name, kind| Peer { name, kind };
    vec![
        of("hashbrown", Kind::Hashbrown),
        of("btreemap", Kind::Ordered),
        of("redb", redb),
        of("fjall", fjall),
        of("rocksdb", rocksdb),
    ]
}
