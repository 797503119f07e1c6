//! Entropy over the life of a job: where its objects are, and that restore, retention, orphans, copies and
//! savepoints do not know of it.

use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    ExportOptions, OrphanOptions, RestorePoint, StartFrom, StorageEnv, Trigger, collect_orphans,
    dispose_savepoint, export, open_pointer, open_storage,
};
use alluvium_state_api::clock::{Clock, ManualClock, SystemClock};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{ErrorKind, Result};
use futures_executor::block_on;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::bucket::everything;
use crate::fake::{Job, assert_whole, id, incremental};

const ROOT: &str = "s3://bucket";
const PLAIN: &str = "s3://bucket/base/checkpoints";
const MARKED: &str = "s3://bucket/base/_entropy_/checkpoints";
const DRAWN: &str = "0123456789abcdef0123456789abcdef";

struct World {
    store: Arc<InMemory>,
    env: StorageEnv,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let opened = Arc::<InMemory>::clone(&store);
        Self { store, env: StorageEnv::default().with_object_store(ROOT, opened) }
    }

    fn settings(url: &str, length: &str) -> Settings {
        Settings::from_pairs([
            ("state.checkpoints.dir", url),
            ("state.savepoints.dir", "s3://bucket/base/_entropy_/savepoints"),
            ("s3.entropy.key", "_entropy_"),
            ("s3.entropy.length", length),
            ("state.storage.fs.memory-threshold", "8 b"),
        ])
        .unwrap()
    }

    fn open(&self, url: &str, length: &str) -> Result<Arc<dyn CheckpointStorage>> {
        open_storage(&Self::settings(url, length), &FileName::new("job-1").unwrap(), &self.env)
    }

    fn job(&self, url: &str, length: &str) -> Job {
        let mut job = Job::over(self.open(url, length).unwrap(), incremental(2));
        job.start(2, StartFrom::Newest).unwrap();
        job
    }

    fn everything(&self) -> Vec<String> {
        everything(&*self.store)
    }

    fn put(&self, key: &str) {
        block_on(self.store.put(&Path::from(key), b"orphan".to_vec().into())).unwrap();
    }
}

#[test]
fn only_data_files_of_checkpoints_are_spread_and_by_their_own_names() {
    let world = World::new();
    let mut job = world.job(MARKED, "4");
    let pointer = job.complete(Trigger::checkpoint()).pointer;
    assert_eq!(pointer, format!("{PLAIN}/job-1/chk-1"));
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    assert!(savepoint.starts_with("s3://bucket/base/savepoints/savepoint-"), "{savepoint}");
    let (mut spread, mut plain) = (0, 0);
    for key in world.everything() {
        let name = key.rsplit('/').next().unwrap();
        if key.starts_with("base/savepoints/") || name == "_metadata" {
            plain += 1;
            continue;
        }
        let below = key.strip_prefix(&format!("base/{}/checkpoints/job-1/", &name[..4]));
        assert!(below.is_some_and(|rest| rest.starts_with("shared/")), "{key}");
        spread += 1;
    }
    assert!(spread > 0 && plain > 2, "{:?}", world.everything());
    assert_whole(&*job.storage);
    let settings = World::settings(MARKED, "4");
    for pointer in [pointer.as_str(), &format!("{MARKED}/job-1/chk-1/_metadata"), &savepoint] {
        let opened = open_pointer(&settings, pointer, &world.env).unwrap();
        RestorePoint::open(&*job.storage, &opened.pointer).unwrap();
    }
}

#[test]
fn a_job_goes_on_with_other_entropy_and_leaves_nothing_behind() {
    let world = World::new();
    for (url, length) in [(PLAIN, "4"), (MARKED, "4"), (MARKED, "2"), (MARKED, "8")] {
        let mut job = world.job(url, length);
        for _ in 0..2 {
            job.complete(Trigger::checkpoint());
        }
        assert_whole(&*job.storage);
        let shared = job.storage.survey().unwrap().shared.len();
        let stored = world.everything().iter().filter(|key| key.contains("/shared/")).count();
        assert_eq!(shared, stored, "{:?}", world.everything());
        assert_eq!(job.storage.list().unwrap().len(), 2);
    }
    let storage = world.open(MARKED, "4").unwrap();
    let survey = storage.survey().unwrap();
    let shared: Vec<_> =
        survey.shared.iter().map(|file| FileName::new(&file.name).unwrap()).collect();
    for place in &survey.checkpoints {
        storage.discard(place.id, &[]).unwrap();
    }
    storage.discard_shared(&shared).unwrap();
    assert_eq!(world.everything(), Vec::<String>::new());
}

#[test]
fn orphans_are_found_in_every_place_and_nothing_else_is() {
    let world = World::new();
    let mut job = world.job(MARKED, "4");
    job.complete(Trigger::checkpoint());
    // Of other jobs and of other people.
    for key in [
        format!("base/0123/checkpoints/job-2/shared/{DRAWN}"),
        format!("base/ffff/checkpoints/job-1/shared/{DRAWN}"),
        format!("0123/checkpoints/job-1/shared/{DRAWN}"),
        "base/0123/checkpoints/job-1/shared/notes".to_owned(),
        format!("base/notes/checkpoints/job-1/shared/{DRAWN}"),
    ] {
        world.put(&key);
    }
    let clean = world.everything();
    for key in [
        format!("base/0123/checkpoints/job-1/shared/{DRAWN}"),
        format!("base/0123/checkpoints/job-1/chk-1/{DRAWN}"),
        format!("base/01/checkpoints/job-1/chk-7/{DRAWN}"),
        format!("base/checkpoints/job-1/chk-8/{DRAWN}"),
    ] {
        world.put(&key);
    }
    let clock = ManualClock::at(SystemClock::new().wall_clock_ms() + 86_400_000);
    let collect = |dry_run| {
        let options = OrphanOptions { min_age: Duration::from_hours(1), dry_run };
        collect_orphans(&job.storage, &clock, options).unwrap()
    };
    let found = collect(true);
    assert_eq!((&found.checkpoints[..], found.shared.len()), (&[id(7), id(8)][..], 1));
    assert_eq!((found.strays.len(), found.files), (1, 4));
    assert_eq!(collect(false), found);
    assert_eq!(world.everything(), clean);
    assert_whole(&*job.storage);
}

#[test]
fn copies_and_savepoints_are_whole_without_entropy() {
    let world = World::new();
    let mut job = world.job(MARKED, "4");
    let checkpoint = job.complete(Trigger::checkpoint()).pointer;
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let copy = "s3://bucket/base/copies/one";
    let point = RestorePoint::open(&*job.storage, &checkpoint).unwrap();
    export(&point, &*job.storage, copy, &ExportOptions::default()).unwrap();
    let other = Settings::from_pairs([("state.checkpoints.dir", "s3://bucket/other")]).unwrap();
    let other = open_storage(&other, &FileName::new("job-1").unwrap(), &world.env).unwrap();
    for pointer in [copy, &savepoint] {
        let mut restored = Job::over(Arc::clone(&other), incremental(1));
        restored.start(3, StartFrom::Pointer(pointer)).unwrap();
        restored.complete(Trigger::checkpoint());
        assert_whole(&*other);
    }
    dispose_savepoint(&*job.storage, &savepoint).unwrap();
    assert!(!world.everything().iter().any(|key| key.contains("savepoints")));
}

#[test]
fn a_marker_that_is_no_part_of_its_own_is_refused() {
    let world = World::new();
    for url in [
        "s3://bucket/x-_entropy_/checkpoints",
        "s3://bucket/_entropy_/_entropy_/checkpoints",
        "s3://bucket/_entropy_/x_entropy_",
    ] {
        let error = world.open(url, "4").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("s3.entropy.key"), "{error}");
    }
    // Directories have none, and a store without the marker stays as it is.
    world.open("s3://bucket/checkpoints", "4").unwrap();
}
