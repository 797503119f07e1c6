//! Copying out and placing anew over a file system that fails once, at any of its operations: what appears is
//! whole, the original stays as it is, and the same call goes on where it was refused.

use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{ExportOptions, RestorePoint, Trigger, export, rehash};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{FileName, SnapshotKind};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, FileReader};
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, MemoryFs};
use alluvium_state_api::{ErrorKind, Result};

use super::harness::Memory;
use super::job::{Job, local, steps};
use super::rehash::options;

/// From the snapshot at a pointer to a savepoint at a place of its own.
type Use = fn(&dyn CheckpointStorage, &str, &str) -> Result<()>;

fn copy_out(storage: &dyn CheckpointStorage, pointer: &str, target: &str) -> Result<()> {
    let point = RestorePoint::open(storage, pointer)?;
    export(&point, storage, target, &ExportOptions::default()).map(drop)
}

/// With so little memory that everything is read several times.
fn place_anew(storage: &dyn CheckpointStorage, pointer: &str, target: &str) -> Result<()> {
    let point = RestorePoint::open(storage, pointer)?;
    rehash(&point, storage, target, &options(7, 20_000), &SeededRandomness::new(8)).map(drop)
}

fn over(fs: &FaultyFs) -> Arc<dyn CheckpointStorage> {
    let options = LocalOptions::default().with_inline_threshold_bytes(0);
    let (job, random) = (FileName::new("job-1").unwrap(), Arc::new(SeededRandomness::new(3)));
    let at = Path::new("/checkpoints");
    Arc::new(LocalStorage::open(Arc::new(fs.clone()), random, at, &job, options).unwrap())
}

/// A job's checkpoint of several increments, and by what it is opened.
fn chain() -> (MemoryFs, String) {
    let fs = MemoryFs::new();
    let mut job = Job::<Memory>::fresh(&fs, 16, 2, SnapshotKind::Incremental);
    job.run(&steps(21, 20, 60), true);
    let pointer = job.complete(Trigger::checkpoint()).pointer;
    (fs, pointer)
}

/// The bytes of all state files of the snapshot at `pointer`.
fn contents(fs: &MemoryFs, pointer: &str) -> Result<Vec<Vec<u8>>> {
    let point = RestorePoint::open(&*local(fs, "/looked"), pointer)?;
    let files = point.metadata().keyed().flat_map(|(_, _, keyed)| &keyed.files);
    files.map(|file| read(&*point.source().open(file)?)).collect()
}

fn read(reader: &dyn FileReader) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(reader.len()).unwrap()];
    reader.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

fn interrupted(take: Use) {
    let (fs, pointer) = chain();
    let original = contents(&fs, &pointer).unwrap();
    let (mut failed, mut succeeded) = (0, 0);
    let faulty = FaultyFs::new(Arc::new(fs.clone()));
    let storage = over(&faulty);
    let before = faulty.operations();
    take(&*storage, &pointer, "/wanted").unwrap();
    let operations = faulty.operations() - before;
    let wanted = contents(&fs, "/wanted").unwrap();
    for number in 0..operations {
        for fault in [Fault::Fails(EIO), Fault::HappensButFails(EIO)] {
            let what = format!("operation {number}: {fault:?}");
            drop(faulty.clone().with_fault(faulty.operations() + number, fault));
            let target = format!("/taken/{number}-{}", failed + succeeded);
            if let Err(error) = take(&*storage, &pointer, &target) {
                failed += 1;
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
                let left = contents(&fs, &target).unwrap_err();
                assert_eq!(left.kind(), ErrorKind::NotFound, "{what}");
                take(&*storage, &pointer, &target)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
            } else {
                succeeded += 1;
            }
            assert!(contents(&fs, &target).unwrap() == wanted, "{what}");
            assert!(contents(&fs, &pointer).unwrap() == original, "{what}");
        }
    }
    assert!(failed > 2 * succeeded && failed > 50, "{failed} failed, {succeeded} did not");
}

#[test]
fn a_copy_is_whole_or_not_there_whichever_operation_fails() {
    interrupted(copy_out);
}

#[test]
fn key_groups_placed_anew_are_whole_or_not_there_whichever_operation_fails() {
    interrupted(place_anew);
}
