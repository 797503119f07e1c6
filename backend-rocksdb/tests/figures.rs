//! RocksDB's own figures and its log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alluvium_backend_rocksdb::{
    Figures, MemoryBudget, ProcessBudget, RocksOptions, RocksStore, Tuning,
};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, MaxParallelism, OpenEnv, Recorder, ValueDescriptor,
};
use parking_lot::Mutex;

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<BTreeMap<&'static str, Vec<u64>>>);

impl Recorder for Told {
    fn record(&self, metric: &'static str, value: u64) {
        self.0.lock().entry(metric).or_default().push(value);
    }
}

fn open(options: RocksOptions, told: &Arc<Told>, local: &Path) -> KeyedBackend<u64, RocksStore> {
    let groups = MaxParallelism::new(4).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let mut env = OpenEnv::new(space).with_local_dir(local);
    env.recorder = Arc::<Told>::clone(told);
    KeyedBackend::new(RocksStore::open_with(env, options).unwrap()).unwrap()
}

fn write(backend: &mut KeyedBackend<u64, RocksStore>, keys: u64) {
    let value = backend.open(ValueDescriptor::<Vec<u8>>::new("value")).unwrap();
    for key in 0..keys {
        backend.at(&key).unwrap().value(value).set(&vec![1; 100]).unwrap();
    }
}

/// As settings ask for all of them.
fn all() -> RocksOptions {
    let keys =
        alluvium_state_api::BackendFactory::setting_keys(&alluvium_backend_rocksdb::RocksBackend);
    let keys = keys.iter().filter(|key| key.contains(".metrics.") && !key.ends_with("-variable"));
    let settings = Settings::from_pairs(keys.map(|key| (*key, "true"))).unwrap();
    RocksOptions::from_settings(&settings).unwrap()
}

#[test]
fn what_is_asked_for_is_recorded_at_snapshots_and_in_the_end() {
    let (told, local) = (Arc::new(Told::default()), tempfile::tempdir().unwrap());
    let mut options = all();
    // What is kept in front of RocksDB is written at snapshots only.
    let budget = ProcessBudget { write_back_bytes: Some(0), ..ProcessBudget::default() };
    options.memory = MemoryBudget::PerProcess(budget);
    assert_eq!(options.figures.names().count(), 26 + 11 + 7);
    let mut backend = open(options, &told, local.path());
    write(&mut backend, 1_000);
    let id = CheckpointId::new(1);
    drop(backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental)).unwrap());
    write(&mut backend, 10);
    drop(backend);
    let told = told.0.lock();
    assert_eq!(told.len(), 44);
    assert!(told.values().all(|values| values.len() == 2), "at the snapshot, and in the end");
    let [before, after] = told["rocksdb.bytes-written"][..] else { panic!("twice") };
    assert!(before > 100_000 && (1_000..5_000).contains(&after), "{before}, then {after}");
    assert_eq!(told["rocksdb.num-entries-active-mem-table"][0], 1_000);
    assert_eq!(told["rocksdb.num-files-at-level0"], [0, 1]);
    assert!(told["rocksdb.block-cache-capacity"][0] > 1 << 20);
    assert_eq!(told["rocksdb.background-errors"], [0, 0]);
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let (told, local) = (Arc::new(Told::default()), tempfile::tempdir().unwrap());
    let mut backend = open(RocksOptions::default(), &told, local.path());
    write(&mut backend, 10);
    drop(backend);
    assert!(told.0.lock().is_empty());
    let error = Figures::of(["rocksdb.bytes-eaten"]).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_log_is_placed_and_rolled_by_settings() {
    let (told, local) = (Arc::new(Told::default()), tempfile::tempdir().unwrap());
    let logs = tempfile::tempdir().unwrap();
    let mut options = RocksOptions::default();
    options.memory = MemoryBudget::PerStore;
    options.tuning = Tuning {
        log_dir: Some(logs.path().to_owned()),
        log_file_bytes: Some(8 << 10),
        log_files: Some(3),
        write_buffer_bytes: Some(64 << 10),
        ..Tuning::default()
    };
    let mut backend = open(options, &told, local.path());
    write(&mut backend, 20_000);
    drop(backend);
    let files: Vec<_> = std::fs::read_dir(logs.path()).unwrap().map(Result::unwrap).collect();
    let sizes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
    assert!((2..=3).contains(&files.len()), "{files:?}");
    assert!(sizes.iter().all(|size| *size < 64 << 10), "{sizes:?}");
}
