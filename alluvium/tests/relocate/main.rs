//! Snapshots that move and change shape, with real backends: copied out, moved, rewritten for
//! another number of key groups.

#![cfg(all(feature = "memory", feature = "fs"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[cfg(feature = "cli")]
mod bombs;
mod claims;
mod fs;
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(feature = "cli")]
mod hostile;
mod interrupted;
mod job;
#[cfg(feature = "cli")]
mod lookups;
mod moving;
#[expect(unreachable_pub, dead_code, reason = "an example is a crate of its own")]
#[path = "../../examples/own_backend.rs"]
mod own_backend;
mod placed;
mod refused;
mod rehash;
mod selective;

use alluvium_state_api::testkit::corruption::Counting;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result};

/// Knows how much a test holds.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The backend of the example.
#[derive(Debug, Default)]
struct Own;

impl Harness for Own {
    type Store = own_backend::OwnStore;

    fn profile(&self) -> Profile {
        Profile {
            name: "own",
            increments: Increments::WrittenAsFull,
            exact_counts: true,
            digests: true,
            local_directory: false,
            buffer_bytes: 0,
        }
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        own_backend::OwnStore::open(&env)
    }
}
