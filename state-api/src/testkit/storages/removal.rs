//! Deletion, by number and by list, and what a survey finds.

use super::content::{assert_whole, encode, id, names, take, write_three};
use super::{StorageHarness, open};
use crate::ErrorKind;
use crate::snapshot::FileName;

/// A discarded checkpoint is gone with the shared files that were listed; the rest stays. Again, and
/// what never was, is no error.
pub fn discarding_can_be_repeated<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let first = take(&*storage, 1).unwrap();
    let second = take(&*storage, 2).unwrap();
    let mut unused = names(&first).1;
    unused.push(FileName::new("never-there").unwrap());
    for _ in 0..3 {
        storage.discard(id(1), &unused).unwrap();
        assert_eq!(storage.list().unwrap(), [id(2)]);
        assert_eq!(storage.load(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
        assert_whole(&storage, 2);
    }
    storage.discard(id(77), &[]).unwrap();
    storage.discard(id(2), &names(&second).1).unwrap();
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// Shared files that are not listed stay, for later checkpoints that use them.
pub fn shared_files_stay_until_they_are_listed<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let files = take(&*storage, 1).unwrap();
    let attempt = storage.begin(id(2)).unwrap();
    attempt.publish(&encode(&files[1..])).unwrap();
    storage.discard(id(1), &[]).unwrap();
    assert_whole(&storage, 2);
    assert_eq!(storage.load(id(2)).unwrap().metadata, encode(&files[1..]));
    storage.discard(id(2), &[]).unwrap();
    let (_, shared) = names(&files);
    let left = storage.survey().unwrap().shared;
    let found: Vec<&str> = left.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(found, shared.iter().map(FileName::as_str).collect::<Vec<_>>());
    for _ in 0..2 {
        storage.discard_shared(&shared).unwrap();
        storage.discard_shared(&[]).unwrap();
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    }
}

/// What a process that died left unpublished is found by a survey and removed by its number.
pub fn unpublished_leftovers_are_discarded<H: StorageHarness>(harness: &H) {
    if !harness.profile().places {
        return;
    }
    let attempt = open(harness).begin(id(3)).unwrap();
    let files = write_three(&*attempt.sink(), 3).unwrap();
    drop(attempt);
    let storage = open(harness);
    let survey = storage.survey().unwrap();
    assert_eq!(survey.checkpoints.len(), 1);
    assert_eq!((survey.checkpoints[0].id, survey.checkpoints[0].published), (id(3), false));
    assert_eq!((survey.checkpoints[0].files.len(), survey.shared.len()), (1, 1));
    storage.discard(id(3), &[]).unwrap();
    assert_eq!(harness.everything().len(), 1, "{:?}", harness.everything());
    storage.discard_shared(&names(&files).1).unwrap();
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// A deletion that stopped after any of its steps leaves no checkpoint, and a new call goes on.
pub fn an_interrupted_discard_goes_on<H: StorageHarness>(harness: &H) {
    if !harness.profile().places {
        return;
    }
    let storage = open(harness);
    for removed in 0..3 {
        let files = take(&*storage, 1).unwrap();
        let own = storage.load(id(1)).unwrap().pointer;
        let (own_names, shared) = names(&files);
        let steps = ["_metadata", own_names[0].as_str()];
        for step in &steps[..removed] {
            harness.remove(&format!("{own}/{step}"));
        }
        if removed > 0 {
            assert!(storage.list().unwrap().is_empty());
            assert_eq!(storage.load(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
            let refused = storage.open_pointer(&own).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::NotFound);
        }
        storage.discard(id(1), &shared).unwrap();
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    }
}

/// A number whose checkpoint is gone can be begun again, with other bytes.
pub fn a_discarded_number_is_free<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for seed in 1..4 {
        let attempt = storage.begin(id(5)).unwrap();
        let files = write_three(&*attempt.sink(), seed).unwrap();
        attempt.publish(&encode(&files)).unwrap();
        assert_eq!(storage.load(id(5)).unwrap().metadata, encode(&files));
        assert_whole(&storage, 5);
        storage.discard(id(5), &names(&files).1).unwrap();
        assert!(storage.list().unwrap().is_empty());
    }
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// A survey tells published from unpublished, lists every file with its length, and says how old
/// things are where the storage knows.
pub fn a_survey_finds_everything<H: StorageHarness>(harness: &H) {
    let profile = harness.profile();
    let storage = open(harness);
    let mut expected = Vec::new();
    for number in [10, 2] {
        expected.extend(names(&take(&*storage, number).unwrap()).1);
    }
    let attempt = storage.begin(id(3)).unwrap();
    let unfinished = write_three(&*attempt.sink(), 3).unwrap();
    expected.extend(names(&unfinished).1);
    let survey = open(harness).survey().unwrap();
    let found: Vec<_> = survey.checkpoints.iter().map(|one| (one.id, one.published)).collect();
    if !profile.places {
        assert_eq!(found, [(id(2), true), (id(10), true)]);
        assert!(survey.shared.is_empty());
        return;
    }
    assert_eq!(found, [(id(2), true), (id(3), false), (id(10), true)]);
    for place in &survey.checkpoints {
        let lengths: Vec<u64> = place.files.iter().map(|file| file.length).collect();
        assert_eq!(lengths, [30_000], "metadata is not among them: {place:?}");
    }
    expected.sort_unstable();
    let names: Vec<&str> = survey.shared.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, expected.iter().map(FileName::as_str).collect::<Vec<_>>());
    let own = survey.checkpoints.iter().flat_map(|place| &place.files);
    for file in own.chain(&survey.shared) {
        assert_eq!(file.modified_ms.is_some(), profile.ages, "{file:?}");
    }
    assert!(survey.shared.iter().all(|file| file.length == 50_000));
    assert!(survey.probes.is_empty(), "{:?}", survey.probes);
    attempt.publish(&encode(&unfinished)).unwrap();
    assert!(storage.survey().unwrap().checkpoints.iter().all(|place| place.published));
}

/// What others put beside and into the places of checkpoints is neither listed nor removed.
pub fn junk_is_ignored_and_stays<H: StorageHarness>(harness: &H) {
    if !harness.profile().places {
        return;
    }
    let storage = open(harness);
    let files = take(&*storage, 5).unwrap();
    let own = storage.load(id(5)).unwrap().pointer;
    let job = own.rsplit_once('/').unwrap().0;
    let mut junk = Vec::new();
    for name in ["chk-05", "chk-+6", "chk-", "chk-x", "chk-18446744073709551616", "CHK-7", "x"] {
        junk.push(format!("{job}/{name}/_metadata"));
    }
    for name in ["somebody's notes", "notes", "0123456789ABCDEF0123456789ABCDEF", ".metadata-x"] {
        junk.extend([format!("{own}/{name}"), format!("{job}/shared/{name}")]);
    }
    junk.push(format!("{job}/notes"));
    for pointer in &junk {
        harness.put(pointer, b"junk");
    }
    let storage = open(harness);
    assert_eq!(storage.list().unwrap(), [id(5)]);
    let survey = storage.survey().unwrap();
    assert_eq!((survey.checkpoints.len(), survey.checkpoints[0].files.len()), (1, 1));
    assert_eq!((survey.shared.len(), survey.probes.len()), (1, 0));
    assert_eq!(storage.load(id(6)).unwrap_err().kind(), ErrorKind::NotFound);
    storage.discard(id(5), &names(&files).1).unwrap();
    assert_eq!(harness.everything().len(), junk.len(), "{:?}", harness.everything());
    for pointer in &junk {
        harness.remove(pointer);
    }
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}
