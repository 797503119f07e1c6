//! Alluvium: pluggable, typed, snapshotting state backends for stream processors.
//!
//! You are writing an engine that processes streams. Your operators keep state per key, that state must
//! survive crashes, be moved when the engine is rescaled, and fit where it is kept: in memory, in mapped
//! files, or on disk. This crate is that state. A *backend* is a choice made by name at run time (or by
//! type at compile time); operators are written once.
//!
//! ```
//! use alluvium::settings::Settings;
//! use alluvium::{KeyedBackend, MaxParallelism, OpenEnv, ValueDescriptor, ValueState};
//!
//! const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
//!
//! # #[cfg(feature = "memory")]
//! fn main() -> alluvium::Result<()> {
//!     // One subtask that owns all 128 key groups, over the backend that a setting names.
//!     let groups = MaxParallelism::new(128)?;
//!     let keys = KeyedBackend::<String>::key_space(groups, groups.all())?;
//!     let settings = Settings::from_pairs([("state.backend", "memory")])?;
//!     let store = alluvium::registry().open(OpenEnv::new(keys), &settings)?;
//!
//!     // The operator: a state per word.
//!     let mut backend = KeyedBackend::<String>::new(store)?;
//!     let count = backend.open(COUNT)?;
//!     for word in "to be or not to be".split(' ') {
//!         let mut state = backend.at(word)?;
//!         state.value(count).update(|n| Some(n.unwrap_or(0) + 1))?;
//!     }
//!
//!     assert_eq!(backend.at("be")?.value(count).get()?, Some(2));
//!     assert_eq!(backend.at("is")?.value(count).get()?, None);
//!     Ok(())
//! }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```
//!
//! # A tour
//!
//! * **State.** Descriptors are constants: [`ValueDescriptor`], [`ListDescriptor`],
//!   [`ReducingDescriptor`], [`AggregatingDescriptor`], [`MapDescriptor`]. Opening one on a
//!   [`KeyedBackend`] yields a typed handle that is `Copy`; [`KeyedBackend::at`] encodes, hashes and
//!   places a key once, and every access of that record reuses it. Operators can be written against the
//!   traits ([`ValueState`] and so on) and tested without a backend.
//! * **Key groups.** [`MaxParallelism`] fixes their number, a [`KeyGroupRange`] is what a subtask owns;
//!   the arithmetic is Apache Flink's.
//! * **Backends.** [`registry`] knows those of the family; a [`BackendFactory`] of your own joins by
//!   [`BackendRegistry::with`]. [`settings`] are checked strings under Flink's names.
//! * **Snapshots.** [`KeyedBackend::snapshot`] is a short synchronous phase that returns a task for any
//!   thread; what it yields is restored by any number of subtasks ([`OpenEnv::with_restore`]).
//! * **Checkpoints.** [`checkpoint`] coordinates the snapshots of all subtasks: trigger, acknowledge,
//!   complete or abort, retain, restore, rescale, savepoints.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `memory` (default) | the backend `memory`, and its types as [`memory`] |
//! | `fs` (default) | the backend `fs`, and its types as [`fs`] |
//! | `rocksdb` | the backend `rocksdb`, and its types as `alluvium::rocksdb`: C++, which takes a quarter of an hour of two cores to compile |
//! | `s3`, `gcs`, `azure` | checkpoints in Amazon S3 and the like, Google Cloud Storage, Azure Blob Storage, by URL |
//! | `object-store` | checkpoints in an object store of one's own: `checkpoint::StorageEnv::with_object_store` |
//! | `cli` (default) | the command line `alluvium`, and [`source`], its replayable inputs |
//!
//! A library leaves the command line out: `default-features = false, features = ["memory"]`.

#![forbid(unsafe_code)]

mod backends;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod job;
#[cfg(feature = "cli")]
pub mod source;
#[cfg(feature = "cli")]
mod verify;

#[doc(inline)]
pub use alluvium_checkpoint as checkpoint;
pub use alluvium_state_api::*;
pub use backends::registry;

/// The backend in memory, to be named at compile time.
#[cfg(feature = "memory")]
pub mod memory {
    pub use alluvium_backend_memory::{MemoryBackend, MemoryStore};
}

/// The backend on the local file system, to be named at compile time.
#[cfg(feature = "fs")]
pub mod fs {
    pub use alluvium_backend_fs::{FsBackend, FsOptions, FsStore, ReadMode};
}

/// The backend on RocksDB, to be named at compile time.
#[cfg(feature = "rocksdb")]
pub mod rocksdb {
    pub use alluvium_backend_rocksdb::{
        BatchLimits, CompactionStyle, LogLevel, MemoryBudget, OptionsHook, ProcessBudget, Profile,
        RocksBackend, RocksOptions, RocksStore, SharedMemory, TableCompression, Tuning,
    };
}

/// The examples of README.md, docs/guide.md and docs/testing.md, which `cargo test --doc` compiles and runs.
#[cfg(all(doctest, feature = "memory"))]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;

    #[doc = include_str!("../../docs/testing.md")]
    struct Testing;
}
