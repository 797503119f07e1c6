//! What restoring at another parallelism costs: from RocksDB's own files against entry by entry, and what increments
//! write. `cargo run --release -p alluvium-backend-rocksdb --example rescale [entries [directory]]`

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::disallowed_methods, reason = "it measures, and clears its directory up")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_backend_rocksdb::RocksStore;
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::snapshot::{
    CancelToken, FileName, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, SnapshotSource};
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{
    CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, ValueDescriptor, ValueState,
};

type Outcome<T> = Result<T, Box<dyn Error>>;
type Backend = KeyedBackend<[u8; 96], RocksStore>;

const VALUE: ValueDescriptor<[u8; 128]> = ValueDescriptor::new("value");
const GROUPS: u32 = 128;

fn key(number: u64) -> [u8; 96] {
    let mut key = [b'k'; 96];
    let random = SeededRandomness::new(number);
    let (head, _) = key.split_at_mut(16);
    head.copy_from_slice(&random.next_u128().to_be_bytes());
    key
}

fn value(number: u64, round: u64) -> [u8; 128] {
    let random = SeededRandomness::new(number ^ (round << 40));
    let mut value = [0; 128];
    for part in value.chunks_mut(16) {
        part.copy_from_slice(&random.next_u128().to_be_bytes());
    }
    value
}

/// A job's stores at some parallelism, each in a directory of its own.
struct Job {
    root: PathBuf,
    opened: u32,
    storage: LocalStorage,
    checkpoint: u64,
}

/// What the subtasks of a job have in a checkpoint.
type Taken = (Vec<KeyedSnapshot>, Arc<dyn SnapshotSource>, CheckpointId);

impl Job {
    fn new(root: &Path) -> Outcome<Self> {
        let randomness = Arc::new(SeededRandomness::new(1));
        let (fs, job) = (Arc::new(RealFs), FileName::new("job")?);
        let to = root.join("checkpoints");
        let storage = LocalStorage::open(fs, randomness, &to, &job, LocalOptions::default())?;
        Ok(Self { root: root.to_path_buf(), opened: 0, storage, checkpoint: 0 })
    }

    /// Opens all subtasks with what `taken` has for them, one after the other.
    fn open(&mut self, parallelism: u32, taken: Option<&Taken>) -> Outcome<Vec<Backend>> {
        let groups = MaxParallelism::new(GROUPS)?;
        let mut backends = Vec::new();
        for subtask in 0..parallelism {
            let range = groups.range_of(subtask, parallelism)?;
            let space = KeyedBackend::<[u8; 96]>::key_space(groups, range)?;
            let parts = taken.into_iter().flat_map(|(snapshots, source, id)| {
                let meets = snapshots
                    .iter()
                    .filter(move |snapshot| !snapshot.range.intersection(range).is_empty());
                meets.map(|snapshot| RestorePart {
                    snapshot: snapshot.clone(),
                    source: Arc::clone(source),
                    base: Some(*id),
                })
            });
            self.opened += 1;
            let env = OpenEnv::new(space)
                .with_local_dir(self.root.join(format!("store-{}", self.opened)))
                .with_restore(parts.collect());
            let mut backend = Backend::new(RocksStore::open(env)?)?;
            backend.open(VALUE)?;
            backends.push(backend);
        }
        Ok(backends)
    }

    /// Takes a checkpoint and prints what it cost.
    fn take(&mut self, backends: &mut [Backend], kind: SnapshotKind, what: &str) -> Outcome<Taken> {
        self.checkpoint += 1;
        let id = CheckpointId::new(self.checkpoint);
        let attempt = self.storage.begin(id)?;
        let (cancel, progress, sink) =
            (CancelToken::default(), Progress::default(), attempt.sink());
        let (mut synchronous, began) = (Duration::ZERO, Instant::now());
        let mut snapshots = Vec::new();
        for backend in &mut *backends {
            let called = Instant::now();
            let task = backend.snapshot(&SnapshotRequest::new(id, kind))?;
            synchronous = synchronous.max(called.elapsed());
            let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
            snapshots.push(task.run(context)?);
        }
        for backend in backends {
            backend.checkpoint_completed(id)?;
        }
        let new: u64 = snapshots.iter().map(|snapshot| snapshot.bytes_new).sum();
        let full: u64 = snapshots.iter().map(|snapshot| snapshot.bytes_full).sum();
        println!(
            "{what:40} {:7.1} MB new of {:7.1} MB, synchronous {:6.1} ms, in all {:6.2} s",
            mega(new),
            mega(full),
            synchronous.as_secs_f64() * 1e3,
            began.elapsed().as_secs_f64()
        );
        Ok((snapshots, attempt.source(), id))
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn put(backends: &mut [Backend], numbers: impl Iterator<Item = u64>, round: u64) -> Outcome<()> {
    for number in numbers {
        for backend in &mut *backends {
            let handle = backend.open(VALUE)?;
            if let Ok(mut cx) = backend.at(&key(number)) {
                cx.value(handle).set(&value(number, round))?;
            }
        }
    }
    Ok(())
}

/// Opens stores from a checkpoint; the time until all are open, and until one more value was read of each.
fn restore(job: &mut Job, parallelism: u32, taken: &Taken, entries: u64) -> Outcome<Duration> {
    let began = Instant::now();
    let mut backends = job.open(parallelism, Some(taken))?;
    let mut found = 0;
    for backend in &mut backends {
        let handle = backend.open(VALUE)?;
        for number in 0..100 {
            if let Ok(mut cx) = backend.at(&key(number)) {
                found += u32::from(cx.value(handle).get()? == Some(value(number, 1)));
            }
        }
    }
    let elapsed = began.elapsed();
    if u64::from(found) != entries.min(100) {
        return Err(format!("{found} of 100 values are right").into());
    }
    Ok(elapsed)
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let entries = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let root = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("rescale");
    println!("{entries} entries of 96 + 128 bytes, {GROUPS} key groups, in {}", root.display());
    for (before, after) in [(1, 1), (1, 2), (2, 1), (2, 3)] {
        let mut job = Job::new(&root)?;
        let mut backends = job.open(before, None)?;
        put(&mut backends, 0..entries, 1)?;
        println!("\n{before} to {after}");
        let native = job.take(&mut backends, SnapshotKind::Incremental, "first incremental")?;
        let full = job.take(&mut backends, SnapshotKind::Full, "full")?;
        let by_entry = restore(&mut job, after, &full, entries)?;
        let by_files = restore(&mut job, after, &native, entries)?;
        println!(
            "restored entry by entry in {:.2} s, from files in {:.3} s: {:.3} x",
            by_entry.as_secs_f64(),
            by_files.as_secs_f64(),
            by_files.as_secs_f64() / by_entry.as_secs_f64()
        );
        if before == after {
            job.take(&mut backends, SnapshotKind::Incremental, "incremental after a full one")?;
            put(&mut backends, (0..entries).step_by(100), 2)?;
            job.take(&mut backends, SnapshotKind::Incremental, "incremental after 1 %")?;
            put(&mut backends, (0..entries).step_by(10), 3)?;
            job.take(&mut backends, SnapshotKind::Incremental, "incremental after 10 %")?;
        }
        drop(backends);
        std::fs::remove_dir_all(&root)?;
    }
    Ok(())
}
