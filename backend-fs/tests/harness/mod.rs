//! How the file-system backend introduces itself to the kit: mapped or read, with default budgets or with such
//! small ones that spilling and merging happen all the time.

use alluvium_backend_fs::{FsOptions, ReadMode};
use alluvium_state_api::testkit::{Increments, Profile};

/// What it promises.
pub(crate) const PROFILE: Profile = Profile {
    name: "fs",
    increments: Increments::Native,
    exact_counts: false,
    digests: true,
    local_directory: true,
    buffer_bytes: 0,
};

/// The same where memory is short: what is full may then be several files, which have no digest of all.
pub(crate) const TINY: Profile =
    Profile { digests: false, buffer_bytes: TINY_LAYER + TINY_READS + TINY_CACHE, ..PROFILE };

const TINY_LAYER: u64 = 32 << 10;
const TINY_READS: u64 = 4 << 10;
const TINY_CACHE: u64 = 64 << 10;

/// The options of a store with this profile.
pub(crate) fn options(profile: Profile, read_mode: ReadMode) -> FsOptions {
    let mut options = FsOptions::default();
    options.read_mode = read_mode;
    if profile == TINY {
        options.write_buffer_bytes = TINY_LAYER;
        options.read_cache_bytes = TINY_READS;
        options.block_cache_bytes = TINY_CACHE;
        options.max_segments = 3;
        options.merge_bytes_per_second = 1 << 40;
        options.hydrate = true;
    }
    options
}

/// Defines harnesses: name, profile, how segments are read.
macro_rules! harnesses {
    ($($(#[$doc:meta])* $name:ident: $profile:expr, $mode:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub(crate) struct $name;

            impl alluvium_state_api::testkit::Harness for $name {
                type Store = alluvium_backend_fs::FsStore;

                fn profile(&self) -> alluvium_state_api::testkit::Profile {
                    $profile
                }

                fn open(
                    &self,
                    env: alluvium_state_api::OpenEnv,
                ) -> alluvium_state_api::Result<Self::Store> {
                    let mode = alluvium_backend_fs::ReadMode::$mode;
                    let options = $crate::harness::options($profile, mode);
                    alluvium_backend_fs::FsStore::open_with(env, options)
                }
            }
        )*
    };
}

pub(crate) use harnesses;
