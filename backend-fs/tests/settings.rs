//! The backend by name: its settings, their bounds, and what it needs.

use alluvium_backend_fs::{FsBackend, FsOptions, FsStore, ReadMode};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::{
    BackendRegistry, ErrorKind, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, Result,
};

fn env() -> Result<OpenEnv> {
    let groups = MaxParallelism::new(4)?;
    Ok(OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all())?))
}

#[test]
fn all_settings_are_read() {
    let settings = Settings::from_pairs([
        ("state.backend", "filesystem"),
        ("state.backend.fs.write-buffer-size", "1 mb"),
        ("state.backend.fs.read-mode", "pread"),
        ("state.backend.fs.read-cache-size", "4 mb"),
        ("state.backend.fs.block-cache-size", "2 mb"),
        ("state.backend.fs.max-segments", "5"),
        ("state.backend.fs.merge-rate", "3 mb"),
        ("state.backend.fs.hydrate", "true"),
    ])
    .unwrap();
    let options = FsOptions::from_settings(&settings).unwrap();
    assert_eq!(options.write_buffer_bytes, 1 << 20);
    assert_eq!(options.read_mode, ReadMode::Pread);
    assert_eq!(options.read_cache_bytes, 4 << 20);
    assert_eq!(options.block_cache_bytes, 2 << 20);
    assert_eq!(options.max_segments, 5);
    assert_eq!(options.merge_bytes_per_second, 3 << 20);
    assert!(options.hydrate && !FsOptions::default().hydrate);
    let directory = tempfile::tempdir().unwrap();
    let registry = BackendRegistry::new().with(FsBackend);
    let store = registry.open(env().unwrap().with_local_dir(directory.path()), &settings).unwrap();
    assert_eq!(store.backend_name(), "fs");
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    for (key, value) in [
        ("state.backend.fs.write-buffer-size", "1 kb"),
        ("state.backend.fs.write-buffer-size", "much"),
        ("state.backend.fs.read-mode", "guess"),
        ("state.backend.fs.read-cache-size", "2 tb"),
        ("state.backend.fs.block-cache-size", "0"),
        ("state.backend.fs.max-segments", "1"),
        ("state.backend.fs.max-segments", "1001"),
        ("state.backend.fs.merge-rate", "0"),
        ("state.backend.fs.hydrate", "perhaps"),
    ] {
        let settings = Settings::from_pairs([("state.backend", "fs"), (key, value)]).unwrap();
        let error = FsOptions::from_settings(&settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        assert!(error.message().contains(key), "{error}");
    }
    let mut options = FsOptions::default();
    options.max_segments = 0;
    let directory = tempfile::tempdir().unwrap();
    let opened = FsStore::open_with(env().unwrap().with_local_dir(directory.path()), options);
    assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn an_unknown_setting_of_the_backend_is_refused() {
    let settings =
        Settings::from_pairs([("state.backend", "fs"), ("state.backend.fs.write-bufer", "1 mb")]);
    let registry = BackendRegistry::new().with(FsBackend);
    let directory = tempfile::tempdir().unwrap();
    let opened = registry.open(env().unwrap().with_local_dir(directory.path()), &settings.unwrap());
    let Err(error) = opened else { panic!("the setting does not exist") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_directory_is_needed_and_has_one_owner() {
    let error = FsStore::open(env().unwrap()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("local directory"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let first = FsStore::open(env().unwrap().with_local_dir(directory.path())).unwrap();
    let second =
        FsStore::open(env().unwrap().with_local_dir(directory.path())).map(drop).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InvalidInput, "{second}");
    drop(first);
    FsStore::open(env().unwrap().with_local_dir(directory.path())).map(drop).unwrap();
}
