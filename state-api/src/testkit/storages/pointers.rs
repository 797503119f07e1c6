//! Pointers: a checkpoint or savepoint by where it is, or by its metadata.

use super::content::{check_whole, encode, id, publish_three, take, write_three};
use super::{StorageHarness, open};
use crate::ErrorKind;

/// The place, with a slash at its end, and the metadata in it: all lead to the same checkpoint.
pub fn places_and_their_metadata_are_pointers<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let files = publish_three(&*attempt, 1).unwrap();
    let place = attempt.pointer();
    let mut pointers = vec![place.to_owned()];
    if harness.profile().places {
        pointers.extend([format!("{place}/"), format!("{place}/_metadata")]);
    }
    for pointer in pointers {
        for storage in [&storage, &open(harness)] {
            let opened = storage.open_pointer(&pointer).unwrap();
            assert_eq!(opened.pointer, place, "{pointer}");
            assert_eq!(opened.metadata, encode(&files));
            check_whole(&opened).unwrap();
        }
    }
}

/// No pointer at all, a strange one, and one to nothing are told apart.
pub fn wrong_pointers_are_refused<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    take(&*storage, 1).unwrap();
    let own = storage.load(id(1)).unwrap().pointer;
    let job = own.rsplit_once('/').unwrap().0;
    let refused = |pointer: &str| storage.open_pointer(pointer).map(|_| ()).unwrap_err().kind();
    for pointer in ["nowhere-to-be-found://bucket/chk-1", "a\0b"] {
        let kind = refused(pointer);
        let kinds = [ErrorKind::InvalidInput, ErrorKind::Unsupported];
        assert!(kinds.contains(&kind), "{pointer:?}: {kind:?}");
    }
    assert_eq!(refused(&format!("{job}/chk-2")), ErrorKind::NotFound);
    if harness.profile().places {
        for pointer in ["", " ", "\t\n"] {
            assert_eq!(refused(pointer), ErrorKind::InvalidInput, "{pointer:?}");
        }
        let nowhere = harness.place("nowhere");
        for pointer in [
            format!("{nowhere}/_metadata"),
            format!("{job}/shared"),
            format!("{job}/chk-2/"),
            format!("{job}/chk-2/_metadata"),
            job.to_owned(),
            nowhere,
        ] {
            assert_eq!(refused(&pointer), ErrorKind::NotFound, "{pointer}");
        }
    }
}

/// A place with files and without metadata was never completed.
pub fn what_was_never_completed_is_not_found<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    write_three(&*attempt.sink(), 1).unwrap();
    let mut pointers = vec![attempt.pointer().to_owned()];
    if harness.profile().places {
        pointers.push(format!("{}/", attempt.pointer()));
        pointers.push(format!("{}/_metadata", attempt.pointer()));
    }
    for pointer in pointers {
        let refused = storage.open_pointer(&pointer).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{pointer}");
    }
}

/// A pointer to a data file is none to a checkpoint.
pub fn a_file_is_no_checkpoint<H: StorageHarness>(harness: &H) {
    if !harness.profile().places {
        return;
    }
    let storage = open(harness);
    let place = harness.place("some");
    let pointer = format!("{place}/file");
    harness.put(&pointer, b"no checkpoint");
    let kind = storage.open_pointer(&pointer).unwrap_err().kind();
    assert!([ErrorKind::InvalidInput, ErrorKind::NotFound].contains(&kind), "{kind:?}");
}
