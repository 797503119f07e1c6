//! Hot paths of the backend on the file system through the typed front: reads that a segment answers, reads
//! that the write layer answers, updates, appends, and short scans.

use std::ops::ControlFlow;

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_benches::Outcome;
use alluvium_benches::disk::Disk;
use alluvium_benches::engine::fs_store;
use alluvium_benches::keys::{accesses, key};
use alluvium_benches::subject::{BATCH, Subject};
use alluvium_state_api::codec::Native;
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::{
    KeyedBackend, ListDescriptor, ListState, MapDescriptor, MapHandle, MapState, NoNamespace,
    Result, ValueState,
};
use criterion::{Criterion, Throughput};

const KEYS: u64 = 100_000;
const ENTRIES_OF_A_MAP: u64 = 100;

const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
const MAP: MapDescriptor<u64, u64> = MapDescriptor::new("map");

/// Random keys, again and again.
fn random_keys() -> impl Iterator<Item = u64> {
    accesses(KEYS, 1 << 20, 1).into_iter().cycle()
}

/// Takes a checkpoint of a store and opens it again from there, so that everything is in segments.
fn reopened(disk: &mut Disk, mut subject: Subject<FsStore>) -> Outcome<Subject<FsStore>> {
    let checkpoint = disk.snapshot(&mut subject, SnapshotKind::Incremental)?;
    let part = disk.part(&checkpoint);
    Ok(Subject::over(fs_store(disk, vec![part], FsOptions::default())?)?)
}

fn value(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let filled = Subject::filled(&mut disk, KEYS)?;
    let mut subject = reopened(&mut disk, filled)?;
    let (count, mut keys) = (subject.count, random_keys());
    let mut next = || keys.next().unwrap_or(0);
    let mut group = criterion.benchmark_group("fs/value");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get-from-segment", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).get());
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    let batch = |next: &mut dyn FnMut() -> u64| std::array::from_fn::<u64, BATCH, _>(|_| next());
    group.bench_function("get-from-segment-batch64", |bench| {
        bench.iter(|| subject.get_batched(&batch(&mut next)));
    });
    subject.touch_all(KEYS)?;
    group.throughput(Throughput::Elements(1));
    group.bench_function("get-from-layer", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).get());
    });
    group.bench_function("update-in-layer", |bench| {
        bench.iter(|| subject.backend.at(&next())?.value(count).update(|n| n.map(|n| n ^ 1)));
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("get-from-layer-batch64", |bench| {
        bench.iter(|| subject.get_batched(&batch(&mut next)));
    });
    group.finish();
    Ok(())
}

/// Lists of 64 elements in a segment, to which a few are appended until they go.
fn list(criterion: &mut Criterion) -> Outcome<()> {
    let mut disk = Disk::new(&std::env::temp_dir())?;
    let mut filled = Subject::filled(&mut disk, 1)?;
    let list = filled.backend.open(LIST)?;
    let elements: Vec<u64> = (0..64).collect();
    for number in 0..KEYS / 64 {
        filled.backend.at(&key(number))?.list(list).add_all(&elements)?;
    }
    let mut backend = reopened(&mut disk, filled)?.backend;
    let list = backend.open(LIST)?;
    let mut number = 0;
    let mut group = criterion.benchmark_group("fs/list");
    group.throughput(Throughput::Elements(64));
    group.bench_function("read-64-from-segment", |bench| {
        bench.iter(|| {
            number += 1;
            let mut sum = 0u64;
            backend.at(&key(number % (KEYS / 64)))?.list(list).for_each(|element| {
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
            let mut at = backend.at(&key(number % (KEYS / 64)))?;
            let mut list = at.list(list);
            // now and then a list goes, so that lists stay short
            if number % 64 == 0 { list.clear() } else { list.add(&number) }
        });
    });
    group.finish();
    Ok(())
}

type Map = MapHandle<u64, u64, Native, Native, NoNamespace>;

fn sum(backend: &mut KeyedBackend<u64, FsStore>, map: Map, number: u64) -> Result<u64> {
    let mut sum = 0u64;
    backend.at(&key(number % (KEYS / ENTRIES_OF_A_MAP)))?.map(map).for_each(|map_key, value| {
        sum = sum.wrapping_add(map_key ^ value);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sum)
}

/// Scans of maps in a segment, and with a tenth of their entries in the write layer.
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
    let mut group = criterion.benchmark_group("fs/map");
    group.throughput(Throughput::Elements(ENTRIES_OF_A_MAP));
    group.bench_function("iterate-100-in-segment", |bench| {
        bench.iter(|| {
            number = number.wrapping_add(1);
            sum(&mut backend, map, number)
        });
    });
    for number in (0..KEYS).step_by(10) {
        let map_key = (number / maps / 10) * 10;
        backend.at(&key(number % maps))?.map(map).insert(&map_key, &number)?;
    }
    group.bench_function("iterate-100-in-segment-and-layer", |bench| {
        bench.iter(|| {
            number = number.wrapping_add(1);
            sum(&mut backend, map, number)
        });
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]
fn all(criterion: &mut Criterion) {
    value(criterion).expect("value states work");
    list(criterion).expect("list states work");
    map(criterion).expect("map states work");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    all(&mut criterion);
    criterion.final_summary();
}
