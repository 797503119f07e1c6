//! From nothing to a published checkpoint that every process sees, and never changes.

use super::content::{
    assert_whole, check_whole, content, decode, encode, id, publish_three, read_all, take,
    write_three,
};
use super::{Opening, StorageHarness, job, open};
use crate::ErrorKind;
use crate::snapshot::{FileLocation, FileName};
use crate::storage::Survey;

/// A fresh place has no checkpoints and nothing to survey.
pub fn a_fresh_storage_is_empty<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    assert!(storage.list().unwrap().is_empty());
    assert_eq!(storage.survey().unwrap(), Survey::default());
    assert_eq!(storage.load(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(harness.everything().is_empty());
}

/// Published checkpoints are listed, loaded and read by this process and the next.
pub fn what_is_published_is_listed_loaded_and_read<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for number in [2, 10, 1] {
        take(&*storage, number).unwrap();
    }
    for storage in [storage, open(harness)] {
        assert_eq!(storage.list().unwrap(), [id(1), id(2), id(10)]);
        let stored = storage.load(id(10)).unwrap();
        let files = decode(&stored.metadata).unwrap();
        if harness.profile().places {
            assert!(matches!(files[0].stored.location, FileLocation::Own(_)));
            assert!(matches!(files[1].stored.location, FileLocation::Shared(_)));
        }
        assert!(matches!(files[2].stored.location, FileLocation::Inline(_)));
        assert_eq!(read_all(&*stored.source, &files[0]), content(10, 30_000));
        assert_eq!(read_all(&*storage.source(id(10)), &files[1]), content(1_010, 50_000));
        assert_eq!(read_all(&*stored.source, &files[2]), content(2_010, 20));
        check_whole(&stored).unwrap();
        assert_eq!(storage.load(id(3)).unwrap_err().kind(), ErrorKind::NotFound);
        let refused = storage.begin(id(2)).unwrap_err();
        assert_eq!((refused.kind(), refused.checkpoint()), (ErrorKind::AlreadyExists, Some(id(2))));
    }
}

/// Until it is published nobody takes an attempt for a checkpoint.
pub fn an_open_attempt_is_no_checkpoint<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    take(&*storage, 1).unwrap();
    let attempt = storage.begin(id(2)).unwrap();
    let files = write_three(&*attempt.sink(), 2).unwrap();
    for storage in [open(harness), storage] {
        assert_eq!(storage.list().unwrap(), [id(1)]);
        assert_eq!(storage.load(id(2)).unwrap_err().kind(), ErrorKind::NotFound);
        let refused = storage.open_pointer(attempt.pointer()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        // Its files can be looked at already, as a coordinator does before it publishes.
        let source = storage.source(id(2));
        assert_eq!(read_all(&*source, &files[0]), content(2, 30_000));
        assert_eq!(read_all(&*source, &files[1]), content(1_002, 50_000));
    }
    attempt.publish(&encode(&files)).unwrap();
    assert_whole(&open(harness), 2);
}

/// Who comes second is refused, whenever it began, and changes nothing.
pub fn published_is_immutable<H: StorageHarness>(harness: &H) {
    let (first, second) = (open(harness), open(harness));
    let winner = first.begin(id(1)).unwrap();
    let loser = second.begin(id(1)).unwrap();
    let lost = write_three(&*loser.sink(), 7).unwrap();
    publish_three(&*winner, 1).unwrap();
    let metadata = first.load(id(1)).unwrap().metadata;
    let before = harness.everything().len();
    let refused = loser.publish(&encode(&lost)).unwrap_err();
    assert_eq!((refused.kind(), refused.checkpoint()), (ErrorKind::AlreadyExists, Some(id(1))));
    // It is over with this attempt, whatever is tried.
    assert_eq!(loser.publish(&metadata).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(second.load(id(1)).unwrap().metadata, metadata);
    loser.abort().unwrap();
    loser.abort().unwrap();
    assert_eq!(first.load(id(1)).unwrap().metadata, metadata);
    assert_whole(&second, 1);
    assert_eq!(first.list().unwrap(), [id(1)]);
    if harness.profile().places {
        assert_eq!(harness.everything().len(), before - 2, "{:?}", harness.everything());
    }
}

/// Numbers from the first to the last sort as numbers.
pub fn any_number_will_do<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let numbers = [u64::MAX, 9, 0, 100, 10, u64::MAX - 1];
    for number in numbers {
        storage.begin(id(number)).unwrap().publish(&encode(&[])).unwrap();
    }
    let mut sorted = numbers.map(id);
    sorted.sort_unstable();
    assert_eq!(storage.list().unwrap(), sorted);
    let surveyed = storage.survey().unwrap().checkpoints;
    assert_eq!(surveyed.iter().map(|place| place.id).collect::<Vec<_>>(), sorted);
    for number in numbers {
        assert_whole(&storage, number);
    }
}

/// Metadata comes back byte by byte, whatever its size.
pub fn metadata_of_any_size<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for (number, length) in (1..).zip([0, 1, 4_095, 1 << 20, 9 << 20]) {
        let metadata = content(number, length);
        let attempt = storage.begin(id(number)).unwrap();
        attempt.publish(&metadata).unwrap();
        assert!(storage.load(id(number)).unwrap().metadata == metadata, "{length} bytes");
        assert!(storage.open_pointer(attempt.pointer()).unwrap().metadata == metadata);
    }
}

/// Metadata above 1 GiB is refused before anything is written.
pub fn metadata_beyond_measure_is_refused<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let refused = attempt.publish(&vec![0; (1 << 30) + 1]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(storage.list().unwrap().is_empty());
    attempt.abort().unwrap();
    assert!(harness.everything().is_empty());
}

/// Jobs with the same numbers side by side do not meet, but can open each other's.
pub fn two_jobs_side_by_side<H: StorageHarness>(harness: &H) {
    let names = [job(), FileName::new("a1b2c3d4e5f7").unwrap()];
    let storages = names.each_ref().map(|job| harness.open(&Opening::of(job)).unwrap());
    let attempts = storages.each_ref().map(|storage| storage.begin(id(1)).unwrap());
    assert_ne!(attempts[0].pointer(), attempts[1].pointer());
    let files = [(0, 5), (1, 6)].map(|(at, seed)| publish_three(&*attempts[at], seed).unwrap());
    for (storage, files) in storages.iter().zip(&files) {
        assert_eq!(storage.load(id(1)).unwrap().metadata, encode(files));
        assert_whole(storage, 1);
    }
    if harness.profile().places {
        let (mine, theirs) = (&storages[0], attempts[1].pointer());
        check_whole(&mine.open_pointer(theirs).unwrap()).unwrap();
        assert_eq!(mine.open_pointer(theirs).unwrap().metadata, encode(&files[1]));
    }
    let (_, shared) = super::content::names(&files[0]);
    storages[0].discard(id(1), &shared).unwrap();
    assert!(storages[0].list().unwrap().is_empty());
    assert_eq!(storages[1].list().unwrap(), [id(1)]);
    assert_whole(&storages[1], 1);
}

/// Every name that a job may have leads to a place of its own.
pub fn any_job_name_will_do<H: StorageHarness>(harness: &H) {
    let long = "x".repeat(200);
    let names = ["a", "A", "-", "_", "a.b", "chk-1", "shared", "_metadata", "savepoint-1", &long];
    for (seed, name) in (1..).zip(names) {
        let job = FileName::new(name).unwrap();
        let storage = harness.open(&Opening::of(&job)).unwrap();
        assert!(storage.list().unwrap().is_empty(), "{name}");
        let files = publish_three(&*storage.begin(id(1)).unwrap(), seed).unwrap();
        let again = harness.open(&Opening::of(&job)).unwrap();
        assert_eq!(again.load(id(1)).unwrap().metadata, encode(&files));
        assert_whole(&again, 1);
    }
}
