//! What nothing names, wherever it lies: found, counted, removed; and what is somebody else's stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    OrphanOptions, Orphans, StartFrom, Trigger, collect_orphans, dispose_savepoint,
};
use alluvium_state_api::clock::{Clock, ManualClock, SystemClock};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, FileScope, savepoint_name};
use alluvium_state_api::vfs::{EntryKind, FileSystem, MemoryFs, RealFs};

use crate::deletion::REMOVE;
use crate::fake::{Job, assert_whole, id, incremental, local_at};

const DRAWN: &str = "0123456789abcdef0123456789abcdef";
const LOOK: OrphanOptions = OrphanOptions { min_age: Duration::ZERO, dry_run: true };

fn put(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) {
    fs.create_new(path).unwrap().write_all(bytes).unwrap();
}

/// Every file and directory below `path`.
fn everything(fs: &dyn FileSystem, path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs.list(path).unwrap() {
        let inside = path.join(entry.name);
        if entry.metadata.kind == EntryKind::Directory {
            found.extend(everything(fs, &inside));
        }
        found.push(inside);
    }
    found
}

/// A job that died while it took checkpoint 4 and a savepoint, and has a complete one.
fn dead() -> (Job, MemoryFs, String) {
    let (mut job, fs) = Job::started(incremental(2));
    job.complete(Trigger::checkpoint());
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    job.complete(Trigger::checkpoint());
    job.restart_process();
    (job, fs, savepoint)
}

#[test]
fn everything_that_nothing_names_is_found_counted_and_removed() {
    let (job, fs, savepoint) = dead();
    // What is not ours to touch, among it an unfinished savepoint of another job.
    let others = ["job-2", "job-1b"].map(|job| savepoint_name(job, 7));
    for directory in ["savepoint-job-1-notes", "other", &others[0], &others[1]] {
        let directory = Path::new("/savepoints").join(directory);
        fs.create_dir(&directory).unwrap();
        put(&fs, &directory.join(DRAWN), b"other's");
    }
    for file in ["notes", "chk-1/notes", "chk-1/.metadata-mine", "shared/notes"] {
        put(&fs, &Path::new("/checkpoints/job-1").join(file), b"other's");
    }
    let clean = everything(&fs, Path::new("/"));
    assert_eq!(collect_orphans(&job.storage, &*job.clock, LOOK).unwrap(), Orphans::default());

    let draft = format!(".metadata-{DRAWN}");
    for file in [DRAWN, &draft, ".metadata-disposed"] {
        put(&fs, &Path::new("/checkpoints/job-1/chk-1").join(file), b"12");
        put(&fs, &Path::new(&savepoint).join(file), b"123");
    }
    put(&fs, &Path::new("/checkpoints/job-1").join(&draft), b"1234");
    put(&fs, &Path::new("/checkpoints/job-1/shared").join(DRAWN), b"12345");
    fs.create_dir(Path::new("/checkpoints/job-1/chk-9")).unwrap();
    put(&fs, &Path::new("/checkpoints/job-1/chk-9").join(DRAWN), b"123456");
    let open = [8, 9].map(|random| format!("/savepoints/{}", savepoint_name("job-1", random)));
    for open in &open {
        fs.create_dir(Path::new(open)).unwrap();
    }
    put(&fs, &Path::new(&open[0]).join(DRAWN), b"1234567");
    let littered = everything(&fs, Path::new("/"));

    let found = collect_orphans(&job.storage, &*job.clock, LOOK).unwrap();
    assert_eq!(everything(&fs, Path::new("/")), littered, "it only looks");
    assert_eq!(found.checkpoints, [id(9)]);
    assert_eq!(found.savepoints, open);
    assert_eq!((found.shared.len(), found.strays.len(), found.len()), (1, 7, 11));
    let strays: Vec<_> = found.strays.iter().map(ToString::to_string).collect();
    assert!(strays.contains(&format!("chk-1/{DRAWN}")), "{strays:?}");
    assert!(strays.contains(&format!("{savepoint}/{draft}")), "{strays:?}");
    assert!(strays.contains(&format!("./{draft}")), "{strays:?}");
    assert_eq!((found.files, found.bytes, found.too_young), (10, 37, 0));

    let young = collect_orphans(&job.storage, &*job.clock, OrphanOptions::default()).unwrap();
    assert_eq!((young.len(), young.too_young), (0, 11), "nobody knows how old they are");
    assert_eq!(collect_orphans(&job.storage, &*job.clock, REMOVE).unwrap(), found);
    assert_eq!(everything(&fs, Path::new("/")), clean);
    assert_eq!(job.coordinator.collect_orphans(LOOK).unwrap(), Orphans::default());
    assert_whole(&*job.storage);
    dispose_savepoint(&*job.storage, &savepoint).unwrap();
}

#[test]
fn a_disposal_that_stopped_anywhere_is_found() {
    let (job, fs, savepoint) = dead();
    let own = Path::new(&savepoint);
    fs.remove_file(&own.join("_metadata")).unwrap();
    put(&fs, &own.join(".metadata-disposed"), b"");
    let left = fs.list(own).unwrap().len();
    let found = collect_orphans(&job.storage, &*job.clock, REMOVE).unwrap();
    assert_eq!((found.savepoints.len(), found.files), (1, left));
    assert!(fs.list(Path::new("/savepoints")).unwrap().is_empty());
}

#[test]
fn what_is_under_way_is_no_orphan() {
    let (mut job, _, _) = dead();
    job.start(2, StartFrom::Newest).unwrap();
    let plans = [Trigger::checkpoint(), Trigger::savepoint(None)]
        .map(|trigger| job.coordinator.trigger(trigger).unwrap());
    for plan in &plans {
        job.ack(plan, 0);
    }
    let found = job.coordinator.collect_orphans(REMOVE).unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert!(found.too_young > 0);
    for plan in &plans {
        job.ack(plan, 1);
    }
    assert_whole(&*job.storage);
    let savepoint = job.storage.open_pointer(&plans[1].pointer).unwrap();
    assert_eq!(savepoint.pointer, plans[1].pointer);
}

/// The name of a savepoint does not tell whose it is for sure, so another job may be writing it.
#[test]
fn an_incomplete_savepoint_is_no_orphan_within_the_hour() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn CheckpointStorage> = {
        let path = directory.path();
        let options = LocalOptions::default().with_savepoint_directory(path);
        let (job, random) = (FileName::new("job-1").unwrap(), SeededRandomness::new(1));
        let opened = LocalStorage::open(Arc::new(RealFs), Arc::new(random), path, &job, options);
        Arc::new(opened.unwrap())
    };
    drop(storage.begin_savepoint(None).unwrap());
    let now = SystemClock::new().wall_clock_ms();
    let look = |after: Duration| {
        let clock = ManualClock::at(now + u64::try_from(after.as_millis()).unwrap());
        collect_orphans(&storage, &clock, LOOK).unwrap()
    };
    let young = look(Duration::from_mins(58));
    assert_eq!((young.savepoints.len(), young.too_young), (0, 1));
    let old = look(Duration::from_mins(62));
    assert_eq!((old.savepoints.len(), old.too_young), (1, 0));
}

/// What the storage of another job of that name holds is its own.
#[test]
fn other_jobs_keep_what_is_theirs() {
    let (job, fs, _) = dead();
    let other = local_at(Arc::new(fs.clone()), Path::new("/others"), 5);
    let attempt = other.begin(id(3)).unwrap();
    let mut file = attempt.sink().create(FileScope::Shared).unwrap();
    file.write(&[1; 100]).unwrap();
    file.finish().unwrap();
    let before = everything(&fs, Path::new("/others"));
    assert!(collect_orphans(&job.storage, &*job.clock, REMOVE).unwrap().is_empty());
    assert_eq!(everything(&fs, Path::new("/others")), before);
}
