//! A savepoint that the memory backend wrote is what any other backend writes, to the last byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::RestorePoint;
use alluvium_state_api::format::{OperatorState, VERSION};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{
    CancelToken, Progress, SnapshotContext, SnapshotFile, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::{SnapshotSource, local};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{
    CheckpointId, KeyGroupRange, KeyedBackend, KeyedStore, OpenEnv, RestorePart,
};

#[expect(unreachable_pub, dead_code, reason = "an example is a crate of its own")]
#[path = "../examples/own_backend.rs"]
mod own_backend;

fn savepoint() -> RestorePoint {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specimen = root.join(format!("../backend-memory/tests/golden/v{VERSION}/savepoint-none"));
    let entries = std::fs::read_dir(specimen).unwrap().map(|entry| entry.unwrap().path());
    let savepoint = entries.map(|path| path.join("_metadata")).find(|path| path.is_file());
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let pointer = savepoint.unwrap();
    RestorePoint::read(local::open_pointer(&fs, pointer.to_str().unwrap()).unwrap()).unwrap()
}

fn key_space(operator: &OperatorState, range: KeyGroupRange) -> KeySpace {
    let groups = operator.max_parallelism;
    match &*operator.uid {
        "numbers" => KeyedBackend::<u64>::key_space(groups, range).unwrap(),
        _ => KeyedBackend::<String>::key_space(groups, range).unwrap(),
    }
}

fn bytes_of(source: &dyn SnapshotSource, file: &SnapshotFile) -> Vec<u8> {
    let reader = source.open(file).unwrap();
    let mut bytes = vec![0; usize::try_from(reader.len()).unwrap()];
    reader.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Restores the golden savepoint in stores that `open` opens, and compares what they write with it.
fn compare<S: KeyedStore>(mut open: impl FnMut(OpenEnv) -> S) {
    let point = savepoint();
    let mut compared = 0;
    for (operator, _, snapshot) in point.metadata().keyed() {
        let source = Arc::clone(point.source());
        let part = RestorePart { snapshot: snapshot.clone(), source, base: None };
        let env = OpenEnv::new(key_space(operator, snapshot.range)).with_restore(vec![part]);
        let mut store = open(env);
        let (storage, id) = (TestStorage::default(), CheckpointId::new(1));
        let (sink, cancel) = (storage.sink(id), CancelToken::default());
        let progress = Progress::default();
        let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
        let request = SnapshotRequest::new(id, SnapshotKind::Canonical);
        let taken = store.snapshot(&request).unwrap().run(context).unwrap();
        let ([written], [golden]) = (&*taken.files, &*snapshot.files) else {
            panic!("a canonical snapshot is one file");
        };
        let written = storage.read(id, written).unwrap();
        assert!(*written == *bytes_of(&**point.source(), golden), "{}", operator.uid);
        compared += 1;
    }
    assert_eq!(compared, 4, "two operators of two subtasks");
}

#[test]
fn the_golden_savepoint_is_what_a_b_tree_writes() {
    compare(|env| own_backend::OwnStore::open(&env).unwrap());
}

#[test]
#[cfg(all(feature = "cli", feature = "memory", feature = "fs", feature = "rocksdb"))]
fn the_golden_savepoint_is_what_each_backend_writes() {
    let registry = alluvium::registry();
    for name in registry.names() {
        let settings = alluvium::settings::Settings::from_pairs([("state.backend", name)]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        compare(|env| registry.open(env.with_local_dir(directory.path()), &settings).unwrap());
    }
}
