//! Alluvium's in-memory state backend: hash tables in memory, snapshots that hardly disturb the writer.
//!
//! * **Tables** are specialised for fixed-width keys and values, keep small values inline, grow and
//!   shrink in small steps, and answer batches with overlapped cache misses.
//! * **Snapshots** are synchronous, asynchronous, incremental or canonical. The synchronous phase takes
//!   microseconds whatever the size; what the writer changes meanwhile is logged, not copied.
//! * **Increments** carry the entries, list elements and map entries that changed since the last
//!   confirmed checkpoint, however many checkpoints failed since; the chain of files that a restore
//!   reads stays short by itself.
//!
//! State must fit into memory. Where there is no checkpoint directory, snapshots travel inline in the
//! checkpoint's metadata, up to a limit for each state.
//!
//! ```
//! use alluvium_backend_memory::MemoryStore;
//! use alluvium_state_api::{
//!     KeyedBackend, MaxParallelism, OpenEnv, Result, ValueDescriptor, ValueState,
//! };
//!
//! const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
//!
//! # fn main() -> Result<()> {
//! let groups = MaxParallelism::new(128)?;
//! let keys = KeyedBackend::<String>::key_space(groups, groups.all())?;
//! let mut backend = KeyedBackend::<String, _>::new(MemoryStore::open(OpenEnv::new(keys))?)?;
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
//! `table` is the hash table with its snapshots; `cells` are the lists, maps and values in it;
//! `tables` choose a table for a state; `ops` are the operations on them; [`MemoryStore`] implements
//! the SPI; `snapshot`, `chain`, `fold` and `restore` write and read state files; [`MemoryBackend`] is the
//! backend by name.

mod cells;
mod chain;
mod eights;
mod factory;
mod fold;
mod load;
mod ops;
mod point;
mod restore;
mod rewrite;
mod snapshot;
mod sorted;
mod store;
mod sync;
mod table;
mod tables;

pub use eights::Eights;
pub use factory::MemoryBackend;
pub use store::MemoryStore;
pub use table::hints::{prefer_huge_pages, prefetch};
pub use table::tags::matching_bytes;

/// The backend's name in settings and snapshots.
pub(crate) const BACKEND_NAME: &str = "memory";
