//! Snapshots of RocksDB restored by the other backends, and the other way round: of every kind, and chains of
//! increments where a backend has them.
#![cfg(all(feature = "memory", feature = "fs", feature = "rocksdb"))]

use alluvium::settings::Settings;
use alluvium::testkit::exchange::exchange;
use alluvium::testkit::{Harness, Increments, Profile};
use alluvium::{KeyedStore, OpenEnv, Result, registry};

/// Defines harnesses of backends by name.
macro_rules! backends {
    ($($(#[$doc:meta])* $harness:ident: $name:literal, $increments:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            struct $harness;

            impl Harness for $harness {
                type Store = Box<dyn KeyedStore>;

                fn profile(&self) -> Profile {
                    Profile {
                        name: $name,
                        increments: Increments::$increments,
                        exact_counts: false,
                        digests: false,
                        local_directory: true,
                        buffer_bytes: 0,
                    }
                }

                fn open(&self, env: OpenEnv) -> Result<Box<dyn KeyedStore>> {
                    registry().open(env, &Settings::from_pairs([("state.backend", $name)])?)
                }
            }
        )*
    };
}

backends! {
    /// In memory.
    Memory: "memory", Native;
    /// In mapped files.
    Fs: "fs", Native;
    /// In RocksDB.
    Rocks: "rocksdb", Native;
}

#[test]
fn memory_and_rocksdb() {
    exchange::<Memory, Rocks>();
    exchange::<Rocks, Memory>();
}

#[test]
fn fs_and_rocksdb() {
    exchange::<Fs, Rocks>();
    exchange::<Rocks, Fs>();
}

#[test]
fn rocksdb_and_itself() {
    exchange::<Rocks, Rocks>();
}

/// Random sequences of everything: the same answers, and canonical snapshots of the same bytes.
mod memory_and_rocksdb_as_one {
    use super::{Memory, Rocks};
    use alluvium::testkit::mirror::Mirror;

    type Both = Mirror<Memory, Rocks>;
    alluvium_state_api::model_suite!(Both, 10);
}
