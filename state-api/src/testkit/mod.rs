//! The conformance kit: is a backend right?
//!
//! Every rule of the contract ([`store`](crate::KeyedStore), the states, snapshots, restore) is a case
//! here; [`model`] adds random sequences of everything against a plain model, [`faults`] fails every I/O
//! operation and cuts the power at each. A backend's author needs ten lines, in `tests/conformance.rs`:
//!
//! ```ignore
//! use alluvium_state_api::testkit::{Harness, Increments, Profile};
//! use alluvium_state_api::{OpenEnv, Result, conformance_suite, fault_suite, model_suite};
//!
//! #[derive(Debug, Default)]
//! struct Mine;
//!
//! impl Harness for Mine {
//!     type Store = MyStore;
//!     fn profile(&self) -> Profile { PROFILE }
//!     fn open(&self, env: OpenEnv) -> Result<MyStore> { MyStore::open(env) }
//! }
//!
//! const PROFILE: Profile = Profile { name: "mine", increments: Increments::WrittenAsFull,
//!     exact_counts: true, digests: true, local_directory: false, buffer_bytes: 0 };
//! conformance_suite!(Mine, PROFILE);
//! model_suite!(Mine);
//! fault_suite!(Mine);
//! ```
//!
//! [`corruption_suite!`](crate::corruption_suite) damages every byte of small checkpoints, in a test
//! binary of its own. [`storages`] is the suite for those who write a storage,
//! [`file_systems`] the one for a file system.
//!
//! # Invariants
//! 1. One list ([`cases`]) generates the tests of every backend, static and boxed; no backend can
//!    leave a case out. What a backend cannot do is in its [`Profile`], which its own test states.
//! 2. Cases match on kinds of errors, never on texts.
//! 3. Snapshots go through [`TestStorage`], where own files belong to one checkpoint and every writer
//!    must be finished or dropped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "cases fail by panicking"
)]

pub mod aggregating;
pub mod batch;
pub mod boundaries;
pub mod cancellation;
pub mod canonical;
pub mod cases;
pub mod codecs;
pub mod contents;
pub mod corruption;
pub mod damage;
pub mod exchange;
pub mod faults;
pub mod file_systems;
pub mod fixtures;
pub mod fuzz;
mod harness;
pub mod hostile;
pub mod increments;
pub mod isolation;
pub mod keys;
pub mod limits;
pub mod list;
pub mod lookups;
pub mod map;
pub mod merging;
pub mod migration;
pub mod mirror;
pub mod model;
pub mod namespaces;
pub mod omit;
pub mod reducing;
pub mod registration;
pub mod release;
pub mod rereads;
pub mod rescale;
pub mod snapshot;
pub mod stamps;
mod storage;
pub mod storages;
pub mod value;

pub use cases::CASES;
pub use harness::{
    Backend, Begun, Boxed, Harness, Increments, KINDS, Kit, Profile, Taken, groups, run_task, ten,
    total_entries,
};
pub use storage::{Gate, TestSink, TestStorage};
