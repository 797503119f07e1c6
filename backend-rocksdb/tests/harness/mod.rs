//! How the RocksDB backend introduces itself to the kit: with default options, or with buffers, files and caches so
//! small that flushes, compactions and evictions happen all the time.

use alluvium_backend_rocksdb::{MemoryBudget, RocksOptions, Tuning};
use alluvium_state_api::testkit::{Increments, Profile};

/// What it promises.
pub(crate) const PROFILE: Profile = Profile {
    name: "rocksdb",
    increments: Increments::Native,
    exact_counts: false,
    digests: true,
    local_directory: true,
    buffer_bytes: 128 << 20,
};

/// The same where memory is short.
pub(crate) const TINY: Profile = Profile { buffer_bytes: 4 << 20, ..PROFILE };

/// What a profile with tiny buffers says where all values lie in blob files.
pub(crate) const BLOB_BYTES: u64 = TINY.buffer_bytes + 1;

/// The options of a store with this profile.
pub(crate) fn options(profile: Profile) -> RocksOptions {
    let mut options = RocksOptions::default();
    if profile.buffer_bytes < PROFILE.buffer_bytes {
        options.memory = MemoryBudget::PerStore;
        options.write_back.store_bytes = 16 << 10;
        options.write_back.unwritten_bytes = 2 << 10;
        options.tuning = Tuning {
            write_buffer_bytes: Some(64 << 10),
            target_file_bytes: Some(64 << 10),
            level_base_bytes: Some(256 << 10),
            block_bytes: Some(1 << 10),
            block_cache_bytes: Some(64 << 10),
            bloom_filter: Some(true),
            min_blob_bytes: (profile.buffer_bytes == BLOB_BYTES).then_some(1),
            ..Tuning::default()
        };
    }
    options
}

/// Defines harnesses: name, profile. Where the profile says that increments are written as full ones, none is asked
/// for: `state.backend.incremental` is false.
macro_rules! harnesses {
    ($($(#[$doc:meta])* $name:ident: $profile:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub(crate) struct $name;

            impl alluvium_state_api::testkit::Harness for $name {
                type Store = alluvium_backend_rocksdb::RocksStore;

                fn profile(&self) -> alluvium_state_api::testkit::Profile {
                    $profile
                }

                fn open(
                    &self,
                    env: alluvium_state_api::OpenEnv,
                ) -> alluvium_state_api::Result<Self::Store> {
                    let options = $crate::harness::options($profile);
                    alluvium_backend_rocksdb::RocksStore::open_with(env, options)
                }

                fn asked(
                    &self,
                    kind: alluvium_state_api::snapshot::SnapshotKind,
                ) -> alluvium_state_api::snapshot::SnapshotKind {
                    use alluvium_state_api::snapshot::SnapshotKind;
                    use alluvium_state_api::testkit::Increments;
                    match ($profile.increments, kind) {
                        (Increments::WrittenAsFull, SnapshotKind::Incremental) => SnapshotKind::Full,
                        _ => kind,
                    }
                }
            }
        )*
    };
}

pub(crate) use harnesses;
