//! Alluvium's state backend on the local file system: a write layer in memory over immutable segment
//! files, which are mapped into memory.
//!
//! * **State larger than memory.** What is written goes to hash tables in memory, within a budget; when it is
//!   reached they become a *segment*, a sorted and indexed file in a private directory. A read asks the
//!   tables first, then the segments from the newest to the oldest, each by one look at its index.
//! * **Restore maps instead of loading.** The files of a checkpoint are linked into the private directory
//!   (copied, where they are on another file system) and opened by their ends; blocks are verified when
//!   they are first used. That takes the same time whatever the size.
//! * **Checkpoints write what changed**, and refer to the segments that the last confirmed checkpoint has
//!   already. Segments are state files: every backend restores them, and `alluvium verify` checks them.
//! * **Merging** in the background keeps segments few, and brings back the space of what was overwritten or
//!   removed.
//!
//! # When to choose it
//! Where state fits into memory, the backend `memory` is faster. This one is for state that does not, and
//! for jobs that must be back in milliseconds after a crash or a rescale. Its private directory belongs on a
//! local disk. A segment that another process cuts short ends this process when it is mapped, as with
//! every map; on network file systems choose [`ReadMode::Pread`], with which that is an error.
//!
//! ```
//! use alluvium_backend_fs::FsStore;
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
//! let mut backend = KeyedBackend::<String, _>::new(FsStore::open(env)?)?;
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
//! [`FsStore`] implements the SPI with `ops`, over a `layer` and `segments`; `segment` reads one of them,
//! `build` makes them, of a layer (`seal`) or of others (`background`, `rewrite`); `snapshot`, `chain`
//! and `restore` are the life of a checkpoint; `local` and `workshop` are the private directory;
//! [`FsOptions`] are the settings, and [`FsBackend`] is the backend by name.

mod background;
mod below;
mod build;
mod chain;
mod factory;
mod fold;
mod joint;
mod joints;
mod key;
mod layer;
mod levels;
mod local;
mod member;
mod ops;
mod options;
mod promise;
mod read_cache;
mod restore;
mod rewrite;
mod seal;
mod segment;
mod segments;
mod snapshot;
mod statistics;
mod store;
mod workshop;

pub use factory::FsBackend;
pub use options::FsOptions;
pub use segment::ReadMode;
pub use statistics::FsStatistics;
pub use store::FsStore;

/// The backend's name in settings and snapshots.
pub(crate) const BACKEND_NAME: &str = "fs";
