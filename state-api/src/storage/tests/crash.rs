//! A coordinator's life with a fault or a power cut at each of its operations.
//!
//! Invariants, checked after each: what was acknowledged and not discarded is listed and whole; what
//! is listed is whole; what was refused determinately, or aborted, is not there; nothing is retried
//! on a file at which a write or sync failed. Canaries show that a missing sync would be noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ErrorKind;
use crate::vfs::FaultyFs;
use crate::vfs::faulty::{EIO, ENOSPC, Fault, Operation, TraceEntry};

const SAVEPOINTS: &str = "/savepoints";

/// What the coordinator was told.
#[derive(Debug, Default)]
struct Story {
    acknowledged: BTreeMap<CheckpointId, Vec<u8>>,
    savepoints: BTreeMap<String, Vec<u8>>,
    refused: BTreeSet<CheckpointId>,
    shared: Vec<SnapshotFile>,
}

fn open_seeded(fs: &Arc<dyn FileSystem>) -> Result<LocalStorage> {
    let random = Arc::new(SeededRandomness::new(42));
    let options = LocalOptions::default().with_inline_threshold_bytes(100);
    LocalStorage::open(Arc::clone(fs), random, Path::new("/ckp"), &job(), options)
}

impl Story {
    /// A checkpoint with new files and the shared one of the checkpoint before.
    fn checkpoint(&mut self, storage: &LocalStorage, number: u64) -> Result<()> {
        let attempt = storage.begin(id(number))?;
        let outcome = write_files(&*attempt.sink(), number).and_then(|mut files| {
            let new = files[1].clone();
            files.extend(self.shared.last().cloned());
            let metadata = encode(&files);
            attempt.publish(&metadata).map(|()| (metadata, new))
        });
        match outcome {
            Ok((metadata, new)) => {
                self.acknowledged.insert(id(number), metadata);
                self.shared.push(new);
            }
            Err(error) => {
                let unclear = error.kind() == ErrorKind::Indeterminate;
                if attempt.abort().is_ok() || !unclear {
                    self.refused.insert(id(number));
                }
            }
        }
        Ok(())
    }

    fn aborted(&mut self, storage: &LocalStorage, number: u64) -> Result<()> {
        let attempt = storage.begin(id(number))?;
        drop(write_files(&*attempt.sink(), number));
        self.refused.insert(id(number));
        attempt.abort()
    }

    fn discard(&mut self, storage: &LocalStorage, number: u64, shared: usize) -> Result<()> {
        self.acknowledged.remove(&id(number));
        let unused: Vec<_> = self
            .shared
            .drain(..shared.min(self.shared.len()))
            .filter_map(|file| match file.stored.location {
                FileLocation::Shared(name) => Some(name),
                _ => None,
            })
            .collect();
        storage.discard(id(number), &unused)
    }

    fn savepoint(&mut self, storage: &LocalStorage) -> Result<()> {
        let attempt = storage.begin_savepoint(Some(SAVEPOINTS))?;
        let published = write_files(&*attempt.sink(), 77).and_then(|files| {
            let metadata = encode(&files);
            attempt.publish(&metadata).map(|()| metadata)
        });
        match published {
            Ok(metadata) => {
                self.savepoints.insert(attempt.pointer().to_owned(), metadata);
                Ok(())
            }
            Err(_) => attempt.abort(),
        }
    }

    /// Everything a coordinator does; whatever fails, it goes on.
    fn live(fs: &Arc<dyn FileSystem>) -> Self {
        let mut story = Self::default();
        let Ok(storage) = open_seeded(fs) else {
            return story;
        };
        drop(story.checkpoint(&storage, 1));
        drop(story.checkpoint(&storage, 2));
        drop(story.aborted(&storage, 3));
        drop(story.checkpoint(&storage, 4));
        if story.acknowledged.len() == 3 {
            // A checkpoint that could not be discarded still uses its files.
            let discarded = story.discard(&storage, 1, 0).is_ok();
            drop(story.savepoint(&storage));
            if discarded {
                drop(story.discard(&storage, 2, 1));
            }
        }
        drop(story.checkpoint(&storage, 5));
        story
    }

    /// What is wrong with `fs`, given what the coordinator was told.
    fn check(&self, fs: MemoryFs) -> Result<(), String> {
        let fs: Arc<dyn FileSystem> = Arc::new(fs);
        let text = |error: crate::Error| error.to_string();
        let storage = open_seeded(&fs).map_err(text)?;
        let listed = storage.list().map_err(text)?;
        for &id in &listed {
            let checkpoint = storage.load(id).map_err(text)?;
            check_whole(&checkpoint)?;
            if self.refused.contains(&id) {
                return Err(format!("checkpoint {id} was refused but is there"));
            }
            if self.acknowledged.get(&id).is_some_and(|known| *known != checkpoint.metadata) {
                return Err(format!("checkpoint {id} is another one"));
            }
        }
        if let Some(id) = self.acknowledged.keys().find(|id| !listed.contains(id)) {
            return Err(format!("checkpoint {id} was acknowledged but is gone"));
        }
        for (pointer, metadata) in &self.savepoints {
            let found = storage.open_pointer(pointer).map_err(text)?;
            if found.metadata != *metadata {
                return Err(format!("savepoint {pointer} is another one"));
            }
        }
        for entry in fs.list(Path::new(SAVEPOINTS)).unwrap_or_default() {
            let pointer = Path::new(SAVEPOINTS).join(entry.name);
            if let Ok(found) = storage.open_pointer(pointer.to_str().unwrap()) {
                check_whole(&found)?;
            }
        }
        Ok(())
    }
}

fn write_files(sink: &dyn SnapshotSink, seed: u64) -> Result<Vec<SnapshotFile>> {
    Ok(vec![
        write(sink, FileScope::Own, &content(seed, 1_500))?,
        write(sink, FileScope::Shared, &content(seed + 1_000, 2_500))?,
        write(sink, FileScope::Own, &content(seed + 2_000, 40))?,
    ])
}

/// A life with `fault` at operation `number`, and what is left of it.
fn live(number: u64, fault: Fault, left_out: Option<Operation>) -> (Story, FaultyFs, MemoryFs) {
    let memory = MemoryFs::new();
    let mut faulty = FaultyFs::new(Arc::new(memory.clone())).with_fault(number, fault);
    if let Some(operation) = left_out {
        faulty = faulty.leaving_out(operation);
    }
    let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    (Story::live(&fs), faulty, memory)
}

fn operations() -> u64 {
    let (story, faulty, memory) = live(u64::MAX, Fault::PowerCut, None);
    assert_eq!(story.acknowledged.keys().copied().collect::<Vec<_>>(), [id(4), id(5)]);
    assert_eq!((story.savepoints.len(), story.refused.len()), (1, 1));
    story.check(memory.crash()).unwrap();
    // Two checkpoints of three files each (two of them own, one is small), one more shared file that
    // both or the older uses, and a savepoint: nothing else is left.
    assert_eq!(files_below(&memory, Path::new("/")).len(), 2 * 2 + 3 + 3);
    faulty.operations()
}

/// Cuts the power at every operation; returns how many states were looked at, and what was wrong.
fn cut_everywhere(left_out: Option<Operation>, seeds: u64) -> (u64, Vec<String>) {
    let (mut points, mut wrong) = (0, Vec::new());
    for number in 1..=operations() + 1 {
        let (story, _, memory) = live(number, Fault::PowerCut, left_out);
        let random = (0..seeds).map(|seed| memory.crash_with(seed * 1_000 + number));
        for crashed in std::iter::once(memory.crash()).chain(random) {
            points += 1;
            if let Err(problem) = story.check(crashed) {
                wrong.push(format!("cut at operation {number}: {problem}"));
            }
        }
    }
    (points, wrong)
}

#[test]
fn a_power_cut_at_any_operation_leaves_whole_checkpoints() {
    let (points, wrong) = cut_everywhere(None, 20);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(points > 2_000, "only {points} points");
}

#[test]
fn a_failure_at_any_operation_leaves_whole_checkpoints_and_nothing_is_retried() {
    let (mut points, mut faults) = (0, 0);
    for fault in [
        Fault::Fails(EIO),
        Fault::Fails(ENOSPC),
        Fault::HappensButFails(EIO),
        Fault::HappensLater(EIO),
        Fault::Short,
    ] {
        for number in 1..=operations() {
            let (story, faulty, memory) = live(number, fault, None);
            faulty.catch_up();
            let retried = faulty.retried();
            assert!(retried.is_empty(), "{fault:?} at {number}: {retried:?}");
            faults += 1;
            let random = (0..4).map(|seed| memory.crash_with(seed * 1_000 + number));
            for left in [memory.clone(), memory.crash()].into_iter().chain(random) {
                points += 1;
                if let Err(problem) = story.check(left) {
                    panic!("{fault:?} at operation {number}: {problem}");
                }
            }
        }
    }
    assert!(points > 1_000 && faults > 400, "only {points} points, {faults} faults");
}

#[test]
fn after_a_failure_later_checkpoints_succeed() {
    let mut later = 0;
    for number in 1..=operations() {
        let (story, faulty, _) = live(number, Fault::Fails(EIO), None);
        let opened = faulty.trace().len() > 20;
        later += u64::from(story.acknowledged.contains_key(&id(5)));
        if opened && !story.refused.contains(&id(5)) {
            assert!(story.acknowledged.contains_key(&id(5)) || number + 40 > operations());
        }
    }
    assert!(later * 10 > operations() * 7, "{later}");
}

#[test]
fn canaries_without_a_sync_are_caught() {
    for operation in [Operation::SyncFile, Operation::SyncDirectory] {
        let (_, wrong) = cut_everywhere(Some(operation), 2);
        assert!(wrong.len() > 20, "{operation:?}: {wrong:?}");
    }
}

/// The answer to a rename is lost, and so is that to one of the requests after it, or to none.
#[test]
fn a_late_rename_never_brings_back_what_was_refused() {
    let attempt = |faults: &[(u64, Fault)]| {
        let mut faulty = FaultyFs::new(Arc::new(MemoryFs::new()));
        for &(number, fault) in faults {
            faulty = faulty.with_fault(number, fault);
        }
        let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let storage = open_seeded(&fs).unwrap();
        let attempt = storage.begin(id(1)).unwrap();
        let published = attempt.publish(b"end").map_err(|error| error.kind());
        (faulty, storage, attempt, published)
    };
    let (faulty, ..) = attempt(&[]);
    let renamed = |entry: &TraceEntry| entry.operation == Operation::RenameNoReplace;
    let rename = faulty.trace().iter().position(renamed).unwrap() as u64 + 1;
    let mut outcomes = BTreeSet::new();
    for number in rename + 1..=rename + 3 {
        let faults = [(rename, Fault::HappensLater(EIO)), (number, Fault::Fails(EIO))];
        let (faulty, storage, attempt, published) = attempt(&faults);
        let kind = published.unwrap_err();
        outcomes.insert(format!("{kind:?}"));
        if kind == ErrorKind::Indeterminate {
            // The second one is beyond all faults.
            while attempt.abort().is_err() {}
        }
        faulty.catch_up();
        assert_eq!(storage.list().unwrap(), [], "{kind:?}, failed at {number}");
        storage.begin(id(1)).unwrap().publish(b"other").unwrap();
    }
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}

/// A storage with a checkpoint that is there, whose publication could not be made durable, and its attempt.
fn in_doubt() -> (MemoryFs, Arc<dyn CheckpointAttempt>) {
    let publish = |fault: Option<u64>| {
        let memory = MemoryFs::new();
        let faulty = FaultyFs::new(Arc::new(memory.clone()));
        let faulty = fault.iter().fold(faulty, |fs, &at| fs.with_fault(at, Fault::Fails(EIO)));
        let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let attempt = open_seeded(&fs).unwrap().begin(id(1)).unwrap();
        let published = attempt.publish(b"end").map_err(|error| error.kind());
        (memory, faulty.operations(), attempt, published)
    };
    let (_, last, ..) = publish(None);
    let (memory, _, attempt, published) = publish(Some(last));
    assert_eq!(published, Err(ErrorKind::Indeterminate));
    (memory, attempt)
}

/// Another process builds on what it finds, and deletes what is older.
#[test]
fn what_was_loaded_survives_a_power_cut() {
    let (memory, _) = in_doubt();
    let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let found = open_seeded(&fs).unwrap().load(id(1)).unwrap();
    assert_eq!(found.metadata, b"end");
    let fs: Arc<dyn FileSystem> = Arc::new(memory.crash());
    assert_eq!(open_seeded(&fs).unwrap().load(id(1)).unwrap().metadata, b"end");
}

/// Its metadata was removed, which could not be made durable, and the process died. Another one does not
/// know of it, and deletes files that it had named.
#[test]
fn what_was_not_listed_does_not_come_back_after_a_power_cut() {
    let discard = |fault: Option<u64>| {
        let memory = MemoryFs::new();
        let faulty = FaultyFs::new(Arc::new(memory.clone()));
        let faulty = fault.iter().fold(faulty, |fs, &at| fs.with_fault(at, Fault::Fails(EIO)));
        let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let storage = open_seeded(&fs).unwrap();
        storage.begin(id(1)).unwrap().publish(b"end").unwrap();
        let before = faulty.trace().len();
        let discarded = storage.discard(id(1), &[]).map_err(|error| error.kind());
        (memory, faulty, before, discarded)
    };
    let (_, faulty, before, _) = discard(None);
    let synced = |entry: &TraceEntry| entry.operation == Operation::SyncDirectory;
    let sync = faulty.trace().iter().skip(before).position(synced).unwrap();
    let (memory, .., discarded) = discard(Some((before + sync) as u64 + 1));
    assert_eq!(discarded, Err(ErrorKind::Unavailable));
    let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
    assert_eq!(open_seeded(&fs).unwrap().list().unwrap(), []);
    let fs: Arc<dyn FileSystem> = Arc::new(memory.crash());
    assert_eq!(open_seeded(&fs).unwrap().list().unwrap(), []);
}

/// Somebody who collects orphans may have removed it before.
#[test]
fn a_doubt_about_a_place_that_is_gone_can_be_ended() {
    let (memory, attempt) = in_doubt();
    let fs: Arc<dyn FileSystem> = Arc::new(memory);
    let storage = open_seeded(&fs).unwrap();
    storage.discard(id(1), &[]).unwrap();
    attempt.abort().unwrap();
    assert_eq!(storage.list().unwrap(), []);
}
