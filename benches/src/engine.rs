//! [`Engine`]: a backend as the rows see it, so that each row is written once for all of them.

use std::sync::Arc;

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::{KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, RestorePart, Result};

use crate::disk::Disk;

/// Key groups of a backend; Flink's default.
const GROUPS: u32 = 128;

/// A backend that is measured, with its default options.
pub trait Engine: KeyedStore + Sized + 'static {
    /// Opens a store; restored if there are parts. Files that it works with go below `disk`.
    ///
    /// # Errors
    /// Where the backend fails.
    fn store(disk: &mut Disk, parts: Vec<RestorePart>) -> Result<Self>;
}

/// What stores are opened with here: all key groups, and names and seeds that repeat.
///
/// # Errors
/// None that occurs.
pub fn environment(parts: Vec<RestorePart>) -> Result<OpenEnv> {
    let groups = MaxParallelism::new(GROUPS)?;
    let mut env = OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all())?);
    env.randomness = Arc::new(SeededRandomness::new(42));
    Ok(env.with_restore(parts))
}

/// A memory store; restored if there are parts.
///
/// # Errors
/// As [`MemoryStore::open`].
pub fn memory_store(parts: Vec<RestorePart>) -> Result<MemoryStore> {
    MemoryStore::open(environment(parts)?)
}

impl Engine for MemoryStore {
    fn store(_: &mut Disk, parts: Vec<RestorePart>) -> Result<Self> {
        memory_store(parts)
    }
}

/// A store on the file system, in a private directory of its own; restored if there are parts.
///
/// # Errors
/// As [`FsStore::open_with`].
pub fn fs_store(disk: &mut Disk, parts: Vec<RestorePart>, options: FsOptions) -> Result<FsStore> {
    let environment = environment(parts)?.with_local_dir(disk.fresh_path());
    FsStore::open_with(environment, options)
}

impl Engine for FsStore {
    fn store(disk: &mut Disk, parts: Vec<RestorePart>) -> Result<Self> {
        fs_store(disk, parts, FsOptions::default())
    }
}
