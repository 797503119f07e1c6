//! Restores of the backend on RocksDB at another parallelism, from a checkpoint of RocksDB's own files on the same file
//! system: as it does that by default, against the same entry by entry, in wall-clock time.
//!
//! What makes it fair: both sides restore the same checkpoint, of keys of 96 bytes and values of 128 that do not
//! compress, the subtasks one after the other. The other side opens every former database, too, but reads its entries
//! and writes them to a fresh one in batches (`least_overlap` above 1, `ingests` false). A side is done when every subtask
//! has read a hundred values, which must be right. The files are in the page cache. To close stores does not count.

use alluvium_backend_rocksdb::{RocksOptions, RocksStore};
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, RestorePart, Result, ValueDescriptor,
    ValueState,
};

use super::Lab;
use super::rocks::options;
use crate::Outcome;
use crate::clock::Stopwatch;
use crate::disk::Disk;
use crate::keys::key as mixed;
use crate::row::{Bar, Row};

type Key = [u8; 96];
type Backend = KeyedBackend<Key, RocksStore>;

const VALUE: ValueDescriptor<[u8; 128]> = ValueDescriptor::new("value");
const GROUPS: u32 = 128;
const BAR: Bar = Bar::AtMost(0.2, 0.05);
/// Restores of each side.
const ROUNDS: usize = 5;
/// Values that are read after a restore.
const READ: u64 = 100;

fn key(number: u64) -> Key {
    let mut key = [b'k'; 96];
    if let Some(head) = key.first_chunk_mut() {
        *head = mixed(number).to_be_bytes();
    }
    key
}

fn value(number: u64) -> [u8; 128] {
    let random = SeededRandomness::new(number);
    let mut value = [0; 128];
    for part in value.chunks_mut(16) {
        part.copy_from_slice(&random.next_u128().to_be_bytes());
    }
    value
}

/// The snapshots of a checkpoint's subtasks.
type Checkpoint = (Vec<KeyedSnapshot>, CheckpointId);

/// The store of a subtask, with what a checkpoint has for it.
fn open(
    disk: &mut Disk,
    (subtask, parallelism): (u32, u32),
    from: Option<&Checkpoint>,
    options: &RocksOptions,
) -> Result<Backend> {
    let groups = MaxParallelism::new(GROUPS)?;
    let range = groups.range_of(subtask, parallelism)?;
    let mut parts: Vec<RestorePart> = Vec::new();
    if let Some((snapshots, id)) = from {
        let meeting = snapshots.iter().filter(|one| !one.range.intersection(range).is_empty());
        parts.extend(meeting.map(|one| disk.part(&(one.clone(), *id))));
    }
    let env = OpenEnv::new(KeyedBackend::<Key>::key_space(groups, range)?)
        .with_local_dir(disk.fresh_path())
        .with_restore(parts);
    let mut backend = Backend::new(RocksStore::open_with(env, options.clone())?)?;
    backend.open(VALUE)?;
    Ok(backend)
}

/// A checkpoint at some parallelism.
fn checkpoint(disk: &mut Disk, parallelism: u32, keys: u64) -> Outcome<Checkpoint> {
    let mut stores = Vec::new();
    for subtask in 0..parallelism {
        stores.push(open(disk, (subtask, parallelism), None, &options())?);
    }
    for number in 0..keys {
        for store in &mut stores {
            let handle = store.open(VALUE)?;
            if let Ok(mut cx) = store.at(&key(number)) {
                cx.value(handle).set(&value(number))?;
            }
        }
    }
    let attempt = disk.begin()?;
    let mut snapshots = Vec::new();
    for store in &mut stores {
        let request = SnapshotRequest::new(attempt.id, SnapshotKind::Incremental);
        snapshots.push(attempt.run(store.snapshot(&request)?)?);
    }
    Ok((snapshots, attempt.id))
}

/// Seconds to the first value that is read and right, and to the last one of all subtasks.
fn restore(
    disk: &mut Disk,
    from: &Checkpoint,
    parallelism: u32,
    options: &RocksOptions,
) -> Outcome<(f64, f64)> {
    let watch = Stopwatch::start();
    let (mut stores, mut first, mut found) = (Vec::new(), f64::INFINITY, 0);
    for subtask in 0..parallelism {
        let mut store = open(disk, (subtask, parallelism), Some(from), options)?;
        let handle = store.open(VALUE)?;
        for number in 0..READ {
            if let Ok(mut cx) = store.at(&key(number)) {
                found += u64::from(cx.value(handle).get()? == Some(value(number)));
                first = first.min(watch.seconds());
            }
        }
        stores.push(store);
    }
    let end = watch.seconds();
    if found != READ {
        return Err(format!("{found} of {READ} values are right after a restore").into());
    }
    Ok((first, end))
}

fn compare(lab: &mut Lab, name: &str, before: u32, after: u32) -> Outcome<Vec<Row>> {
    (lab.pair, lab.large) = (None, None);
    let (keys, mut disk) = (lab.sizes.large, lab.disk()?);
    let from = checkpoint(&mut disk, before, keys)?;
    let mut by_entry = options();
    by_entry.rescaling.least_overlap = 2.0;
    by_entry.rescaling.ingests = false;
    let [mut ratios, mut firsts, mut ends, mut entries] = [const { Vec::new() }; 4];
    for round in 0..=ROUNDS {
        let (files, entry);
        if round % 2 == 0 {
            files = restore(&mut disk, &from, after, &options())?;
            entry = restore(&mut disk, &from, after, &by_entry)?;
        } else {
            entry = restore(&mut disk, &from, after, &by_entry)?;
            files = restore(&mut disk, &from, after, &options())?;
        }
        // the first round warms up
        if round > 0 {
            ratios.push(files.1 / entry.1);
            firsts.push(files.0 * 1e3);
            ends.push(files.1 * 1e3);
            entries.push(entry.1);
        }
    }
    lab.disk = Some(disk);
    Ok(vec![
        Row::new(name, "x", BAR, ratios),
        Row::note(format!("{name}/first-read"), "ms", firsts),
        Row::note(format!("{name}/end"), "ms", ends),
        Row::note(format!("{name}/by-entry"), "s", entries),
    ])
}

pub(super) fn one_to_two(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    compare(lab, name, 1, 2)
}

pub(super) fn two_to_one(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    compare(lab, name, 2, 1)
}

pub(super) fn two_to_three(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    compare(lab, name, 2, 3)
}
