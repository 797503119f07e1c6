//! Claim modes: whose a snapshot is that a job starts from, and what is deleted when.

use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{ClaimMode, Orphans, StartFrom, Trigger};
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::FileLocation;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs};

use crate::deletion::REMOVE;
use crate::fake::{Job, assert_whole, id, incremental, local_at, shared_files, shared_name};

/// Another job of the same world, with three checkpoints and a savepoint.
struct Other {
    job: Job,
    checkpoint: String,
    savepoint: String,
}

fn other(fs: &MemoryFs) -> Other {
    let storage = local_at(Arc::new(fs.clone()), Path::new("/other"), 77);
    let mut job = Job::over(storage, incremental(2));
    job.start(2, StartFrom::Newest).unwrap();
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let checkpoint = job.storage.load(id(3)).unwrap().pointer;
    Other { job, checkpoint, savepoint }
}

fn mine(fs: Arc<dyn FileSystem>) -> Job {
    Job::over(local_at(fs, Path::new("/checkpoints"), 5), incremental(1))
}

fn checksums(storage: &dyn CheckpointStorage, pointer: &str) -> Vec<u128> {
    let metadata = storage.open_pointer(pointer).unwrap().metadata;
    let metadata = CheckpointMetadata::decode(&metadata).unwrap();
    let files = metadata.keyed().flat_map(|(_, _, keyed)| keyed.files.clone());
    files.map(|file| file.stored.checksum).collect()
}

#[test]
fn a_claimed_snapshot_becomes_a_checkpoint_of_the_job_on_which_increments_build() {
    for parallelism in [2, 3] {
        for savepoint in [false, true] {
            let fs = MemoryFs::new();
            let other = other(&fs);
            let pointer = if savepoint { &other.savepoint } else { &other.checkpoint };
            let content = checksums(&*other.job.storage, pointer);
            let mut job = mine(Arc::new(fs.clone()));
            let from = StartFrom::Pointer(pointer);
            let plan = job.start_as(parallelism, from, ClaimMode::Claim).unwrap();
            let (claimed, own) = plan.restored.unwrap();
            assert_eq!((claimed, job.retained()), (id(1), vec![1]));
            assert_eq!(checksums(&*job.storage, &own), content);
            assert!(job.stores.iter().any(|store| !store.base().is_empty()));
            let next = job.complete(Trigger::checkpoint());
            let built = checksums(&*job.storage, &next.pointer);
            assert!(content.iter().any(|one| built.contains(one)), "it is an increment");
            // The claimed one was subsumed: the original is gone, what it shared is not touched.
            assert_eq!(job.retained(), [2]);
            assert!(job.storage.open_pointer(pointer).is_err());
            assert_whole(&*job.storage);
            assert_whole(&*other.job.storage);
            assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
        }
    }
}

#[test]
fn without_claim_the_first_checkpoint_builds_on_nothing_and_nothing_foreign_is_deleted() {
    let fs = MemoryFs::new();
    let other = other(&fs);
    for pointer in [&other.savepoint, &other.checkpoint] {
        let mut job = mine(Arc::new(fs.clone()));
        job.start(2, StartFrom::Pointer(pointer)).unwrap();
        let before = checksums(&*job.storage, pointer);
        let first = job.complete(Trigger::checkpoint());
        let metadata = job.storage.load(first.id).unwrap().metadata;
        let metadata = CheckpointMetadata::decode(&metadata).unwrap();
        assert!(metadata.keyed().all(|(_, _, keyed)| keyed.files.len() == 1));
        assert_eq!(metadata.origin, None);
        job.complete(Trigger::checkpoint());
        assert_eq!(checksums(&*job.storage, pointer), before);
        assert_whole(&*other.job.storage);
    }
}

#[test]
fn a_claim_is_found_again_after_a_crash_and_the_jobs_own_are_not_claimed() {
    let fs = MemoryFs::new();
    let other = other(&fs);
    let mut job = mine(Arc::new(fs.clone()));
    let from = StartFrom::Pointer(&other.savepoint);
    let first = job.start_as(2, from, ClaimMode::Claim).unwrap().restored;
    let before = shared_files(&*job.storage);
    job.restart_process();
    assert_eq!(job.start_as(3, from, ClaimMode::Claim).unwrap().restored, first);
    assert_eq!(shared_files(&*job.storage), before);
    let own = first.unwrap().1;
    let plan = job.start_as(2, StartFrom::Pointer(&own), ClaimMode::Claim).unwrap();
    assert_eq!(plan.restored.unwrap().0, id(1));
    assert_eq!(job.retained(), [1]);
    // By another way to the same place it is not recognised, taken over once more, and not deleted
    // while the job has it.
    let alias = own.replace("/checkpoints/", "/checkpoints/./");
    let plan = job.start_as(2, StartFrom::Pointer(&alias), ClaimMode::Claim).unwrap();
    assert!(plan.restored.is_some());
    job.complete(Trigger::checkpoint());
    assert_whole(&*job.storage);
}

#[test]
fn an_original_that_was_replaced_or_removed_meanwhile_is_left_alone() {
    let fs = MemoryFs::new();
    let other = other(&fs);
    let mut job = mine(Arc::new(fs.clone()));
    job.start_as(2, StartFrom::Pointer(&other.savepoint), ClaimMode::Claim).unwrap();
    let path = Path::new(&other.savepoint).join("_metadata");
    let theirs = other.job.storage.load(id(3)).unwrap().metadata;
    fs.remove_file(&path).unwrap();
    fs.create_new(&path).unwrap().write_all(&theirs).unwrap();
    let before = fs.list(Path::new(&other.savepoint)).unwrap();
    job.complete(Trigger::checkpoint());
    assert_eq!((job.retained(), fs.list(Path::new(&other.savepoint)).unwrap()), (vec![2], before));

    let mut job = mine(Arc::new(fs.clone()));
    job.start_as(2, StartFrom::Pointer(&other.checkpoint), ClaimMode::Claim).unwrap();
    other.job.storage.discard(id(3), &[]).unwrap();
    job.complete(Trigger::checkpoint());
    assert_eq!(job.storage.list().unwrap().len(), 1);
    assert_whole(&*job.storage);
}

/// Only what the job itself has published is believed.
#[test]
fn an_origin_in_anybody_elses_metadata_is_not_acted_upon() {
    let fs = MemoryFs::new();
    let victim = other(&fs);
    let storage = local_at(Arc::new(fs.clone()), Path::new("/hostile"), 9);
    let mut hostile = Job::over(storage, incremental(1));
    hostile.start_as(2, StartFrom::Pointer(&victim.savepoint), ClaimMode::Claim).unwrap();
    let pointer = hostile.storage.load(id(1)).unwrap().pointer;
    let mut job = mine(Arc::new(fs.clone()));
    job.start_as(2, StartFrom::Pointer(&pointer), ClaimMode::Claim).unwrap();
    job.complete(Trigger::checkpoint());
    job.complete(Trigger::checkpoint());
    assert!(job.storage.open_pointer(&pointer).is_err(), "this one was claimed");
    checksums(&*job.storage, &victim.savepoint);
    assert_whole(&*victim.job.storage);
}

/// A claim and two checkpoints with a fault at an operation.
fn live(number: u64, fault: Fault) -> (u64, MemoryFs, Other, Vec<u128>) {
    let memory = MemoryFs::new();
    let other = other(&memory);
    let content = checksums(&*other.job.storage, &other.savepoint);
    drop(mine(Arc::new(memory.clone())));
    memory.sync_everything();
    let faulty = FaultyFs::new(Arc::new(memory.clone()));
    let mut job = mine(Arc::new(faulty.clone()));
    let before = faulty.operations();
    let at = before + number;
    drop(faulty.clone().with_fault(at, fault));
    let started = job.start_as(2, StartFrom::Pointer(&other.savepoint), ClaimMode::Claim);
    if started.is_ok() {
        for _ in 0..2 {
            let Ok(plan) = job.coordinator.trigger(Trigger::checkpoint()) else { continue };
            for subtask in 0..2 {
                match job.part(&plan, subtask) {
                    Ok(ack) => {
                        drop(job.coordinator.acknowledge(plan.id, crate::fake::UID, subtask, ack));
                    }
                    Err(_) => drop(job.coordinator.abort(plan.id)),
                }
            }
            job.deliver();
        }
    }
    assert!(faulty.retried().is_empty());
    (faulty.operations() - before, memory, other, content)
}

#[test]
fn a_crash_or_failure_at_any_operation_leaves_the_original_or_a_whole_claim() {
    let mut points = 0;
    for fault in [Fault::PowerCut, Fault::Fails(EIO), Fault::HappensButFails(EIO)] {
        let (operations, ..) = live(u64::MAX / 2, fault);
        for number in 1..=operations {
            let (_, memory, other, content) = live(number, fault);
            for seed in 0..4 {
                points += 1;
                let left = if seed == 0 { memory.crash() } else { memory.crash_with(seed) };
                let storage =
                    local_at(Arc::new(left.clone()), Path::new("/checkpoints"), 500 + seed);
                let mut job = Job::over(storage, incremental(1));
                assert_whole(&*job.storage);
                assert_whole(&*local_at(Arc::new(left.clone()), Path::new("/other"), 600));
                if job.retained().is_empty() {
                    assert_eq!(checksums(&*job.storage, &other.savepoint), content);
                    let from = StartFrom::Pointer(&other.savepoint);
                    job.start_as(2, from, ClaimMode::Claim).unwrap();
                } else {
                    job.start(2, StartFrom::Newest).unwrap();
                }
                job.complete(Trigger::checkpoint());
                job.complete(Trigger::checkpoint());
                let deleted = job.storage.open_pointer(&other.savepoint).is_err();
                assert!(deleted, "{fault:?} at {number}: the original is there");
                // The power cut may only have brought back the note of what there was.
                let rest = left.list(Path::new(&other.savepoint)).unwrap_or_default();
                let data = rest.iter().filter(|entry| entry.name != ".metadata-disposed");
                assert_eq!(data.count(), 0, "{fault:?} at {number}: {rest:?}");
                job.coordinator.collect_orphans(REMOVE).unwrap();
                let rest = job.coordinator.collect_orphans(REMOVE).unwrap();
                assert_eq!(rest, Orphans::default());
                assert_whole(&*job.storage);
            }
        }
    }
    assert!(points > 300, "only {points} points");
}

#[test]
fn claimed_files_have_names_of_the_jobs_own() {
    let fs = MemoryFs::new();
    let other = other(&fs);
    let theirs = shared_files(&*other.job.storage);
    let mut job = mine(Arc::new(fs.clone()));
    let plan = job.start_as(2, StartFrom::Pointer(&other.checkpoint), ClaimMode::Claim).unwrap();
    let parts = plan.operators[0].subtasks.iter().flat_map(|one| &one.restore);
    for file in parts.flat_map(|part| &part.snapshot.files) {
        let name = shared_name(file).map(ToString::to_string);
        let inline = matches!(file.stored.location, FileLocation::Inline(_));
        assert!(inline || name.is_some_and(|name| !theirs.contains(&name)));
    }
}
