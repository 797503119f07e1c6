//! Another number of key groups: the result is what the job would have written itself.

use std::path::Path;

use alluvium_checkpoint::{RehashOptions, Rehashed, RestorePoint, StartFrom, Trigger, rehash};
use alluvium_state_api::format::metadata::CheckpointKind;
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{Compression, SnapshotKind};
use alluvium_state_api::testkit::groups;
use alluvium_state_api::vfs::{FileSystem, MemoryFs};
use alluvium_state_api::{ErrorKind, Result};

use super::Own;
use super::harness::Memory;
use super::job::{Job, Step, UID, local, steps};

const NUMBERS: [u32; 4] = [1, 7, 1000, 32_768];

/// All bytes of the state files, by subtask.
pub(super) fn bytes_of(point: &RestorePoint) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, _, keyed) in point.metadata().keyed() {
        assert_eq!((keyed.kind, keyed.files.len()), (SnapshotKind::Canonical, 1));
        let reader = point.source().open(&keyed.files[0]).unwrap();
        let mut bytes = vec![0; usize::try_from(reader.len()).unwrap()];
        reader.read_exact_at(0, &mut bytes).unwrap();
        all.push(bytes);
    }
    all
}

/// A savepoint that a job with `count` key groups takes after `steps`.
fn native(steps: &[Step], count: u32, parallelism: u32) -> RestorePoint {
    let mut job = Job::<Memory>::fresh(&MemoryFs::new(), count, parallelism, SnapshotKind::Full);
    job.run(steps, false);
    let savepoint = job.complete(Trigger::savepoint(None));
    job.point(&savepoint.pointer)
}

pub(super) fn rehashed(
    fs: &MemoryFs,
    from: &RestorePoint,
    options: &RehashOptions,
) -> Result<Rehashed> {
    let target = format!(
        "/rehashed/{}-{}",
        options.groups,
        fs.list(Path::new("/rehashed")).map_or(0, |all| all.len())
    );
    rehash(from, &*local(fs, "/checkpoints"), &target, options, &SeededRandomness::new(8))
}

/// Options with room for so many bytes.
pub(super) fn options(count: u32, memory_bytes: u64) -> RehashOptions {
    let mut options = RehashOptions::new(groups(count));
    options.memory_bytes = memory_bytes;
    options
}

pub(super) fn same_bytes(found: &RestorePoint, wanted: &RestorePoint, what: &str) {
    assert!(bytes_of(found) == bytes_of(wanted), "{what}");
    let states = |point: &RestorePoint| -> Vec<_> {
        point.metadata().keyed().map(|(_, _, keyed)| (keyed.range, keyed.states.clone())).collect()
    };
    assert_eq!(states(found), states(wanted), "{what}");
}

#[test]
fn random_contents_come_out_as_the_job_would_have_written_them() {
    let mut several = 0;
    for seed in 0..6 {
        let fs = MemoryFs::new();
        let steps = steps(100 + seed, 50, 250);
        let mut job = Job::<Memory>::fresh(&fs, 128, 3, SnapshotKind::Incremental);
        job.run(&steps, true);
        let chain = job.complete(Trigger::checkpoint()).pointer;
        let full = job.complete(Trigger::full_checkpoint()).pointer;
        let savepoint = job.complete(Trigger::savepoint(None)).pointer;
        let held = job.held();
        for (number, count) in (0..).zip(NUMBERS) {
            let parallelism = count.min(3);
            let wanted = native(&steps, count, parallelism);
            for (from, memory) in [(&chain, 12_000), (&full, 60_000), (&savepoint, 64 << 20)] {
                let what = format!("seed {seed}, {count} groups, {from}, {memory} bytes");
                let done = rehashed(&fs, &job.point(from), &options(count, memory)).unwrap();
                let found = job.point(&done.pointer);
                assert_eq!(found.metadata().kind, CheckpointKind::Savepoint);
                assert_eq!(found.metadata().application, b"position");
                same_bytes(&found, &wanted, &what);
                several += u64::from(done.operators[0].passes > 7);
                // And back again.
                let back = rehashed(&fs, &found, &options(128, memory)).unwrap();
                let wanted = native(&steps, 128, parallelism);
                same_bytes(&job.point(&back.pointer), &wanted, &what);
                if from == &savepoint {
                    let parallelism = [1, 5, 2, 100][number].min(count);
                    let from = StartFrom::Pointer(&done.pointer);
                    let mut memory = Job::<Memory>::open(local(&fs, "/a"), SnapshotKind::Full);
                    let plan = memory.start(parallelism, None, from);
                    assert_eq!(plan.operators[0].operator.groups(), groups(count));
                    assert!(memory.held() == held, "{what}");
                    let mut own = Job::<Own>::open(local(&fs, "/b"), SnapshotKind::Full);
                    own.start(parallelism, None, from);
                    assert!(own.held() == held, "{what}");
                }
            }
        }
    }
    assert!(several > 20, "only {several} took several passes");
}

#[test]
fn what_was_done_is_reported_and_bytes_of_the_application_stay() {
    let fs = MemoryFs::new();
    let mut job = Job::<Memory>::fresh(&fs, 128, 3, SnapshotKind::Full);
    job.run(&steps(3, 30, 100), false);
    let from = job.complete(Trigger::savepoint(None)).pointer;
    let from = job.point(&from);
    let mut options = options(256, 1 << 20);
    options.compression = Compression::Lz4;
    let done = rehashed(&fs, &from, &options).unwrap();
    let operator = &done.operators[0];
    assert_eq!((&*operator.uid, operator.parallelism), (UID, (3, 3)));
    assert_eq!(operator.groups, (groups(128), groups(256)));
    assert_eq!(operator.states.len(), 7);
    for state in &operator.states {
        let was = from.metadata().keyed().flat_map(|(_, _, keyed)| &keyed.states);
        let was = was.filter(|was| was.meta.name == state.name);
        assert_eq!(state.entries, was.map(|was| was.entries.get()).sum::<u64>());
    }
    let (was, is) = (from.metadata().clone(), job.point(&done.pointer).metadata().clone());
    assert_eq!(
        (is.checkpoint, &is.job, is.timestamp_ms),
        (was.checkpoint, &was.job, was.timestamp_ms)
    );
    assert_ne!(is.attempt, was.attempt);
    assert_eq!(is.operators[0].application, b"operator");
    assert_eq!(is.statistics.entries, was.statistics.entries);
}

#[test]
fn operators_that_are_not_chosen_stay_and_unknown_ones_are_refused() {
    let fs = MemoryFs::new();
    let mut job = Job::<Memory>::fresh(&fs, 128, 2, SnapshotKind::Full);
    job.run(&steps(3, 30, 100), false);
    let from = job.complete(Trigger::savepoint(None)).pointer;
    let from = job.point(&from);
    let mut none = options(7, 1 << 20);
    none.operators = Some([].into());
    let done = rehashed(&fs, &from, &none).unwrap();
    assert!(done.operators.is_empty());
    same_bytes(&job.point(&done.pointer), &from, "taken over");
    none.operators = Some(["nobody".into()].into());
    let refused = rehashed(&fs, &from, &none).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains(UID), "{refused}");
    let left = fs.list(Path::new("/rehashed")).unwrap().len();
    assert_eq!(left, 1, "what is refused leaves nothing");
}
