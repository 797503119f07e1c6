//! [`Engine`]: a backend as the rows see it, so that each row is written once for all of them.

use std::sync::Arc;

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
    fn open(disk: &mut Disk, parts: Vec<RestorePart>) -> Result<Self>;
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
    fn open(_: &mut Disk, parts: Vec<RestorePart>) -> Result<Self> {
        memory_store(parts)
    }
}
