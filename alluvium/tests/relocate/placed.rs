//! Keys that lie where Apache Flink puts them: another number of key groups puts them there again.

use alluvium_checkpoint::{RestorePoint, StartFrom, Trigger};
use alluvium_state_api::format::{Record, StateFile};
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{FlinkHash, flink_murmur};

use super::harness::Memory;
use super::job::{Job, Step, local, steps};
use super::rehash::{options, rehashed, same_bytes};

/// The same steps with keys that fill both halves of a long.
fn wide(steps: Vec<Step>) -> Vec<Step> {
    let wide = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let widened = |step| match step {
        Step::Put(key, seed) => Step::Put(wide(key), seed),
        Step::Touch(key) => Step::Touch(wide(key)),
        Step::Remove(key) => Step::Remove(wide(key)),
        Step::Stamp(key, seed) => Step::Stamp(wide(key), seed),
        Step::Checkpoint => Step::Checkpoint,
    };
    steps.into_iter().map(widened).collect()
}

/// A savepoint that a job with `count` key groups takes after `steps`.
fn native(steps: &[Step], count: u32, parallelism: u32) -> RestorePoint {
    let fs = MemoryFs::new();
    let mut job = Job::<Memory, FlinkHash>::fresh(&fs, count, parallelism, SnapshotKind::Full);
    job.run(steps, false);
    let savepoint = job.complete(Trigger::savepoint(None));
    job.point(&savepoint.pointer)
}

/// Checks that every key lies in `murmur(Long.hashCode(key)) % count`; how many entries there are.
fn placed_as_by_flink(point: &RestorePoint, count: u32) -> usize {
    let mut entries = 0;
    for (_, _, keyed) in point.metadata().keyed() {
        let reader = point.source().open(&keyed.files[0]).unwrap();
        let file = StateFile::open(reader.into(), "placed").unwrap();
        let mut blocks = file.blocks(keyed.range);
        while let Some(block) = blocks.next_block().unwrap() {
            for record in block.records() {
                let key = match &record {
                    Record::Entry(key, _) => key.key(),
                    Record::List(segment) => segment.key.key(),
                    other => panic!("{other:?} in a savepoint"),
                };
                let key = u64::from_be_bytes(key.try_into().unwrap());
                let code = u32::try_from((key ^ (key >> 32)) & 0xffff_ffff).unwrap().cast_signed();
                let group = flink_murmur(code) % count;
                assert_eq!(u32::from(block.group().index()), group, "key {key} of {count}");
                entries += 1;
            }
        }
    }
    entries
}

#[test]
fn keys_that_flink_places_are_placed_anew_and_come_back() {
    let steps = wide(steps(7, 60, 300));
    let fs = MemoryFs::new();
    let mut job = Job::<Memory, FlinkHash>::fresh(&fs, 128, 3, SnapshotKind::Full);
    job.run(&steps, false);
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let original = job.point(&savepoint);
    let held = job.held();
    let entries = placed_as_by_flink(&original, 128);
    assert!(entries > 200, "{entries} entries");
    for memory in [12_000, 64 << 20] {
        let mut last = original.clone();
        for count in [7, 1000, 128] {
            let done = rehashed(&fs, &last, &options(count, memory)).unwrap();
            last = job.point(&done.pointer);
            same_bytes(&last, &native(&steps, count, 3), &format!("{count} groups"));
            assert_eq!(placed_as_by_flink(&last, count), entries);
            let mut restored = Job::<Memory, FlinkHash>::open(local(&fs, "/a"), SnapshotKind::Full);
            restored.start(2, None, StartFrom::Pointer(&done.pointer));
            assert!(restored.held() == held, "{count} groups");
        }
        same_bytes(&last, &original, "there and back");
    }
}
