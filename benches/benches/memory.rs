//! Hot paths of the memory backend through the typed front.

use std::hint::black_box;
use std::ops::ControlFlow;

use alluvium_backend_memory::MemoryStore;
use alluvium_benches::Outcome;
use alluvium_benches::disk::Disk;
use alluvium_benches::engine::memory_store;
use alluvium_benches::keys::{accesses, key};
use alluvium_benches::subject::{BATCH, Subject};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    CheckpointId, KeyedBackend, ListDescriptor, ListState, MapDescriptor, MapState,
    ReducingDescriptor, ReducingState, Result, ValueState,
};
use criterion::{Criterion, Throughput};

const KEYS: u64 = 100_000;
const ENTRIES_OF_A_MAP: u64 = 100;

const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
const SUM: ReducingDescriptor<u64> = ReducingDescriptor::new("sum", u64::wrapping_add);
const MAP: MapDescriptor<u64, u64> = MapDescriptor::new("map");

/// Random keys, again and again.
fn random_keys() -> impl Iterator<Item = u64> {
    accesses(KEYS, 1 << 20, 1).into_iter().cycle()
}

fn backend() -> Result<KeyedBackend<u64, MemoryStore>> {
    KeyedBackend::new(memory_store(Vec::new())?)
}

fn value(criterion: &mut Criterion) -> Result<()> {
    let mut subject = Subject::memory(KEYS)?;
    let (count, mut keys) = (subject.count, random_keys());
    let mut next = || keys.next().unwrap_or(0);
    let mut group = criterion.benchmark_group("memory/value");
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
    group.bench_function("update-batch64", |bench| bench.iter(|| subject.update_batched(&batch())));
    group.finish();
    Ok(())
}

fn list(criterion: &mut Criterion) -> Result<()> {
    let mut backend = backend()?;
    let (list, mut keys) = (backend.open(LIST)?, random_keys());
    let mut group = criterion.benchmark_group("memory/list");
    group.throughput(Throughput::Elements(1));
    for number in 0..1000 {
        backend.at(&number)?.list(list).add_all(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])?;
    }
    let mut number = 0;
    group.bench_function("append", |bench| {
        bench.iter(|| {
            let key = keys.next().unwrap_or(0);
            number += 1;
            // now and then a list goes, so that lists have about 64 elements
            let mut at = backend.at(&key)?;
            let mut list = at.list(list);
            if number % 64 == 0 { list.clear() } else { list.add(&number) }
        });
    });
    group.throughput(Throughput::Elements(10));
    group.bench_function("read-10", |bench| {
        bench.iter(|| {
            number += 1;
            let mut sum = 0u64;
            backend.at(&(number % 1000))?.list(list).for_each(|element| {
                sum = sum.wrapping_add(element);
                Ok(ControlFlow::Continue(()))
            })?;
            Result::<u64>::Ok(sum)
        });
    });
    group.finish();
    Ok(())
}

fn reducing(criterion: &mut Criterion) -> Result<()> {
    let mut backend = backend()?;
    let (sum, mut keys) = (backend.open(SUM)?, random_keys());
    let mut group = criterion.benchmark_group("memory/reducing");
    group.throughput(Throughput::Elements(1));
    group.bench_function("add", |bench| {
        bench.iter(|| backend.at(&keys.next().unwrap_or(0))?.reducing(sum).add(1));
    });
    group.finish();
    Ok(())
}

fn map(criterion: &mut Criterion) -> Result<()> {
    let mut backend = backend()?;
    let (map, maps) = (backend.open(MAP)?, KEYS / ENTRIES_OF_A_MAP);
    for number in 0..KEYS {
        backend.at(&key(number % maps))?.map(map).insert(&(number / maps), &number)?;
    }
    let mut number = 0u64;
    let mut next = || {
        number = number.wrapping_add(1);
        (key(number % maps), (number / maps).wrapping_mul(37) % ENTRIES_OF_A_MAP)
    };
    let mut group = criterion.benchmark_group("memory/map");
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

fn snapshot(criterion: &mut Criterion) -> Outcome<()> {
    let mut subject = Subject::memory(KEYS)?;
    let (mut last, mut keys) = (1u64 << 40, random_keys());
    let mut group = criterion.benchmark_group("memory/snapshot");
    group.bench_function("sync-phase", |bench| {
        bench.iter(|| {
            last += 1;
            subject.update(&[keys.next().unwrap_or(0)])?;
            let request = SnapshotRequest::new(CheckpointId::new(last), SnapshotKind::Full);
            subject.backend.snapshot(&request).map(|task| drop(black_box(task)))
        });
    });
    group.finish();
    let mut subject = Subject::memory(KEYS)?;
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let mut group = criterion.benchmark_group("memory/snapshot");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10);
    group.bench_function("full-own-form", |bench| {
        bench.iter(|| {
            let attempt = disk.begin()?;
            let request = SnapshotRequest::new(attempt.id, SnapshotKind::Full);
            let snapshot = attempt.run(subject.backend.snapshot(&request)?)?;
            attempt.remove()?;
            Result::<u64>::Ok(snapshot.bytes_new)
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
