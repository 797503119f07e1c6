//! Native increments: what is uploaded and what stays shared, second names, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use alluvium_backend_rocksdb::{OptionsHook, RocksStore, rocksdb};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, FileFormat, FileLocation, FileName, KeyedSnapshot, Progress, SnapshotContext,
    SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, InlinePolicy};
use alluvium_state_api::testkit::fixtures::{Everything, fill, group_of, image};
use alluvium_state_api::testkit::{Backend, Harness, Kit, Profile, Taken, run_task};
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, RestorePart,
    Result, ValueDescriptor, ValueState,
};
use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options.
    Plain: PROFILE;
}

/// Short of memory, but nothing is compacted, so that tables stay what they are.
#[derive(Debug, Default)]
struct Still;

impl Harness for Still {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        TINY
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(TINY);
        options.hook = Some(Arc::new(NoCompaction));
        RocksStore::open_with(env, options)
    }
}

#[derive(Debug)]
struct NoCompaction;

impl OptionsHook for NoCompaction {
    fn column_family(&self, options: &mut rocksdb::Options) {
        options.set_disable_auto_compactions(true);
        options.set_level_zero_slowdown_writes_trigger(1_000);
        options.set_level_zero_stop_writes_trigger(1_000);
    }
}

const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const INCREMENTAL: SnapshotKind = SnapshotKind::Incremental;

/// Sets a value for each key of the store's key groups.
fn put(backend: &mut Backend<Still>, keys: impl IntoIterator<Item = u64>, value: u64) {
    let handle = backend.open(VALUE).unwrap();
    let space = backend.store().key_space().clone();
    for key in keys {
        if space.range().contains(group_of(&space, &key)) {
            backend.at(&key).unwrap().value(handle).set(&value).unwrap();
        }
    }
}

fn shared(snapshot: &KeyedSnapshot) -> BTreeSet<FileName> {
    let shared = snapshot.files.iter().filter_map(|file| match &file.stored.location {
        FileLocation::Shared(name) => Some(name.clone()),
        _ => None,
    });
    shared.collect()
}

#[test]
fn unchanged_tables_stay_shared_also_after_a_restore_and_a_rescale() {
    let kit = Kit::<Still>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..30_000, 1);
    let full = kit.confirm(&mut backend, INCREMENTAL);
    assert!(shared(&full.snapshot).len() > 5, "many small tables");
    assert!(full.snapshot.files.iter().all(|file| file.format == FileFormat::Native));
    let unchanged = kit.take(&mut backend, INCREMENTAL).snapshot;
    assert_eq!(shared(&unchanged), shared(&full.snapshot));
    assert_eq!(unchanged.kind, SnapshotKind::Incremental);
    assert_eq!(unchanged.bytes_full, full.snapshot.bytes_full);
    let bytes = full.snapshot.bytes_new;
    assert!(unchanged.bytes_new * 20 < bytes, "{} of {bytes}", unchanged.bytes_new);

    let mut resumed = kit.resume::<u64>(&full);
    put(&mut resumed, [7], 2);
    let next = kit.take(&mut resumed, INCREMENTAL).snapshot;
    assert!(next.bytes_new * 10 < bytes, "{} of {bytes}", next.bytes_new);
    drop(resumed);

    let groups = MaxParallelism::new(10).unwrap();
    for subtask in 0..2 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut half = kit.try_open::<u64>(groups, range, vec![full.part_as_base()]).unwrap();
        put(&mut half, [7], 3);
        let next = kit.take(&mut half, INCREMENTAL).snapshot;
        assert!(!shared(&next).is_disjoint(&shared(&full.snapshot)), "subtask {subtask}");
    }
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let kit = Kit::<Still>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..100, 1);
    let whole = kit.confirm(&mut backend, INCREMENTAL);
    let groups = MaxParallelism::new(10).unwrap();
    let mut halves = Vec::new();
    for subtask in 0..2 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut half = kit.try_open::<u64>(groups, range, vec![whole.part_as_base()]).unwrap();
        let handle = half.open(VALUE).unwrap();
        for key in 0..100 {
            if let Ok(mut cx) = half.at(&key) {
                cx.value(handle).clear().unwrap();
            }
        }
        halves.push(kit.take(&mut half, INCREMENTAL));
    }
    // Whichever of the two the database begins with.
    for parts in [[&halves[0], &halves[1]], [&halves[1], &halves[0]]] {
        let mut again = kit.restore::<u64>(&parts);
        let handle = again.open(VALUE).unwrap();
        for key in 0..100 {
            assert_eq!(again.at(&key).unwrap().value(handle).get().unwrap(), None, "key {key}");
        }
    }
}

/// Nothing begins with former files, and what they have comes in batches.
#[derive(Debug, Default)]
struct Copying;

impl Harness for Copying {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        TINY
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(TINY);
        options.rescaling.least_overlap = 0.9;
        options.rescaling.drops_files = false;
        options.rescaling.ingests = false;
        RocksStore::open_with(env, options)
    }
}

#[test]
fn a_rescale_copies_in_batches_where_settings_want_it() {
    let kit = Kit::<Copying>::new();
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(300, 4);
    fill(&mut backend, &states, &image);
    let whole = kit.confirm(&mut backend, INCREMENTAL);
    let groups = MaxParallelism::new(10).unwrap();
    let mut halves = Vec::new();
    for subtask in 0..2 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut half = kit.try_open::<u64>(groups, range, vec![whole.part_as_base()]).unwrap();
        let taken = kit.take(&mut half, INCREMENTAL);
        let is_shared = !shared(&taken.snapshot).is_disjoint(&shared(&whole.snapshot));
        assert!(!is_shared, "less than nine tenths are wanted");
        halves.push(taken);
    }
    let mut again = kit.restore::<u64>(&[&halves[0], &halves[1]]);
    Everything::open(&mut again).check(&mut again, &image, 310);
}

#[test]
fn states_in_another_order_are_grafted_under_their_names() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let kit = Kit::<Plain>::new();
    let groups = MaxParallelism::new(10).unwrap();
    let mut taken = Vec::new();
    for subtask in 0..2_u32 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut backend = kit.try_open::<u64>(groups, range, Vec::new()).unwrap();
        let mut names = NAMES;
        names.rotate_left(usize::try_from(subtask).unwrap() * 3);
        for name in names {
            let handle = backend.open(ValueDescriptor::<String>::new(name)).unwrap();
            for key in 0..200 {
                if let Ok(mut cx) = backend.at(&key) {
                    cx.value(handle).set(&format!("{name} {key}")).unwrap();
                }
            }
        }
        taken.push(kit.take(&mut backend, INCREMENTAL));
    }
    let mut whole = kit.restore::<u64>(&taken.iter().collect::<Vec<_>>());
    for name in NAMES {
        let handle = whole.open(ValueDescriptor::<String>::new(name)).unwrap();
        for key in 0..200 {
            let found = whole.at(&key).unwrap().value(handle).get().unwrap();
            assert_eq!(found, Some(format!("{name} {key}")));
        }
    }
}

/// The first label with that in it.
fn first<'a>(snapshot: &'a mut KeyedSnapshot, what: &str) -> &'a mut Box<str> {
    let mut files = snapshot.files.iter_mut();
    &mut files.find(|file| file.label.contains(what)).unwrap().label
}

/// A change to a snapshot, and what a restore says.
type Damage = (fn(&mut KeyedSnapshot), ErrorKind);

#[test]
fn what_makes_up_no_database_is_refused() {
    let kit = Kit::<Still>::new();
    let mut backend = kit.fresh::<u64>();
    put(&mut backend, 0..2_000, 1);
    let taken = kit.take(&mut backend, INCREMENTAL);
    let damages: [Damage; 11] = [
        (|snapshot| *first(snapshot, ".sst") = "../000001.sst".into(), ErrorKind::Corrupted),
        (|snapshot| *first(snapshot, ".sst") = "/tmp/1.sst".into(), ErrorKind::Corrupted),
        (|snapshot| *first(snapshot, ".sst") = "999999.sst".into(), ErrorKind::Corrupted),
        (|snapshot| *first(snapshot, "CURRENT") = "000001.sst".into(), ErrorKind::Corrupted),
        (|snapshot| *first(snapshot, ".sst") = "CURRENT".into(), ErrorKind::Corrupted),
        (|snapshot| *first(snapshot, "STATES") = "CURRENT".into(), ErrorKind::Corrupted),
        (|snapshot| drop(snapshot.files.remove(0)), ErrorKind::Corrupted),
        (|snapshot| drop(snapshot.files.pop()), ErrorKind::Incompatible),
        (|snapshot| snapshot.states[0].meta.name = "another".into(), ErrorKind::Corrupted),
        (|snapshot| snapshot.files[0].format = FileFormat::State, ErrorKind::Corrupted),
        (|snapshot| snapshot.backend = "fs".into(), ErrorKind::Incompatible),
    ];
    for (index, (damage, kind)) in damages.into_iter().enumerate() {
        let mut snapshot = taken.snapshot.clone();
        damage(&mut snapshot);
        let damaged = Taken { id: taken.id, snapshot, storage: taken.storage.clone() };
        let groups = MaxParallelism::new(10).unwrap();
        let opened = kit.try_open::<u64>(groups, groups.all(), vec![damaged.part()]);
        assert_eq!(opened.map(drop).unwrap_err().kind(), kind, "damage {index}");
    }
}

/// How many names a file has.
fn names_of(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().nlink()
}

fn open(directory: &Path, parts: Vec<RestorePart>) -> KeyedBackend<u64, RocksStore> {
    let groups = MaxParallelism::new(10).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let env = OpenEnv::new(space).with_local_dir(directory).with_restore(parts);
    KeyedBackend::new(Still.open(env).unwrap()).unwrap()
}

#[test]
fn in_one_file_system_tables_get_second_names_both_ways() {
    let root = tempfile::tempdir().unwrap();
    let mut options = LocalOptions::default();
    options.inline_threshold_bytes = 0;
    let randomness = Arc::new(SeededRandomness::new(7));
    let job = FileName::new("job").unwrap();
    let storage =
        LocalStorage::open(Arc::new(RealFs), randomness, &root.path().join("to"), &job, options)
            .unwrap();
    let id = CheckpointId::new(1);
    let mut backend = open(&root.path().join("first"), Vec::new());
    let value = backend.open(VALUE).unwrap();
    for key in 0..30_000 {
        backend.at(&key).unwrap().value(value).set(&key).unwrap();
    }
    let attempt = storage.begin(id).unwrap();
    let task = backend.snapshot(&SnapshotRequest::new(id, INCREMENTAL)).unwrap();
    let (sink, cancel, progress) = (attempt.sink(), CancelToken::default(), Progress::default());
    let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
    let snapshot = task.run(context).unwrap();
    let directories = std::fs::read_dir(root.path().join("first")).unwrap();
    let directories = directories.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(directories.count(), 1, "the task's directory is gone");
    let source = attempt.source();
    let tables: Vec<_> = snapshot
        .files
        .iter()
        .filter(|file| file.label.ends_with(".sst"))
        .map(|file| source.local_path(file).unwrap())
        .collect();
    assert!(tables.len() > 5);
    assert!(tables.iter().all(|path| names_of(path) == 2), "not copied");
    drop(backend);
    assert!(tables.iter().all(|path| names_of(path) == 1), "they outlive the store");
    let part = RestorePart { snapshot, source, base: Some(id) };
    let mut restored = open(&root.path().join("second"), vec![part]);
    assert!(tables.iter().any(|path| names_of(path) == 2), "not copied");
    let value = restored.open(VALUE).unwrap();
    for key in 0..30_000 {
        assert_eq!(restored.at(&key).unwrap().value(value).get().unwrap(), Some(key));
    }
}

#[test]
fn without_a_storage_to_refer_to_an_increment_is_a_state_file() {
    let kit = Kit::<Plain>::new();
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(50, 1));
    let begun = kit.begin(&mut backend, INCREMENTAL);
    let policy = InlinePolicy::Everything { limit_bytes: 1 << 20 };
    let sink = kit.storage.sink(begun.id).inline(policy);
    let snapshot = run_task(begun.task, &sink, &CancelToken::default()).unwrap();
    assert_eq!((snapshot.kind, snapshot.files.len()), (SnapshotKind::Full, 1));
    assert_eq!(snapshot.files[0].format, FileFormat::State);
}
