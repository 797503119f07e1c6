//! Checkpoints and savepoints copied out: what is there afterwards, what is refused, and that nothing
//! half is ever taken for a copy.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{
    ExportOptions, Exported, RestorePoint, StartFrom, Trigger, dispose_savepoint, export,
};
use alluvium_state_api::format::metadata::{CheckpointKind, CheckpointMetadata};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{FileLocation, FileName};
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::storage::{CheckpointStorage, local};
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs};
use alluvium_state_api::{ErrorKind, Result};

use crate::fake::{Job, assert_whole, check_file, id, incremental, local, local_over};

const COPY: &str = "/elsewhere/copy";

/// A job with a chain of three increments and a savepoint, and the pointers to the newest of each.
fn specimen() -> (Job, MemoryFs, [String; 2]) {
    let (mut job, fs) = Job::started(incremental(2));
    for _ in 0..3 {
        job.complete(Trigger::checkpoint().with_application("position 7"));
    }
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let newest = job.coordinator.completed().next_back().unwrap().pointer.clone();
    (job, fs, [newest, savepoint])
}

fn options(links: bool) -> ExportOptions {
    let mut options = ExportOptions::default();
    (options.links, options.transfers) = (links, 1);
    options
}

fn copy_out(
    from: &dyn CheckpointStorage,
    pointer: &str,
    to: &dyn CheckpointStorage,
    links: bool,
) -> Result<Exported> {
    export(&RestorePoint::open(from, pointer)?, to, COPY, &options(links))
}

/// Everything below a directory.
fn remove_all(fs: &dyn FileSystem, directory: &Path) {
    for entry in fs.list(directory).unwrap() {
        let path = directory.join(entry.name);
        if fs.list(&path).is_ok() {
            remove_all(fs, &path);
        } else {
            fs.remove_file(&path).unwrap();
        }
    }
    fs.remove_dir(directory).unwrap();
}

/// The metadata of what is at `pointer`, all of whose files are there, right, and its own.
fn self_contained(storage: &dyn CheckpointStorage, pointer: &str) -> CheckpointMetadata {
    let point = RestorePoint::open(storage, pointer).unwrap();
    for (_, _, keyed) in point.metadata().keyed() {
        for file in &keyed.files {
            assert!(!matches!(file.stored.location, FileLocation::Shared(_)));
            check_file(&**point.source(), file);
        }
    }
    point.metadata().clone()
}

/// The same without places of files.
fn without_places(mut metadata: CheckpointMetadata) -> CheckpointMetadata {
    let subtasks = metadata.operators.iter_mut().flat_map(|operator| &mut operator.subtasks);
    for keyed in subtasks.filter_map(|subtask| subtask.keyed.as_mut()) {
        for file in &mut keyed.files {
            if !matches!(file.stored.location, FileLocation::Inline(_)) {
                file.stored.location = FileLocation::Own(FileName::new("file").unwrap());
            }
        }
    }
    metadata
}

#[test]
fn a_copy_has_everything_and_outlives_the_original() {
    for links in [true, false] {
        for which in 0..2 {
            let (job, fs, pointers) = specimen();
            let original = RestorePoint::open(&*job.storage, &pointers[which]).unwrap();
            let copied = copy_out(&*job.storage, &pointers[which], &*job.storage, links).unwrap();
            assert_eq!(copied.pointer, COPY);
            assert!(copied.files > 0 && copied.bytes > 0);
            drop(job);
            remove_all(&fs, Path::new("/checkpoints"));
            remove_all(&fs, Path::new("/savepoints"));
            let mut after = Job::over(local(&fs), incremental(1));
            let metadata = self_contained(&*after.storage, COPY);
            let (was, is) = (original.metadata().clone(), without_places(metadata.clone()));
            assert_eq!(is, without_places(was));
            let kinds = [CheckpointKind::Checkpoint, CheckpointKind::Savepoint];
            assert_eq!(metadata.kind, kinds[which]);
            let plan = after.start(3, StartFrom::Pointer(COPY)).unwrap();
            let parts = || plan.operators[0].subtasks.iter().flat_map(|subtask| &subtask.restore);
            assert!(parts().all(|part| part.base.is_none()), "nobody builds on a copy");
            assert_eq!(parts().count(), 4);
        }
    }
}

#[test]
fn links_share_their_bytes_and_copies_do_not() {
    for links in [true, false] {
        let (job, fs, pointers) = specimen();
        copy_out(&*job.storage, &pointers[0], &*job.storage, links).unwrap();
        let point = RestorePoint::open(&*job.storage, &pointers[0]).unwrap();
        let file = &point.metadata().keyed().next().unwrap().2.files[0];
        let path = point.source().local_path(file).unwrap();
        // What nobody does: writing into a file of a snapshot shows in what shares its bytes.
        fs.open_append(&path).unwrap().write_all(b"!").unwrap();
        let copy = RestorePoint::open(&*job.storage, COPY).unwrap();
        let file = &copy.metadata().keyed().next().unwrap().2.files[0];
        assert_eq!(copy.source().open(file).is_err(), links);
    }
}

#[test]
fn a_copy_goes_into_another_storage_and_back() {
    let (job, _, pointers) = specimen();
    let random = Arc::new(SeededRandomness::new(5));
    let memory = MemoryStorage::new(FileName::new("other").unwrap(), random);
    let point = RestorePoint::open(&*job.storage, &pointers[0]).unwrap();
    let there = export(&point, &memory, "memory://other/copy", &options(true)).unwrap();
    let metadata = self_contained(&memory, &there.pointer);
    assert_eq!(metadata.operators[0].subtasks[0].application, b"subtask 0");
    let fs = MemoryFs::new();
    let point = RestorePoint::open(&memory, &there.pointer).unwrap();
    let back = export(&point, &*local(&fs), COPY, &options(true)).unwrap();
    assert_eq!(self_contained(&*local(&fs), COPY), metadata, "what is inline stays inline");
    assert_eq!((back.files, back.bytes), (0, 0));
}

#[test]
fn a_damaged_original_is_refused_and_nothing_is_left() {
    for (links, cut) in [(true, false), (false, false), (true, true), (false, true)] {
        let (job, fs, pointers) = specimen();
        let point = RestorePoint::open(&*job.storage, &pointers[0]).unwrap();
        let file = &point.metadata().keyed().next().unwrap().2.files[0];
        let path = point.source().local_path(file).unwrap();
        let length = file.stored.length as usize;
        fs.remove_file(&path).unwrap();
        if !cut {
            fs.create_new(&path).unwrap().write_all(&vec![0xee; length]).unwrap();
        }
        let refused = copy_out(&*job.storage, &pointers[0], &*job.storage, links).unwrap_err();
        let kind = if cut { ErrorKind::NotFound } else { ErrorKind::Corrupted };
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.path().is_some() && refused.checkpoint() == Some(id(3)), "{refused:?}");
        assert!(fs.metadata(Path::new(COPY)).is_err(), "nothing is left");
    }
}

#[test]
fn a_place_that_is_taken_is_refused_and_untouched() {
    let (job, fs, pointers) = specimen();
    copy_out(&*job.storage, &pointers[0], &*job.storage, true).unwrap();
    let before = self_contained(&*job.storage, COPY);
    let refused = copy_out(&*job.storage, &pointers[1], &*job.storage, true).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(self_contained(&*job.storage, COPY), before);
    // Nor is the original overwritten by a copy to where it is.
    let point = RestorePoint::open(&*job.storage, &pointers[0]).unwrap();
    let refused = export(&point, &*job.storage, &pointers[0], &options(true)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_whole(&*local(&fs));
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let (job, fs, pointers) = specimen();
    let point = RestorePoint::open(&*job.storage, &pointers[0]).unwrap();
    let options = options(true);
    options.cancel.cancel();
    let refused = export(&point, &*job.storage, COPY, &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    assert!(fs.metadata(Path::new(COPY)).is_err());
}

/// Copies out over a file system on which operation `at` goes wrong; says how many there were.
fn interrupted(links: bool, at: u64, fault: Fault) -> (u64, Result<Exported>, MemoryFs) {
    let (_, fs, pointers) = specimen();
    let faulty = FaultyFs::new(Arc::new(fs.clone()));
    let storage = local_over(Arc::new(faulty.clone()), 2);
    let before = faulty.operations();
    let faulty = faulty.with_fault(before + at, fault);
    let copied = copy_out(&*storage, &pointers[0], &*storage, links);
    (faulty.operations() - before, copied, fs)
}

#[test]
fn a_copy_that_is_interrupted_anywhere_is_there_as_a_whole_or_not_at_all() {
    for links in [true, false] {
        let (operations, copied, _) = interrupted(links, u64::MAX / 2, Fault::Fails(EIO));
        copied.unwrap();
        assert!(operations > 30, "{operations}");
        for at in 1..=operations {
            for fault in [Fault::Fails(EIO), Fault::PowerCut] {
                let (_, copied, fs) = interrupted(links, at, fault);
                let after = if fault == Fault::PowerCut { fs.crash_with(at) } else { fs };
                let storage = local(&after);
                let opened = storage.open_pointer(COPY);
                match (&copied, opened) {
                    (_, Ok(_)) => drop(self_contained(&*storage, COPY)),
                    (Ok(_), Err(error)) => panic!("{links} {at} {fault:?}: {error}"),
                    (Err(_), Err(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
                }
                assert_whole(&*storage);
                let fs: Arc<dyn FileSystem> = Arc::new(after);
                assert!(local::open_pointer(&fs, "/checkpoints/job-1/chk-3").is_ok());
            }
        }
    }
}

#[test]
fn a_copy_is_disposed_of_and_what_a_job_uses_is_not() {
    let (job, fs, [checkpoint, savepoint]) = specimen();
    let refusal = |pointer: &str| {
        let error = dispose_savepoint(&*job.storage, pointer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.to_string()
    };
    copy_out(&*job.storage, &checkpoint, &*job.storage, true).unwrap();
    let notes = Path::new(COPY).join("notes");
    fs.create_new(&notes).unwrap().write_all(b"somebody's").unwrap();
    dispose_savepoint(&*job.storage, &format!("{COPY}/_metadata")).unwrap();
    let left: Vec<_> = fs.list(Path::new(COPY)).unwrap();
    assert_eq!(left.len(), 1, "the notes stay: {left:?}");
    let again = dispose_savepoint(&*job.storage, COPY).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    // In its job's place, by any name of it; and a part of it that was carried off.
    for pointer in [checkpoint.clone(), format!("{checkpoint}/"), format!("{checkpoint}/_metadata")]
    {
        assert!(refusal(&pointer).contains("a job that runs deletes it"));
    }
    let carried = Path::new("/elsewhere/part");
    fs.create_dir(carried).unwrap();
    fs.hard_link(&Path::new(&checkpoint).join("_metadata"), &carried.join("_metadata")).unwrap();
    assert!(refusal("/elsewhere/part").contains("shares with other checkpoints"));
    assert_whole(&*job.storage);
    dispose_savepoint(&*job.storage, &savepoint).unwrap();
}
