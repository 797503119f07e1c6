//! Faults and power cuts at every I/O operation of a whole job: coordinator, memory backend, local
//! storage.
//!
//! `scripts/faults` takes every operation, `scripts/power-cuts` cuts the power of real file systems;
//! a plain `cargo test` takes some operations of each script.
#![cfg(feature = "memory")]

mod canaries;
mod coordinated;
mod power;
mod shutdown;

use alluvium::memory::MemoryStore;
use alluvium::testkit::{Harness, Increments, Profile};
use alluvium::{OpenEnv, Result, fault_suite};

use coordinated::Coordinated;

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
        }
    }

    fn open(&self, env: OpenEnv) -> Result<MemoryStore> {
        MemoryStore::open(env)
    }
}

fault_suite!(Memory, Coordinated);
