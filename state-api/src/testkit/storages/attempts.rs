//! How an attempt ends: it stops its writers, and an abort removes what it wrote and nothing else.

use super::content::{
    assert_whole, content, encode, id, names, publish_three, take, write, write_three,
};
use super::{StorageHarness, beyond_inline, open};
use crate::ErrorKind;
use crate::storage::FileScope;

/// After an abort nothing is left, and who still writes finds it `Cancelled`.
pub fn an_aborted_attempt_leaves_nothing_and_stops_its_writers<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let sink = attempt.sink();
    write_three(&*sink, 1).unwrap();
    let mut late = sink.create(FileScope::Own).unwrap();
    late.write(&content(2, 100_000)).unwrap();
    let mut later = sink.create(FileScope::Shared).unwrap();
    attempt.abort().unwrap();
    assert_eq!(late.finish().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(later.write(b"x").unwrap_err().kind(), ErrorKind::Cancelled);
    for scope in [FileScope::Own, FileScope::Shared] {
        let refused = sink.create(scope).map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Cancelled);
    }
    drop(later);
    attempt.abort().unwrap();
    assert_eq!(attempt.publish(b"").unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    assert!(storage.list().unwrap().is_empty());
    assert!(storage.survey().unwrap().checkpoints.is_empty());
    take(&*storage, 1).unwrap();
    assert_whole(&storage, 1);
}

/// An abort may be repeated, before anything was written as well.
pub fn aborts_may_be_repeated<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let empty = storage.begin(id(1)).unwrap();
    let full = storage.begin(id(2)).unwrap();
    write_three(&*full.sink(), 2).unwrap();
    for _ in 0..3 {
        empty.abort().unwrap();
        full.abort().unwrap();
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    }
}

/// What is published can be neither aborted nor written to, and stays.
pub fn a_published_attempt_cannot_be_aborted_or_written_to<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let sink = attempt.sink();
    let mut late = sink.create(FileScope::Own).unwrap();
    late.write(&content(3, beyond_inline(sink.inline_policy()))).unwrap();
    let files = publish_three(&*attempt, 1).unwrap();
    assert_eq!(late.finish().unwrap_err().kind(), ErrorKind::Cancelled);
    let refused = sink.create(FileScope::Own).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    assert_eq!(attempt.abort().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(attempt.publish(b"").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(storage.load(id(1)).unwrap().pointer, attempt.pointer());
    assert_eq!(storage.load(id(1)).unwrap().metadata, encode(&files));
    assert_whole(&storage, 1);
    if harness.profile().places {
        assert_eq!(harness.everything().len(), 3, "{:?}", harness.everything());
    }
}

/// A file that is not finished is discarded with its writer.
pub fn a_dropped_writer_leaves_nothing<H: StorageHarness>(harness: &H) {
    let attempt = open(harness).begin(id(1)).unwrap();
    for (scope, length) in [(FileScope::Shared, 100_000), (FileScope::Own, 12 << 20)] {
        let mut writer = attempt.sink().create(scope).unwrap();
        for piece in content(1, length).chunks(1 << 20) {
            writer.write(piece).unwrap();
        }
        drop(writer);
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    }
}

/// An abort leaves alone what another attempt at the same checkpoint has written.
pub fn an_abort_removes_only_its_own<H: StorageHarness>(harness: &H) {
    let (first, second) = (open(harness), open(harness));
    let kept = first.begin(id(1)).unwrap();
    let given_up = second.begin(id(1)).unwrap();
    let files = write_three(&*kept.sink(), 1).unwrap();
    let alone = harness.everything();
    write_three(&*given_up.sink(), 2).unwrap();
    given_up.abort().unwrap();
    assert_eq!(harness.everything(), alone);
    kept.publish(&encode(&files)).unwrap();
    assert_whole(&second, 1);
    given_up.abort().unwrap();
    assert_whole(&second, 1);
}

/// A process that only runs subtasks writes through an attempt of its own, which the coordinator's
/// process then publishes, or removes.
pub fn files_of_several_processes_make_one_checkpoint<H: StorageHarness>(harness: &H) {
    let (master, worker) = (open(harness), open(harness));
    let attempt = master.begin(id(1)).unwrap();
    let theirs = worker.begin(id(1)).unwrap();
    assert_eq!(theirs.pointer(), attempt.pointer());
    let mut files = write_three(&*attempt.sink(), 1).unwrap();
    files.extend(write_three(&*theirs.sink(), 2).unwrap());
    attempt.publish(&encode(&files)).unwrap();
    assert_whole(&worker, 1);
    let (own, shared) = names(&files);
    assert_eq!(own.len() + shared.len(), if harness.profile().places { 4 } else { 0 });
    master.discard(id(1), &shared).unwrap();
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// Metadata that is there already and equal was published by this attempt, whose answer was lost.
pub fn equal_metadata_is_ones_own<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let (before, after) = (storage.begin(id(1)).unwrap(), storage.begin(id(1)).unwrap());
    let files = write_three(&*after.sink(), 1).unwrap();
    before.publish(&encode(&files)).unwrap();
    after.publish(&encode(&files)).unwrap();
    assert_eq!(after.abort().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_whole(&storage, 1);
}

/// Attempts end once, also those that wrote nothing.
pub fn an_attempt_ends_once<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let aborted = storage.begin(id(1)).unwrap();
    aborted.abort().unwrap();
    assert_eq!(aborted.publish(b"late").unwrap_err().kind(), ErrorKind::Cancelled);
    let published = storage.begin(id(1)).unwrap();
    published.publish(b"in time").unwrap();
    assert_eq!(published.publish(b"in time").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(storage.load(id(1)).unwrap().metadata, b"in time");
}

/// A file whose writer was finished is there even if the sink, and the attempt, are dropped.
pub fn dropping_an_attempt_removes_nothing<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let bytes = content(1, 60_000);
    let file = write(&*attempt.sink(), FileScope::Own, &bytes).unwrap();
    drop(attempt);
    assert_eq!(super::content::read_all(&*storage.source(id(1)), &file), bytes);
    storage.discard(id(1), &[]).unwrap();
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}
