//! Directories moved with plain file operations, and checkpoints copied out.

use std::path::Path;

use alluvium_checkpoint::{ExportOptions, StartFrom, Trigger, export};
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::testkit::Harness;
use alluvium_state_api::vfs::{FileSystem, MemoryFs};

use super::Own;
use super::fs::Fs;
#[cfg(feature = "rocksdb")]
use super::fs::Rocks;
use super::harness::Memory;
use super::job::{Held, Job, copy_files, local, remove_files, steps};

/// A job of three subtasks after increments; what it holds.
fn run<H: Harness>(fs: &MemoryFs) -> (Job<H>, Held) {
    let mut job = Job::<H>::fresh(fs, 128, 3, SnapshotKind::Incremental);
    job.run(&steps(1, 40, 300), true);
    job.complete(Trigger::checkpoint());
    let held = job.held();
    assert!(held.len() > 150);
    (job, held)
}

/// Everything of the original is gone, and `pointer` restores into `H` at every parallelism.
fn restores<H: Harness>(fs: &MemoryFs, pointer: &str, held: &Held) {
    for parallelism in [1, 2, 3, 8, 128] {
        let mut job = Job::<H>::open(local(fs, "/another"), SnapshotKind::Full);
        let plan = job.start(parallelism, None, StartFrom::Pointer(pointer));
        assert_eq!(plan.application, b"position");
        assert_eq!(plan.operators[0].application, b"operator");
        assert!(job.held() == *held, "{pointer} at {parallelism}");
    }
}

fn savepoint_of<From: Harness>() {
    let fs = MemoryFs::new();
    let (mut job, held) = run::<From>(&fs);
    for target in [None, Some("/chosen")] {
        let plan = job.complete(Trigger::savepoint(target));
        let (from, to) = (Path::new(&plan.pointer), Path::new("/carried-away"));
        let name = from.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("savepoint-job-1-"), "{name}");
        assert_eq!(from.parent().unwrap(), Path::new(target.unwrap_or("/saved")));
        copy_files(&fs, from, to);
        remove_files(&fs, from);
        for pointer in ["/carried-away", "/carried-away/_metadata", "file:///carried-away/"] {
            restores::<Memory>(&fs, pointer, &held);
        }
        restores::<Own>(&fs, "/carried-away", &held);
        restores::<Fs>(&fs, "/carried-away", &held);
        #[cfg(feature = "rocksdb")]
        restores::<Rocks>(&fs, "/carried-away", &held);
        remove_files(&fs, to);
    }
}

#[test]
fn a_savepoint_of_memory_that_was_copied_elsewhere_restores_everywhere() {
    savepoint_of::<Memory>();
}

#[test]
fn a_savepoint_of_fs_that_was_copied_elsewhere_restores_everywhere() {
    savepoint_of::<Fs>();
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_savepoint_of_rocksdb_that_was_copied_elsewhere_restores_everywhere() {
    savepoint_of::<Rocks>();
}

#[test]
fn a_savepoint_of_the_example_that_was_copied_elsewhere_restores_everywhere() {
    savepoint_of::<Own>();
}

#[test]
fn a_copied_out_chain_restores_after_the_job_is_gone() {
    let fs = MemoryFs::new();
    let (job, held) = run::<Memory>(&fs);
    let newest = job.coordinator.completed().next_back().unwrap().pointer.clone();
    let point = job.point(&newest);
    let chained = point.metadata().keyed().any(|(_, _, keyed)| keyed.files.len() > 1);
    assert!(chained, "an incremental chain");
    export(&point, &*job.storage, "/copy/first", &ExportOptions::default()).unwrap();
    drop(job);
    remove_files(&fs, Path::new("/checkpoints"));
    restores::<Memory>(&fs, "/copy/first", &held);
    restores::<Fs>(&fs, "/copy/first", &held);
    #[cfg(feature = "rocksdb")]
    restores::<Rocks>(&fs, "/copy/first", &held);
    // A copy moves with plain file operations as well.
    copy_files(&fs, Path::new("/copy/first"), Path::new("/moved"));
    remove_files(&fs, Path::new("/copy"));
    restores::<Memory>(&fs, "/moved", &held);
}

/// The directory moves with increments in it, whose files several checkpoints share.
fn directory_of<H: Harness>() {
    let fs = MemoryFs::new();
    let mut job = Job::<H>::fresh(&fs, 16, 3, SnapshotKind::Incremental);
    job.run(&steps(1, 800, 2_000), false);
    job.complete(Trigger::checkpoint());
    for seed in 2..4 {
        job.run(&steps(seed, 3, 4), false);
        job.complete(Trigger::checkpoint());
    }
    let newest = job.coordinator.completed().next_back().unwrap().id;
    let held = job.held();
    drop(job);
    copy_files(&fs, Path::new("/checkpoints"), Path::new("/elsewhere"));
    remove_files(&fs, Path::new("/checkpoints"));
    let mut moved = Job::<H>::open(local(&fs, "/elsewhere"), SnapshotKind::Incremental);
    let plan = moved.start(3, None, StartFrom::Newest);
    let (id, pointer) = plan.restored.unwrap();
    assert_eq!(id, newest);
    assert!(pointer.starts_with("/elsewhere/"), "{pointer}");
    assert!(moved.held() == held);
    let mut after = None;
    for seed in 9..12 {
        moved.run(&steps(seed, 3, 4), false);
        let plan = moved.complete(Trigger::checkpoint());
        let statistics = moved.point(&plan.pointer).metadata().statistics;
        assert!(statistics.bytes_new * 2 < statistics.bytes_full, "an increment: {statistics:?}");
        after = Some((plan, moved.held()));
    }
    let (plan, held) = after.unwrap();
    let mut again = Job::<H>::open(local(&fs, "/elsewhere"), SnapshotKind::Incremental);
    assert_eq!(again.start(2, None, StartFrom::Newest).restored.unwrap().0, plan.id);
    assert!(again.held() == held);
    assert!(fs.list(Path::new("/checkpoints")).is_err(), "nothing is written where it was");
}

#[test]
fn a_jobs_directory_moves_as_a_whole_and_increments_go_on() {
    directory_of::<Memory>();
}

#[test]
fn a_jobs_directory_of_fs_moves_as_a_whole_and_increments_go_on() {
    directory_of::<Fs>();
}
