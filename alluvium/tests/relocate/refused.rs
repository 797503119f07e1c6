//! Another number of key groups that is not to be had: damaged input, work that is stopped. Nothing is
//! left then.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_checkpoint::{RehashOptions, RestorePoint, Trigger, rehash};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{CancelToken, SnapshotFile, SnapshotKind};
use alluvium_state_api::storage::{
    CheckpointStorage, FileReader, SnapshotSource, StoredCheckpoint,
};
use alluvium_state_api::vfs::{FileSystem, MemoryFs};
use alluvium_state_api::{ErrorKind, Result};

use super::harness::Memory;
use super::job::{Job, local, remove_files, steps};
use super::rehash::{bytes_of, options};

const TARGET: &str = "/rehashed/here";

/// What happens to reads, counted over all files.
#[derive(Clone, Debug, Default)]
struct Course {
    /// Reads so far.
    reads: Arc<AtomicU64>,
    /// Before which read the work is stopped.
    stop: Option<(u64, CancelToken)>,
    /// The length of the file of which one byte reads differently, and where that is.
    flip: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Troubled<T: ?Sized>(Course, Box<T>);

impl SnapshotSource for Troubled<Arc<dyn SnapshotSource>> {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        Ok(Box::new(Troubled(self.0.clone(), self.1.open(file)?)))
    }
}

impl FileReader for Troubled<dyn FileReader> {
    fn len(&self) -> u64 {
        self.1.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let Course { reads, stop, flip } = &self.0;
        let read = reads.fetch_add(1, Ordering::Relaxed);
        if let Some((last, cancel)) = stop
            && read == *last
        {
            cancel.cancel();
        }
        self.1.read_exact_at(offset, buffer)?;
        if let Some((length, at)) = flip
            && *length == self.len()
            && let Some(at) = at.checked_sub(offset)
            && let Some(byte) = buffer.get_mut(usize::try_from(at).unwrap())
        {
            *byte ^= 4;
        }
        Ok(())
    }
}

/// A job's snapshots: a savepoint, a full checkpoint, a chain of increments.
fn original(fs: &MemoryFs) -> (Arc<dyn CheckpointStorage>, [String; 3]) {
    let mut job = Job::<Memory>::fresh(fs, 16, 2, SnapshotKind::Incremental);
    job.run(&steps(11, 40, 200), true);
    let pointers = [Trigger::checkpoint(), Trigger::full_checkpoint(), Trigger::savepoint(None)];
    let pointers = pointers.map(|trigger| job.complete(trigger).pointer);
    (local(fs, "/checkpoints"), pointers)
}

/// The snapshot at `pointer`, read as `course` says.
fn troubled(storage: &dyn CheckpointStorage, pointer: &str, course: Course) -> RestorePoint {
    let stored = storage.open_pointer(pointer).unwrap();
    let source = Arc::new(Troubled(course, Box::new(stored.source)));
    RestorePoint::read(StoredCheckpoint { source, ..stored }).unwrap()
}

fn nothing_is_left(fs: &MemoryFs, what: &str) {
    let left = fs.list(Path::new(TARGET)).map_or(0, |all| all.len());
    assert_eq!(left, 0, "{what}");
}

fn anew(
    storage: &dyn CheckpointStorage,
    point: &RestorePoint,
    options: &RehashOptions,
) -> Result<String> {
    let done = rehash(point, storage, TARGET, options, &SeededRandomness::new(8))?;
    Ok(done.pointer)
}

/// What a later file of a chain has superseded is not looked at: of a file that counts for all key groups, every byte is.
#[test]
fn damage_is_refused_where_it_counts_and_nothing_is_left() {
    let fs = MemoryFs::new();
    let (storage, pointers) = original(&fs);
    for pointer in &pointers {
        let point = RestorePoint::open(&*storage, pointer).unwrap();
        anew(&*storage, &point, &options(7, 12_000)).unwrap();
        let right = bytes_of(&RestorePoint::open(&*storage, TARGET).unwrap());
        remove_files(&fs, Path::new(TARGET));
        let mut refused = 0;
        let files = point.metadata().keyed().flat_map(|(_, _, keyed)| {
            let counts = |file: &SnapshotFile| file.live.as_slice() == [keyed.range];
            keyed.files.iter().map(move |file| (file.stored.length, counts(file)))
        });
        for (length, counts) in files {
            for at in (0..length).step_by(61) {
                let course = Course { flip: Some((length, at)), ..Course::default() };
                let what = format!("{pointer}: byte {at} of {length}");
                let point = troubled(&*storage, pointer, course);
                // What is written before the damage is met goes, too.
                let Err(error) = anew(&*storage, &point, &options(7, 12_000)) else {
                    let written = bytes_of(&RestorePoint::open(&*storage, TARGET).unwrap());
                    assert!(written == right && !counts, "{what}");
                    remove_files(&fs, Path::new(TARGET));
                    continue;
                };
                refused += 1;
                let kinds = [ErrorKind::Corrupted, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{what}: {error}");
                assert!(error.path().is_some(), "{what}: {error}");
                nothing_is_left(&fs, &what);
            }
        }
        assert!(refused > 100, "{pointer}: {refused}");
    }
}

#[test]
fn work_that_is_stopped_at_any_read_leaves_nothing_and_can_be_done_again() {
    let fs = MemoryFs::new();
    let (storage, pointers) = original(&fs);
    for pointer in &pointers {
        let mut stopped = 0;
        loop {
            let options = options(7, 12_000);
            let stop = Some((stopped, options.cancel.clone()));
            let course = Course { stop, ..Course::default() };
            let point = troubled(&*storage, pointer, course);
            let Err(error) = anew(&*storage, &point, &options) else { break };
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
            assert!(options.cancel.is_cancelled());
            nothing_is_left(&fs, &format!("{pointer}, stopped at read {stopped}"));
            stopped += 1;
        }
        assert!(stopped > 30, "{pointer}: only {stopped} reads");
        let written = bytes_of(&RestorePoint::open(&*storage, TARGET).unwrap());
        remove_files(&fs, Path::new(TARGET));
        let point = RestorePoint::open(&*storage, pointer).unwrap();
        anew(&*storage, &point, &options(7, 64 << 20)).unwrap();
        let whole = RestorePoint::open(&*storage, TARGET).unwrap();
        assert!(bytes_of(&whole) == written, "{pointer}");
        remove_files(&fs, Path::new(TARGET));
    }
}
