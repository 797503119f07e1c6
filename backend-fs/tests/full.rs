//! Full snapshots on the file system of the private directory: where one segment has everything, they are its
//! file by a second name; else, and where they are to be compressed, they are written.

use std::error::Error;
use std::fs::read_dir;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use alluvium_backend_fs::FsStore;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, Compression, FileName, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind,
    SnapshotRequest,
};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{
    CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, ValueDescriptor, ValueState,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEYS: u64 = 5_000;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");

fn open(local: &Path, parts: Vec<RestorePart>) -> Outcome<KeyedBackend<u64, FsStore>> {
    let groups = MaxParallelism::new(8)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let env = OpenEnv::new(space).with_local_dir(local).with_restore(parts);
    Ok(KeyedBackend::new(FsStore::open(env)?)?)
}

/// Takes checkpoint `id`, and confirms it. Also how many names its one file has.
fn take(
    backend: &mut KeyedBackend<u64, FsStore>,
    storage: &LocalStorage,
    request: &SnapshotRequest,
    directory: &Path,
) -> Outcome<(KeyedSnapshot, u64)> {
    let attempt = storage.begin(request.checkpoint)?;
    let task = backend.snapshot(request)?;
    let (sink, cancel, progress) = (attempt.sink(), CancelToken::default(), Progress::default());
    let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
    let snapshot = task.run(context)?;
    backend.checkpoint_completed(request.checkpoint)?;
    let files: Vec<_> = read_dir(directory.join(format!("job/chk-{}", request.checkpoint)))?
        .collect::<Result<_, _>>()?;
    let [file] = files.as_slice() else { return Err("there is not one file".into()) };
    Ok((snapshot, file.metadata()?.nlink()))
}

#[test]
fn one_segment_is_its_own_full_snapshot() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let (local, checkpoints) = (directory.path().join("local"), directory.path().join("ckp"));
    let (fs, random, job) = (Arc::new(RealFs), Arc::new(OsRandomness), FileName::new("job")?);
    let storage = LocalStorage::open(fs, random, &checkpoints, &job, LocalOptions::default())?;
    let mut backend = open(&local, Vec::new())?;
    let value = backend.open(VALUE)?;
    for key in 0..KEYS {
        backend.at(&key)?.value(value).set(&(key * 3))?;
    }
    let full = |id| SnapshotRequest::new(CheckpointId::new(id), SnapshotKind::Full);
    let canonical = SnapshotRequest::new(CheckpointId::new(2), SnapshotKind::Canonical);
    let (linked, names) = take(&mut backend, &storage, &full(1), &checkpoints)?;
    assert_eq!((names, linked.kind), (2, SnapshotKind::Full));
    let (written, names) = take(&mut backend, &storage, &canonical, &checkpoints)?;
    assert_eq!((names, &written.states), (1, &linked.states), "exact, and of the same content");
    let mut packed = full(3);
    packed.compression = Compression::Lz4;
    assert_eq!(take(&mut backend, &storage, &packed, &checkpoints)?.1, 1);
    backend.at(&7)?.value(value).set(&1)?;
    let (merged, names) = take(&mut backend, &storage, &full(4), &checkpoints)?;
    assert_eq!((names, merged.states[0].entries), (1, linked.states[0].entries));
    drop(backend);

    let source = storage.source(CheckpointId::new(1));
    let part = RestorePart { snapshot: linked, source, base: None };
    let mut restored = open(&local, vec![part])?;
    let value = restored.open(VALUE)?;
    for key in 0..KEYS {
        assert_eq!(restored.at(&key)?.value(value).get()?, Some(key * 3));
    }
    Ok(())
}
