use super::super::local::LocalSavepoints;
use super::super::memory::MemoryStorage;
use super::*;
use crate::ErrorKind;

fn storage() -> MemoryStorage {
    MemoryStorage::new(job(), Arc::new(OsRandomness))
}

#[test]
fn everything_travels_inline_and_clones_share() {
    let storage = storage().with_limit_bytes(7);
    let attempt = storage.begin(id(1)).unwrap();
    let policy = attempt.sink().inline_policy();
    assert_eq!(policy, InlinePolicy::Everything { limit_bytes: 7 });
    let files = write_three(&*attempt.sink(), 1).unwrap();
    assert!(files.iter().all(|file| matches!(file.stored.location, FileLocation::Inline(_))));
    assert!(storage.list().unwrap().is_empty());
    attempt.publish(&encode(&files)).unwrap();
    take(&storage, 2).unwrap();
    let clone = storage.clone();
    assert_eq!(clone.list().unwrap(), [id(1), id(2)]);
    check_whole(&clone.load(id(1)).unwrap()).unwrap();
    let pointed = clone.open_pointer(attempt.pointer()).unwrap();
    assert_eq!(read_all(&*pointed.source, &files[1]), content(1_001, 50_000));
    clone.discard(id(1), &[]).unwrap();
    clone.discard(id(1), &[]).unwrap();
    assert_eq!(storage.load(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(storage.open_pointer(attempt.pointer()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn attempts_end_once_and_one_wins() {
    let storage = storage();
    let (first, second) = (storage.begin(id(1)).unwrap(), storage.begin(id(1)).unwrap());
    let late = second.sink();
    first.publish(b"first").unwrap();
    assert_eq!(second.publish(b"second").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(second.publish(b"first").unwrap_err().kind(), ErrorKind::Poisoned);
    second.abort().unwrap();
    assert_eq!(late.create(FileScope::Own).map(|_| ()).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(first.abort().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(storage.load(id(1)).unwrap().metadata, b"first");
    assert_eq!(storage.begin(id(1)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let third = storage.begin(id(3)).unwrap();
    third.abort().unwrap();
    assert_eq!(third.publish(b"third").unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn savepoints_stay_in_memory_or_go_to_directories() {
    let storage = storage();
    let attempt = storage.begin_savepoint(None).unwrap();
    attempt.publish(b"kept").unwrap();
    assert_eq!(storage.open_pointer(attempt.pointer()).unwrap().metadata, b"kept");
    assert!(storage.list().unwrap().is_empty());
    storage.discard_savepoint(attempt.pointer(), &[]).unwrap();
    let gone = storage.discard_savepoint(attempt.pointer(), &[]).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let place = format!("memory://{JOB}/copy");
    storage.begin_export(&place).unwrap().publish(b"copied").unwrap();
    assert_eq!(storage.open_pointer(&place).unwrap().metadata, b"copied");
    let twice = storage.begin_export(&place).map(|_| ()).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    for name in ["", "chk-1", "a/b", "../x"] {
        let wrong =
            storage.begin_export(&format!("memory://{JOB}/{name}")).map(|_| ()).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidInput, "{name}");
    }
    for error in [
        storage.begin_savepoint(Some("/savepoints")).map(|_| ()).unwrap_err(),
        storage.begin_export("/savepoints/copy").map(|_| ()).unwrap_err(),
        storage.open_pointer("/savepoints/x").map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("state.savepoints.dir"), "{error}");
    }

    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
    let options = LocalOptions::default().with_savepoint_directory("/savepoints");
    let random = Arc::new(OsRandomness);
    let local = LocalSavepoints::new(Arc::clone(&fs), random, &job(), options).unwrap();
    let storage = storage.with_savepoints(local);
    let attempt = storage.begin_savepoint(None).unwrap();
    let files = write_three(&*attempt.sink(), 1).unwrap();
    attempt.publish(&encode(&files)).unwrap();
    check_whole(&storage.open_pointer(attempt.pointer()).unwrap()).unwrap();
    assert_eq!(files_below(&*fs, Path::new("/savepoints")).len(), 3);
    let copy = storage.begin_export("/copy").unwrap();
    copy.publish(&encode(&write_three(&*copy.sink(), 1).unwrap())).unwrap();
    check_whole(&storage.open_pointer("/copy").unwrap()).unwrap();
}
