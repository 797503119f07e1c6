//! Hot paths of the backend on RocksDB through the typed front: reads, updates, appends and short scans of what lies in
//! tables and of what was written lately.

use std::ops::ControlFlow;

use alluvium_backend_rocksdb::RocksStore;
use alluvium_benches::Outcome;
use alluvium_benches::disk::Disk;
use alluvium_benches::engine::Engine;
use alluvium_benches::keys::{accesses, key};
use alluvium_benches::subject::{BATCH, Subject};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    ListDescriptor, ListState, MapDescriptor, MapState, ReducingDescriptor, ReducingState, Result,
    ValueState,
};
use criterion::{Criterion, Throughput};

const KEYS: u64 = 100_000;
const ENTRIES_OF_A_MAP: u64 = 100;
/// Elements of a list before it goes.
const ELEMENTS: u64 = 64;

const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
const SUM: ReducingDescriptor<u64> = ReducingDescriptor::new("sum", u64::wrapping_add);
const MAP: MapDescriptor<u64, u64> = MapDescriptor::new("map");

/// Random keys, again and again.
fn random_keys() -> impl Iterator<Item = u64> {
    accesses(KEYS, 1 << 20, 1).into_iter().cycle()
}

/// Opens a store out of its own checkpoint, so that everything is in tables and nothing in a cache of ours.
fn reopened(disk: &mut Disk, mut subject: Subject<RocksStore>) -> Outcome<Subject<RocksStore>> {
    let checkpoint = disk.snapshot(&mut subject, SnapshotKind::Incremental)?;
    let part = disk.part(&checkpoint);
    Ok(Subject::over(RocksStore::store(disk, vec![part])?)?)
}

fn value(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let filled = Subject::filled(&mut disk, KEYS)?;
    let mut subject = reopened(&mut disk, filled)?;
    let (count, mut keys) = (subject.count, random_keys());
    let mut next = || keys.next().unwrap_or(0);
    let mut group = criterion.benchmark_group("rocksdb/value");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).get());
    });
    group.bench_function("set", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).set(&1));
    });
    group.bench_function("update", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).update(|n| n.map(|n| n ^ 1)));
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut batch = move || std::array::from_fn::<u64, BATCH, _>(|_| next());
    group.bench_function("get-batch64", |bench| bench.iter(|| subject.get_batched(&batch())));
    group.finish();
    Ok(())
}

fn list(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let (mut filled, lists) = (Subject::<RocksStore>::filled(&mut disk, 1)?, KEYS / ELEMENTS);
    let list = filled.backend.open(LIST)?;
    let elements: Vec<u64> = (0..ELEMENTS).collect();
    for number in 0..lists {
        filled.backend.at(&key(number))?.list(list).add_all(&elements)?;
    }
    let mut backend = reopened(&mut disk, filled)?.backend;
    let list = backend.open(LIST)?;
    let mut number = 0;
    let mut group = criterion.benchmark_group("rocksdb/list");
    group.throughput(Throughput::Elements(ELEMENTS));
    group.bench_function("read-64", |bench| {
        bench.iter(|| {
            number += 1;
            let mut sum = 0u64;
            backend.at(&key(number % lists))?.list(list).for_each(|element| {
                sum = sum.wrapping_add(element);
                Ok(ControlFlow::Continue(()))
            })?;
            Result::<u64>::Ok(sum)
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("append", |bench| {
        bench.iter(|| {
            number += 1;
            let mut at = backend.at(&key(number % lists))?;
            let mut list = at.list(list);
            // now and then a list goes, so that lists stay short
            if number % ELEMENTS == 0 { list.clear() } else { list.add(&number) }
        });
    });
    group.finish();
    Ok(())
}

fn reducing(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let mut backend = Subject::<RocksStore>::filled(&mut disk, 1)?.backend;
    let (sum, mut keys) = (backend.open(SUM)?, random_keys());
    let mut group = criterion.benchmark_group("rocksdb/reducing");
    group.throughput(Throughput::Elements(1));
    group.bench_function("add", |bench| {
        bench.iter(|| backend.at(&keys.next().unwrap_or(0))?.reducing(sum).add(1));
    });
    group.finish();
    Ok(())
}

fn map(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let (mut filled, maps) = (Subject::filled(&mut disk, 1)?, KEYS / ENTRIES_OF_A_MAP);
    let map = filled.backend.open(MAP)?;
    for number in 0..KEYS {
        filled.backend.at(&key(number % maps))?.map(map).insert(&(number / maps), &number)?;
    }
    let mut backend = reopened(&mut disk, filled)?.backend;
    let map = backend.open(MAP)?;
    let mut number = 0u64;
    let mut next = || {
        number = number.wrapping_add(1);
        (key(number % maps), (number / maps).wrapping_mul(37) % ENTRIES_OF_A_MAP)
    };
    let mut group = criterion.benchmark_group("rocksdb/map");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bench| {
        bench.iter(|| {
            let (key, map_key) = next();
            backend.at(&key)?.map(map).get(&map_key)
        });
    });
    group.bench_function("insert", |bench| {
        bench.iter(|| {
            let (key, map_key) = next();
            backend.at(&key)?.map(map).insert(&map_key, &map_key)
        });
    });
    group.throughput(Throughput::Elements(ENTRIES_OF_A_MAP));
    group.bench_function("iterate-100", |bench| {
        bench.iter(|| {
            let mut sum = 0u64;
            backend.at(&next().0)?.map(map).for_each(|map_key, value| {
                sum = sum.wrapping_add(map_key ^ value);
                Ok(ControlFlow::Continue(()))
            })?;
            Result::<u64>::Ok(sum)
        });
    });
    group.finish();
    Ok(())
}

/// The synchronous phase of a full snapshot, in which what was not written back yet goes to RocksDB.
fn snapshot(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let mut subject = Subject::<RocksStore>::filled(&mut disk, KEYS)?;
    let mut keys = random_keys();
    let mut group = criterion.benchmark_group("rocksdb/snapshot");
    group.bench_function("sync-phase", |bench| {
        bench.iter(|| {
            subject.update(&[keys.next().unwrap_or(0)])?;
            let attempt = disk.begin()?;
            let request = SnapshotRequest::new(attempt.id, SnapshotKind::Full);
            drop(subject.backend.snapshot(&request)?);
            attempt.remove()
        });
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]
fn all(criterion: &mut Criterion) {
    value(criterion).expect("value states work");
    list(criterion).expect("list states work");
    reducing(criterion).expect("reducing states work");
    map(criterion).expect("map states work");
    snapshot(criterion).expect("snapshots work");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    all(&mut criterion);
    criterion.final_summary();
}
