//! The conformance kit over the memory backend, static and boxed, and its random sequences.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result, conformance_suite, fault_suite, model_suite};

#[derive(Debug, Default)]
struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn profile(&self) -> Profile {
        PROFILE
    }

    fn open(&self, env: OpenEnv) -> Result<MemoryStore> {
        MemoryStore::open(env)
    }
}

const PROFILE: Profile = Profile {
    name: "memory",
    increments: Increments::Native,
    exact_counts: true,
    digests: true,
    local_directory: false,
};

conformance_suite!(Memory, PROFILE);
model_suite!(Memory);
fault_suite!(Memory);
