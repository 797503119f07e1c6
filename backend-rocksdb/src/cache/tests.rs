use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    CheckpointId, KeyedBackend, ListDescriptor, ListState, MapDescriptor, MapState, MaxParallelism,
    OpenEnv, ReducingDescriptor, ReducingState, ValueDescriptor, ValueState,
};

use crate::{MemoryBudget, RocksOptions, RocksStore};

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
const SUM: ReducingDescriptor<u64> = ReducingDescriptor::new("sum", u64::wrapping_add);
const LIST: ListDescriptor<Vec<u8>> = ListDescriptor::new("list");
const MAP: MapDescriptor<u64, Vec<u8>> = MapDescriptor::new("map");
const TABLE_BYTES: u64 = 256 << 10;
const UNWRITTEN_BYTES: u64 = 32 << 10;

struct Rig {
    backend: KeyedBackend<u64, RocksStore>,
    _local: tempfile::TempDir,
}

fn rig() -> Rig {
    let local = tempfile::tempdir().unwrap();
    let groups = MaxParallelism::new(16).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let mut options = RocksOptions { memory: MemoryBudget::PerStore, ..RocksOptions::default() };
    options.write_back.store_bytes = TABLE_BYTES;
    options.write_back.unwritten_bytes = UNWRITTEN_BYTES;
    let env = OpenEnv::new(space).with_local_dir(local.path());
    let store = RocksStore::open_with(env, options).unwrap();
    Rig { backend: KeyedBackend::new(store).unwrap(), _local: local }
}

#[test]
fn memory_and_what_is_unwritten_stay_below_their_limits() {
    let Rig { mut backend, _local } = rig();
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let map = backend.open(MAP).unwrap();
    let mut most = (0, 0);
    for step in 0..60_000u64 {
        let key = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5_000;
        let length = usize::try_from(step % 97 + if step % 100 == 0 { 3_000 } else { 0 }).unwrap();
        let mut at = backend.at(&key).unwrap();
        match step % 6 {
            0 => at.value(value).set(&vec![1; length]).unwrap(),
            1 => at.list(list).add(&vec![2; length]).unwrap(),
            2 => at.value(value).read(|_| ()).unwrap(),
            3 => at.map(map).insert(&(step % 300), &vec![3; length]).unwrap(),
            4 => at.map(map).entries().map(drop).unwrap(),
            _ => at.list(list).clear().unwrap(),
        }
        let cache = &backend.store().cache;
        most = (most.0.max(cache.bytes()), most.1.max(cache.unwritten_bytes));
    }
    // An operation adds at most a value, or the elements that a list gathers, and a piece of the table of slots.
    assert!(most.0 > TABLE_BYTES / 2 && most.0 < TABLE_BYTES + (64 << 10), "{most:?}");
    let limit = usize::try_from(UNWRITTEN_BYTES).unwrap();
    assert!(most.1 > limit / 2 && most.1 < limit + (8 << 10), "{most:?}");
}

#[test]
fn repeated_updates_reach_the_database_once() {
    let Rig { mut backend, _local } = rig();
    let sum = backend.open(SUM).unwrap();
    for step in 0..10_000u64 {
        backend.at(&(step % 10)).unwrap().reducing(sum).add(1).unwrap();
    }
    let written = || backend.store().database.property(c"rocksdb.num-entries-active-mem-table");
    assert_eq!((written(), backend.store().cache.unwritten()), (0, 10));
    let request = SnapshotRequest::new(CheckpointId::new(1), SnapshotKind::Full);
    drop(backend.snapshot(&request).unwrap());
    let store = backend.store();
    let written = store.database.property(c"rocksdb.num-entries-active-mem-table");
    assert_eq!((written, store.cache.unwritten()), (10, 0));
    assert_eq!(backend.at(&3).unwrap().reducing(sum).get().unwrap(), Some(1_000));
}

#[test]
fn a_list_that_lives_shortly_never_reaches_the_database() {
    let Rig { mut backend, _local } = rig();
    let list = backend.open(LIST).unwrap();
    for key in 0..100u64 {
        let mut at = backend.at(&key).unwrap();
        at.list(list).add(&vec![1; 10]).unwrap();
        at.list(list).add(&vec![2; 10]).unwrap();
        assert_eq!(at.list(list).get().unwrap().len(), 2);
        at.list(list).clear().unwrap();
    }
    let request = SnapshotRequest::new(CheckpointId::new(1), SnapshotKind::Full);
    drop(backend.snapshot(&request).unwrap());
    let written = backend.store().database.property(c"rocksdb.num-entries-active-mem-table");
    assert_eq!(written, 0);
}

#[test]
fn a_small_map_is_read_in_order_without_the_database_and_its_short_life_leaves_nothing_there() {
    let Rig { mut backend, _local } = rig();
    let map = backend.open(MAP).unwrap();
    for key in 0..100u64 {
        let mut at = backend.at(&key).unwrap();
        assert!(at.map(map).is_empty().unwrap());
        for name in [2, 1, 3] {
            at.map(map).insert(&name, &vec![1; 10]).unwrap();
        }
        at.map(map).remove(&3).unwrap();
        let found: Vec<u64> = at.map(map).keys().unwrap();
        assert_eq!(found, [1, 2]);
        assert_eq!(at.map(map).get(&3).unwrap(), None);
        if key % 2 == 0 {
            at.map(map).clear().unwrap();
        }
    }
    assert_eq!(backend.store().cache.unwritten(), 100);
    let request = SnapshotRequest::new(CheckpointId::new(1), SnapshotKind::Full);
    drop(backend.snapshot(&request).unwrap());
    let written = backend.store().database.property(c"rocksdb.num-entries-active-mem-table");
    assert_eq!((written, backend.store().cache.unwritten()), (100, 0));
}

#[test]
fn a_value_that_no_longer_fits_goes_to_the_database_and_is_the_newest() {
    let Rig { mut backend, _local } = rig();
    let value = backend.open(VALUE).unwrap();
    for length in [10, 100_000, 20, 200_000, 0] {
        for _ in 0..2 {
            backend.at(&1).unwrap().value(value).set(&vec![7; length]).unwrap();
            let found = backend.at(&1).unwrap().value(value).get().unwrap();
            assert_eq!(found.map(|found| found.len()), Some(length));
        }
    }
    let mut seen = Vec::new();
    backend.at(&1).unwrap().value(value).clear().unwrap();
    backend
        .for_each_key(value, |key| {
            seen.push(key);
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
