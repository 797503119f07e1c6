//! Native checkpoints of layouts 2 and 3 (FORMAT.md, section 5), which every later version reads; and one of layout 1, which
//! is from before the first release and refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_backend_rocksdb::RocksStore;
use alluvium_state_api::format::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, SubtaskState,
    SubtaskStatistics,
};
use alluvium_state_api::snapshot::{
    CancelToken, FileFormat, KeyedSnapshot, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::{InlinePolicy, InlineSource};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, ErrorKind, InNamespace, KeyedBackend, ListDescriptor, ListState, MapDescriptor,
    MapState, MaxParallelism, OpenEnv, RestorePart, Result, ValueDescriptor, ValueState,
    codec::Native,
};
use tempfile::TempDir;

type Backend = KeyedBackend<String, RocksStore>;

const NAME: ValueDescriptor<String> = ValueDescriptor::new("name");
const WINDOW: ValueDescriptor<u64, Native, InNamespace<String>> =
    ValueDescriptor::new("window").in_namespace();
const EVENTS: ListDescriptor<Vec<u8>> = ListDescriptor::new("events");
const PAGES: MapDescriptor<String, u64> = MapDescriptor::new("pages");
const KEYS: usize = 30;

fn key(number: usize) -> String {
    "k".repeat(number % 5) + &number.to_string()
}

fn try_open(directory: &TempDir, parts: Vec<RestorePart>) -> Result<Backend> {
    let groups = MaxParallelism::new(8).unwrap();
    let space = KeyedBackend::<String>::key_space(groups, groups.all()).unwrap();
    let env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    Backend::new(RocksStore::open(env)?)
}

fn open(parts: Vec<RestorePart>) -> (Backend, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let backend = try_open(&directory, parts).unwrap();
    (backend, directory)
}

fn events(number: usize) -> Vec<Vec<u8>> {
    (0..number).map(|event| vec![u8::try_from(event).unwrap(); event * 7]).collect()
}

fn fill(backend: &mut Backend) {
    let pages = backend.open(PAGES).unwrap();
    let name = backend.open(NAME).unwrap();
    let events_of = backend.open(EVENTS).unwrap();
    let window = backend.open(WINDOW).unwrap();
    for number in 0..KEYS {
        let mut cx = backend.at(key(number).as_str()).unwrap();
        cx.value(name).set(&format!("name {number}")).unwrap();
        for event in events(number) {
            cx.list(events_of).add(&event).unwrap();
        }
        for page in 0..number {
            cx.map(pages).insert(&format!("/{page}"), &(page as u64)).unwrap();
        }
        cx.within(&"now".to_owned()).unwrap().value(window).set(&(number as u64)).unwrap();
    }
    // More than one chunk.
    let mut cx = backend.at("long").unwrap();
    cx.list(events_of).add_all(&vec![vec![7; 30_000]; 3]).unwrap();
}

fn check(backend: &mut Backend) {
    let (name, events_of) = (backend.open(NAME).unwrap(), backend.open(EVENTS).unwrap());
    let (pages, window) = (backend.open(PAGES).unwrap(), backend.open(WINDOW).unwrap());
    for number in 0..KEYS {
        let mut cx = backend.at(key(number).as_str()).unwrap();
        assert_eq!(cx.value(name).get().unwrap(), Some(format!("name {number}")));
        assert_eq!(cx.list(events_of).get().unwrap(), events(number));
        assert_eq!(cx.list(events_of).size().unwrap().elements, number as u64);
        assert_eq!(cx.map(pages).entries().unwrap().len(), number);
        assert_eq!(
            cx.within(&"now".to_owned()).unwrap().value(window).get().unwrap(),
            Some(number as u64)
        );
    }
    let mut cx = backend.at("long").unwrap();
    assert_eq!(cx.list(events_of).get().unwrap(), vec![vec![7; 30_000]; 3]);
}

fn path(layout: u8) -> PathBuf {
    let name = format!("tests/golden/v{layout}/native.metadata");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The golden file as a part to restore.
fn part(layout: u8) -> RestorePart {
    let metadata = CheckpointMetadata::decode(&std::fs::read(path(layout)).unwrap()).unwrap();
    let (_, _, snapshot) = metadata.keyed().next().unwrap();
    assert!(snapshot.files.iter().all(|file| file.format == FileFormat::Native));
    RestorePart { snapshot: snapshot.clone(), source: Arc::new(InlineSource), base: None }
}

fn metadata(snapshot: KeyedSnapshot) -> CheckpointMetadata {
    let subtask = SubtaskState {
        index: 0,
        keyed: Some(snapshot),
        application: Vec::new(),
        statistics: SubtaskStatistics::default(),
    };
    CheckpointMetadata {
        checkpoint: CheckpointId::new(1),
        kind: CheckpointKind::Checkpoint,
        job: "golden".into(),
        timestamp_ms: 1_700_000_000_000,
        attempt: 1,
        application: Vec::new(),
        statistics: CheckpointStatistics::default(),
        operators: vec![OperatorState {
            uid: "words".into(),
            max_parallelism: MaxParallelism::new(8).unwrap(),
            parallelism: 1,
            application: Vec::new(),
            subtasks: vec![subtask],
        }],
        origin: None,
    }
}

#[test]
fn the_native_checkpoint_of_layout_2_is_restored() {
    let (mut backend, _directory) = open(vec![part(2)]);
    check(&mut backend);
}

#[test]
fn the_native_checkpoint_of_layout_3_is_restored() {
    let (mut backend, _directory) = open(vec![part(3)]);
    check(&mut backend);
}

#[test]
fn lists_of_layout_2_are_changed_and_checkpointed() {
    let (mut backend, _directory) = open(vec![part(2)]);
    let (events_of, storage) = (backend.open(EVENTS).unwrap(), TestStorage::default());
    for number in 0..KEYS {
        let mut cx = backend.at(key(number).as_str()).unwrap();
        match number % 3 {
            0 => cx.list(events_of).add(&vec![9; number]).unwrap(),
            1 => cx.list(events_of).update(&[vec![9; number]]).unwrap(),
            _ => cx.list(events_of).clear().unwrap(),
        }
    }
    let id = CheckpointId::new(1);
    let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental)).unwrap();
    let snapshot = run_task(task, &storage.sink(id), &CancelToken::default()).unwrap();
    let part = RestorePart { snapshot, source: storage.source(id), base: None };
    for mut backend in [backend, open(vec![part]).0] {
        let events_of = backend.open(EVENTS).unwrap();
        for number in 0..KEYS {
            let mut expected = if number % 3 == 0 { events(number) } else { Vec::new() };
            if number % 3 < 2 {
                expected.push(vec![9; number]);
            }
            let mut cx = backend.at(key(number).as_str()).unwrap();
            assert_eq!(cx.list(events_of).get().unwrap(), expected, "{number}");
        }
    }
}

#[test]
fn the_native_checkpoint_of_layout_1_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = try_open(&directory, vec![part(1)]).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.message().contains("layout 1"), "{error}");
}

#[test]
#[ignore = "writes the golden file of a new version"]
fn write_it() {
    let (mut backend, _directory) = open(Vec::new());
    fill(&mut backend);
    check(&mut backend);
    let (storage, id) = (TestStorage::default(), CheckpointId::new(1));
    let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental)).unwrap();
    let sink = storage.sink(id).inline(InlinePolicy::Small { threshold_bytes: 1 << 20 });
    let snapshot = run_task(task, &sink, &CancelToken::default()).unwrap();
    std::fs::create_dir_all(path(3).parent().unwrap()).unwrap();
    assert!(!path(3).exists(), "golden files are never overwritten");
    std::fs::write(path(3), metadata(snapshot).encode().unwrap()).unwrap();
}
