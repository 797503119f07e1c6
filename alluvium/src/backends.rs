//! Which backends this build has.

use alluvium_state_api::BackendRegistry;
#[cfg(not(all(feature = "memory", feature = "fs", feature = "rocksdb")))]
use alluvium_state_api::MissingBackend;

/// All backends of the family by name: those that were built in, and for the others one that says
/// which feature brings it. Add backends of your own with [`BackendRegistry::with`].
///
/// | name | other names | feature |
/// |---|---|---|
/// | `memory` | `jobmanager`, `hashmap` | `memory` (default) |
/// | `fs` | `filesystem` | `fs` (default) |
/// | `rocksdb` | `embedded-rocksdb` | `rocksdb` |
///
/// ```
/// use alluvium::{ErrorKind, registry};
///
/// assert_eq!(registry().find("hashmap")?.name(), "memory");
/// assert_eq!(registry().find("tape").unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), alluvium::Error>(())
/// ```
pub fn registry() -> BackendRegistry {
    let registry = BackendRegistry::new();
    #[cfg(feature = "memory")]
    let registry = registry.with(alluvium_backend_memory::MemoryBackend);
    #[cfg(not(feature = "memory"))]
    let registry =
        registry.with(MissingBackend::new("memory", &["jobmanager", "hashmap"], "memory"));
    #[cfg(feature = "fs")]
    let registry = registry.with(alluvium_backend_fs::FsBackend);
    #[cfg(not(feature = "fs"))]
    let registry = registry.with(MissingBackend::new("fs", &["filesystem"], "fs"));
    #[cfg(feature = "rocksdb")]
    let registry = registry.with(alluvium_backend_rocksdb::RocksBackend);
    #[cfg(not(feature = "rocksdb"))]
    let registry = registry.with(MissingBackend::new("rocksdb", &["embedded-rocksdb"], "rocksdb"));
    registry
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::settings::Settings;
    use alluvium_state_api::{ErrorKind, KeyedBackend, MaxParallelism, OpenEnv};

    use super::*;

    fn env() -> OpenEnv {
        let groups = MaxParallelism::new(4).unwrap();
        OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap())
    }

    #[test]
    #[cfg(feature = "memory")]
    fn memory_is_found_by_all_its_names_and_is_the_default() {
        for name in ["memory", "hashmap", "jobmanager", "Memory"] {
            let settings = Settings::from_pairs([("state.backend", name)]).unwrap();
            let store = registry().open(env(), &settings).unwrap();
            assert_eq!(store.backend_name(), "memory");
        }
        let store = registry().open(env(), &Settings::new()).unwrap();
        assert_eq!(store.backend_name(), "memory");
    }

    #[test]
    fn what_was_not_built_in_names_its_feature() {
        let backends = [
            ("memory", cfg!(feature = "memory"), ["hashmap", "jobmanager"].as_slice()),
            ("fs", cfg!(feature = "fs"), &["filesystem"]),
            ("rocksdb", cfg!(feature = "rocksdb"), &["embedded-rocksdb"]),
        ];
        for (feature, is_built_in, aliases) in backends {
            for name in aliases.iter().chain([&feature]) {
                assert_eq!(registry().find(name).unwrap().name(), feature);
                let settings = Settings::from_pairs([("state.backend", *name)]).unwrap();
                let error = registry().open(env(), &settings).err();
                let error = error.filter(|error| error.kind() == ErrorKind::Unsupported);
                assert_eq!(error.is_none(), is_built_in, "{name}");
                let wanted = format!("--features {feature}");
                assert!(error.is_none_or(|error| error.message().contains(&wanted)));
            }
        }
    }
}
