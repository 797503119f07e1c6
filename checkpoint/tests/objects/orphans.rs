//! Orphans in an object store: the same as in directories, and tombstones.

use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_checkpoint::{OrphanOptions, Orphans, StartFrom, Trigger, collect_orphans};
use alluvium_state_api::clock::{Clock, ManualClock, SystemClock};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, savepoint_name};
use futures_executor::block_on;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::fake::{Job, assert_whole, id, incremental};

const ROOT: &str = "memory-objects://bucket";
const DRAWN: &str = "0123456789abcdef0123456789abcdef";

fn put(store: &InMemory, key: &str, bytes: &'static [u8]) {
    block_on(store.put(&Path::from(key), bytes.into())).unwrap();
}

fn everything(store: &InMemory) -> Vec<String> {
    let listed = block_on(store.list(None).try_collect::<Vec<_>>()).unwrap();
    listed.into_iter().map(|object| object.location.to_string()).collect()
}

#[test]
fn everything_that_nothing_names_is_found_counted_and_removed() {
    let store = Arc::new(InMemory::new());
    let options = ObjectOptions::default().with_savepoints(format!("{ROOT}/savepoints"));
    let job = FileName::new("job-1").unwrap();
    let random = Arc::new(SeededRandomness::new(1));
    let url = format!("{ROOT}/checkpoints");
    let opened = Arc::<InMemory>::clone(&store);
    let storage = ObjectStorage::open(opened, random, ROOT, &url, &job, options).unwrap();
    // So long after everything that no number has to stay occupied.
    let late = SystemClock::new().wall_clock_ms() + 95 * 60_000;
    let storage = storage.with_clock(Arc::new(ManualClock::at(late)));
    let storage: Arc<dyn CheckpointStorage> = Arc::new(storage);
    let mut job = Job::over(Arc::clone(&storage), incremental(2));
    job.start(2, StartFrom::Newest).unwrap();
    job.complete(Trigger::checkpoint());
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let savepoint = savepoint.strip_prefix(ROOT).unwrap();
    // What is not ours to touch, among it an unfinished savepoint of another job.
    let named = |job, random| format!("savepoints/{}", savepoint_name(job, random));
    for other in ["job-2", "job-1b"] {
        put(&store, &format!("{}/{DRAWN}", named(other, 7)), b"other's");
    }
    put(&store, "savepoints/savepoint-job-1-notes/x", b"other's");
    put(&store, "checkpoints/job-1/chk-1/notes", b"other's");
    put(&store, "checkpoints/job-1/shared/notes", b"other's");
    let clean = everything(&store);

    let open = named("job-1", 8);
    put(&store, &format!("{open}/{DRAWN}"), b"1");
    let fenced = named("job-1", 9);
    put(&store, &format!("{fenced}/_metadata"), b"ALVTOMB1\0\0\0\0\0\0\0\0................");
    put(&store, &format!("checkpoints/job-1/chk-1/{DRAWN}"), b"12");
    put(&store, &format!("{savepoint}/{DRAWN}"), b"123");
    put(&store, &format!("checkpoints/job-1/shared/{DRAWN}"), b"1234");
    put(&store, &format!("checkpoints/job-1/chk-9/{DRAWN}"), b"12345");
    let options = |dry_run| OrphanOptions { min_age: Duration::from_mins(90), dry_run };
    let now = SystemClock::new().wall_clock_ms();
    let collect = |after: Duration, dry_run| {
        let clock = ManualClock::at(now + u64::try_from(after.as_millis()).unwrap());
        collect_orphans(&storage, &clock, options(dry_run)).unwrap()
    };
    let young = collect(Duration::from_mins(85), false);
    assert_eq!((young.len(), young.too_young), (0, 6));
    let late = Duration::from_mins(95);
    let found = collect(late, true);
    assert_eq!((&found.checkpoints[..], found.savepoints.len()), (&[id(9)][..], 2));
    assert_eq!((found.shared.len(), found.strays.len()), (1, 2));
    assert_eq!((found.files, found.bytes, found.too_young), (5, 15, 0));
    assert_eq!(collect(late, false), found);
    assert_eq!(everything(&store), clean);
    assert_eq!(collect(late, false), Orphans::default());
    assert_whole(&*storage);
}
