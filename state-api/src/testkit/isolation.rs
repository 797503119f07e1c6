//! Asynchronous snapshots never see later writes, whatever happens between the two phases.

use super::fixtures::{Everything, Image, fill, image, keys_of, refused};
use super::harness::{Backend, Begun, Harness, KINDS, Kit, Taken, run_task, total_entries};
use super::storage::Gate;
use crate::snapshot::CancelToken;
use crate::{ErrorKind, ListDescriptor, ListState, ValueDescriptor, ValueState};

const KEYS: u64 = 60;

fn filled<H: Harness>(kit: &Kit<H>) -> (Backend<H>, Everything, Image) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(KEYS, 1_000);
    fill(&mut backend, &states, &image);
    (backend, states, image)
}

fn check_restored<H: Harness>(kit: &Kit<H>, taken: &Taken, image: &Image) {
    let mut restored = kit.restore::<u64>(&[taken]);
    let states = Everything::open(&mut restored);
    states.check(&mut restored, image, 2 * KEYS);
}

/// Takes the synchronous phase, lets `change` change the store, runs the rest and compares the
/// snapshot with the state at the synchronous phase and the store with the changed image.
fn unseen<H: Harness>(kit: &Kit<H>, change: impl Fn(&mut Backend<H>, &Everything, &mut Image)) {
    for kind in KINDS {
        let (mut backend, states, before) = filled(kit);
        kit.confirm(&mut backend, kind);
        let begun = kit.begin(&mut backend, kind);
        let mut after = before.clone();
        change(&mut backend, &states, &mut after);
        let taken = kit.finish(begun);
        check_restored(kit, &taken, &before);
        states.check(&mut backend, &after, 2 * KEYS);
        let later = kit.take(&mut backend, kind);
        check_restored(kit, &later, &after);
    }
}

/// Updates of what is in the snapshot. Flink: `testAsyncSnapshot`.
pub fn updates_are_unseen<H: Harness>(kit: &Kit<H>) {
    unseen(kit, |backend, states, image| {
        for key in (0..KEYS).step_by(2) {
            states.put(backend, key, key + 5_000);
            image.insert(key, key + 5_000);
        }
    });
}

/// New keys.
pub fn inserts_are_unseen<H: Harness>(kit: &Kit<H>) {
    unseen(kit, |backend, states, image| {
        for key in KEYS..2 * KEYS {
            states.put(backend, key, key);
            image.insert(key, key);
        }
    });
}

/// Removed keys, and keys that are removed and come back.
pub fn deletes_are_unseen<H: Harness>(kit: &Kit<H>) {
    unseen(kit, |backend, states, image| {
        for key in (0..KEYS).step_by(3) {
            states.remove(backend, key);
            image.remove(&key);
        }
        for key in (0..KEYS).step_by(6) {
            states.put(backend, key, 1);
            image.insert(key, 1);
        }
    });
}

/// Everything is removed, and other keys take its place.
pub fn replacement_of_everything_is_unseen<H: Harness>(kit: &Kit<H>) {
    unseen(kit, |backend, states, image| {
        for key in 0..KEYS {
            states.remove(backend, key);
        }
        image.clear();
        for key in (1..2 * KEYS).step_by(2) {
            states.put(backend, key, 3);
            image.insert(key, 3);
        }
    });
}

/// List appends, folds and new map entries, which change an entry without replacing it.
pub fn additions_are_unseen<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let (mut backend, states, before) = filled(kit);
        let begun = kit.begin(&mut backend, kind);
        for round in 0..3 {
            for key in (0..KEYS).skip(round) {
                states.touch(&mut backend, key);
            }
        }
        let taken = kit.finish(begun);
        check_restored(kit, &taken, &before);
        assert_eq!(states.read(&mut backend, 5, 1_005), {
            let mut other = kit.fresh::<u64>();
            let states = Everything::open(&mut other);
            states.put(&mut other, 5, 1_005);
            for _ in 0..3 {
                states.touch(&mut other, 5);
            }
            states.read(&mut other, 5, 1_005)
        });
    }
}

/// Thousands of inserts and deletes, so that tables grow and shrink under the snapshot.
pub fn growth_is_unseen<H: Harness>(kit: &Kit<H>) {
    let value = ValueDescriptor::<u64>::new("value");
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let handle = backend.open(value).unwrap();
        for key in 0..1_000 {
            backend.at(&key).unwrap().value(handle).set(&key).unwrap();
        }
        let begun = kit.begin(&mut backend, kind);
        for key in 0..6_000 {
            backend.at(&(key + 500)).unwrap().value(handle).set(&(key * 7)).unwrap();
            backend.at(&key).unwrap().value(handle).clear().unwrap();
        }
        let taken = kit.finish(begun);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let handle = restored.open(value).unwrap();
        assert_eq!(keys_of(&mut restored, handle), (0..1_000).collect::<Vec<_>>());
        for key in 0..1_000 {
            assert_eq!(restored.at(&key).unwrap().value(handle).get().unwrap(), Some(key));
        }
    }
}

/// Several snapshots in flight, each with its own image, finished in another order.
/// Flink: `testParallelAsyncSnapshots`.
pub fn several_are_in_flight<H: Harness>(kit: &Kit<H>) {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let (mut backend, states, mut image) = filled(kit);
        let mut begun = Vec::new();
        for (round, kind) in (0..).zip(KINDS) {
            for key in (round..KEYS).step_by(3) {
                states.put(&mut backend, key, key * 10 + round);
                image.insert(key, key * 10 + round);
            }
            states.remove(&mut backend, round);
            image.remove(&round);
            begun.push(Some((kit.begin(&mut backend, kind), image.clone())));
        }
        for index in order {
            let (begun, image) = begun[index].take().unwrap();
            let taken = kit.finish(begun);
            check_restored(kit, &taken, &image);
        }
        states.check(&mut backend, &image, 2 * KEYS);
    }
}

/// Ten in flight while new states are registered.
/// Flink: `testCheckConcurrencyProblemWhenPerformingCheckpointAsync`.
pub fn states_registered_later_are_unseen<H: Harness>(kit: &Kit<H>) {
    const NAMES: [&str; 10] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
    let mut backend = kit.fresh::<u64>();
    let mut begun: Vec<(usize, Begun)> = Vec::new();
    for (index, name) in NAMES.into_iter().enumerate() {
        let handle = backend.open(ValueDescriptor::<u64>::new(name)).unwrap();
        backend.at(&1).unwrap().value(handle).set(&1).unwrap();
        let kind = KINDS[index % 3];
        begun.push((index, kit.begin(&mut backend, kind)));
    }
    for (index, begun) in begun {
        let taken = kit.finish(begun);
        let names: Vec<_> = taken.snapshot.states.iter().map(|s| s.meta.name.to_string()).collect();
        assert_eq!(names, NAMES[..=index]);
        let restored = kit.restore::<u64>(&[&taken]);
        assert_eq!(total_entries(&restored), index as u64 + 1);
    }
}

/// A task that is dropped un-run releases what it pinned and changes nothing.
/// Flink: `testDismissingSnapshotNotRunnable`.
pub fn dropped_tasks_leave_no_trace<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let (mut backend, states, mut image) = filled(kit);
        kit.confirm(&mut backend, kind);
        states.put(&mut backend, 1, 77);
        image.insert(1, 77);
        drop(kit.begin(&mut backend, kind));
        assert_eq!(backend.statistics().snapshots_in_flight, 0);
        states.put(&mut backend, 2, 78);
        image.insert(2, 78);
        let taken = kit.take(&mut backend, kind);
        check_restored(kit, &taken, &image);
        states.check(&mut backend, &image, 2 * KEYS);
    }
}

/// A cancelled snapshot ends as cancelled, closes its files and forgets no change.
/// Flink: `testAsyncSnapshotCancellation`, `testCancelRunningSnapshot`.
pub fn cancelled_snapshots_lose_nothing<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for at in [0, 1, 2] {
            let (mut backend, states, mut image) = filled(kit);
            kit.confirm(&mut backend, kind);
            states.put(&mut backend, 1, 77);
            image.insert(1, 77);
            let begun = kit.begin(&mut backend, kind);
            let cancel = CancelToken::default();
            let sink = kit.storage.sink(begun.id).cancelling_at(at, cancel.clone());
            if at == 0 {
                cancel.cancel();
            }
            let result = run_task(begun.task, &sink, &cancel);
            assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
            match result {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}"),
                Ok(_) => assert!(at > 0, "a snapshot that was cancelled before it ran"),
            }
            backend.checkpoint_aborted(begun.id).unwrap();
            let taken = kit.take(&mut backend, kind);
            check_restored(kit, &taken, &image);
        }
    }
}

/// Storage that fails at any operation fails the snapshot, closes its files and forgets no change.
pub fn failed_snapshots_lose_nothing<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for at in 0..1_000 {
            let (mut backend, states, mut image) = filled(kit);
            kit.confirm(&mut backend, kind);
            for key in 0..5 {
                states.put(&mut backend, key, 77);
                image.insert(key, 77);
            }
            states.remove(&mut backend, 9);
            image.remove(&9);
            let begun = kit.begin(&mut backend, kind);
            let sink = kit.storage.sink(begun.id).failing_at(at);
            let result = run_task(begun.task, &sink, &CancelToken::default());
            assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
            if result.is_ok() {
                assert!(sink.operations() <= at, "a failed operation was ignored");
                break;
            }
            refused(result, ErrorKind::Unavailable);
            if at % 2 == 0 {
                backend.checkpoint_aborted(begun.id).unwrap();
            }
            assert_eq!(backend.statistics().snapshots_in_flight, 0);
            let taken = kit.take(&mut backend, kind);
            check_restored(kit, &taken, &image);
        }
    }
}

/// The writer goes on while another thread stands in the middle of the snapshot.
/// Flink: `testAsyncSnapshot` with its blocking stream.
pub fn writer_goes_on_beside_the_snapshot<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let (mut backend, states, before) = filled(kit);
        let begun = kit.begin(&mut backend, kind);
        let gate = Gate::default();
        let sink = kit.storage.sink(begun.id).behind(&gate);
        let snapshot = std::thread::scope(|scope| {
            let running =
                scope.spawn(|| run_task(begun.task, &sink, &CancelToken::default()).unwrap());
            gate.wait_until_reached();
            assert_eq!(backend.statistics().snapshots_in_flight, 1);
            for key in 0..2 * KEYS {
                states.put(&mut backend, key, key);
            }
            gate.open();
            for key in 0..KEYS {
                states.remove(&mut backend, key);
            }
            running.join().expect("the snapshot does not panic")
        });
        let taken = Taken { id: begun.id, snapshot, storage: kit.storage.clone() };
        check_restored(kit, &taken, &before);
        let after: Image = (KEYS..2 * KEYS).map(|key| (key, key)).collect();
        states.check(&mut backend, &after, 2 * KEYS);
        assert_eq!(backend.statistics().snapshots_in_flight, 0);
    }
}

/// A task outlives its store. Flink: `testReleasingSnapshotAfterBackendClosed`.
pub fn tasks_outlive_the_store<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let (mut backend, states, image) = filled(kit);
        let kept = kit.begin(&mut backend, kind);
        let dropped = kit.begin(&mut backend, kind);
        states.remove(&mut backend, 1);
        drop(backend);
        drop(dropped);
        let taken = kit.finish(kept);
        check_restored(kit, &taken, &image);
    }
}

/// Migrating or replacing a list while a snapshot holds it.
pub fn list_replacement_is_unseen<H: Harness>(kit: &Kit<H>) {
    const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let list = backend.open(LIST).unwrap();
        for key in 0..20 {
            let elements: Vec<u64> = (0..key).collect();
            backend.at(&key).unwrap().list(list).add_all(&elements).unwrap();
        }
        let begun = kit.begin(&mut backend, kind);
        for key in 0..20 {
            let mut cx = backend.at(&key).unwrap();
            match key % 4 {
                0 => cx.list(list).add(&99).unwrap(),
                1 => cx.list(list).update(&[]).unwrap(),
                2 => cx.list(list).update(&[1, 2, 3]).unwrap(),
                _ => {
                    cx.list(list).clear().unwrap();
                    cx.list(list).add_all(&[5; 30]).unwrap();
                }
            }
        }
        let taken = kit.finish(begun);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let list = restored.open(LIST).unwrap();
        for key in 0..20 {
            let want: Vec<u64> = (0..key).collect();
            assert_eq!(restored.at(&key).unwrap().list(list).get().unwrap(), want);
        }
    }
}
