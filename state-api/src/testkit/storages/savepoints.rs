//! Savepoints: self-contained, each in a new place of its own, never deleted but by name.

use super::content::{
    assert_whole, check_whole, content, encode, names, publish_three, take, write_three,
};
use super::{Opening, StorageHarness, job, open};
use crate::snapshot::FileLocation;
use crate::{ErrorKind, Result};

/// A target beats the configured place, which is the default; without either there is an error,
/// unless the storage keeps savepoints itself.
pub fn the_target_beats_the_configured_place<H: StorageHarness>(harness: &H) {
    let job = job();
    let (configured, target) = (harness.place("configured"), harness.place("target"));
    let without = harness.open(&Opening::of(&job)).unwrap();
    let with =
        harness.open(&Opening { savepoints: Some(&configured), ..Opening::of(&job) }).unwrap();
    let below = |place: &str, pointer: &str| pointer.starts_with(&format!("{place}/"));
    let attempt = with.begin_savepoint(None).unwrap();
    assert!(below(&configured, attempt.pointer()), "{attempt:?}");
    publish_three(&*attempt, 1).unwrap();
    let attempt = with.begin_savepoint(Some(&target)).unwrap();
    assert!(below(&target, attempt.pointer()), "{attempt:?}");
    publish_three(&*attempt, 2).unwrap();
    check_whole(&with.open_pointer(attempt.pointer()).unwrap()).unwrap();
    match without.begin_savepoint(None) {
        Ok(attempt) => {
            assert!(harness.profile().keeps_savepoints);
            publish_three(&*attempt, 3).unwrap();
            check_whole(&without.open_pointer(attempt.pointer()).unwrap()).unwrap();
            without.discard_savepoint(attempt.pointer(), &[]).unwrap();
        }
        Err(error) => {
            assert!(!harness.profile().keeps_savepoints);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
    match without.begin_savepoint(Some(&target)) {
        Ok(attempt) => {
            assert!(below(&target, attempt.pointer()));
            attempt.abort().unwrap();
        }
        Err(error) => {
            assert!(!harness.profile().places);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}

/// All files of a savepoint, also those that a checkpoint would share, lie in its one place.
pub fn all_files_are_in_one_place<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let storage =
        harness.open(&Opening { savepoints: Some(&target), ..Opening::of(&job) }).unwrap();
    let before = harness.everything();
    let attempt = storage.begin_savepoint(None).unwrap();
    let files = publish_three(&*attempt, 1).unwrap();
    assert!(files.iter().all(|file| !matches!(file.stored.location, FileLocation::Shared(_))));
    let (own, _) = names(&files);
    assert_eq!(own.len(), 2);
    assert_eq!(harness.everything().len(), before.len() + 3, "{:?}", harness.everything());
    let place = attempt.pointer().rsplit('/').next().unwrap();
    let mine = harness.everything().into_iter().filter(|name| name.contains(place));
    assert_eq!(mine.count(), 3);
    assert!(place.starts_with("savepoint-a1b2c3-"), "{place}");
    for pointer in ["", "/", "/_metadata"].map(|end| format!("{}{end}", attempt.pointer())) {
        let opened = storage.open_pointer(&pointer).unwrap();
        assert_eq!(
            (opened.pointer.as_str(), &opened.metadata),
            (attempt.pointer(), &encode(&files))
        );
        check_whole(&opened).unwrap();
    }
}

/// Savepoints do not count as checkpoints, and never share a place.
pub fn savepoints_are_no_checkpoints<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let storage =
        harness.open(&Opening { savepoints: Some(&target), ..Opening::of(&job) }).unwrap();
    let (first, second) =
        (storage.begin_savepoint(None).unwrap(), storage.begin_savepoint(None).unwrap());
    assert_ne!(first.pointer(), second.pointer());
    publish_three(&*first, 1).unwrap();
    publish_three(&*second, 2).unwrap();
    assert!(storage.list().unwrap().is_empty());
    let survey = storage.survey().unwrap();
    assert!(survey.checkpoints.is_empty() && survey.shared.is_empty());
    take(&*storage, 1).unwrap();
    for attempt in [first, second] {
        check_whole(&storage.open_pointer(attempt.pointer()).unwrap()).unwrap();
        assert_eq!(attempt.abort().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// An aborted savepoint leaves nothing.
pub fn an_aborted_savepoint_leaves_nothing<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let storage =
        harness.open(&Opening { savepoints: Some(&target), ..Opening::of(&job) }).unwrap();
    take(&*storage, 1).unwrap();
    let before = harness.everything();
    let attempt = storage.begin_savepoint(None).unwrap();
    write_three(&*attempt.sink(), 1).unwrap();
    for _ in 0..2 {
        attempt.abort().unwrap();
        assert_eq!(harness.everything(), before);
    }
    let refused = storage.open_pointer(attempt.pointer()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(attempt.publish(b"late").unwrap_err().kind(), ErrorKind::Cancelled);
    assert_whole(&storage, 1);
}

/// Disposal removes the metadata and the listed files, and nothing that somebody else put there.
pub fn a_savepoint_is_discarded_by_its_list<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let storage =
        harness.open(&Opening { savepoints: Some(&target), ..Opening::of(&job) }).unwrap();
    take(&*storage, 1).unwrap();
    let before = harness.everything();
    let attempt = storage.begin_savepoint(None).unwrap();
    let files = publish_three(&*attempt, 2).unwrap();
    let kept = storage.begin_savepoint(None).unwrap();
    let others = publish_three(&*kept, 3).unwrap();
    let notes = format!("{}/notes", attempt.pointer());
    harness.put(&notes, b"somebody's");
    let metadata = format!("{}/_metadata", attempt.pointer());
    storage.discard_savepoint(&metadata, &names(&files).0).unwrap();
    // What is left is the other savepoint's three files, and the notes.
    assert_eq!(harness.everything().len(), before.len() + 4, "{:?}", harness.everything());
    let gone = storage.open_pointer(attempt.pointer()).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let again = storage.discard_savepoint(attempt.pointer(), &names(&files).0).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    check_whole(&storage.open_pointer(kept.pointer()).unwrap()).unwrap();
    storage.discard_savepoint(kept.pointer(), &names(&others).0).unwrap();
    harness.remove(&notes);
    assert_eq!(harness.everything(), before);
    assert_whole(&storage, 1);
}

/// A disposal whose process died at any point is repeated until nothing is left, also by somebody who can
/// no longer read which files there were. What can be opened in between is whole.
pub fn an_interrupted_disposal_goes_on<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let opening = Opening { savepoints: Some(&target), ..Opening::of(&job) };
    for operations in 0.. {
        let attempt = harness.open(&opening).unwrap().begin_savepoint(None).unwrap();
        let files = names(&publish_three(&*attempt, 1).unwrap()).0;
        let pointer = attempt.pointer();
        let dying = harness.open_dying(&opening, operations);
        let done = match dying {
            Ok(None) => {
                assert!(!harness.profile().dies);
                harness.open(&opening).unwrap().discard_savepoint(pointer, &files).unwrap();
                true
            }
            Ok(Some(dying)) => dying.discard_savepoint(pointer, &files).is_ok(),
            Err(_) => false,
        };
        let storage = harness.open(&opening).unwrap();
        if let Ok(found) = storage.open_pointer(pointer) {
            assert!(!done, "it came back after {operations} operations");
            check_whole(&found).unwrap();
            storage.discard_savepoint(pointer, &files).unwrap();
        } else if let Err(error) = storage.discard_savepoint(pointer, &[]) {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let again = storage.discard_savepoint(pointer, &files).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
        // Elsewhere a process that dies may leave a probe, which is collected with the orphans.
        let place = pointer.rsplit('/').next().unwrap();
        let left = harness.everything().into_iter().filter(|name| name.contains(place));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "after {operations} operations");
        if done {
            return;
        }
    }
}

/// Places with awkward names hold savepoints, or are refused before anything is written.
pub fn awkward_targets<H: StorageHarness>(harness: &H) {
    let must = ["with space", "plus+sign", "equals=and&", "dots..in.it", "a/b/c", "Grüße", "日本"];
    let may = ["100%", "%41", "question?", "hash#", "a//b", "tilde~", "quote'\"", "back\\slash"];
    for (name, required) in must.map(|name| (name, true)).into_iter().chain(may.map(|n| (n, false)))
    {
        let job = job();
        let place = harness.place(name);
        let opening = Opening { savepoints: Some(&place), ..Opening::of(&job) };
        let kept = || -> Result<()> {
            let storage = harness.open(&opening)?;
            let attempt = storage.begin_savepoint(None)?;
            let files = publish_three(&*attempt, 1)?;
            let opened = harness.open(&opening)?.open_pointer(attempt.pointer())?;
            assert_eq!(opened.metadata, encode(&files));
            check_whole(&opened).unwrap();
            storage.discard_savepoint(attempt.pointer(), &names(&files).0)
        };
        if let Err(error) = kept() {
            assert!(!required, "{name:?}: {error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}: {error}");
        }
        assert!(harness.everything().is_empty(), "{name:?}: {:?}", harness.everything());
    }
}

/// A savepoint survives its job: nothing of it is in the job's own place.
pub fn a_savepoint_outlives_the_job<H: StorageHarness>(harness: &H) {
    let (job, target) = (job(), harness.place("target"));
    let opening = Opening { savepoints: Some(&target), ..Opening::of(&job) };
    let storage = harness.open(&opening).unwrap();
    let files = take(&*storage, 1).unwrap();
    let attempt = storage.begin_savepoint(None).unwrap();
    let saved = publish_three(&*attempt, 1).unwrap();
    storage.discard(super::content::id(1), &names(&files).1).unwrap();
    let opened = open(harness).open_pointer(attempt.pointer());
    match opened {
        Ok(opened) => {
            check_whole(&opened).unwrap();
            let bytes = super::content::read_all(&*opened.source, &saved[1]);
            assert_eq!(bytes, content(1_001, 50_000));
        }
        Err(error) => {
            assert!(!harness.profile().places);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}
