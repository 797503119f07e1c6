//! Shared files, both ways in which counting them goes wrong: deleted too early, kept for ever. Each
//! test is named after what once went wrong in Apache Flink, whose issue it cites.
//!
//! After each story the files that are there are exactly those that published manifests name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{ClaimMode, Options, StartFrom, Trigger};
use alluvium_state_api::Error;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, MemoryFs};

use crate::fake::{
    Job, UID, assert_whole, id, incremental, local, local_at, local_over, shared_files, shared_name,
};

/// The shared files that published manifests name.
fn named(storage: &dyn CheckpointStorage) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for id in storage.list().unwrap() {
        let metadata = storage.load(id).unwrap().metadata;
        let metadata = CheckpointMetadata::decode(&metadata).unwrap();
        let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
        names.extend(files.filter_map(shared_name).map(ToString::to_string));
    }
    names
}

/// Nothing is missing, and nothing is left over.
fn assert_exact(storage: &dyn CheckpointStorage) {
    assert_whole(storage);
    let there: BTreeSet<_> = shared_files(storage).into_iter().collect();
    assert_eq!(there, named(storage));
}

fn with_two(options: Options) -> (Job, MemoryFs) {
    let (mut job, fs) = Job::started(options);
    for _ in 0..2 {
        job.complete(Trigger::checkpoint());
    }
    (job, fs)
}

/// FLINK-6964.
#[test]
fn inherited_files_are_known_after_a_restore() {
    let (mut job, _) = with_two(incremental(1));
    job.restart_process();
    job.start(2, StartFrom::Newest).unwrap();
    let inherited = named(&*job.storage);
    job.complete(Trigger::checkpoint());
    assert!(inherited.is_subset(&named(&*job.storage)), "it builds on what was restored");
    assert_exact(&*job.storage);
    job.complete(Trigger::full_checkpoint());
    assert!(inherited.is_disjoint(&named(&*job.storage)));
    assert_exact(&*job.storage);
    // What was restored is itself replaced: its files are known, too.
    job.restart_process();
    job.start(2, StartFrom::Newest).unwrap();
    let restored = named(&*job.storage);
    job.complete(Trigger::full_checkpoint());
    assert!(restored.is_disjoint(&named(&*job.storage)));
    assert_exact(&*job.storage);
}

/// FLINK-7268: a master that was replaced goes on with a deletion that it had begun.
#[test]
fn a_deletion_from_before_a_restart_does_not_hurt_what_came_after() {
    let memory = MemoryFs::new();
    let faulty = FaultyFs::new(Arc::new(memory.clone()));
    let mut old = Job::over(local_over(Arc::new(faulty.clone()), 1), incremental(1));
    old.start(2, StartFrom::Newest).unwrap();
    old.complete(Trigger::checkpoint());
    let plan = old.coordinator.trigger(Trigger::checkpoint()).unwrap();
    old.ack(&plan, 0);
    let last = old.part(&plan, 1).unwrap();
    let mut at = faulty.operations();
    for _ in 0..200 {
        at += 1;
        drop(faulty.clone().with_fault(at, Fault::Fails(EIO)));
    }
    // Publication fails or deletion does, wherever the faults begin to be met.
    drop(old.coordinator.acknowledge(plan.id, UID, 1, last));
    let mut new = Job::over(local_over(Arc::new(memory.clone()), 2), incremental(1));
    new.start(3, StartFrom::Newest).unwrap();
    for _ in 0..3 {
        new.complete(Trigger::checkpoint());
        old.clock.advance(std::time::Duration::from_mins(1));
        old.coordinator.tick();
        assert_whole(&*local(&memory));
    }
}

/// FLINK-7783: an attempt that was never registered removes what it wrote, and nothing of others.
#[test]
fn giving_up_what_was_never_registered_removes_nothing_of_others() {
    let (mut job, fs) = with_two(incremental(2));
    let before = named(&*job.storage);
    let stranger = local_over(Arc::new(fs.clone()), 900);
    let attempt = stranger.begin(id(9)).unwrap();
    let mut file = attempt.sink().create(alluvium_state_api::storage::FileScope::Shared).unwrap();
    file.write(&[7; 100]).unwrap();
    drop(file.finish().unwrap());
    attempt.abort().unwrap();
    stranger.discard(id(9), &[]).unwrap();
    assert_eq!(named(&*job.storage), before);
    assert_exact(&*job.storage);
    job.complete(Trigger::checkpoint());
    assert_exact(&*job.storage);
}

/// FLINK-24611.
#[test]
fn an_aborted_checkpoint_takes_nothing_along_that_others_use() {
    let (mut job, _) = Job::started(Options { max_concurrent: 3, ..incremental(1) });
    job.complete(Trigger::checkpoint());
    let plans = [(); 2].map(|()| job.coordinator.trigger(Trigger::checkpoint()).unwrap());
    job.ack(&plans[0], 0);
    job.ack(&plans[1], 0);
    assert!(job.coordinator.abort(plans[0].id));
    job.ack(&plans[1], 1);
    job.deliver();
    assert_eq!(job.retained(), [plans[1].id.get()]);
    assert_exact(&*job.storage);
    job.complete(Trigger::checkpoint());
    assert_exact(&*job.storage);
}

/// FLINK-25395.
#[test]
fn a_failed_upload_does_not_delete_what_earlier_checkpoints_use() {
    let (mut job, _) = with_two(incremental(1));
    let before = named(&*job.storage);
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    let written = job.part(&plan, 0).unwrap();
    assert!(written.keyed.unwrap().files.len() > 1, "it refers to earlier files");
    let error = Error::unavailable("the upload failed");
    assert!(job.coordinator.decline(plan.id, UID, 1, error).unwrap());
    job.deliver();
    assert_eq!(named(&*job.storage), before);
    assert_exact(&*job.storage);
    job.start(2, StartFrom::Newest).unwrap();
    job.complete(Trigger::checkpoint());
    assert_exact(&*job.storage);
}

/// FLINK-26985.
#[test]
fn files_of_the_checkpoint_restored_from_are_not_deleted_unless_claimed() {
    let fs = MemoryFs::new();
    let storage = local_at(Arc::new(fs.clone()), Path::new("/other"), 70);
    let mut other = Job::over(storage, incremental(1));
    other.start(2, StartFrom::Newest).unwrap();
    other.complete(Trigger::checkpoint());
    let pointer = other.complete(Trigger::checkpoint()).pointer;
    let before = named(&*other.storage);
    let mut job = Job::over(local(&fs), incremental(1));
    job.start_as(3, StartFrom::Pointer(&pointer), ClaimMode::NoClaim).unwrap();
    for _ in 0..4 {
        job.complete(Trigger::checkpoint());
        assert_eq!(named(&*other.storage), before);
        assert_exact(&*other.storage);
        assert_exact(&*job.storage);
    }
}

/// FLINK-29913.
#[test]
fn of_two_in_flight_neither_takes_the_others_files_for_its_own() {
    let (mut job, _) = Job::started(Options { max_concurrent: 4, ..incremental(1) });
    job.complete(Trigger::checkpoint());
    let plans = [(); 3].map(|()| job.coordinator.trigger(Trigger::checkpoint()).unwrap());
    for plan in &plans {
        job.ack(plan, 0);
    }
    // The second completes first and subsumes the one before it; then the third.
    job.ack(&plans[1], 1);
    job.deliver();
    assert_whole(&*job.storage);
    job.ack(&plans[2], 1);
    job.deliver();
    assert_eq!(job.retained(), [plans[2].id.get()]);
    job.complete(Trigger::checkpoint());
    assert_exact(&*job.storage);
}

/// FLINK-30461.
#[test]
fn files_of_a_failed_checkpoint_do_not_stay_for_ever() {
    let (mut job, _) = with_two(incremental(2));
    for round in 0..4 {
        let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
        drop(job.part(&plan, 0).unwrap());
        job.ack(&plan, 1);
        if round % 2 == 0 {
            let error = Error::unavailable("disk full");
            job.coordinator.decline(plan.id, UID, 0, error).unwrap();
        } else {
            job.clock.advance(std::time::Duration::from_hours(1));
            job.coordinator.tick();
        }
        job.deliver();
        assert_exact(&*job.storage);
    }
    job.complete(Trigger::checkpoint());
    assert_exact(&*job.storage);
}

/// FLINK-37367.
#[test]
fn what_was_uploaded_before_is_inherited_over_restarts_and_rescales() {
    let (mut job, _) = with_two(incremental(1));
    for parallelism in [2, 3, 1, 2] {
        job.restart_process();
        job.start(parallelism, StartFrom::Newest).unwrap();
        let before = named(&*job.storage);
        let plan = job.complete(Trigger::checkpoint());
        let after = named(&*job.storage);
        let new = after.difference(&before).count();
        assert!(new <= parallelism as usize, "checkpoint {} wrote {new} files", plan.id);
        assert!(after.intersection(&before).next().is_some());
        assert_exact(&*job.storage);
    }
}

/// FLINK-39964.
#[test]
fn what_builds_on_a_claimed_savepoint_restores_when_that_is_gone() {
    let fs = MemoryFs::new();
    let storage = local_at(Arc::new(fs.clone()), Path::new("/other"), 70);
    let mut other = Job::over(storage, incremental(1));
    other.start(2, StartFrom::Newest).unwrap();
    let pointer = other.complete(Trigger::savepoint(None)).pointer;
    let mut job = Job::over(local(&fs), incremental(1));
    job.start_as(2, StartFrom::Pointer(&pointer), ClaimMode::Claim).unwrap();
    let claimed = named(&*job.storage);
    job.complete(Trigger::checkpoint());
    assert!(job.storage.open_pointer(&pointer).is_err(), "the claimed savepoint was deleted");
    assert!(claimed.is_subset(&named(&*job.storage)), "the checkpoint builds on it");
    job.restart_process();
    job.start(3, StartFrom::Newest).unwrap();
    assert_exact(&*job.storage);
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
        assert_exact(&*job.storage);
    }
}
