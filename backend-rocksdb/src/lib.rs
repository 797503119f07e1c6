//! Alluvium's state backend on RocksDB: keyed state bounded by the disk.
//!
//! * **One database per subtask**, with one column family however many states there are: a state is a number in
//!   the keys, and a key group a range of them.
//! * **Lists in chunks.** Elements are added by RocksDB's merge, which reads nothing and rewrites nothing; no
//!   value grows without bound. Their sizes are known without reading them, so limits hold exactly.
//! * **Nothing depends on the write-ahead log**, which is off: durable is what is in a checkpoint.
//! * **What was asked for lately** is kept in memory in front of RocksDB, and written back later, in order.
//! * **Snapshots** are taken of a view of the database, once what it lacks is written, and written as
//!   state files: every backend restores them. **Incremental ones** are RocksDB's own files, of which only those are
//!   uploaded that are new; this backend alone restores them, at any parallelism.
//! * **Bounded memory.** All stores of a process share one cache and one limit of write buffers.
//!
//! # When to choose it
//! Where state fits into memory, the backend `memory` is faster by far. The backend `fs` is for state somewhat
//! larger than memory; this one for state that is many times as large, or that changes more than is read.
//! Its private directory belongs on a local disk. It brings C++, which takes most of an hour of one core to
//! compile once.
//!
//! ```
//! use alluvium_backend_rocksdb::RocksStore;
//! use alluvium_state_api::{
//!     KeyedBackend, MaxParallelism, OpenEnv, Result, ValueDescriptor, ValueState,
//! };
//!
//! const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
//!
//! # fn main() -> Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path();
//! let groups = MaxParallelism::new(128)?;
//! let keys = KeyedBackend::<String>::key_space(groups, groups.all())?;
//! let env = OpenEnv::new(keys).with_local_dir(directory.join("subtask-0"));
//! let mut backend = KeyedBackend::<String, _>::new(RocksStore::open(env)?)?;
//! let count = backend.open(COUNT)?;
//! for word in ["to", "be", "or", "not", "to", "be"] {
//!     backend.at(word)?.value(count).update(|n| Some(n.unwrap_or(0) + 1))?;
//! }
//! assert_eq!(backend.at("be")?.value(count).get()?, Some(2));
//! # Ok(())
//! # }
//! ```
//!
//! # Map of the crate
//! [`RocksStore`] implements the SPI with `ops`, over a `database` and a write-back `cache` in front of it; `view` is what it
//! held at one instant; `address` says where entries lie in it, `list`
//! what lists consist of, `walk` goes through a state in order; `snapshot` with its `sections`, `restore` and `rewrite` are the life of
//! a checkpoint; `local` is the private directory, `background` what runs beside the store, `joining` joins small tables, `figures` tell the recorder what RocksDB counts, `failure` what RocksDB's errors mean; [`RocksOptions`] are the
//! settings, and [`RocksBackend`] is the backend by name.

mod address;
mod background;
mod cache;
mod chain;
mod database;
mod factory;
mod failure;
mod figures;
mod joining;
mod list;
mod local;
mod native;
mod ops;
mod options;
mod raw;
mod restore;
mod rewrite;
mod sections;
mod snapshot;
mod states;
mod store;
mod view;
mod walk;

pub use factory::RocksBackend;
pub use options::{
    BatchLimits, CompactionStyle, Figures, Joining, LogLevel, MemoryBudget, OptionsHook,
    ProcessBudget, Profile, Rescaling, RocksOptions, SharedMemory, TableCompression, Tuning,
    WriteBackOptions,
};
/// The crate whose options an [`OptionsHook`] changes.
pub use rocksdb;
pub use store::RocksStore;

/// The backend's name in settings and snapshots.
pub(crate) const BACKEND_NAME: &str = "rocksdb";
