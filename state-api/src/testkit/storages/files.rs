//! Files: what goes inline, what is recorded about them, reading them at any offset, noticing damage.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use xxhash_rust::xxh3::xxh3_128;

use super::content::{
    assert_whole, check_whole, content, encode, id, named, names, read_all, take, write,
};
use super::{Opening, StorageHarness, beyond_inline, job, open};
use crate::ErrorKind;
use crate::random::SeededRandomness;
use crate::snapshot::{FileLocation, FileName, SnapshotFile};
use crate::storage::local::{LocalOptions, LocalStorage};
use crate::storage::{CheckpointStorage, FileScope, InlinePolicy, verify_checksum};
use crate::vfs::MemoryFs;

/// Files of at most the threshold travel in the metadata; where there are no places, all do.
pub fn the_inline_threshold_is_inclusive<H: StorageHarness>(harness: &H) {
    let attempt = open(harness).begin(id(1)).unwrap();
    let sink = attempt.sink();
    let lengths = match sink.inline_policy() {
        InlinePolicy::Small { threshold_bytes } => {
            assert!(harness.profile().places);
            let threshold = usize::try_from(threshold_bytes).unwrap();
            [(0, true), (threshold, true), (threshold + 1, false)]
        }
        InlinePolicy::Everything { .. } => {
            assert!(!harness.profile().places);
            [(0, true), (1 << 10, true), (1 << 20, true)]
        }
    };
    for scope in [FileScope::Own, FileScope::Shared] {
        for (length, inline) in lengths {
            let file = write(&*sink, scope, &content(1, length)).unwrap();
            let found = match file.stored.location {
                FileLocation::Inline(_) => None,
                FileLocation::Own(_) => Some(FileScope::Own),
                FileLocation::Shared(_) => Some(FileScope::Shared),
            };
            assert_eq!(found, Some(scope).filter(|_| !inline), "{length} bytes");
        }
    }
}

/// What is recorded about a file is its length and the XXH3-128 of its bytes, however they came.
pub fn any_sizes_of_pieces_give_the_same_file<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let source = storage.source(id(1));
    for (length, pieces) in [
        (300_000, &[1_000, 64 << 10, 299_999, 300_000][..]),
        (11 << 20, &[1 << 20, (5 << 20) + 1, 11 << 20]),
    ] {
        let bytes = content(5, length);
        for size in pieces {
            let mut writer = attempt.sink().create(FileScope::Own).unwrap();
            for piece in bytes.chunks(*size) {
                writer.write(&[]).unwrap();
                writer.write(piece).unwrap();
            }
            let file = named(writer.finish().unwrap());
            assert_eq!(
                (file.stored.length, file.stored.checksum),
                (length as u64, xxh3_128(&bytes))
            );
            assert!(read_all(&*source, &file) == bytes, "{length} bytes in pieces of {size}");
        }
    }
}

/// Names are fresh, also for the same bytes in the same scope and for another attempt.
pub fn names_never_repeat<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempts = [storage.begin(id(1)).unwrap(), open(harness).begin(id(1)).unwrap()];
    let mut seen = BTreeSet::new();
    for attempt in attempts {
        let sink = attempt.sink();
        let bytes = content(1, beyond_inline(sink.inline_policy()));
        for scope in [FileScope::Own, FileScope::Shared, FileScope::Own, FileScope::Shared] {
            match write(&*sink, scope, &bytes).unwrap().stored.location {
                FileLocation::Own(name) | FileLocation::Shared(name) => {
                    assert!(seen.insert(name.clone()), "{name} was given twice");
                }
                FileLocation::Inline(_) => assert!(!harness.profile().places),
            }
        }
    }
}

/// Any range can be read, by many threads at once; none beyond the end.
pub fn reading_at_any_offset<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    for length in [1, 20, 70_001, 3 << 20] {
        let bytes = content(length as u64, length);
        let file = write(&*attempt.sink(), FileScope::Own, &bytes).unwrap();
        let reader = storage.source(id(1)).open(&file).unwrap();
        assert_eq!((reader.len(), reader.is_empty()), (length as u64, false));
        let ranges = [
            (0, length),
            (0, 1),
            (length - 1, 1),
            (length / 2, length - length / 2),
            (length / 3, length / 3),
            (0, 0),
            (length, 0),
        ];
        thread::scope(|scope| {
            for (from, count) in ranges {
                let (reader, bytes) = (&reader, &bytes);
                scope.spawn(move || {
                    let mut read = vec![0; count];
                    reader.read_exact_at(from as u64, &mut read).unwrap();
                    assert!(read == bytes[from..from + count], "{count} bytes at {from}");
                });
            }
        });
        for (offset, count) in [(length as u64 - 1, 2), (length as u64, 1), (u64::MAX, 1)] {
            let refused = reader.read_exact_at(offset, &mut vec![0; count]).unwrap_err();
            assert_eq!((refused.kind(), refused.offset()), (ErrorKind::Corrupted, Some(offset)));
        }
    }
    let empty = write(&*attempt.sink(), FileScope::Own, &[]).unwrap();
    let reader = storage.source(id(1)).open(&empty).unwrap();
    assert!(reader.is_empty());
    reader.read_exact_at(0, &mut []).unwrap();
    assert_eq!(reader.read_exact_at(0, &mut [0]).unwrap_err().kind(), ErrorKind::Corrupted);
}

/// A manifest that is wrong about a file is found out.
pub fn another_length_or_checksum_is_noticed<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for file in take(&*storage, 1).unwrap() {
        let source = storage.source(id(1));
        for length in [file.stored.length - 1, file.stored.length + 1, u64::MAX] {
            let mut wrong = file.clone();
            wrong.stored.length = length;
            assert_eq!(source.open(&wrong).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        let reader = source.open(&file).unwrap();
        verify_checksum(&*reader, file.stored.checksum).unwrap();
        let error = verify_checksum(&*reader, file.stored.checksum ^ 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
    }
}

/// A file that is not there, or is not as long as it was, is an error when it is opened.
pub fn missing_and_changed_files_are_noticed<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let files = take(&*storage, 1).unwrap();
    let mut nowhere: SnapshotFile = files[0].clone();
    let name = FileName::new("00000000000000000000000000000000").unwrap();
    for location in [FileLocation::Own(name.clone()), FileLocation::Shared(name)] {
        nowhere.stored.location = location;
        let missing = storage.source(id(1)).open(&nowhere).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
    let FileLocation::Own(name) = &files[0].stored.location else {
        assert!(!harness.profile().places);
        return;
    };
    let pointer = format!("{}/{name}", storage.load(id(1)).unwrap().pointer);
    let source = storage.source(id(1));
    for bytes in [content(1, 29_999), content(1, 30_001), Vec::new()] {
        harness.put(&pointer, &bytes);
        assert_eq!(source.open(&files[0]).unwrap_err().kind(), ErrorKind::Corrupted);
    }
    harness.put(&pointer, &content(2, 30_000));
    let reader = source.open(&files[0]).unwrap();
    let noticed = verify_checksum(&*reader, files[0].stored.checksum).unwrap_err();
    assert_eq!(noticed.kind(), ErrorKind::Corrupted);
    harness.remove(&pointer);
    assert_eq!(source.open(&files[0]).unwrap_err().kind(), ErrorKind::NotFound);
}

/// The storage of another job in the same place, one of another kind, and the job's own.
fn places_to_take_from<H: StorageHarness>(harness: &H) -> [Arc<dyn CheckpointStorage>; 3] {
    let theirs = harness.open(&Opening::of(&FileName::new("theirs").unwrap())).unwrap();
    let (fs, random) = (Arc::new(MemoryFs::new()), Arc::new(SeededRandomness::new(3)));
    let options = LocalOptions::default();
    let elsewhere = LocalStorage::open(fs, random, Path::new("/elsewhere"), &job(), options);
    [theirs, Arc::new(elsewhere.unwrap()), open(harness)]
}

/// Files of another job, of another storage and of the job's own are taken over under names of their own.
/// The originals are only read, and either may go without the other.
pub fn files_are_taken_over_from_anywhere<H: StorageHarness>(harness: &H) {
    for (number, from) in (2..).zip(places_to_take_from(harness)) {
        let files = take(&*from, 100).unwrap();
        let original = from.load(id(100)).unwrap();
        let storage = open(harness);
        let attempt = storage.begin(id(number)).unwrap();
        let mut taken = Vec::new();
        for scope in [FileScope::Own, FileScope::Shared] {
            for file in &files {
                let stored = attempt.sink().import(file, &*original.source, scope).unwrap();
                let (new, old) = (&stored.location, &file.stored.location);
                assert_eq!(
                    (stored.length, stored.checksum),
                    (file.stored.length, file.stored.checksum)
                );
                match new {
                    FileLocation::Inline(_) => {
                        assert!(old == new || !harness.profile().places);
                    }
                    FileLocation::Own(name) | FileLocation::Shared(name) => {
                        assert_eq!(matches!(new, FileLocation::Own(_)), scope == FileScope::Own);
                        let (own, shared) = names(&files);
                        assert!(!own.contains(name) && !shared.contains(name), "{name} again");
                    }
                }
                taken.push(SnapshotFile { stored, ..file.clone() });
            }
        }
        attempt.publish(&encode(&taken)).unwrap();
        assert_whole(&storage, number);
        check_whole(&original).unwrap();
        let copy = storage.load(id(number)).unwrap();
        from.discard(id(100), &names(&files).1).unwrap();
        check_whole(&copy).unwrap();
        let files = take(&*from, 101).unwrap();
        let attempt = storage.begin(id(number + 10)).unwrap();
        let source = from.load(id(101)).unwrap().source;
        let shared = |file| attempt.sink().import(file, &*source, FileScope::Shared).unwrap();
        let taken: Vec<_> = files.iter().map(|file| named(shared(file))).collect();
        attempt.publish(&encode(&taken)).unwrap();
        storage.discard(id(number + 10), &names(&taken).1).unwrap();
        check_whole(&from.load(id(101)).unwrap()).unwrap();
        from.discard(id(101), &names(&files).1).unwrap();
    }
}

/// A file that is missing, or is not what is recorded of it, is refused and leaves nothing.
pub fn what_cannot_be_taken_over_leaves_nothing<H: StorageHarness>(harness: &H) {
    for from in places_to_take_from(harness) {
        let files = take(&*from, 100).unwrap();
        let source = from.load(id(100)).unwrap().source;
        let before = harness.everything();
        let attempt = open(harness).begin(id(1)).unwrap();
        for scope in [FileScope::Own, FileScope::Shared] {
            let refused = |file: &SnapshotFile| {
                let taken = attempt.sink().import(file, &*source, scope);
                assert_eq!(harness.everything(), before);
                taken.unwrap_err().kind()
            };
            for file in &files {
                let mut longer = file.clone();
                longer.stored.length += 1;
                assert_eq!(refused(&longer), ErrorKind::Corrupted);
                // Where a second name does, nothing is read.
                if source.local_path(file).is_none() {
                    let mut other = file.clone();
                    other.stored.checksum ^= 1;
                    assert_eq!(refused(&other), ErrorKind::Corrupted);
                }
            }
            let name = FileName::new("00000000000000000000000000000000").unwrap();
            for location in [FileLocation::Own(name.clone()), FileLocation::Shared(name)] {
                let mut missing = files[0].clone();
                missing.stored.location = location;
                assert_eq!(refused(&missing), ErrorKind::NotFound);
            }
        }
        attempt.abort().unwrap();
        assert_eq!(harness.everything(), before);
        check_whole(&from.load(id(100)).unwrap()).unwrap();
        from.discard(id(100), &names(&files).1).unwrap();
    }
}
