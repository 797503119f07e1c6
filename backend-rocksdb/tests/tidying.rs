//! When databases compact because of this crate: what a rescale has cut off, in the background; small tables. And that
//! they do not while they are restored.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use alluvium_backend_rocksdb::{OptionsHook, RocksStore, rocksdb};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::fixtures::group_of;
use alluvium_state_api::testkit::{Backend, Harness, Kit, Profile, Taken};
use alluvium_state_api::{
    CheckpointId, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, Result, ValueDescriptor,
    ValueState,
};
use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options.
    Plain: PROFILE;
}

/// Default options, and compaction after a rescale.
#[derive(Debug, Default)]
struct Tidy;

impl Harness for Tidy {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        PROFILE
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(PROFILE);
        options.rescaling.compacts = true;
        RocksStore::open_with(env, options)
    }
}

const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const KEYS: u64 = 30_000;

/// Bytes of all tables of the first half, of a snapshot at once and of those that follow, until there are fewer.
fn bytes_of_half<H: Harness>(tries: u32) -> (u64, u64) {
    let kit = Kit::<H>::new();
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(VALUE).unwrap();
    for key in 0..KEYS {
        backend.at(&key).unwrap().value(value).set(&key).unwrap();
    }
    let whole = kit.confirm(&mut backend, SnapshotKind::Incremental);
    let groups = MaxParallelism::new(10).unwrap();
    let range = groups.range_of(0, 2).unwrap();
    // A store that is closed at once leaves nothing behind that holds its directory, and the next one begins anew.
    drop(kit.try_open::<u64>(groups, range, vec![whole.part()]).unwrap());
    let mut half: KeyedBackend<u64, H::Store> =
        kit.try_open(groups, range, vec![whole.part()]).unwrap();
    let mut bytes = whole.snapshot.bytes_full;
    for _ in 0..tries {
        bytes = kit.take(&mut half, SnapshotKind::Incremental).snapshot.bytes_full;
        if bytes * 10 < whole.snapshot.bytes_full * 7 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let value = half.open(VALUE).unwrap();
    let space = half.store().key_space().clone();
    for key in (0..KEYS).filter(|key| range.contains(group_of(&space, key))) {
        assert_eq!(half.at(&key).unwrap().value(value).get().unwrap(), Some(key));
    }
    (whole.snapshot.bytes_full, bytes)
}

#[test]
fn what_was_cut_off_leaves_the_tables_where_that_is_wanted() {
    let (whole, half) = bytes_of_half::<Tidy>(400);
    assert!(half * 10 < whole * 7, "{half} of {whole} bytes are left");
    let (whole, half) = bytes_of_half::<Plain>(4);
    assert!(half * 10 > whole * 7, "{half} of {whole} bytes are left: the test shows nothing");
}

/// Many small tables, which nobody compacts.
#[derive(Debug, Default)]
struct Untouched;

impl Harness for Untouched {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        TINY
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(TINY);
        options.hook = Some(Arc::new(Compaction(false)));
        RocksStore::open_with(env, options)
    }
}

/// Whether tables are compacted as soon as there are two.
#[derive(Debug)]
struct Compaction(bool);

impl OptionsHook for Compaction {
    fn column_family(&self, options: &mut rocksdb::Options) {
        options.set_disable_auto_compactions(!self.0);
        options.set_level_zero_file_num_compaction_trigger(2);
    }
}

#[test]
fn a_database_compacts_once_all_parts_are_in_it() {
    let kit = Kit::<Untouched>::new();
    let groups = MaxParallelism::new(10).unwrap();
    let mut parts = Vec::new();
    for subtask in 0..2 {
        let range = groups.range_of(subtask, 2).unwrap();
        let mut half = kit.try_open::<u64>(groups, range, Vec::new()).unwrap();
        let value = half.open(VALUE).unwrap();
        for key in 0..KEYS {
            if let Ok(mut cx) = half.at(&key) {
                cx.value(value).set(&key).unwrap();
            }
        }
        parts.push(kit.take(&mut half, SnapshotKind::Incremental).part());
    }
    let (directory, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut options = harness::options(TINY);
    options.hook = Some(Arc::new(Compaction(true)));
    options.tuning.log_dir = Some(logs.path().to_path_buf());
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    let store = RocksStore::open_with(env, options).unwrap();
    let log = || {
        let files = std::fs::read_dir(logs.path()).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.filter(|text| text.contains("ingest_finished")).collect::<String>()
    };
    for _ in 0..400 {
        let log = log();
        if let Some(compacts) = log.find("\"compaction_started\"") {
            let ingests = log.rfind("ingest_finished").unwrap();
            assert!(ingests < compacts && log.contains("disable_auto_compactions: false"), "{log}");
            drop(store);
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing is compacted: {}", log());
}

/// Tables of 4 KiB; compacts by itself, or not at all but for what the setting wants.
#[derive(Debug, Default)]
struct Small<const JOINS: bool>;

impl<const JOINS: bool> Harness for Small<JOINS> {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        TINY
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(TINY);
        options.tuning.target_file_bytes = Some(4 << 10);
        if !env.restore.is_empty() {
            options.hook = Some(Arc::new(Compaction(false)));
            options.joining.interval = Duration::from_millis(u64::from(JOINS));
        }
        RocksStore::open_with(env, options)
    }
}

fn tables(taken: &Taken) -> usize {
    taken.snapshot.files.iter().filter(|file| file.label.ends_with(".sst")).count()
}

/// Compares all keys.
fn check<H: Harness>(backend: &mut Backend<H>) {
    let value = backend.open(VALUE).unwrap();
    for key in 0..KEYS {
        assert_eq!(backend.at(&key).unwrap().value(value).get().unwrap(), Some(key));
    }
}

/// Tables of a store, and after at most so many checkpoints of a restored one.
fn course<const JOINS: bool>(checkpoints: u32) -> (usize, usize) {
    let kit = Kit::<Small<JOINS>>::new();
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(VALUE).unwrap();
    for key in 0..KEYS {
        backend.at(&key).unwrap().value(value).set(&key).unwrap();
    }
    let mut taken = kit.confirm(&mut backend, SnapshotKind::Incremental);
    // Until RocksDB has done what it does by itself.
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(30));
        let next = kit.confirm(&mut backend, SnapshotKind::Incremental);
        let is_same = tables(&next) == tables(&taken);
        taken = next;
        if is_same {
            break;
        }
    }
    let before = tables(&taken);
    let mut restored = kit.resume::<u64>(&taken);
    let mut after = before;
    for _ in 0..checkpoints {
        std::thread::sleep(Duration::from_millis(20));
        taken = kit.confirm(&mut restored, SnapshotKind::Incremental);
        after = tables(&taken);
        if after * 4 < before {
            break;
        }
    }
    check::<Small<JOINS>>(&mut restored);
    check::<Small<JOINS>>(&mut kit.restore::<u64>(&[&taken]));
    // A store that is closed while tables are joined leaves nothing behind.
    let _last = kit.take(&mut restored, SnapshotKind::Full);
    drop(restored);
    (before, after)
}

#[test]
fn small_tables_become_few_where_a_setting_wants_it() {
    let (before, after) = course::<true>(200);
    assert!(before > 20 && after * 4 < before, "{before} tables, and then {after}");
    let (before, after) = course::<false>(5);
    assert_eq!(before, after, "nobody joined them");
}

#[test]
fn tables_that_are_old_enough_are_compacted() {
    let reasons = |seconds: u64, tries: u64| {
        let (directory, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut options = harness::options(PROFILE);
        options.tuning.periodic_compaction = Some(Duration::from_secs(seconds));
        options.tuning.log_dir = Some(logs.path().to_path_buf());
        let groups = MaxParallelism::new(10).unwrap();
        let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
        let env = OpenEnv::new(space).with_local_dir(directory.path());
        let store = RocksStore::open_with(env, options).unwrap();
        let mut backend = KeyedBackend::<u64, _>::new(store).unwrap();
        let value = backend.open(VALUE).unwrap();
        let log = || {
            let files = std::fs::read_dir(logs.path()).unwrap();
            let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
            texts.collect::<String>()
        };
        // RocksDB looks at the age of tables whenever there is a new one.
        for checkpoint in 1..=tries {
            backend.at(&checkpoint).unwrap().value(value).set(&checkpoint).unwrap();
            let id = CheckpointId::new(checkpoint);
            let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
            drop(backend.snapshot(&request).unwrap());
            backend.checkpoint_aborted(id).unwrap();
            if log().contains("PeriodicCompaction") {
                return (true, log());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        (false, log())
    };
    let (happened, log) = reasons(1, 100);
    assert!(happened, "{log}");
    let (happened, log) = reasons(0, 20);
    assert!(!happened && log.contains("compaction_started"), "{log}");
}
