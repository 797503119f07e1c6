//! What was restored is read in the background, and nobody waits for it: what small sections have, and everything,
//! where that is wanted.

#[path = "harness/ahead.rs"]
mod ahead;

use std::sync::Arc;
use std::time::Duration;

use ahead::ReadAhead;
use alluvium_backend_fs::{FsOptions, FsStore, ReadMode};
use alluvium_state_api::snapshot::{CancelToken, KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, Error, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, Result, Spawner,
    ThreadSpawner, ValueDescriptor, ValueState,
};
use tempfile::TempDir;

const KEYS: u64 = 20_000;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const CHECKPOINT: CheckpointId = CheckpointId::new(1);

fn open(
    directory: &TempDir,
    parts: Vec<RestorePart>,
    options: FsOptions,
) -> Result<KeyedBackend<u64, FsStore>> {
    open_beside(directory, parts, options, ThreadSpawner)
}

fn open_beside(
    directory: &TempDir,
    parts: Vec<RestorePart>,
    options: FsOptions,
    spawner: impl Spawner + 'static,
) -> Result<KeyedBackend<u64, FsStore>> {
    let groups = MaxParallelism::new(8)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let mut env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    env.spawner = Arc::new(spawner);
    KeyedBackend::new(FsStore::open_with(env, options)?)
}

/// A snapshot of a store with [`KEYS`] keys.
fn snapshot(storage: &TestStorage) -> Result<KeyedSnapshot> {
    let directory = tempfile::tempdir()
        .map_err(|error| Error::unavailable("no temporary directory").with_source(error))?;
    let mut backend = open(&directory, Vec::new(), FsOptions::default())?;
    let value = backend.open(VALUE)?;
    for key in 0..KEYS {
        backend.at(&key)?.value(value).set(&(key * 3))?;
    }
    let request = SnapshotRequest::new(CHECKPOINT, SnapshotKind::Full);
    let task = backend.snapshot(&request)?;
    run_task(task, &storage.sink(CHECKPOINT), &CancelToken::default())
}

fn options(read_mode: ReadMode, hydrate: bool) -> FsOptions {
    let mut options = FsOptions::default();
    (options.read_mode, options.hydrate) = (read_mode, hydrate);
    options
}

#[test]
fn all_of_it_is_read_beside_the_first_accesses() {
    let storage = TestStorage::default();
    let snapshot = snapshot(&storage).unwrap();
    let part = || RestorePart {
        snapshot: snapshot.clone(),
        source: storage.source(CHECKPOINT),
        base: None,
    };
    for (mode, hydrate) in
        [(ReadMode::Mapped, true), (ReadMode::Pread, true), (ReadMode::Mapped, false)]
    {
        let directory = tempfile::tempdir().unwrap();
        let mut backend = open(&directory, vec![part()], options(mode, hydrate)).unwrap();
        let value = backend.open(VALUE).unwrap();
        for key in 0..KEYS {
            let found = backend.at(&key).unwrap().value(value).get().unwrap();
            assert_eq!(found, Some(key * 3));
        }
        let figures = backend.store().fs_statistics();
        // Header, index and footer are no part of what is read.
        let all = figures.segment_bytes - 2_000..figures.segment_bytes;
        let mut hydrated = figures.hydrated_bytes;
        for _ in 0..12_000 {
            if !hydrate || all.contains(&hydrated) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
            hydrated = backend.store().fs_statistics().hydrated_bytes;
        }
        assert_eq!(all.contains(&hydrated), hydrate, "{hydrated} of {all:?}");
        assert!(hydrate || hydrated == 0);
    }
}

/// Who closes a store waits for a block or so, and the directory is free.
#[test]
fn a_store_that_is_closed_reads_no_further() {
    let storage = TestStorage::default();
    let snapshot = snapshot(&storage).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let source = storage.source(CHECKPOINT);
        let part = RestorePart { snapshot: snapshot.clone(), source, base: None };
        drop(open(&directory, vec![part], options(ReadMode::Mapped, true)).unwrap());
    }
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "the lock alone");
}

/// A checkpoint and three more upon it, in each of which one key in 10 is another.
fn chain(storage: &TestStorage) -> Result<RestorePart> {
    let directory = tempfile::tempdir()
        .map_err(|error| Error::unavailable("no temporary directory").with_source(error))?;
    let mut backend = open(&directory, Vec::new(), FsOptions::default())?;
    let value = backend.open(VALUE)?;
    let mut part = None;
    for (number, round) in (1..=4).zip(0_u64..) {
        let step = if round == 0 { 1 } else { 10 };
        for key in (round..KEYS).step_by(step) {
            backend.at(&key)?.value(value).set(&(key * 3 + round))?;
        }
        let id = CheckpointId::new(number);
        let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental))?;
        let snapshot = run_task(task, &storage.sink(id), &CancelToken::default())?;
        backend.checkpoint_completed(id)?;
        part = Some(RestorePart { snapshot, source: storage.source(id), base: Some(id) });
    }
    part.ok_or_else(|| Error::bug("no checkpoint"))
}

#[test]
fn what_small_sections_have_is_noted_ahead_of_the_first_read_or_by_it() {
    let storage = TestStorage::default();
    let part = chain(&storage).unwrap();
    let mut noted = Vec::new();
    for (mode, happens) in
        [(ReadMode::Mapped, true), (ReadMode::Mapped, false), (ReadMode::Pread, true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let parts = vec![RestorePart { base: None, ..part.clone() }];
        let ahead = ReadAhead { happens };
        let mut backend = open_beside(&directory, parts, options(mode, false), ahead).unwrap();
        let value = backend.open(VALUE).unwrap();
        let before = backend.store().fs_statistics().index_bytes;
        assert_eq!(before > 0, happens && mode == ReadMode::Mapped, "{mode:?} {happens}");
        for key in 0..KEYS {
            let found = backend.at(&key).unwrap().value(value).get().unwrap();
            let round = if (1..4).contains(&(key % 10)) { key % 10 } else { 0 };
            assert_eq!(found, Some(key * 3 + round), "{key} {mode:?} {happens}");
        }
        if mode == ReadMode::Mapped {
            noted.push(backend.store().fs_statistics().index_bytes);
        }
    }
    assert_eq!(noted[0], noted[1], "whoever does it");
}
