//! How the file-system backend introduces itself to the kit: mapped and read, with budgets so small that
//! spilling and merging happen all the time, and with the default ones.

use alluvium_backend_fs::{FsOptions, FsStore, ReadMode};
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result};

/// What it promises.
pub(crate) const PROFILE: Profile = Profile {
    name: "fs",
    increments: Increments::Native,
    exact_counts: false,
    digests: true,
    local_directory: true,
};

/// The budgets of a store that is always short of memory.
fn tiny(read_mode: ReadMode) -> FsOptions {
    let mut options = FsOptions::default();
    options.write_buffer_bytes = 64 << 10;
    options.block_cache_bytes = 64 << 10;
    options.max_segments = 3;
    options.merge_bytes_per_second = 1 << 40;
    options.read_mode = read_mode;
    options
}

macro_rules! harness {
    ($(#[$doc:meta] $name:ident: $options:expr;)*) => {
        $(
            #[$doc]
            #[derive(Debug, Default)]
            pub(crate) struct $name;

            impl Harness for $name {
                type Store = FsStore;

                fn profile(&self) -> Profile {
                    PROFILE
                }

                fn open(&self, env: OpenEnv) -> Result<FsStore> {
                    FsStore::open_with(env, $options)
                }
            }
        )*
    };
}

fn reading() -> FsOptions {
    let mut options = FsOptions::default();
    options.read_mode = ReadMode::Pread;
    options
}

harness! {
    /// Default options: mapped.
    Mapped: FsOptions::default();
    /// Default options, read instead of mapped.
    Read: reading();
    /// Mapped, and always short of memory.
    TinyMapped: tiny(ReadMode::Mapped);
    /// Read, and always short of memory.
    TinyRead: tiny(ReadMode::Pread);
}
