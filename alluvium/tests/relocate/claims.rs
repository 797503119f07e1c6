//! Snapshots of another job, claimed or not: what the first checkpoints build on, and whose files stay.

use alluvium_checkpoint::{ClaimMode, RestoreOptions, StartFrom, Trigger};
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::vfs::MemoryFs;

use super::harness::Memory;
use super::job::{Held, Job, local, steps};

const GROUPS: u32 = 16;

/// A savepoint and a chain of increments of another job, and what both hold.
fn original(fs: &MemoryFs) -> ([String; 2], Held) {
    let mut job = Job::<Memory>::fresh(fs, GROUPS, 3, SnapshotKind::Incremental);
    job.run(&steps(1, 800, 2_000), false);
    job.complete(Trigger::checkpoint());
    job.run(&steps(2, 800, 20), false);
    let chain = job.complete(Trigger::checkpoint()).pointer;
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let chained = job.point(&chain).metadata().keyed().any(|(_, _, keyed)| keyed.files.len() > 1);
    assert!(chained, "an incremental chain");
    let held = job.held();
    ([savepoint, chain], held)
}

/// Starts another job from `pointer`, changes a little, and takes a checkpoint; returns the job, and
/// whether that builds upon what it started from.
fn life(fs: &MemoryFs, pointer: &str, parallelism: u32, claim: ClaimMode) -> (Job<Memory>, bool) {
    let mut job = Job::<Memory>::open(local(fs, "/another"), SnapshotKind::Incremental);
    let options = RestoreOptions { claim, ..RestoreOptions::default() };
    job.start_with(parallelism, None, StartFrom::Pointer(pointer), options);
    job.run(&steps(3, 800, 20), false);
    let first = job.complete(Trigger::checkpoint());
    let point = job.point(&first.pointer);
    let mut kinds = point.metadata().keyed().map(|(_, _, keyed)| keyed.kind);
    let builds = kinds.any(|kind| kind == SnapshotKind::Incremental);
    (job, builds)
}

#[test]
fn increments_build_on_what_was_claimed_and_restore_when_it_is_gone() {
    for which in [0, 1] {
        for parallelism in [3, 2, 5] {
            let fs = MemoryFs::new();
            let (pointers, before) = original(&fs);
            let pointer = &pointers[which];
            let (mut job, builds) = life(&fs, pointer, parallelism, ClaimMode::Claim);
            assert!(builds, "{pointer} at {parallelism}");
            for seed in 4..6 {
                job.run(&steps(seed, 800, 20), false);
                job.complete(Trigger::checkpoint());
            }
            assert!(job.storage.open_pointer(pointer).is_err(), "{pointer} was claimed");
            let held = job.held();
            assert!(held != before);
            drop(job);
            for parallelism in [1, 4] {
                let storage = local(&fs, "/another");
                let mut job = Job::<Memory>::open(storage, SnapshotKind::Incremental);
                job.start(parallelism, None, StartFrom::Newest);
                assert!(job.held() == held, "{pointer} at {parallelism}");
            }
        }
    }
}

#[test]
fn without_a_claim_the_first_checkpoint_is_full_and_several_jobs_start_from_one_snapshot() {
    let fs = MemoryFs::new();
    let (pointers, before) = original(&fs);
    for pointer in &pointers {
        for parallelism in [3, 2] {
            let (mut job, builds) = life(&fs, pointer, parallelism, ClaimMode::NoClaim);
            assert!(!builds, "{pointer} at {parallelism}");
            job.complete(Trigger::checkpoint());
            job.complete(Trigger::checkpoint());
            let mut again = Job::<Memory>::open(local(&fs, "/third"), SnapshotKind::Full);
            again.start(1, None, StartFrom::Pointer(pointer));
            assert!(again.held() == before, "{pointer}");
        }
    }
}
