//! Segments in the private directory that are damaged after they were opened and before they are used:
//! what is read is right, or an error that says so.

#[path = "harness/ahead.rs"]
mod ahead;

use std::error::Error;
use std::fs::{OpenOptions, read as read_file, read_dir};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahead::ReadAhead;
use alluvium_backend_fs::{FsOptions, FsStore, ReadMode};
use alluvium_state_api::codec::Native;
use alluvium_state_api::format::{BufferReader, StateFile};
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, SnapshotFile, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::testkit::{TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, ListDescriptor, ListHandle, ListState, MaxParallelism,
    NoNamespace, OpenEnv, RestorePart, ValueDescriptor, ValueHandle, ValueState,
};
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEYS: u64 = 800;
/// Checkpoints; each after the first changes every 51st key.
const ROUNDS: u64 = 7;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
const LIST: ListDescriptor<String> = ListDescriptor::new("list");

struct Opened {
    backend: KeyedBackend<u64, FsStore>,
    value: ValueHandle<u64, Native, NoNamespace>,
    list: ListHandle<String, Native, NoNamespace>,
    directory: TempDir,
}

fn open(parts: Vec<RestorePart>, read_mode: ReadMode) -> Outcome<Opened> {
    let groups = MaxParallelism::new(4)?;
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_error| tempfile::tempdir())?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let mut env = OpenEnv::new(space).with_local_dir(directory.path()).with_restore(parts);
    // What was read before it is damaged is believed.
    env.spawner = Arc::new(ReadAhead { happens: false });
    let mut options = FsOptions::default();
    options.read_mode = read_mode;
    let mut backend = KeyedBackend::new(FsStore::open_with(env, options)?)?;
    let (value, list) = (backend.open(VALUE)?, backend.open(LIST)?);
    Ok(Opened { backend, value, list, directory })
}

/// What a key has after the last checkpoint.
fn expected(key: u64) -> (Option<u64>, Vec<String>) {
    let rounds = (0..ROUNDS).filter(|round| *round == 0 || key % 51 == *round);
    let list = rounds.map(|round| format!("{key} in {round}")).collect();
    let removed = key % 51 == 3 && key.is_multiple_of(2);
    let newest = if (1..ROUNDS).contains(&(key % 51)) { key % 51 } else { 0 };
    ((!removed).then_some(key * 10 + newest), list)
}

/// A chain of checkpoints.
fn checkpoint(storage: &TestStorage) -> Outcome<(KeyedSnapshot, CheckpointId)> {
    let Opened { mut backend, value, list, directory: _directory } =
        open(Vec::new(), ReadMode::Pread)?;
    let mut last = None;
    for round in 0..ROUNDS {
        for key in (0..KEYS).filter(|key| round == 0 || key % 51 == round) {
            let mut cx = backend.at(&key)?;
            cx.value(value).set(&(key * 10 + round))?;
            cx.list(list).add(&format!("{key} in {round}"))?;
            if round == 3 && key.is_multiple_of(2) {
                cx.value(value).clear()?;
            }
        }
        let id = CheckpointId::new(round + 1);
        let request = SnapshotRequest::new(id, SnapshotKind::Incremental);
        let task = backend.snapshot(&request)?;
        let snapshot = run_task(task, &storage.sink(id), &CancelToken::default())?;
        backend.checkpoint_completed(id)?;
        last = Some((snapshot, id));
    }
    last.ok_or_else(|| "there was no checkpoint".into())
}

fn segments(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "segment") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A segment of the private directory, and which of its bytes count.
struct Damaged {
    path: PathBuf,
    length: u64,
    /// All of these are read when everything is.
    counting: Vec<Range<u64>>,
}

/// The files of a snapshot as they are in the private directory.
fn damageable(snapshot: &KeyedSnapshot, directory: &Path) -> Outcome<Vec<Damaged>> {
    let mut found = Vec::new();
    for path in segments(directory)? {
        let bytes = read_file(&path)?;
        let file = StateFile::open(BufferReader::over(&*bytes), &path)?;
        let is_it = |of: &SnapshotFile| of.frame_checksum == Some(file.frame_checksum());
        let at =
            snapshot.files.iter().position(is_it).ok_or("a segment is no file of the snapshot")?;
        let mut counting = Vec::new();
        for section in file.sections() {
            let is_live =
                |file: &SnapshotFile| file.live.iter().any(|live| live.contains(section.group));
            // What a newer file has in full counts no more.
            if !snapshot.files.get(at).is_some_and(is_live) {
                continue;
            }
            let at_of = |range: &Range<u64>| {
                Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
            };
            let lookups = file.lookups(section).ok_or("a segment has lookups")?;
            let of_directory = at_of(&lookups).and_then(|at| bytes.get(at)).unwrap_or_default();
            let blocks = file.directory(section, of_directory)?;
            let data = (0..blocks.blocks()).filter_map(|number| blocks.block(of_directory, number));
            counting.extend(data.map(|block| block.range()));
            // Of newer files small sections are noted, without their lookups.
            if !snapshot.files.iter().take(at).any(is_live) {
                counting.extend((0..blocks.pages()).map(|page| blocks.page(page)));
                counting.push(lookups);
            }
        }
        found.push(Damaged { path, length: bytes.len() as u64, counting });
    }
    Ok(found)
}

/// Changes a byte.
fn damage(file: &Path, at: u64) -> Outcome<()> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x55], at)?;
    Ok(())
}

/// Reads everything; returns how many reads were refused.
fn read(opened: &mut Opened) -> Outcome<u32> {
    let mut refused = 0;
    for key in 0..KEYS {
        let (value, list) = expected(key);
        let mut cx = opened.backend.at(&key)?;
        for found in [
            cx.value(opened.value).get().map(|found| assert_eq!(found, value, "key {key}")),
            cx.list(opened.list).get().map(|found| assert_eq!(found, list, "key {key}")),
        ] {
            if let Err(error) = found {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
                refused += 1;
            }
        }
    }
    Ok(refused)
}

fn segments_are_damaged_before_they_are_used(mode: ReadMode) -> Outcome<()> {
    let storage = TestStorage::default();
    let (snapshot, id) = checkpoint(&storage)?;
    let restore = || {
        let source = storage.source(id);
        open(vec![RestorePart { snapshot: snapshot.clone(), source, base: None }], mode)
    };
    assert_eq!(read(&mut restore()?)?, 0, "without damage");
    let files = snapshot.files.len();
    assert!(files > 2, "it is a chain: {files}");
    let (mut counted, mut others) = (0, 0);
    for which in 0..files {
        for permille in (3..1000).step_by(31) {
            let mut opened = restore()?;
            let Damaged { path, length, counting } =
                damageable(&snapshot, opened.directory.path())?.swap_remove(which);
            let at = length * permille / 1000;
            damage(&path, at)?;
            let refused = read(&mut opened)?;
            // Header, index and footer were read when the segment was opened.
            let counts = counting.iter().any(|range| range.contains(&at));
            assert!(refused > 0 || !counts, "byte {at} of {length} counts");
            *(if counts { &mut counted } else { &mut others }) += 1;
        }
    }
    assert!(counted > others / 4, "{counted} bytes count, {others} do not");
    Ok(())
}

#[test]
fn damage_is_seen_in_a_map() -> Outcome<()> {
    segments_are_damaged_before_they_are_used(ReadMode::Mapped)
}

#[test]
fn damage_is_seen_by_reads() -> Outcome<()> {
    segments_are_damaged_before_they_are_used(ReadMode::Pread)
}
