//! What was read lately is not seen any more once it was written or removed, whichever operation did it.

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_state_api::snapshot::{CancelToken, KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, Error, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, Result,
    ValueDescriptor, ValueState,
};
use tempfile::TempDir;

const KEYS: u64 = 3_000;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const CHECKPOINT: CheckpointId = CheckpointId::new(1);

type Backend = KeyedBackend<u64, FsStore>;

fn open(directory: &TempDir, parts: Vec<RestorePart>) -> Result<Backend> {
    let groups = MaxParallelism::new(8)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    KeyedBackend::new(FsStore::open_with(env, FsOptions::default())?)
}

fn temporary() -> Result<TempDir> {
    tempfile::tempdir()
        .map_err(|error| Error::unavailable("no temporary directory").with_source(error))
}

fn snapshot(storage: &TestStorage) -> Result<KeyedSnapshot> {
    let directory = temporary()?;
    let mut backend = open(&directory, Vec::new())?;
    let value = backend.open(VALUE)?;
    for key in 0..KEYS {
        backend.at(&key)?.value(value).set(&key)?;
    }
    let task = backend.snapshot(&SnapshotRequest::new(CHECKPOINT, SnapshotKind::Full))?;
    run_task(task, &storage.sink(CHECKPOINT), &CancelToken::default())
}

/// Writes, updates and removes six of every `kinds` keys on both sides, one by one and in batches; others stay.
fn change(
    backend: &mut Backend,
    expected: &mut [Option<u64>],
    (round, kinds): (u64, u64),
) -> Result<()> {
    let value = backend.open(VALUE)?;
    let of = |kind: u64| (0..KEYS).filter(move |key| (key + round) % kinds == kind);
    for key in of(0) {
        backend.at(&key)?.value(value).set(&(key + round))?;
    }
    for key in of(1) {
        backend.at(&key)?.value(value).update(|old| Some(old.unwrap_or(0) + round))?;
    }
    for key in of(2) {
        backend.at(&key)?.value(value).update(|_| None)?;
    }
    for key in of(3) {
        backend.at(&key)?.value(value).clear()?;
    }
    backend.batch(of(4))?.update(value, |_, old| Some(old.unwrap_or(0) + round))?;
    backend.batch(of(5))?.update(value, |_, _| None)?;
    for (key, now) in (0..).zip(expected) {
        *now = match (key + round) % kinds {
            0 => Some(key + round),
            1 | 4 => Some(now.unwrap_or(0) + round),
            6.. => *now,
            _ => None,
        };
    }
    Ok(())
}

/// All values, read one by one, which must be those that a batch reads.
fn read(backend: &mut Backend) -> Result<Vec<Option<u64>>> {
    let value = backend.open(VALUE)?;
    let mut batched = Vec::new();
    backend.batch(0..KEYS)?.get(value, |_, value| batched.push(value))?;
    let one = |key| backend.at(&key)?.value(value).get();
    let single = (0..KEYS).map(one).collect::<Result<Vec<_>>>()?;
    assert_eq!(single, batched);
    Ok(single)
}

#[test]
fn reads_see_what_was_written_after_they_read_it() -> Result<()> {
    let storage = TestStorage::default();
    let snapshot = snapshot(&storage)?;
    let directory = temporary()?;
    let part = RestorePart { snapshot, source: storage.source(CHECKPOINT), base: None };
    let mut backend = open(&directory, vec![part])?;
    let mut expected: Vec<_> = (0..KEYS).map(Some).collect();
    assert_eq!(read(&mut backend)?, expected);
    for round in 1..5 {
        change(&mut backend, &mut expected, (round, 7))?;
        assert_eq!(read(&mut backend)?, expected, "round {round}");
    }
    let figures = backend.store().fs_statistics();
    assert!(figures.read_cache_hits > KEYS, "values come from what was read lately: {figures:?}");
    Ok(())
}

/// Reads that find some entries in the layer and others below it, until copies are made of the former.
#[test]
fn copies_of_what_was_written_are_as_it_was_written_last() -> Result<()> {
    let storage = TestStorage::default();
    let snapshot = snapshot(&storage)?;
    let directory = temporary()?;
    let part = RestorePart { snapshot, source: storage.source(CHECKPOINT), base: None };
    let mut backend = open(&directory, vec![part])?;
    let mut expected: Vec<_> = (0..KEYS).map(Some).collect();
    for round in 1..9 {
        change(&mut backend, &mut expected, (round, 11))?;
        for _ in 0..3 {
            assert_eq!(read(&mut backend)?, expected, "round {round}");
        }
    }
    // In the end values are read without the layer, those that it has, too, but for a few behind others with their tag.
    let before = backend.store().fs_statistics().read_cache_hits;
    read(&mut backend)?;
    let there = expected.iter().flatten().count() as u64;
    let hits = backend.store().fs_statistics().read_cache_hits - before;
    assert!(hits > 2 * there * 19 / 20, "{hits} hits of two times {there}");
    Ok(())
}
