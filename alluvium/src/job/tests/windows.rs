//! Runs that end at any file operation: killed, without power, or by an error. Each is gone on with, and
//! must come out right and leave nothing that no manifest names, and one savepoint.
//!
//! A plain `cargo test` stops at some operations; `ALLUVIUM_STRIDE=1` at each. Which operation has which
//! number depends on threads, so that a failure may not repeat at the same number.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_checkpoint::{OrphanOptions, RestorePoint, StorageEnv, collect_orphans, open_storage};
use alluvium_state_api::clock::SystemClock;
use alluvium_state_api::format::CheckpointKind;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{FileLocation, FileName};
use alluvium_state_api::vfs::faulty::{EIO, ENOSPC, Fault, Operation, TraceEntry};
use alluvium_state_api::vfs::{EntryKind, FaultyFs, FileSystem, MemoryFs};

use super::support::{Remembered, input, run_over, spec};
use crate::job::{Event, JobError, Mode, Report, Spec};
use crate::source::Source;

/// Every so many operations one is stopped at; prime, so that no pattern is stepped over.
const STRIDE: u64 = 11;

const ROOT: &str = "/checkpoints";

/// A run of one subtask, then two, whose state goes into files.
pub(super) fn small(mode: Mode, more: &[(&str, &str)]) -> Spec {
    let mut spec = spec(Path::new("unused"));
    let pairs = [("state.checkpoints.dir", ROOT), ("state.storage.fs.memory-threshold", "0")];
    spec.settings = Settings::from_pairs(pairs.iter().chain(more).copied()).unwrap();
    (spec.mode, spec.parallelism, spec.rescale_to) = (mode, 1, 2);
    spec.checkpoint_every = Some(60);
    spec
}

pub(super) fn life(
    spec: &Spec,
    source: &Source,
    fs: impl FileSystem + 'static,
) -> (Result<Report, JobError>, Remembered) {
    let env = StorageEnv::default().with_file_system(Arc::new(fs));
    run_over(spec, source, crate::registry(), env)
}

/// Where in a run's life an operation is.
fn window(next: &TraceEntry) -> &'static str {
    let path = next.path.to_str().unwrap();
    let savepoint = path.contains("/savepoint-");
    match next.operation {
        Operation::RenameNoReplace | Operation::Rename if savepoint => "savepoint's publication",
        Operation::RenameNoReplace | Operation::Rename => "checkpoint's publication",
        Operation::RemoveFile | Operation::RemoveDir if path.contains("/shared/") => {
            "deletion of shared files"
        }
        Operation::RemoveFile | Operation::RemoveDir if path.contains("/chk-") => {
            "deletion of a checkpoint"
        }
        Operation::Write | Operation::SyncFile | Operation::CreateNew if savepoint => {
            "savepoint's files"
        }
        Operation::Write | Operation::SyncFile | Operation::CreateNew => "files",
        Operation::SyncDirectory if savepoint => "savepoint's directories",
        Operation::SyncDirectory => "directories",
        _ => "other",
    }
}

/// How often it is stopped where.
#[derive(Debug, Default)]
struct Hits(BTreeMap<&'static str, u64>);

impl Hits {
    /// What the run was about to do.
    fn note(&mut self, next: &TraceEntry) {
        *self.0.entry(window(next)).or_default() += 1;
    }

    fn assert_hit(&self, windows: &[&str]) {
        for window in windows {
            assert!(self.0.contains_key(window), "{window} was not hit: {self:?}");
        }
    }
}

fn stride() -> usize {
    let asked = std::env::var("ALLUVIUM_STRIDE").ok().and_then(|text| text.parse().ok());
    usize::try_from(asked.unwrap_or(STRIDE).max(1)).unwrap()
}

/// Runs `spec` to its end after a life that the `number`th operation ended; `survived` says what of the
/// file system that life leaves. Returns what the operation was.
fn stopped_at(
    number: u64,
    fault: Fault,
    (spec, source): (&Spec, &Source),
    survived: impl Fn(&MemoryFs) -> MemoryFs,
) -> Option<TraceEntry> {
    let disk = MemoryFs::new();
    let faulty = FaultyFs::new(Arc::new(disk.clone())).with_fault(number, fault);
    let (first, _) = life(spec, source, faulty.clone());
    assert_eq!(faulty.retried(), Vec::<PathBuf>::new(), "operation {number}");
    if let Ok(first) = &first {
        assert!(first.is_right(), "operation {number}: {first:?}");
    }

    let disk = survived(&disk);
    let (second, observer) = life(spec, source, disk.clone());
    let next = faulty.trace().get(usize::try_from(number).unwrap() - 1).cloned();
    let second = second.unwrap_or_else(|error| panic!("operation {number}, {next:?}: {error}"));
    assert!(second.is_right(), "operation {number}: {:?}", second.mismatch_examples);
    let repeats = |event: &Event| matches!(event, Event::Repeated { .. });
    let afresh = first.is_ok() || observer.events.lock().iter().any(repeats);
    let savepoints = examine(&disk, spec, &second.job);
    assert_eq!(savepoints, if afresh { 2 } else { 1 }, "operation {number}, {next:?}");
    next
}

/// Checks that there is exactly what manifests name, once orphans are collected, and that all of it
/// verifies. Returns how many savepoints are complete.
pub(super) fn examine(disk: &MemoryFs, spec: &Spec, job: &str) -> usize {
    let env = StorageEnv::default().with_file_system(Arc::new(disk.clone()));
    let mut settings = spec.settings.clone();
    settings.set("state.savepoints.dir", ROOT).unwrap();
    let storage = open_storage(&settings, &FileName::new(job).unwrap(), &env).unwrap();
    let mut options = OrphanOptions::default();
    (options.min_age, options.dry_run) = (std::time::Duration::ZERO, false);
    collect_orphans(&storage, &SystemClock::new(), options).unwrap();

    let found = files(disk, Path::new(ROOT));
    let (mut named, mut savepoints) = (BTreeSet::new(), 0);
    for metadata in found.iter().filter(|path| path.ends_with("_metadata")) {
        let own = metadata.parent().unwrap();
        let stored = storage.open_pointer(own.to_str().unwrap()).unwrap();
        let verified = crate::verify::verify_stored(stored.clone()).unwrap();
        assert_eq!(verified.problems, Vec::<String>::new());
        let point = RestorePoint::read(stored).unwrap();
        savepoints += usize::from(point.metadata().kind == CheckpointKind::Savepoint);
        named.insert(metadata.clone());
        for (_, _, keyed) in point.metadata().keyed() {
            for file in &keyed.files {
                match &file.stored.location {
                    FileLocation::Own(name) => named.insert(own.join(name.as_str())),
                    FileLocation::Shared(name) => {
                        named.insert(own.parent().unwrap().join("shared").join(name.as_str()))
                    }
                    FileLocation::Inline(_) => false,
                };
            }
        }
    }
    let lock = Path::new(ROOT).join(job).join(".lock");
    let left: Vec<_> = found.iter().filter(|path| **path != lock).collect();
    assert_eq!(left, named.iter().collect::<Vec<_>>());
    savepoints
}

/// Every file below `directory`.
pub(super) fn files(disk: &MemoryFs, directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in disk.list(directory).unwrap() {
        let path = directory.join(&entry.name);
        match entry.metadata.kind {
            EntryKind::Directory => found.extend(files(disk, &path)),
            _ => drop(found.insert(path)),
        }
    }
    found
}

/// What a run must have been stopped in, wherever the stride leads.
const WINDOWS: [&str; 3] = ["files", "directories", "deletion of a checkpoint"];

/// Stops a run at many operations: at those of the stride, and then in each of [`WINDOWS`] that the stride
/// stepped over. There it takes several tries, for an operation's number is not the same in each run.
fn stop_everywhere(
    spec: &Spec,
    fault: Fault,
    survived: impl Fn(u64, &MemoryFs) -> MemoryFs,
) -> Hits {
    let source = input(300);
    let whole = FaultyFs::new(Arc::new(MemoryFs::new()));
    life(spec, &source, whole.clone()).0.unwrap();
    let mut hits = Hits::default();
    let stop = |hits: &mut Hits, number| {
        let next = stopped_at(number, fault, (spec, &source), |disk| survived(number, disk));
        if let Some(next) = &next {
            hits.note(next);
        }
    };
    for number in (1..=whole.operations()).step_by(stride()) {
        stop(&mut hits, number);
    }
    for aim in WINDOWS {
        for (number, _) in (1..).zip(whole.trace()).filter(|(_, entry)| window(entry) == aim) {
            if hits.0.contains_key(aim) {
                break;
            }
            stop(&mut hits, number);
        }
    }
    hits
}

#[test]
fn a_run_that_is_killed_at_any_operation_goes_on() {
    for mode in [Mode::Sync, Mode::Incremental] {
        let hits = stop_everywhere(&small(mode, &[]), Fault::PowerCut, |_, disk| disk.clone());
        hits.assert_hit(&WINDOWS);
    }
}

#[test]
fn a_run_that_loses_power_at_any_operation_goes_on() {
    let spec = small(Mode::Incremental, &[("state.checkpoints.num-retained", "2")]);
    let hits = stop_everywhere(&spec, Fault::PowerCut, |number, disk| match number % 2 {
        0 => disk.crash(),
        _ => disk.crash_with(number),
    });
    hits.assert_hit(&WINDOWS);
}

#[test]
fn a_run_that_fails_at_any_operation_goes_on() {
    for error in [EIO, ENOSPC] {
        let spec = small(Mode::Async, &[]);
        let hits = stop_everywhere(&spec, Fault::Fails(error), |_, disk| disk.clone());
        hits.assert_hit(&WINDOWS);
    }
}

#[test]
fn the_windows_of_the_savepoint_are_each_hit() {
    let (spec, source) = (small(Mode::Sync, &[]), input(300));
    let whole = FaultyFs::new(Arc::new(MemoryFs::new()));
    life(&spec, &source, whole.clone()).0.unwrap();
    let is_of_savepoint = |entry: &TraceEntry| entry.path.to_str().unwrap().contains("/savepoint-");
    let trace = whole.trace();
    let first = trace.iter().position(is_of_savepoint).unwrap() as u64;
    let last = trace.iter().rposition(is_of_savepoint).unwrap() as u64;
    let mut hits = Hits::default();
    // One more at each end: the checkpoint that notes it, and the start from it.
    for number in first..=last + 4 {
        let next = stopped_at(number, Fault::PowerCut, (&spec, &source), MemoryFs::clone);
        hits.note(&next.unwrap());
    }
    hits.assert_hit(&["savepoint's files", "savepoint's publication", "checkpoint's publication"]);
    hits.assert_hit(&["savepoint's directories"]);
}
