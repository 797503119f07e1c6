//! Many threads and processes at once: one wins, and losers harm nobody.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::content::{
    assert_whole, check_whole, content, encode, id, names, read_all, take, write, write_three,
};
use super::{StorageHarness, open};
use crate::ErrorKind;
use crate::storage::FileScope;

/// How many take part in a race.
const RACERS: usize = 8;

/// Of many publishers of one number one wins; losers learn it, and remove only their own.
pub fn of_many_publishers_one_wins<H: StorageHarness>(harness: &H) {
    let (won, barrier) = (AtomicUsize::new(usize::MAX), Barrier::new(RACERS));
    let metadata = thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| {
                let (won, barrier) = (&won, &barrier);
                scope.spawn(move || {
                    let attempt = open(harness).begin(id(1)).unwrap();
                    let files = write_three(&*attempt.sink(), racer as u64).unwrap();
                    barrier.wait();
                    match attempt.publish(&encode(&files)) {
                        Ok(()) => {
                            assert_eq!(won.swap(racer, Ordering::SeqCst), usize::MAX, "two won");
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                            // Whoever lost sees the winner's at once, and whole.
                            check_whole(&open(harness).load(id(1)).unwrap()).unwrap();
                            attempt.abort().unwrap();
                        }
                    }
                    encode(&files)
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
    });
    let storage = open(harness);
    assert_eq!(storage.list().unwrap(), [id(1)]);
    assert_eq!(storage.load(id(1)).unwrap().metadata, metadata[won.into_inner()]);
    assert_whole(&storage, 1);
    if harness.profile().places {
        assert_eq!(harness.everything().len(), 3, "{:?}", harness.everything());
    }
}

/// Publication and abort of one attempt exclude each other: whoever is second sees how it ended.
pub fn publication_and_abort_exclude_each_other<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for number in 1..9 {
        let attempt = storage.begin(id(number)).unwrap();
        let files = write_three(&*attempt.sink(), number).unwrap();
        let barrier = Barrier::new(2);
        let (published, aborted) = thread::scope(|scope| {
            let publisher = scope.spawn(|| {
                barrier.wait();
                attempt.publish(&encode(&files))
            });
            barrier.wait();
            let aborted = attempt.abort();
            (publisher.join().unwrap(), aborted)
        });
        match (published, aborted) {
            (Ok(()), Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert_whole(&storage, number);
                storage.discard(id(number), &names(&files).1).unwrap();
            }
            (Err(error), Ok(())) => assert_eq!(error.kind(), ErrorKind::Cancelled),
            ended => panic!("{ended:?}"),
        }
        assert!(storage.list().unwrap().is_empty());
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
    }
}

/// Subtasks that write while the attempt is aborted end with an error, and leave nothing.
pub fn an_abort_stops_writers_at_any_time<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    for number in 1..5 {
        let attempt = storage.begin(id(number)).unwrap();
        let barrier = Barrier::new(4 + 1);
        thread::scope(|scope| {
            for writer in 0..4 {
                let (sink, barrier) = (attempt.sink(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for file in 0.. {
                        let own = [FileScope::Own, FileScope::Shared][file % 2];
                        match write(&*sink, own, &content(writer, 100_000)) {
                            Ok(_) => {}
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                                break;
                            }
                        }
                    }
                });
            }
            barrier.wait();
            for _ in 0..number * 100 {
                thread::yield_now();
            }
            attempt.abort().unwrap();
        });
        // Writers have gone by now; what they were finishing, they removed.
        attempt.abort().unwrap();
        assert!(harness.everything().is_empty(), "{:?}", harness.everything());
        assert!(storage.survey().unwrap().checkpoints.is_empty());
    }
}

/// Many subtasks write through one attempt at once; all their files are there.
pub fn subtasks_write_at_once<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let attempt = storage.begin(id(1)).unwrap();
    let files: Vec<_> = thread::scope(|scope| {
        let subtasks: Vec<_> = (0..RACERS as u64)
            .map(|subtask| {
                let sink = attempt.sink();
                scope.spawn(move || write_three(&*sink, subtask).unwrap())
            })
            .collect();
        subtasks.into_iter().flat_map(|subtask| subtask.join().unwrap()).collect()
    });
    attempt.publish(&encode(&files)).unwrap();
    assert_whole(&storage, 1);
    let source = storage.load(id(1)).unwrap().source;
    thread::scope(|scope| {
        for (subtask, files) in (0..).zip(files.chunks(3)) {
            let source = &source;
            scope.spawn(move || {
                assert!(read_all(&**source, &files[0]) == content(subtask, 30_000));
                assert!(read_all(&**source, &files[1]) == content(subtask + 1_000, 50_000));
            });
        }
    });
    let (_, shared) = names(&files);
    storage.discard(id(1), &shared).unwrap();
    assert!(harness.everything().is_empty(), "{:?}", harness.everything());
}

/// Several processes that discard the same checkpoint at once all succeed.
pub fn discards_do_not_disturb_each_other<H: StorageHarness>(harness: &H) {
    let storage = open(harness);
    let files = take(&*storage, 1).unwrap();
    take(&*storage, 2).unwrap();
    let (_, shared) = names(&files);
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let storage = open(harness);
                barrier.wait();
                storage.discard(id(1), &shared).unwrap();
            });
        }
    });
    assert_eq!(storage.list().unwrap(), [id(2)]);
    assert_whole(&storage, 2);
}
