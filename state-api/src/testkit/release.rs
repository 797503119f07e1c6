//! What a snapshot holds is released once, however it ends: run, cancelled, failed, aborted, dropped.
//! Flink: `testDismissingSnapshot`, `testCompletingSnapshot`, `testCancelRunningSnapshot`,
//! `testSnapshotRelease`.

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Backend, Begun, Harness, KINDS, Kit, Taken, run_task};
use crate::snapshot::CancelToken;
use crate::{ErrorKind, ValueDescriptor};

const KEYS: u64 = 30;

/// How a snapshot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Run,
    Cancelled,
    Failed,
    Dropped,
    Aborted,
    DroppedElsewhere,
}

const ENDS: [End; 6] =
    [End::Run, End::Cancelled, End::Failed, End::Dropped, End::Aborted, End::DroppedElsewhere];

fn filled<H: Harness>(kit: &Kit<H>) -> (Backend<H>, Everything, Image) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(KEYS, 1_000);
    fill(&mut backend, &states, &image);
    (backend, states, image)
}

fn in_flight<H: Harness>(backend: &Backend<H>) -> u32 {
    backend.statistics().snapshots_in_flight
}

/// Ends a snapshot; returns it if it succeeded. Every file that was begun has ended, too.
fn end<H: Harness>(
    kit: &Kit<H>,
    backend: &mut Backend<H>,
    begun: Begun,
    how: End,
) -> Option<Taken> {
    let Begun { id, task } = begun;
    let (mut sink, cancel) = (kit.storage.sink(id), CancelToken::default());
    match how {
        End::Dropped => {
            drop(task);
            return None;
        }
        End::DroppedElsewhere => {
            std::thread::scope(|scope| scope.spawn(move || drop(task)).join().unwrap());
            return None;
        }
        End::Cancelled => cancel.cancel(),
        End::Failed => sink = sink.failing_at(1),
        End::Aborted => backend.checkpoint_aborted(id).unwrap(),
        End::Run => {}
    }
    let result = run_task(task, &sink, &cancel);
    assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
    let expected = match how {
        End::Run => None,
        End::Failed => Some(ErrorKind::Unavailable),
        _ => Some(ErrorKind::Cancelled),
    };
    match result {
        Ok(snapshot) if how == End::Run => {
            return Some(Taken { id, snapshot, storage: kit.storage.clone() });
        }
        Ok(_) => {
            // Where there is nothing to write, that nothing can be written is not noticed.
            let unnoticed = how == End::Failed && sink.operations() == 0;
            assert!(how == End::Aborted || unnoticed, "a snapshot that should have failed");
        }
        Err(error) => assert_eq!(Some(error.kind()), expected, "{how:?}: {error:?}"),
    }
    None
}

fn check<H: Harness>(kit: &Kit<H>, taken: &Taken, image: &Image) {
    let mut restored = kit.restore::<u64>(&[taken]);
    let states = Everything::open(&mut restored);
    states.check(&mut restored, image, 2 * KEYS);
}

/// Each way to end counts once, whatever the other snapshot in flight does, before and after it.
pub fn each_end_counts_once<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for first in ENDS {
            for second in ENDS {
                let (mut backend, states, image) = filled(kit);
                let one = kit.begin(&mut backend, kind);
                states.put(&mut backend, 1, 7);
                let other = kit.begin(&mut backend, kind);
                assert_eq!(in_flight::<H>(&backend), 2);
                end(kit, &mut backend, other, first);
                assert_eq!(in_flight::<H>(&backend), 1, "after {first:?}");
                if let Some(taken) = end(kit, &mut backend, one, second) {
                    check(kit, &taken, &image);
                }
                assert_eq!(in_flight::<H>(&backend), 0, "after {first:?}, {second:?}");
            }
        }
    }
}

/// Notifications about a snapshot that has ended release nothing of those that are in flight.
pub fn notifications_release_nothing_twice<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        for how in ENDS {
            let (mut backend, states, mut image) = filled(kit);
            let ended = kit.begin(&mut backend, kind);
            let id = ended.id;
            states.put(&mut backend, 1, 7);
            image.insert(1, 7);
            let held = kit.begin(&mut backend, kind);
            states.put(&mut backend, 2, 7);
            let completed = end(kit, &mut backend, ended, how).is_some();
            for _ in 0..3 {
                if completed {
                    backend.checkpoint_completed(id).unwrap();
                }
                backend.checkpoint_aborted(id).unwrap();
                assert_eq!(in_flight::<H>(&backend), 1, "after {how:?}");
            }
            for key in 0..2 * KEYS {
                states.put(&mut backend, key, 5);
            }
            check(kit, &kit.finish(held), &image);
            assert_eq!(in_flight::<H>(&backend), 0);
        }
    }
}

/// Four in flight end in any order, each in its own way; those that run hold what was there when they
/// began. All 24 orders.
pub fn several_end_in_any_order<H: Harness>(kit: &Kit<H>) {
    for order in 0..24_usize {
        let (mut backend, states, mut image) = filled(kit);
        let mut held = Vec::new();
        for (round, kind) in (0..4).zip(KINDS.into_iter().cycle().skip(order)) {
            for key in (round..KEYS).step_by(4) {
                states.put(&mut backend, key, key + 100 * round);
                image.insert(key, key + 100 * round);
            }
            states.remove(&mut backend, 4 + round);
            image.remove(&(4 + round));
            held.push((kit.begin(&mut backend, kind), image.clone()));
        }
        let (mut rest, mut ran) = (order, 0);
        for left in (1..=4_usize).rev() {
            let (begun, image) = held.remove(rest % left);
            rest /= left;
            let how = if left % 2 == 0 { End::Run } else { ENDS[1 + (order + left) % 5] };
            if let Some(taken) = end(kit, &mut backend, begun, how) {
                check(kit, &taken, &image);
                ran += 1;
            }
            assert_eq!(in_flight::<H>(&backend), u32::try_from(left).unwrap() - 1);
            states.touch(&mut backend, 20);
            states.put(&mut backend, 20, image[&20]);
        }
        assert_eq!(ran, 2);
    }
}

/// However many snapshots end, what they held is not kept: with all entries overwritten again and again,
/// memory stays within twice the most that it was in the first few rounds, or within the store's buffers.
pub fn ended_snapshots_hold_no_memory<H: Harness>(kit: &Kit<H>) {
    const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
    for kind in KINDS {
        for how in ENDS {
            let mut backend = kit.fresh::<u64>();
            let (value, mut early) = (backend.open(VALUE).unwrap(), 0);
            for round in 0..24 {
                let begun = kit.begin(&mut backend, kind);
                for key in 0..200 {
                    backend.at(&key).unwrap().value(value).set(&[round; 50][..]).unwrap();
                }
                let id = begun.id;
                if end(kit, &mut backend, begun, how).is_some() {
                    backend.checkpoint_completed(id).unwrap();
                } else {
                    backend.checkpoint_aborted(id).unwrap();
                }
                let bytes = backend.statistics().memory_bytes;
                if round < 6 {
                    early = early.max(bytes);
                }
                let most = kit.profile().buffer_bytes.max(2 * early);
                assert!(round < 6 || bytes <= most, "{bytes} bytes, {early} before, {how:?}");
            }
        }
    }
}
