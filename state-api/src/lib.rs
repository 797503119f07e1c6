//! Alluvium state API.
mod backend;
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
pub mod storage;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod vfs;

pub use backend::{BatchContext, KeyContext, KeyedBackend, Mergeable};
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
pub use restore::{VisitRecord, restore_records};
pub use state::{
    Aggregate, AggregatingState, AggregatingView, ListState, ListView, MapState, MapView,
    ReducingState, ReducingView, ValueState, ValueView,
};
pub use store::{
    Change, KeyedStore, ListSize, MergeValues, Modify, ModifyEach, Registration, Rewrite, Scan, ScanPlan,
    Slot, StateStatistics, StoreStatistics, VisitEach, VisitElement, VisitEntry,
};
