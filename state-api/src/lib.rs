//! The contract of Alluvium: keyed state for stream processors, over any storage engine.
//!
//! A *runtime author* gives operators typed state per key and takes consistent snapshots of it; a
//! *backend author* implements one object-safe trait that speaks bytes. Everything between the two is
//! here, once.
//!
//! # A tour
//!
//! | you want | look at |
//! |---|---|
//! | to define states | [`ValueDescriptor`] and its sisters: const, typed, with a codec ([`codec`]) |
//! | to use them | [`KeyedBackend::at`], which yields a [`KeyContext`]; [`KeyedBackend::batch`] for many keys |
//! | to write operators that tests can fake | the traits [`ValueState`], [`ListState`], [`ReducingState`], [`AggregatingState`], [`MapState`] |
//! | to choose a backend by name | [`BackendRegistry`], [`settings`] |
//! | to place keys | [`MaxParallelism`], [`KeyGroupRange`], [`KeyHash`] |
//! | to take and restore snapshots | [`KeyedBackend::snapshot`], [`OpenEnv`], [`snapshot`], [`storage`] |
//! | to write a backend | [`KeyedStore`], [`StateDirectory`], [`mod@format`], and the `testkit` that proves it |
//! | to inject faults, time, randomness | [`vfs`], [`clock`], [`random`] |
//!
//! # An operator
//!
//! ```
//! use alluvium_state_api::{
//!     KeyedBackend, KeyedStore, MapDescriptor, Result, ValueDescriptor, ValueState,
//! };
//!
//! const VISITS: ValueDescriptor<u64> = ValueDescriptor::new("visits");
//! const PAGES: MapDescriptor<String, u32> = MapDescriptor::new("pages");
//!
//! // the same code over a store that is named here or chosen at run time (`Box<dyn KeyedStore>`)
//! fn run<S: KeyedStore>(store: S, clicks: &[(String, String)]) -> Result<()> {
//!     let mut state = KeyedBackend::<String, S>::new(store)?;
//!     let (visits, pages) = (state.open(VISITS)?, state.open(PAGES)?);
//!     for (user, page) in clicks {
//!         let mut user = state.at(user)?;                 // encoded, hashed and placed once
//!         user.value(visits).update(|n| Some(n.unwrap_or(0) + 1))?;
//!         user.map(pages).update(page, |n| Some(n.unwrap_or(0) + 1))?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What does not compile
//!
//! Two states of one key cannot be open at once, since both would borrow the backend:
//!
//! ```compile_fail
//! # use alluvium_state_api::*;
//! # fn run<S: KeyedStore>(mut state: KeyedBackend<u64, S>) -> Result<()> {
//! let (a, b) = (state.open(ValueDescriptor::<u64>::new("a"))?, state.open(ValueDescriptor::<u64>::new("b"))?);
//! let mut key = state.at(&1)?;
//! let (mut x, mut y) = (key.value(a), key.value(b));
//! x.set(&y.get()?.unwrap())?;
//! # Ok(())
//! # }
//! ```
//!
//! A state kept per window cannot be used without one, nor within a window of another type:
//!
//! ```compile_fail
//! # use alluvium_state_api::{codec::Native, *};
//! # fn run<S: KeyedStore>(mut state: KeyedBackend<u64, S>) -> Result<()> {
//! const SEEN: ListDescriptor<u64, Native, InNamespace<i64>> = ListDescriptor::new("seen").in_namespace();
//! let seen = state.open(SEEN)?;
//! state.at(&1)?.list(seen).add(&7)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate is not
//!
//! It has no storage engine, no async runtime and no C. Backends are crates of their own and may come
//! from anywhere; the life of a checkpoint is `alluvium-checkpoint`.

mod backend;
mod boxed;
mod change;
pub mod clock;
pub mod codec;
mod descriptor;
mod directory;
mod elements;
mod env;
mod error;
pub mod format;
mod hash;
mod ids;
mod key;
mod key_group;
pub mod random;
mod registry;
mod restore;
pub mod schema;
pub mod settings;
pub mod snapshot;
mod state;
mod statistics;
pub mod storage;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod vfs;

pub use backend::{BatchContext, KeyContext, KeyedBackend, Mergeable};
pub use change::{Change, NewValue};
pub use descriptor::{
    AggregatingDescriptor, AggregatingHandle, AnyHandle, Descriptor, InNamespace, ListDescriptor,
    ListHandle, MapDescriptor, MapHandle, NamespaceSpec, NoNamespace, ReducingDescriptor,
    ReducingHandle, StateToken, ValueDescriptor, ValueHandle,
};
pub use directory::{StateDirectory, StateOperation};
pub use elements::{ELEMENT_OVERHEAD, ElementIter, Elements, ElementsBuffer};
pub use env::{NoRecorder, OpenEnv, Recorder, RestorePart, Spawner, ThreadSpawner};
pub use error::{Error, ErrorKind, LimitExceeded, Result};
pub use hash::{
    FlinkHash, JavaHash, KeyHash, StableHash, flink_murmur, hash_bytes, hash_with_suffix,
    stable_placement,
};
pub use ids::CheckpointId;
pub use key::{EntryKey, KeyBatch, KeyBatchBuffer, StateKey, entry_hash_of};
pub use key_group::{KeyGroup, KeyGroupRange, MaxParallelism};
pub use registry::{BackendFactory, BackendRegistry, MissingBackend, OpenBackend};
pub use restore::{
    VisitRecord, open_state_file, open_state_file_through, restore_part, restore_records,
};
pub use state::{
    Aggregate, AggregatingState, AggregatingView, ListState, ListView, MapState, MapView,
    ReducingState, ReducingView, ValueState, ValueView,
};
pub use statistics::{StateStatistics, StoreStatistics};
pub use store::{
    KeyedStore, ListSize, MergeValues, Modify, ModifyEach, Registration, Rewrite, Scan, ScanPlan,
    Slot, VisitEach, VisitElement, VisitEntry,
};
