//! Checkpoints of this backend restored by the memory backend, and the other way round: not only canonical
//! savepoints, since the segments of a checkpoint are state files.

mod harness;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::testkit::exchange::exchange;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result};
use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options: mapped.
    Mapped: PROFILE, Mapped;
    /// Default options, read instead of mapped.
    Read: PROFILE, Pread;
    /// Mapped, and always short of memory.
    TinyMapped: TINY, Mapped;
    /// Read, and always short of memory.
    TinyRead: TINY, Pread;
}

/// The memory backend.
#[derive(Debug, Default)]
struct Memory;

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

#[test]
fn memory_and_mapped() {
    exchange::<Memory, Mapped>();
    exchange::<Mapped, Memory>();
}

#[test]
fn memory_and_read() {
    exchange::<Memory, Read>();
    exchange::<Read, Memory>();
}

#[test]
fn memory_and_the_same_short_of_memory() {
    exchange::<TinyMapped, Memory>();
    exchange::<Memory, TinyRead>();
}

#[test]
fn one_read_mode_and_the_other() {
    exchange::<TinyRead, TinyMapped>();
    exchange::<Mapped, Read>();
}
