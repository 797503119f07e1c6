//! Files that nothing names, and savepoints that were never completed: found, and removed by name.

use super::content::{
    assert_whole, check_whole, id, names, publish_three, read_all, take, write_three,
};
use super::{Opening, StorageHarness, job, open};
use crate::ErrorKind;
use crate::snapshot::FileName;
use crate::storage::{SurveyedPlace, SurveyedSavepoint, savepoint_name};

/// A name as storages draw them.
const DRAWN: &str = "00000000000000000000000000000abc";

/// Names that no storage draws.
const FOREIGN: [&str; 6] =
    ["_metadata", "notes", "..", "../x", "", "0000000000000000000000000000ABCD"];

fn files_of(place: &SurveyedSavepoint) -> Vec<String> {
    place.files.iter().map(|file| file.name.clone()).collect()
}

/// A file that came into the place of a checkpoint after its publication is in the survey, and can be
/// removed by its name; the checkpoint stays whole.
pub fn a_late_file_is_found_and_removed<H: StorageHarness>(harness: &H) {
    if !harness.profile().places {
        return;
    }
    let storage = open(harness);
    take(&*storage, 1).unwrap();
    let before = harness.everything();
    let own = storage.load(id(1)).unwrap().pointer;
    harness.put(&format!("{own}/{DRAWN}"), b"late");
    let survey = storage.survey().unwrap();
    let place = &survey.checkpoints[0];
    assert!(place.published);
    let late: Vec<_> = place.files.iter().filter(|file| file.length == 4).collect();
    assert_eq!((place.files.len(), late.len()), (2, 1));
    assert_eq!(late[0].name, DRAWN);
    let at = SurveyedPlace::Checkpoint(id(1));
    for _ in 0..2 {
        storage.discard_strays(&at, &[DRAWN.to_owned()]).unwrap();
        assert_eq!(harness.everything(), before);
        assert_whole(&storage, 1);
    }
    storage.discard_strays(&SurveyedPlace::Checkpoint(id(9)), &[DRAWN.to_owned()]).unwrap();
}

/// Names that the storage never gives are refused, and then nothing is removed; so are places that
/// are none of its own.
pub fn foreign_names_are_refused<H: StorageHarness>(harness: &H) {
    let (job, place) = (job(), harness.place("savepoints"));
    let storage = harness.open(&Opening { savepoints: Some(&place), ..Opening::of(&job) }).unwrap();
    take(&*storage, 1).unwrap();
    let attempt = storage.begin_savepoint(None).unwrap();
    let files = publish_three(&*attempt, 2).unwrap();
    let drawn = names(&files).0[0].to_string();
    let before = harness.everything();
    let savepoint = SurveyedPlace::Savepoint(attempt.pointer().to_owned());
    for at in [SurveyedPlace::Job, SurveyedPlace::Checkpoint(id(1)), savepoint] {
        for foreign in FOREIGN {
            let refused = storage.discard_strays(&at, &[drawn.clone(), foreign.to_owned()]);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput, "{at} {foreign:?}");
        }
    }
    let strange = savepoint_name("strange", 7);
    for elsewhere in ["", "/other", "/savepoint-a1b2c3-0123456789abcdef", &format!("/{strange}")] {
        let at = SurveyedPlace::Savepoint(format!("{place}{elsewhere}"));
        let refused = storage.discard_strays(&at, &[]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{at}");
    }
    assert_eq!(harness.everything(), before);
}

/// Savepoints in the configured place are found, complete or not, and nobody else's. One that was
/// never completed is gone with its files.
pub fn savepoints_are_found_complete_or_not<H: StorageHarness>(harness: &H) {
    let (job, place) = (job(), harness.place("savepoints"));
    // Beginning with the same characters, as ids of jobs may that have a prefix in common.
    let stranger = FileName::new(&format!("{}-other", &job.as_str()[..6])).unwrap();
    let of = |job| harness.open(&Opening { savepoints: Some(&place), ..Opening::of(job) }).unwrap();
    let (storage, other) = (of(&job), of(&stranger));
    assert!(storage.survey_savepoints().unwrap().is_empty(), "the place is not there yet");
    let complete = storage.begin_savepoint(None).unwrap();
    publish_three(&*complete, 1).unwrap();
    let foreign = other.begin_savepoint(None).unwrap();
    publish_three(&*foreign, 2).unwrap();
    let named_alike = "savepoint-a1b2c3-0123456789abcdef";
    for name in ["savepoint-a1b2c3-notes/x", "savepoint-a1b2c3/x", named_alike] {
        harness.put(&format!("{place}/{name}"), b"junk");
    }
    let before = harness.everything();
    let open = storage.begin_savepoint(None).unwrap();
    write_three(&*open.sink(), 3).unwrap();
    let pointer = open.pointer().to_owned();
    drop(open);
    let storage = of(&job);
    let found = storage.survey_savepoints().unwrap();
    assert!(found.is_sorted_by(|a, b| a.pointer < b.pointer));
    assert_eq!(found.len(), 2, "{found:?}");
    for one in &found {
        assert_eq!(one.published, one.pointer == complete.pointer(), "{one:?}");
        let mut lengths: Vec<_> = one.files.iter().map(|file| file.length).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [30_000, 50_000]);
    }
    let orphan = found.iter().find(|one| one.pointer == pointer).unwrap();
    let at = SurveyedPlace::Savepoint(pointer);
    for _ in 0..2 {
        storage.discard_strays(&at, &files_of(orphan)).unwrap();
        assert_eq!(harness.everything(), before);
    }
    assert_eq!(storage.survey_savepoints().unwrap().len(), 1);
    check_whole(&storage.open_pointer(complete.pointer()).unwrap()).unwrap();
    check_whole(&other.open_pointer(foreign.pointer()).unwrap()).unwrap();
    assert_eq!(other.survey_savepoints().unwrap().len(), 1);
}

/// What an interrupted disposal left is found by a survey, and can be removed without the metadata
/// that named it.
pub fn a_half_disposed_savepoint_is_found<H: StorageHarness>(harness: &H) {
    let (job, place) = (job(), harness.place("savepoints"));
    let storage = harness.open(&Opening { savepoints: Some(&place), ..Opening::of(&job) }).unwrap();
    let attempt = storage.begin_savepoint(None).unwrap();
    let files = publish_three(&*attempt, 1).unwrap();
    assert_eq!(read_all(&*attempt.source(), &files[0]).len(), 30_000);
    harness.remove(&format!("{}/_metadata", attempt.pointer()));
    let found = storage.survey_savepoints().unwrap();
    assert_eq!((found.len(), found[0].published, found[0].files.len()), (1, false, 2));
    let at = SurveyedPlace::Savepoint(found[0].pointer.clone());
    storage.discard_strays(&at, &files_of(&found[0])).unwrap();
    assert!(storage.survey_savepoints().unwrap().is_empty());
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// Without a configured place there are only the savepoints that the storage keeps itself.
pub fn without_a_place_there_are_no_savepoints<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    if harness.profile().keeps_savepoints {
        let attempt = storage.begin_savepoint(None).unwrap();
        publish_three(&*attempt, 1).unwrap();
        let found = storage.survey_savepoints().unwrap();
        assert_eq!((found.len(), found[0].published), (1, true));
        assert_eq!(found[0].pointer, attempt.pointer());
        storage.discard_savepoint(attempt.pointer(), &[]).unwrap();
    }
    assert!(storage.survey_savepoints().unwrap().is_empty());
}
