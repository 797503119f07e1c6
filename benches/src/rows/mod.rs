//! All rows, by name.
//!
//! * `point`: point access and batches against `hashbrown`, dynamic dispatch against static;
//! * `sync`: the synchronous phase of a snapshot;
//! * `during`: what a running snapshot costs the writer;
//! * `bytes`: how fast snapshots are written, and how much memory entries take;
//! * `increments`: what increments write, and what restoring their chain costs;
//! * `restore`: how soon a store is ready;
//! * `mapped`: the backend on the file system against the one in memory;
//! * `merging`: what merging in the background costs the writer;
//! * `peers`: the backend on the file system against embedded databases;
//! * `rocks`: the backend on RocksDB against the bare crate;
//! * `rescale`: its restores at another parallelism, from RocksDB's own files against entry by entry.

mod bytes;
mod during;
mod increments;
mod mapped;
mod merging;
#[cfg(any(feature = "peers", feature = "rocksdb"))]
mod peers;
mod point;
#[cfg(feature = "rocksdb")]
mod rescale;
mod restore;
#[cfg(feature = "rocksdb")]
mod rocks;
mod sync;

use std::any::Any;
use std::path::PathBuf;

use alluvium_backend_fs::FsStore;
use alluvium_backend_memory::MemoryStore;

use crate::Outcome;
use crate::disk::Disk;
use crate::engine::Engine;
#[cfg(feature = "rocksdb")]
use crate::peers::Rocks;
#[cfg(feature = "peers")]
use crate::peers::{Fjall, Redb};
use crate::row::Row;
use crate::subject::{Peer, Subject};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Keys of the rows named `100k`.
    pub tiny: u64,
    /// Keys of the rows named `1m`.
    pub small: u64,
    /// Keys of the rows named `10m`.
    pub large: u64,
    /// Accesses per round.
    pub accesses: usize,
    /// Rounds.
    pub rounds: usize,
    /// Checkpoints of a series of increments.
    pub series: usize,
}

impl Sizes {
    /// What the rows are about.
    pub const FULL: Self = Self {
        tiny: 100_000,
        small: 1_000_000,
        large: 10_000_000,
        accesses: 2_000_000,
        rounds: 9,
        series: 60,
    };

    /// Smaller, to see that every row works. What it measures means nothing.
    pub const QUICK: Self = Self {
        tiny: 10_000,
        small: 100_000,
        large: 400_000,
        accesses: 200_000,
        rounds: 7,
        series: 60,
    };
}

/// What rows share: sizes, a place on disk, and tables that take long to fill.
#[derive(Debug)]
pub struct Lab {
    sizes: Sizes,
    directory: PathBuf,
    allocated: fn() -> usize,
    /// Ours and the peer with as many keys, and the same updates on both sides.
    pair: Option<(u64, Pair)>,
    /// A large [`Subject`] of some backend, whose snapshots are taken.
    large: Option<Box<dyn Any>>,
    disk: Option<Disk>,
}

/// Both sides of a comparison.
#[derive(Debug)]
struct Pair {
    ours: Subject<MemoryStore>,
    peer: Peer,
}

impl Lab {
    /// A laboratory. Snapshots go below `directory`; `allocated` tells how many bytes the process has
    /// allocated.
    pub fn new(sizes: Sizes, directory: PathBuf, allocated: fn() -> usize) -> Self {
        Self { sizes, directory, allocated, pair: None, large: None, disk: None }
    }

    /// Takes the job's directory, or makes one. It numbers checkpoints, so that it must be given back
    /// where a table is whose snapshots went there; who fails gives back neither.
    fn disk(&mut self) -> Outcome<Disk> {
        self.disk.take().map_or_else(|| Disk::new(&self.directory), Ok)
    }

    /// Takes the pair with so many keys, or makes one.
    fn pair(&mut self, keys: u64) -> Outcome<Pair> {
        match self.pair.take() {
            Some((size, pair)) if size == keys => Ok(pair),
            _ => Ok(Pair { ours: Subject::memory(keys)?, peer: Peer::new(keys) }),
        }
    }

    /// Takes the large backend, or fills one of this kind in the place of another.
    fn large<S: Engine>(&mut self, disk: &mut Disk) -> Outcome<Subject<S>> {
        self.pair = None;
        let kept = self.large.take().and_then(|kept| kept.downcast::<Subject<S>>().ok());
        match kept {
            Some(subject) => Ok(*subject),
            None => Ok(Subject::filled(disk, self.sizes.large)?),
        }
    }

    /// Gives back the large backend, and the directory where its snapshots are.
    fn keep<S: Engine>(&mut self, subject: Subject<S>, disk: Disk) {
        self.large = Some(Box::new(subject));
        self.disk = Some(disk);
    }
}

/// A measurement: the first row that it yields has its name, others are details of it.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// The row's name.
    pub name: &'static str,
    run: fn(&mut Lab, &str) -> Outcome<Vec<Row>>,
}

impl Measurement {
    /// Measures.
    ///
    /// # Errors
    /// Where a side fails or does the wrong work.
    pub fn run(self, lab: &mut Lab) -> Outcome<Vec<Row>> {
        (self.run)(lab, self.name)
    }
}

macro_rules! measurements {
    ($($(#[$when:meta])* $name:literal => $run:path,)*) => {
        &[$($(#[$when])* Measurement { name: $name, run: $run },)*]
    };
}

/// All measurements. Those that share a table follow one another.
pub const ALL: &[Measurement] = measurements! {
    "memory.get.1m" => point::get_small,
    "memory.update.1m" => point::update_small,
    "dispatch.one-by-one" => point::dispatch_one_by_one,
    "dispatch.batched" => point::dispatch_batched,
    "memory.batch64.get.10m" => point::batch_get_large,
    "memory.batch64.update.10m" => point::batch_update_large,
    "memory.get.10m" => point::get_large,
    "memory.update.10m" => point::update_large,
    "memory.sync-phase.100k" => sync::tiny::<MemoryStore>,
    "memory.sync-phase.1m" => sync::small::<MemoryStore>,
    "memory.sync-phase.10m" => sync::large::<MemoryStore>,
    "memory.snapshot.throughput" => during::throughput::<MemoryStore>,
    "memory.snapshot.worst-op" => during::worst_operation::<MemoryStore>,
    "memory.snapshot.bytes-per-s" => bytes::per_second_memory,
    "memory.bytes-per-entry" => bytes::per_entry,
    "memory.incremental.bytes" => increments::one::<MemoryStore>,
    "memory.incremental.series" => increments::series::<MemoryStore>,
    "memory.restore.chain" => increments::chain::<MemoryStore>,
    "fs.get.restored" => mapped::get_restored,
    "fs.get.1m" => mapped::get,
    "fs.update.1m" => mapped::update,
    #[cfg(feature = "peers")]
    "fs.get.1m.redb" => peers::get::<Redb>,
    #[cfg(feature = "peers")]
    "fs.get.1m.fjall" => peers::get::<Fjall>,
    #[cfg(feature = "rocksdb")]
    "fs.get.1m.rocksdb" => peers::get::<Rocks>,
    #[cfg(feature = "peers")]
    "fs.update.1m.redb" => peers::update::<Redb>,
    #[cfg(feature = "peers")]
    "fs.update.1m.fjall" => peers::update::<Fjall>,
    #[cfg(feature = "rocksdb")]
    "fs.update.1m.rocksdb" => peers::update::<Rocks>,
    #[cfg(feature = "peers")]
    "fs.get.reopened.redb" => peers::get_reopened::<Redb>,
    #[cfg(feature = "peers")]
    "fs.get.reopened.fjall" => peers::get_reopened::<Fjall>,
    #[cfg(feature = "rocksdb")]
    "fs.get.reopened.rocksdb" => peers::get_reopened::<Rocks>,
    "fs.restore.10m-to-100k" => restore::large_to_tiny::<FsStore>,
    "fs.sync-phase.10m" => sync::large::<FsStore>,
    "fs.snapshot.throughput" => during::throughput::<FsStore>,
    "fs.snapshot.bytes-per-s" => bytes::per_second_fs,
    "fs.merge.throughput" => merging::throughput,
    "fs.incremental.bytes" => increments::one::<FsStore>,
    "fs.incremental.series" => increments::series::<FsStore>,
    "fs.restore.chain" => increments::chain::<FsStore>,
    #[cfg(feature = "rocksdb")]
    "rocksdb.get.uniform" => rocks::get_small,
    #[cfg(feature = "rocksdb")]
    "rocksdb.get.uniform.10m" => rocks::get_large,
    #[cfg(feature = "rocksdb")]
    "rocksdb.put.uniform" => rocks::put_small,
    #[cfg(feature = "rocksdb")]
    "rocksdb.put.uniform.10m" => rocks::put_large,
    #[cfg(feature = "rocksdb")]
    "rocksdb.rmw.zipf" => rocks::update_small,
    #[cfg(feature = "rocksdb")]
    "rocksdb.rmw.zipf.10m" => rocks::update_large,
    #[cfg(feature = "rocksdb")]
    "rocksdb.append.uniform" => rocks::append,
    #[cfg(feature = "rocksdb")]
    "rocksdb.restore.1-to-2" => rescale::one_to_two,
    #[cfg(feature = "rocksdb")]
    "rocksdb.restore.2-to-1" => rescale::two_to_one,
    #[cfg(feature = "rocksdb")]
    "rocksdb.restore.2-to-3" => rescale::two_to_three,
};
