//! Cancellation at each stage of a snapshot: it ends as cancelled or whole, and nothing is forgotten.

use super::fixtures::{Everything, Image, fill, image, refused};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, run_task};
use super::storage::Gate;
use crate::ErrorKind;
use crate::snapshot::{CancelToken, KeyedSnapshot};

const KEYS: u64 = 40;

struct Job<H: Harness> {
    backend: Backend<H>,
    states: Everything,
    image: Image,
}

impl<H: Harness> Job<H> {
    /// A store with a confirmed checkpoint and changes since.
    fn new(kit: &Kit<H>, kind: crate::snapshot::SnapshotKind) -> Self {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let mut image = image(KEYS, 1_000);
        fill(&mut backend, &states, &image);
        kit.confirm(&mut backend, kind);
        states.put(&mut backend, 1, 77);
        image.insert(1, 77);
        states.remove(&mut backend, 2);
        image.remove(&2);
        Self { backend, states, image }
    }
}

fn check<H: Harness>(kit: &Kit<H>, taken: &Taken, image: &Image) {
    let mut restored = kit.restore::<u64>(&[taken]);
    let states = Everything::open(&mut restored);
    states.check(&mut restored, image, KEYS + 5);
}

/// Cancelled, or whole.
fn judge<H: Harness>(
    kit: &Kit<H>,
    id: crate::CheckpointId,
    result: crate::Result<KeyedSnapshot>,
    image: &Image,
) -> bool {
    match result {
        Ok(snapshot) => {
            check(kit, &Taken { id, snapshot, storage: kit.storage.clone() }, image);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
            true
        }
    }
}

/// Before the task runs it is certain: no file is begun.
pub fn before_it_runs<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut job = Job::new(kit, kind);
        let begun = kit.begin(&mut job.backend, kind);
        let (sink, cancel) = (kit.storage.sink(begun.id), CancelToken::default());
        cancel.cancel();
        refused(run_task(begun.task, &sink, &cancel), ErrorKind::Cancelled);
        assert_eq!(sink.left_open(), 0);
        let next = kit.take(&mut job.backend, kind);
        check(kit, &next, &job.image);
    }
}

/// At every operation of the storage, one after the other, until there is none left. The next snapshot
/// holds everything, also where nobody said that the cancelled one was aborted.
pub fn at_every_operation<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for at in 0.. {
            let mut job = Job::new(kit, kind);
            let begun = kit.begin(&mut job.backend, kind);
            let cancel = CancelToken::default();
            let sink = kit.storage.sink(begun.id).cancelling_at(at, cancel.clone());
            let result = run_task(begun.task, &sink, &cancel);
            assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
            assert_eq!(job.backend.statistics().snapshots_in_flight, 0);
            let reached = sink.operations() > at;
            let cancelled = judge(kit, begun.id, result, &job.image);
            assert!(reached || !cancelled, "cancelled by nobody");
            job.states.put(&mut job.backend, 3, 78);
            job.image.insert(3, 78);
            if at % 2 == 0 {
                job.backend.checkpoint_aborted(begun.id).unwrap();
            }
            let next = kit.take(&mut job.backend, kind);
            check(kit, &next, &job.image);
            if !reached {
                break;
            }
        }
    }
}

/// By the writer, while another thread waits for the storage. Flink: `testAsyncSnapshotCancellation`.
pub fn while_it_waits_for_storage<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut job = Job::new(kit, kind);
        let before = job.image.clone();
        let begun = kit.begin(&mut job.backend, kind);
        let (gate, cancel) = (Gate::default(), CancelToken::default());
        let sink = kit.storage.sink(begun.id).behind(&gate);
        let result = std::thread::scope(|scope| {
            let running = scope.spawn(|| run_task(begun.task, &sink, &cancel));
            gate.wait_until_reached();
            cancel.cancel();
            job.states.put(&mut job.backend, 3, 78);
            job.backend.checkpoint_aborted(begun.id).unwrap();
            gate.open();
            running.join().expect("the snapshot does not panic")
        });
        assert_eq!(sink.left_open(), 0);
        judge(kit, begun.id, result, &before);
        job.image.insert(3, 78);
        assert_eq!(job.backend.statistics().snapshots_in_flight, 0);
        let next = kit.take(&mut job.backend, kind);
        check(kit, &next, &job.image);
    }
}

/// One of three in flight: the other two do not notice.
pub fn of_one_among_several<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for victim in 0..3 {
            let mut job = Job::new(kit, kind);
            let mut held = Vec::new();
            for round in 0..3 {
                job.states.put(&mut job.backend, 10 + round, round);
                job.image.insert(10 + round, round);
                held.push((kit.begin(&mut job.backend, kind), job.image.clone()));
            }
            for (index, (begun, image)) in held.into_iter().enumerate() {
                if index == victim {
                    let (sink, cancel) = (kit.storage.sink(begun.id), CancelToken::default());
                    cancel.cancel();
                    refused(run_task(begun.task, &sink, &cancel), ErrorKind::Cancelled);
                } else {
                    check(kit, &kit.finish(begun), &image);
                }
            }
            let next = kit.take(&mut job.backend, kind);
            check(kit, &next, &job.image);
        }
    }
}

/// A snapshot that is blocked in its storage blocks neither the writer nor other snapshots.
/// Flink: `testParallelAsyncSnapshots`.
pub fn is_not_needed_to_get_past_a_blocked_one<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut job = Job::new(kit, kind);
        let before = job.image.clone();
        let begun = kit.begin(&mut job.backend, kind);
        let gate = Gate::default();
        let sink = kit.storage.sink(begun.id).behind(&gate);
        let snapshot = std::thread::scope(|scope| {
            let running = scope.spawn(|| run_task(begun.task, &sink, &CancelToken::default()));
            gate.wait_until_reached();
            for round in 0..3 {
                job.states.put(&mut job.backend, 3, round);
                job.image.insert(3, round);
                let taken = kit.confirm(&mut job.backend, kind);
                check(kit, &taken, &job.image);
            }
            assert_eq!(job.backend.statistics().snapshots_in_flight, 1);
            gate.open();
            running.join().expect("the snapshot does not panic").unwrap()
        });
        let taken = Taken { id: begun.id, snapshot, storage: kit.storage.clone() };
        check(kit, &taken, &before);
    }
}
