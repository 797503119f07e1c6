//! Files whose bodies break off, come in small pieces or do not come at all: what is read is right, or the
//! storage is said to be unavailable, and what is made from it is whole, or is not there.

use std::sync::Arc;

use alluvium_checkpoint::{ExportOptions, RestorePoint, StartFrom, Trigger, export};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::snapshot::FileLocation;
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::testkit::storages::content::{content, encode, write};
use object_store::memory::InMemory;

use crate::bucket::everything;
use crate::fake::{Job, check_file, id, incremental};
use crate::faulty::Faulty;
use crate::grounds::objects::{ROOT, storage};

const LENGTH: usize = (3 << 20) + 5;

#[test]
fn a_file_reads_right_or_is_unavailable() {
    let memory = Arc::new(InMemory::new());
    let calm = storage(Arc::<InMemory>::clone(&memory), "checkpoints", 1);
    let bytes = content(9, LENGTH);
    let attempt = calm.begin(id(1)).unwrap();
    let file = write(&*attempt.sink(), FileScope::Shared, &bytes).unwrap();
    attempt.publish(&encode(std::slice::from_ref(&file))).unwrap();

    let random = SeededRandomness::new(4);
    let below = |bound: usize| random.next_u64() as usize % bound;
    let failing =
        storage(Arc::new(Faulty::over(memory, 6, 50).cutting_silently()), "checkpoints", 2);
    let (mut right, mut unavailable) = (0, 0);
    let mut count = |outcome: alluvium_state_api::Result<()>| match outcome {
        Ok(()) => right += 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            unavailable += 1;
        }
    };
    for _ in 0..12 {
        let reader = match failing.source(id(1)).open(&file) {
            Ok(reader) => reader,
            Err(error) => {
                count(Err(error));
                continue;
            }
        };
        // The same reader goes on after a failure, from where it is and from elsewhere.
        let mut from = 0;
        for _ in 0..8 {
            let length = below(LENGTH - from).min(700_000);
            let mut read = vec![0; length];
            let outcome = reader.read_exact_at(from as u64, &mut read);
            if outcome.is_ok() {
                assert!(read == bytes[from..from + length], "{length} bytes at {from}");
                from = if below(2) == 0 { from + length } else { below(LENGTH) };
            }
            count(outcome);
        }
    }
    assert!(right > 10 && unavailable > 10, "{right} right, {unavailable} unavailable");
}

/// A job with a chain of increments.
fn specimen(memory: &Arc<InMemory>) -> String {
    let calm = storage(Arc::<InMemory>::clone(memory), "checkpoints", 1);
    let mut job = Job::over(calm, incremental(1));
    job.start(2, StartFrom::Newest).unwrap();
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    job.storage.load(id(3)).unwrap().pointer
}

fn checksums(metadata: &CheckpointMetadata) -> Vec<u128> {
    let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
    files.map(|file| file.stored.checksum).collect()
}

#[test]
fn a_copy_is_whole_or_not_there() {
    let memory = Arc::new(InMemory::new());
    let pointer = specimen(&memory);
    let calm = storage(Arc::<InMemory>::clone(&memory), "checkpoints", 2);
    let faulty = Faulty::over(Arc::<InMemory>::clone(&memory), 8, 0).cutting_silently();
    let failing = storage(Arc::new(faulty.clone()), "checkpoints", 3);
    // Which requests fail depends on how threads take turns, so it is tried until there was enough of both.
    let (mut whole, mut failed, mut number) = (0, 0, 0);
    while whole <= 10 || failed <= 10 {
        number += 1;
        assert!(number < 1_000, "{whole} whole, {failed} failed");
        let before = everything(&*memory);
        let point = RestorePoint::open(&*failing, &pointer).unwrap();
        faulty.set_percent(20);
        let target = format!("{ROOT}/copies/{number}");
        let copied = export(&point, &*calm, &target, &ExportOptions::default());
        faulty.set_percent(0);
        match copied {
            Ok(copied) => {
                let there = calm.open_pointer(&target).unwrap();
                let metadata = CheckpointMetadata::decode(&there.metadata).unwrap();
                assert_eq!(checksums(&metadata), checksums(point.metadata()));
                let mut files = 0;
                for file in metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files) {
                    check_file(&*there.source, file);
                    files += u64::from(matches!(file.stored.location, FileLocation::Own(_)));
                }
                assert_eq!(files, copied.files);
                whole += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                assert_eq!(everything(&*memory), before, "something of the copy is left");
                failed += 1;
            }
        }
    }
}

/// Of a tombstone a part may come.
#[test]
fn a_listing_is_right_or_unavailable() {
    let memory = Arc::new(InMemory::new());
    specimen(&memory);
    let calm = storage(Arc::<InMemory>::clone(&memory), "checkpoints", 2);
    for number in [4, 5] {
        calm.begin(id(number)).unwrap().publish(b"metadata").unwrap();
        calm.discard(id(number), &[]).unwrap();
    }
    let right = calm.list().unwrap();
    assert_eq!(right, [id(3)]);
    let failing =
        storage(Arc::new(Faulty::over(memory, 10, 20).cutting_silently()), "checkpoints", 3);
    let (mut listed, mut unavailable) = (0, 0);
    for _ in 0..100 {
        match failing.list() {
            Ok(found) => {
                assert_eq!(found, right);
                listed += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                unavailable += 1;
            }
        }
    }
    assert!(listed > 10 && unavailable > 10, "{listed} right, {unavailable} unavailable");
}
