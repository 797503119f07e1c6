use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::ErrorKind;
use crate::random::Randomness;
use crate::vfs::FaultyFs;
use crate::vfs::faulty::{EINVAL, EIO, Fault, Operation};

#[test]
fn what_is_published_is_listed_loaded_and_read_as_it_was_written() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        assert!(storage.list().unwrap().is_empty());
        for number in [2, 10, 1] {
            take(&storage, number).unwrap();
        }
        let storage = open(&fs, &dir).unwrap();
        assert_eq!(storage.list().unwrap(), [id(1), id(2), id(10)]);
        let stored = storage.load(id(10)).unwrap();
        let files = decode(&stored.metadata).unwrap();
        assert!(matches!(files[0].stored.location, FileLocation::Own(_)));
        assert!(matches!(files[1].stored.location, FileLocation::Shared(_)));
        assert!(matches!(files[2].stored.location, FileLocation::Inline(_)));
        assert_eq!(read_all(&*stored.source, &files[0]), content(10, 30_000));
        assert_eq!(read_all(&*storage.source(id(10)), &files[1]), content(1_010, 50_000));
        assert_eq!(read_all(&*stored.source, &files[2]), content(2_010, 20));
        check_whole(&stored).unwrap();
        assert_eq!(storage.load(id(3)).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(storage.begin(id(2)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
}

#[test]
fn the_inline_threshold_is_inclusive() {
    everywhere(|fs, dir| {
        let attempt = open(&fs, &dir).unwrap().begin(id(1)).unwrap();
        let sink = attempt.sink();
        assert_eq!(sink.inline_policy(), InlinePolicy::Small { threshold_bytes: 20 << 10 });
        for (length, inline) in [(0, true), (20 << 10, true), ((20 << 10) + 1, false)] {
            let file = write(&*sink, FileScope::Own, &content(1, length)).unwrap();
            let is_inline = matches!(file.stored.location, FileLocation::Inline(_));
            assert_eq!((is_inline, file.stored.length), (inline, length as u64));
        }
    });
}

#[test]
fn any_sizes_of_pieces_give_the_same_file() {
    everywhere(|fs, dir| {
        let attempt = open(&fs, &dir).unwrap().begin(id(1)).unwrap();
        let bytes = content(5, 3 << 20);
        let whole = write(&*attempt.sink(), FileScope::Own, &bytes).unwrap();
        let source = open(&fs, &dir).unwrap().source(id(1));
        for size in [1_000, 256 << 10, (256 << 10) + 1, 3 << 20] {
            let mut writer = attempt.sink().create(FileScope::Own).unwrap();
            for piece in bytes.chunks(size) {
                writer.write(piece).unwrap();
            }
            let mut file = whole.clone();
            file.stored = writer.finish().unwrap();
            assert_eq!(file.stored.checksum, whole.stored.checksum);
            assert!(read_all(&*source, &file) == bytes);
        }
    });
}

#[test]
fn of_many_publishers_one_wins_and_losers_remove_only_their_own() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let (won, barrier) = (AtomicUsize::new(0), Barrier::new(8));
        thread::scope(|scope| {
            for seed in 0..8 {
                let (storage, won, barrier) = (&storage, &won, &barrier);
                scope.spawn(move || {
                    let attempt = storage.begin(id(1)).unwrap();
                    let files = write_three(&*attempt.sink(), seed).unwrap();
                    barrier.wait();
                    match attempt.publish(&encode(&files)) {
                        Ok(()) => won.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                            attempt.abort().unwrap();
                            0
                        }
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 1);
        check_whole(&storage.load(id(1)).unwrap()).unwrap();
        // Metadata, one file of its own, one shared one: nothing is left of the others.
        assert_eq!(files_below(&*fs, &dir).len(), 3);
    });
}

#[test]
fn an_aborted_attempt_leaves_nothing_and_stops_its_writers() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let attempt = storage.begin(id(1)).unwrap();
        let sink = attempt.sink();
        write_three(&*sink, 1).unwrap();
        let mut late = sink.create(FileScope::Own).unwrap();
        late.write(&content(2, 100_000)).unwrap();
        let mut later = sink.create(FileScope::Own).unwrap();
        attempt.abort().unwrap();
        assert_eq!(late.finish().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(later.write(b"x").unwrap_err().kind(), ErrorKind::Cancelled);
        let refused = sink.create(FileScope::Own).map(|_| ()).unwrap_err();
        assert_eq!((refused.kind(), refused.checkpoint()), (ErrorKind::Cancelled, Some(id(1))));
        drop(later);
        attempt.abort().unwrap();
        assert_eq!(attempt.publish(b"").unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(files_below(&*fs, &dir).is_empty());
        assert!(fs.metadata(&dir.join(JOB).join("chk-1")).is_err());
        take(&storage, 1).unwrap();
    });
}

#[test]
fn a_published_attempt_cannot_be_aborted_or_written_to() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let attempt = storage.begin(id(1)).unwrap();
        let late = attempt.sink().create(FileScope::Own).unwrap();
        attempt.publish(&encode(&[])).unwrap();
        assert_eq!(late.finish().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(attempt.abort().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(attempt.publish(b"").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(storage.load(id(1)).unwrap().pointer, attempt.pointer());
    });
}

#[test]
fn a_dropped_writer_removes_its_file() {
    everywhere(|fs, dir| {
        let attempt = open(&fs, &dir).unwrap().begin(id(1)).unwrap();
        let mut writer = attempt.sink().create(FileScope::Shared).unwrap();
        writer.write(&content(1, 100_000)).unwrap();
        assert_eq!(files_below(&*fs, &dir).len(), 1);
        drop(writer);
        assert!(files_below(&*fs, &dir).is_empty());
    });
}

#[test]
fn another_length_or_content_is_found() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let files = take(&storage, 1).unwrap();
        let source = storage.source(id(1));
        for file in &files {
            let mut wrong = file.clone();
            wrong.stored.length += 1;
            assert_eq!(source.open(&wrong).unwrap_err().kind(), ErrorKind::Corrupted);
            let reader = source.open(file).unwrap();
            verify_checksum(&*reader, file.stored.checksum).unwrap();
            let error = verify_checksum(&*reader, file.stored.checksum ^ 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            let error = reader.read_exact_at(reader.len() - 1, &mut [0; 2]).unwrap_err();
            assert_eq!(
                (error.kind(), error.offset()),
                (ErrorKind::Corrupted, Some(reader.len() - 1))
            );
            assert!(reader.read_exact_at(u64::MAX, &mut [0]).is_err());
        }
        let FileLocation::Own(name) = &files[0].stored.location else {
            panic!("a file of its own");
        };
        let path = dir.join(JOB).join("chk-1").join(name.as_str());
        fs.open_append(&path).unwrap().write_all(b"more").unwrap();
        let error = source.open(&files[0]).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupted, Some(&*path)));
        fs.remove_file(&path).unwrap();
        assert_eq!(source.open(&files[0]).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_file_system_without_exclusive_rename_publishes_by_a_link() {
    let trace = |faults: &[u64]| {
        let mut fs = FaultyFs::new(Arc::new(MemoryFs::new()));
        for &number in faults {
            fs = fs.with_fault(number, Fault::Fails(EINVAL));
        }
        let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let storage = open(&shared, Path::new("/")).unwrap();
        take(&storage, 1).unwrap();
        check_whole(&storage.load(id(1)).unwrap()).unwrap();
        assert_eq!(files_below(&*shared, Path::new("/")).len(), 3);
        fs.trace()
    };
    let at = |operation| {
        let position = trace(&[]).iter().position(|entry| entry.operation == operation);
        position.unwrap() as u64 + 1
    };
    let traced = trace(&[at(Operation::RenameNoReplace)]);
    assert!(traced.iter().any(|entry| entry.operation == Operation::HardLink));
}

#[test]
fn a_file_at_which_a_write_failed_is_lost_and_removed() {
    for operation in [Operation::Write, Operation::SyncFile] {
        let run = |fault: Option<u64>| {
            let mut fs = FaultyFs::new(Arc::new(MemoryFs::new()));
            if let Some(number) = fault {
                fs = fs.with_fault(number, Fault::Fails(EIO));
            }
            let shared: Arc<dyn FileSystem> = Arc::new(fs.clone());
            let attempt = open(&shared, Path::new("/")).unwrap().begin(id(1)).unwrap();
            let mut writer = attempt.sink().create(FileScope::Own).unwrap();
            let written = writer.write(&content(1, 600_000));
            if let Err(error) = &written {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(writer.write(b"x").is_err());
            }
            let finished = writer.finish();
            assert_eq!(finished.is_err(), fault.is_some());
            assert!(fs.retried().is_empty(), "{:?}", fs.trace());
            assert_eq!(files_below(&*shared, Path::new("/")).is_empty(), fault.is_some());
            fs.trace()
        };
        let position = run(None).iter().position(|entry| entry.operation == operation).unwrap();
        run(Some(position as u64 + 1));
    }
}

/// Always the same number, or the same one twice.
#[derive(Debug)]
struct Repeating(AtomicUsize, usize);

impl Randomness for Repeating {
    fn next_u64(&self) -> u64 {
        (self.0.fetch_add(1, Ordering::Relaxed) / self.1) as u64
    }
}

#[test]
fn taken_names_are_drawn_again_but_not_for_ever() {
    everywhere(|fs, dir| {
        for (repeats, succeeds) in [(4, true), (usize::MAX, false)] {
            let dir = dir.join(succeeds.to_string());
            let random = Arc::new(Repeating(AtomicUsize::new(0), repeats));
            let options = LocalOptions::default();
            let storage =
                LocalStorage::open(Arc::clone(&fs), random, &dir, &job(), options).unwrap();
            let attempt = storage.begin(id(1)).unwrap();
            write(&*attempt.sink(), FileScope::Own, &content(1, 50_000)).unwrap();
            let second = write(&*attempt.sink(), FileScope::Own, &content(1, 50_000));
            assert_eq!(second.is_ok(), succeeds);
            if let Err(error) = second {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
        }
    });
}
