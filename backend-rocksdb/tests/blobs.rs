//! Large values in blob files: their snapshots, restores and cuts, and what increments upload.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use alluvium_backend_rocksdb::{MemoryBudget, Profile, RocksOptions, RocksStore, Tuning};
use alluvium_state_api::snapshot::{FileFormat, FileLocation, KeyedSnapshot, SnapshotKind};
use alluvium_state_api::testkit::{self, Backend, Harness, Kit, Taken};
use alluvium_state_api::{
    KeyedBackend, ListDescriptor, ListState, MaxParallelism, OpenEnv, Result, ValueDescriptor,
    ValueState,
};

/// The profile, with write buffers of some values.
#[derive(Debug, Default)]
struct Large;

impl Harness for Large {
    type Store = RocksStore;

    fn profile(&self) -> testkit::Profile {
        testkit::Profile {
            name: "rocksdb",
            increments: testkit::Increments::Native,
            exact_counts: false,
            digests: true,
            local_directory: true,
            buffer_bytes: 8 << 20,
        }
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = RocksOptions::default();
        options.profile = Profile::LargeValueOptimized;
        options.memory = MemoryBudget::PerStore;
        options.tuning = Tuning { write_buffer_bytes: Some(1 << 20), ..Tuning::default() };
        RocksStore::open_with(env, options)
    }
}

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
const LIST: ListDescriptor<Vec<u8>> = ListDescriptor::new("list");
const KEYS: u64 = 200;

/// 4 to 64 KiB that do not compress.
fn value(key: u64, version: u64) -> Vec<u8> {
    let mut word = (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ version.wrapping_mul(77);
    let length = usize::try_from((4 << 10) + word % (60 << 10)).unwrap();
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// Sets those of the keys that the store has.
fn put(backend: &mut Backend<Large>, keys: impl IntoIterator<Item = u64>, version: u64) {
    let handle = backend.open(VALUE).unwrap();
    for key in keys {
        if let Ok(mut cx) = backend.at(&key) {
            cx.value(handle).set(&value(key, version)).unwrap();
        }
    }
}

/// Compares all keys that the store has, of which there must be some.
fn check(backend: &mut KeyedBackend<u64, RocksStore>, version: impl Fn(u64) -> Option<u64>) {
    let handle = backend.open(VALUE).unwrap();
    let mut seen = 0;
    for key in 0..KEYS {
        if let Ok(mut cx) = backend.at(&key) {
            let expected = version(key).map(|version| value(key, version));
            assert!(cx.value(handle).get().unwrap() == expected, "key {key}");
            seen += 1;
        }
    }
    assert!(seen > 10);
}

fn blobs(snapshot: &KeyedSnapshot) -> BTreeSet<String> {
    let blobs = snapshot.files.iter().filter(|file| file.label.ends_with(".blob"));
    blobs
        .map(|file| match &file.stored.location {
            FileLocation::Shared(name) => {
                assert_eq!(file.format, FileFormat::Native);
                name.to_string()
            }
            other => panic!("a blob file is at {other:?}"),
        })
        .collect()
}

const INCREMENTAL: SnapshotKind = SnapshotKind::Incremental;

#[test]
fn increments_share_blob_files_also_after_a_restore() {
    let kit = Kit::<Large>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..KEYS, 0);
    let full = kit.confirm(&mut backend, INCREMENTAL);
    let values: u64 = (0..KEYS).map(|key| value(key, 0).len() as u64).sum();
    let files = full.snapshot.files.iter().filter(|file| file.label.ends_with(".sst"));
    let tables: u64 = files.map(|file| file.stored.length).sum();
    assert!(blobs(&full.snapshot).len() > 2 && full.snapshot.bytes_full > values);
    assert!(tables * 20 < values, "{tables} bytes of tables beside {values} of values");
    put(&mut backend, [7], 1);
    let next = kit.confirm(&mut backend, INCREMENTAL);
    assert!(blobs(&full.snapshot).intersection(&blobs(&next.snapshot)).count() > 2);
    // Compaction may have moved what is in the oldest quarter of the blob files.
    let few = full.snapshot.bytes_full / 2;
    assert!(next.snapshot.bytes_new < few, "{} bytes", next.snapshot.bytes_new);
    drop(backend);

    let mut resumed = kit.resume::<u64>(&next);
    check(&mut resumed, |key| Some(u64::from(key == 7)));
    put(&mut resumed, [8], 1);
    let last = kit.take(&mut resumed, INCREMENTAL);
    assert!(last.snapshot.bytes_new < few, "{} bytes", last.snapshot.bytes_new);
    check(&mut kit.restore::<u64>(&[&last]), |key| Some(u64::from(key == 7 || key == 8)));
}

#[test]
fn blob_files_are_cut_and_grafted() {
    let kit = Kit::<Large>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..KEYS, 0);
    let whole = kit.confirm(&mut backend, INCREMENTAL);
    let groups = MaxParallelism::new(10).unwrap();
    let mut halves = Vec::new();
    for subtask in 0..2 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut half = kit.try_open::<u64>(groups, range, vec![whole.part_as_base()]).unwrap();
        check(&mut half, |_| Some(0));
        put(&mut half, 50..60, 1);
        let handle = half.open(VALUE).unwrap();
        for key in 60..70 {
            if let Ok(mut cx) = half.at(&key) {
                cx.value(handle).clear().unwrap();
            }
        }
        halves.push(kit.take(&mut half, INCREMENTAL));
    }
    let version = |key: u64| match key {
        50..60 => Some(1),
        60..70 => None,
        _ => Some(0),
    };
    for parts in [[&halves[0], &halves[1]], [&halves[1], &halves[0]]] {
        let mut again = kit.restore::<u64>(&parts);
        check(&mut again, version);
        let again = kit.take(&mut again, INCREMENTAL);
        check(&mut kit.restore::<u64>(&[&again]), version);
    }
}

#[test]
fn values_that_are_overwritten_leave_the_blob_files() {
    let kit = Kit::<Large>::new();
    let mut backend = kit.fresh::<u64>();
    let mut taken: Option<Taken> = None;
    for version in 0..12 {
        put(&mut backend, 0..KEYS, version);
        taken = Some(kit.confirm(&mut backend, INCREMENTAL));
    }
    let last = taken.unwrap();
    let values: u64 = (0..KEYS).map(|key| value(key, 11).len() as u64).sum();
    let full = last.snapshot.bytes_full;
    assert!(full < 8 * values, "{full} bytes for {values}: what was overwritten stays");
    check(&mut kit.restore::<u64>(&[&last]), |_| Some(11));
}

#[test]
fn full_snapshots_and_lists_know_nothing_of_blob_files() {
    let kit = Kit::<Large>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..KEYS, 3);
    let list = backend.open(LIST).unwrap();
    for element in 0..300 {
        backend.at(&1).unwrap().list(list).add(&value(element, 9)[..3000].to_vec()).unwrap();
    }
    let elements = |backend: &mut Backend<Large>| {
        let list = backend.open(LIST).unwrap();
        backend.at(&1).unwrap().list(list).get().unwrap()
    };
    for kind in [SnapshotKind::Full, SnapshotKind::Canonical, INCREMENTAL] {
        let taken = kit.take(&mut backend, kind);
        assert_eq!(blobs(&taken.snapshot).is_empty(), kind != INCREMENTAL, "{kind:?}");
        let mut restored = kit.restore::<u64>(&[&taken]);
        check(&mut restored, |_| Some(3));
        assert_eq!(elements(&mut restored), elements(&mut backend));
        assert_eq!(elements(&mut restored).len(), 300);
    }
}
