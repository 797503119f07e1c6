//! What is large or many: lists of many chunks, maps that are removed by range, states by the hundred.

use std::ops::ControlFlow;

use alluvium_backend_rocksdb::{MemoryBudget, RocksOptions, RocksStore, Tuning};
use alluvium_state_api::snapshot::{CancelToken, SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, KeyedStore, ListDescriptor, ListState, MapDescriptor,
    MapState, MaxParallelism, OpenEnv, RestorePart, Result, ValueDescriptor, ValueState,
};
use tempfile::TempDir;

type Backend = KeyedBackend<u64, RocksStore>;

const LIST: ListDescriptor<Vec<u8>> = ListDescriptor::new("list").with_size_limit(3 << 20);

/// A store with small buffers, and its directory, which goes away after it.
fn open(parts: Vec<RestorePart>) -> Result<(Backend, TempDir)> {
    let groups = MaxParallelism::new(8)?;
    let directory = tempfile::tempdir().map_err(|error| {
        alluvium_state_api::Error::unavailable("no temporary directory").with_source(error)
    })?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    let mut options = RocksOptions::default();
    options.memory = MemoryBudget::PerStore;
    options.tuning = Tuning { write_buffer_bytes: Some(64 << 10), ..Tuning::default() };
    Ok((KeyedBackend::new(RocksStore::open_with(env, options)?)?, directory))
}

/// A snapshot of `backend`, restored.
fn again(backend: &mut Backend, number: u64) -> Result<(Backend, TempDir)> {
    again_of(SnapshotKind::Full, backend, number)
}

fn again_of(kind: SnapshotKind, backend: &mut Backend, number: u64) -> Result<(Backend, TempDir)> {
    let (storage, id) = (TestStorage::default(), CheckpointId::new(number));
    let task = backend.snapshot(&SnapshotRequest::new(id, kind))?;
    let snapshot = run_task(task, &storage.sink(id), &CancelToken::default())?;
    open(vec![RestorePart { snapshot, source: storage.source(id), base: None }])
}

fn element(index: u32) -> Vec<u8> {
    let length = usize::try_from(index % 700).unwrap_or(0);
    let mut element = index.to_le_bytes().to_vec();
    element.resize(4 + length, 7);
    element
}

#[test]
fn a_list_reaches_its_limit_is_refused_and_read_whole() {
    let (mut backend, _directory) = open(Vec::new()).unwrap();
    let list = backend.open(LIST).unwrap();
    let mut added = 0;
    let refused = loop {
        match backend.at(&1).unwrap().list(list).add(&element(added)) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded, "{refused}");
    let check = |backend: &mut Backend| {
        let list = backend.open(LIST).unwrap();
        let mut next = 0;
        let mut cx = backend.at(&1).unwrap();
        assert!(cx.list(list).size().unwrap().bytes > (3 << 20) - 800);
        let visited = cx.list(list).for_each(|found: Vec<u8>| {
            assert_eq!(found, element(next));
            next += 1;
            Ok(ControlFlow::Continue(()))
        });
        visited.unwrap();
        assert_eq!(next, added);
        let error = cx.list(list).add(&element(699)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "also after a restore");
    };
    check(&mut backend);
    let (mut linked, _linked_directory) =
        again_of(SnapshotKind::Incremental, &mut backend, 1).unwrap();
    check(&mut linked);
    drop(linked);
    let (mut restored, _restored_directory) = again(&mut backend, 2).unwrap();
    check(&mut restored);
    let list = restored.open(LIST).unwrap();
    restored.at(&1).unwrap().list(list).clear().unwrap();
    assert!(restored.at(&1).unwrap().list(list).get().unwrap().is_empty());
    restored.at(&1).unwrap().list(list).add(&element(3)).unwrap();
    assert_eq!(
        restored.at(&1).unwrap().list(list).get().unwrap(),
        [element(3)],
        "nothing came back"
    );
}

#[test]
fn an_element_longer_than_a_chunk_stands_among_others() {
    let (mut backend, _directory) = open(Vec::new()).unwrap();
    let list = backend.open(LIST).unwrap();
    let elements = [vec![1; 3], vec![2; 200_000], vec![3; 5], vec![4; 70_000], Vec::new()];
    for element in &elements {
        backend.at(&1).unwrap().list(list).add(element).unwrap();
    }
    assert_eq!(backend.at(&1).unwrap().list(list).get().unwrap(), elements);
    let (mut restored, _restored_directory) = again(&mut backend, 1).unwrap();
    let list = restored.open(LIST).unwrap();
    assert_eq!(restored.at(&1).unwrap().list(list).get().unwrap(), elements);
}

#[test]
fn a_large_map_is_removed_alone() {
    let (mut backend, _directory) = open(Vec::new()).unwrap();
    let map = backend.open(MapDescriptor::<u32, u32>::new("map")).unwrap();
    for entry in 0..5_000 {
        for key in [1, 2, 3] {
            backend.at(&key).unwrap().map(map).insert(&entry, &entry).unwrap();
        }
    }
    backend.at(&2).unwrap().map(map).clear().unwrap();
    backend.at(&2).unwrap().map(map).insert(&7, &8).unwrap();
    for (key, count) in [(1, 5_000), (2, 1), (3, 5_000)] {
        assert_eq!(backend.at(&key).unwrap().map(map).entries().unwrap().len(), count);
    }
    let (mut restored, _restored_directory) = again(&mut backend, 1).unwrap();
    let map = restored.open(MapDescriptor::<u32, u32>::new("map")).unwrap();
    assert_eq!(restored.at(&2).unwrap().map(map).entries().unwrap(), [(7, 8)]);
    assert_eq!(restored.at(&3).unwrap().map(map).entries().unwrap().len(), 5_000);
}

#[test]
fn many_states_share_one_column_family() {
    const NAMES: usize = 400;
    let names: Vec<&'static str> =
        (0..NAMES).map(|index| &*format!("state-{index}").leak()).collect();
    let (mut backend, _directory) = open(Vec::new()).unwrap();
    for (value, name) in (0u64..).zip(&names) {
        let state = backend.open(ValueDescriptor::<u64>::new(name)).unwrap();
        for key in 0..20u64 {
            backend.at(&key).unwrap().value(state).set(&(value + key)).unwrap();
        }
    }
    let statistics = backend.statistics();
    assert_eq!(statistics.states.len(), NAMES);
    assert!(statistics.memory_bytes < 4 << 20, "{} bytes", statistics.memory_bytes);
    let (mut restored, _restored_directory) = again(&mut backend, 1).unwrap();
    for (value, name) in (0u64..).zip(&names) {
        let state = restored.open(ValueDescriptor::<u64>::new(name)).unwrap();
        assert_eq!(restored.at(&3).unwrap().value(state).get().unwrap(), Some(value + 3));
    }
    assert_eq!(restored.store().backend_name(), "rocksdb");
}
