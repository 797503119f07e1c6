//! How the memory backend introduces itself to the kit, for all tests of this package.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result};

/// The memory backend.
#[derive(Debug, Default)]
pub(crate) struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn profile(&self) -> Profile {
        Profile {
            name: "memory",
            increments: Increments::Native,
            exact_counts: true,
            digests: true,
            local_directory: false,
            buffer_bytes: 0,
        }
    }

    fn open(&self, env: OpenEnv) -> Result<MemoryStore> {
        MemoryStore::open(env)
    }
}
