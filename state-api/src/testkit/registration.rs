//! States that are registered at awkward moments: while a snapshot is in flight, between two of them,
//! or for the first time after a restore.

use super::fixtures::{Everything, fill, image};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, run_task, total_entries};
use super::storage::Gate;
use crate::codec::{Native, Upgrade};
use crate::snapshot::{CancelToken, SnapshotKind};
use crate::{KeyedStore, ListDescriptor, ListState, MapDescriptor, ValueDescriptor, ValueState};

const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("late value");
const LIST: ListDescriptor<u64> = ListDescriptor::new("late list");
const MAP: MapDescriptor<u64, u64> = MapDescriptor::new("late map");

/// Registers three states and writes to them.
fn register<H: Harness>(backend: &mut Backend<H>, keys: u64) {
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let map = backend.open(MAP).unwrap();
    for key in 0..keys {
        let mut cx = backend.at(&key).unwrap();
        cx.value(value).set(&key).unwrap();
        cx.list(list).add_all(&[key, 1]).unwrap();
        cx.map(map).insert(&key, &2).unwrap();
    }
}

fn check_late<H: Harness>(kit: &Kit<H>, taken: &Taken, keys: u64) {
    let mut restored = kit.restore::<u64>(&[taken]);
    let (value, list) = (restored.open(VALUE).unwrap(), restored.open(LIST).unwrap());
    let map = restored.open(MAP).unwrap();
    for key in 0..keys + 3 {
        let mut cx = restored.at(&key).unwrap();
        let there = key < keys;
        assert_eq!(cx.value(value).get().unwrap(), there.then_some(key));
        assert_eq!(cx.list(list).get().unwrap(), if there { vec![key, 1] } else { vec![] });
        assert_eq!(cx.map(map).get(&key).unwrap(), there.then_some(2));
    }
}

fn names(taken: &Taken) -> Vec<&str> {
    taken.snapshot.states.iter().map(|state| &*state.meta.name).collect()
}

/// Between the two phases: the snapshot does not know the state, the next one does.
/// Flink: `testCheckConcurrencyProblemWhenPerformingCheckpointAsync`.
pub fn after_the_synchronous_phase<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let image = image(20, 0);
        fill(&mut backend, &states, &image);
        let begun = kit.begin(&mut backend, kind);
        register::<H>(&mut backend, 5);
        let taken = kit.finish(begun);
        assert!(!names(&taken).iter().any(|name| name.starts_with("late")));
        let mut restored = kit.restore::<u64>(&[&taken]);
        assert_eq!(restored.store().states().len(), 6);
        Everything::open(&mut restored).check(&mut restored, &image, 25);
        check_late(kit, &taken, 0);
        let taken = kit.take(&mut backend, kind);
        assert_eq!(names(&taken).len(), 9);
        check_late(kit, &taken, 5);
    }
}

/// While another thread stands in the middle of the snapshot.
pub fn beside_a_running_snapshot<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let image = image(20, 0);
        fill(&mut backend, &states, &image);
        let begun = kit.begin(&mut backend, kind);
        let gate = Gate::default();
        let sink = kit.storage.sink(begun.id).behind(&gate);
        let snapshot = std::thread::scope(|scope| {
            let running = scope.spawn(|| run_task(begun.task, &sink, &CancelToken::default()));
            gate.wait_until_reached();
            register::<H>(&mut backend, 5);
            gate.open();
            register::<H>(&mut backend, 5);
            running.join().expect("the snapshot does not panic").unwrap()
        });
        let taken = Taken { id: begun.id, snapshot, storage: kit.storage.clone() };
        assert_eq!(names(&taken).len(), 6);
        let mut restored = kit.restore::<u64>(&[&taken]);
        Everything::open(&mut restored).check(&mut restored, &image, 25);
    }
}

/// Between two increments of a chain: from then on it belongs to the chain, written or not.
pub fn between_two_increments<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let mut image = image(20, 0);
    fill(&mut backend, &states, &image);
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    backend.open(VALUE).unwrap();
    let empty = kit.confirm(&mut backend, SnapshotKind::Incremental);
    assert_eq!(names(&empty).len(), 7);
    register::<H>(&mut backend, 5);
    states.put(&mut backend, 3, 99);
    image.insert(3, 99);
    let unconfirmed = kit.take(&mut backend, SnapshotKind::Incremental);
    let last = kit.confirm(&mut backend, SnapshotKind::Incremental);
    check_late(kit, &empty, 0);
    for taken in [unconfirmed, last] {
        check_late(kit, &taken, 5);
        let mut restored = kit.restore::<u64>(&[&taken]);
        Everything::open(&mut restored).check(&mut restored, &image, 25);
    }
}

/// A restored state whose first registration, and first change, comes while a snapshot is in flight.
pub fn of_restored_state_in_flight<H: Harness>(kit: &Kit<H>) {
    for first in KINDS {
        for second in KINDS {
            let mut backend = kit.fresh::<u64>();
            register::<H>(&mut backend, 5);
            let taken = kit.confirm(&mut backend, first);
            let mut restored = kit.resume::<u64>(&taken);
            let begun = kit.begin(&mut restored, second);
            let value = restored.open(VALUE).unwrap();
            restored.at(&1).unwrap().value(value).set(&77).unwrap();
            restored.at(&4).unwrap().value(value).clear().unwrap();
            let list = restored.open(LIST).unwrap();
            restored.at(&0).unwrap().list(list).clear().unwrap();
            let taken = kit.finish(begun);
            check_late(kit, &taken, 5);
            if kit.profile().exact_counts {
                assert_eq!(total_entries(&restored), 13);
            }
        }
    }
}

/// A migration between the two phases: the snapshot holds the old values under their old schema, the
/// next one the new values under the new schema.
pub fn migration_in_flight_is_unseen<H: Harness>(kit: &Kit<H>) {
    type Widened = Upgrade<u32, Native, Native>;
    const OLD: ValueDescriptor<u32> = ValueDescriptor::new("value");
    const NEW: ValueDescriptor<u64, Widened> = ValueDescriptor::new("value").with_codec();
    const OLD_LIST: ListDescriptor<u32> = ListDescriptor::new("list");
    const NEW_LIST: ListDescriptor<u64, Widened> = ListDescriptor::new("list").with_codec();
    for first in KINDS {
        for second in KINDS {
            let mut backend = kit.fresh::<u64>();
            let (value, list) = (backend.open(OLD).unwrap(), backend.open(OLD_LIST).unwrap());
            for key in 0..20 {
                let number = u32::try_from(key).unwrap();
                let mut cx = backend.at(&key).unwrap();
                cx.value(value).set(&number).unwrap();
                cx.list(list).add_all(&[number, 7]).unwrap();
            }
            let taken = kit.confirm(&mut backend, first);
            let mut restored = kit.resume::<u64>(&taken);
            let begun = kit.begin(&mut restored, second);
            let (value, list) = (restored.open(NEW).unwrap(), restored.open(NEW_LIST).unwrap());
            restored.at(&3).unwrap().value(value).set(&u64::MAX).unwrap();
            restored.at(&3).unwrap().list(list).add(&u64::MAX).unwrap();
            let (old, new) = (kit.finish(begun), kit.take(&mut restored, second));
            let mut before = kit.restore::<u64>(&[&old]);
            let (value, list) = (before.open(OLD).unwrap(), before.open(OLD_LIST).unwrap());
            let mut after = kit.restore::<u64>(&[&new]);
            let values = (after.open(NEW).unwrap(), after.open(NEW_LIST).unwrap());
            for key in 0..20 {
                let number = u32::try_from(key).unwrap();
                let mut cx = before.at(&key).unwrap();
                assert_eq!(cx.value(value).get().unwrap(), Some(number));
                assert_eq!(cx.list(list).get().unwrap(), [number, 7]);
                let changed = key == 3;
                let mut cx = after.at(&key).unwrap();
                let want = if changed { u64::MAX } else { key };
                assert_eq!(cx.value(values.0).get().unwrap(), Some(want));
                let want = if changed { vec![key, 7, u64::MAX] } else { vec![key, 7] };
                assert_eq!(cx.list(values.1).get().unwrap(), want);
            }
        }
    }
}
