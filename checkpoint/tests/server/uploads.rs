//! Files in parts, many files at once, and uploads that are given up.

use alluvium_state_api::snapshot::{FileLocation, FileName};
use alluvium_state_api::storage::FileScope;
use alluvium_state_api::testkit::storages::content::{content, encode, id, names, read_all, write};
use alluvium_state_api::testkit::storages::job;

use crate::bucket::Bucket;

#[test]
fn a_file_of_several_parts_is_what_was_written() {
    let bucket = Bucket::new();
    let storage = bucket.open(bucket.port(), &job(), None).unwrap();
    let attempt = storage.begin(id(1)).unwrap();
    for (seed, length) in [(1, (5 << 20) + 1), (2, 10 << 20), (3, 17_000_000)] {
        let bytes = content(seed, length);
        let file = write(&*attempt.sink(), FileScope::Own, &bytes).unwrap();
        assert!(read_all(&*attempt.source(), &file) == bytes, "{length} bytes");
    }
    assert!(bucket.uploads().is_empty());
    // Given up after two parts, by its writer and by an abort.
    let mut dropped = attempt.sink().create(FileScope::Own).unwrap();
    let mut late = attempt.sink().create(FileScope::Shared).unwrap();
    let piece = vec![1; 1 << 20];
    for _ in 0..12 {
        dropped.write(&piece).unwrap();
        late.write(&piece).unwrap();
    }
    assert_eq!(bucket.uploads().len(), 2, "the list shows what is under way");
    drop(dropped);
    assert_eq!(bucket.uploads().len(), 1);
    attempt.abort().unwrap();
    late.finish().unwrap_err();
    assert_eq!(bucket.uploads(), [""; 0]);
    assert_eq!(bucket.objects(), [""; 0]);
}

#[test]
fn more_files_than_a_page_of_a_list_holds() {
    const FILES: usize = 1_100;
    let bucket = Bucket::new();
    let storage = bucket.open(bucket.port(), &job(), None).unwrap();
    let attempt = storage.begin(id(1)).unwrap();
    let one = write(&*attempt.sink(), FileScope::Shared, &content(1, 30_000)).unwrap();
    attempt.publish(&encode(std::slice::from_ref(&one))).unwrap();
    let FileLocation::Shared(kept) = &one.stored.location else { panic!("it is shared") };
    let shared = bucket.objects().into_iter().find(|key| key.ends_with(kept.as_str())).unwrap();
    let (place, _) = shared.rsplit_once('/').unwrap();
    let many: Vec<_> = (0..FILES).map(|number| format!("{number:032x}")).collect();
    for name in &many {
        bucket.put(&format!("{place}/{name}"), b"x");
    }
    assert_eq!(storage.survey().unwrap().shared.len(), FILES + 1);
    let many: Vec<_> = many.iter().map(|name| FileName::new(name).unwrap()).collect();
    storage.discard_shared(&many).unwrap();
    assert_eq!(bucket.objects().len(), 2);
    storage.discard(id(1), &names(&[one]).1).unwrap();
    assert_eq!(bucket.objects(), [""; 0]);
    eprintln!("keys: points={FILES} faults=0 bad=0 seed=0");
}
