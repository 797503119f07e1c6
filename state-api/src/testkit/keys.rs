//! Enumeration of keys and namespaces; key groups.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::fixtures::{group_of, keys_of, refused};
use super::harness::{Backend, Harness, Kit, groups, ten, total_entries};
use crate::codec::Native;
use crate::{
    Error, ErrorKind, FlinkHash, InNamespace, KeyedStore, ListDescriptor, ListState, MapDescriptor,
    MapState, ValueDescriptor, ValueState, flink_murmur,
};

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
const WINDOWED: ValueDescriptor<u64, Native, InNamespace<String>> =
    ValueDescriptor::new("windowed").in_namespace();

/// Exactly the keys that have an entry, of this state. Flink: `testGetKeys`.
pub fn enumerates_exactly_its_keys<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    let other = backend.open(ValueDescriptor::<u64>::new("other")).unwrap();
    for key in 0..1_000 {
        backend.at(&key).unwrap().value(count).set(&key).unwrap();
        backend.at(&(key + 5_000)).unwrap().value(other).set(&key).unwrap();
    }
    for key in 500..600 {
        backend.at(&key).unwrap().value(count).clear().unwrap();
    }
    let want: Vec<u64> = (0..500).chain(600..1_000).collect();
    assert_eq!(keys_of(&mut backend, count), want);
}

/// Keys of one namespace. Flink: `testGetKeys` with two namespaces.
pub fn enumerates_keys_of_a_namespace<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let windowed = backend.open(WINDOWED).unwrap();
    for key in 0..200 {
        let window = if key % 3 == 0 { "a" } else { "ab" };
        let mut cx = backend.at(&key).unwrap();
        cx.within(&window.to_owned()).unwrap().value(windowed).set(&1).unwrap();
    }
    for (window, remainders) in [("a", &[0][..]), ("ab", &[1, 2]), ("b", &[])] {
        let mut keys = Vec::new();
        let visited = backend.for_each_key_in(windowed, &window.to_owned(), |key| {
            keys.push(key);
            Ok(ControlFlow::Continue(()))
        });
        visited.unwrap();
        keys.sort_unstable();
        let want: Vec<u64> = (0..200).filter(|key| remainders.contains(&(key % 3))).collect();
        assert_eq!(keys, want);
    }
}

/// All pairs of key and namespace, none twice, none foreign. Flink: `testGetKeysAndNamespaces`.
pub fn enumerates_keys_and_namespaces<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let windowed = backend.open(WINDOWED).unwrap();
    let mut want = BTreeSet::new();
    for key in 0..100 {
        for window in ["", "x", "xx"].into_iter().take(usize::try_from(key % 4).unwrap()) {
            let mut cx = backend.at(&key).unwrap();
            cx.within(&window.to_owned()).unwrap().value(windowed).set(&1).unwrap();
            want.insert((key, window.to_owned()));
        }
    }
    let mut pairs = Vec::new();
    let visited = backend.for_each_key_and_namespace(windowed, |key, window| {
        pairs.push((key, window));
        Ok(ControlFlow::Continue(()))
    });
    visited.unwrap();
    assert_eq!(pairs.len(), want.len());
    assert_eq!(pairs.into_iter().collect::<BTreeSet<_>>(), want);
}

/// A key with several map entries comes once. Flink: `testMapStateGetKeys`.
pub fn map_keys_come_once<H: Harness>(kit: &Kit<H>) {
    const MAP: MapDescriptor<u16, u64> = MapDescriptor::new("map");
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(MAP).unwrap();
    for key in 0..100 {
        for entry in [0, 1, u16::MAX] {
            backend.at(&key).unwrap().map(map).insert(&entry, &key).unwrap();
        }
    }
    assert_eq!(keys_of(&mut backend, map), (0..100).collect::<Vec<_>>());
}

/// Lists are enumerated too, each key once however many elements it has.
pub fn list_keys_come_once<H: Harness>(kit: &Kit<H>) {
    const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(LIST).unwrap();
    for key in (0..100).chain(0..50).chain(0..1) {
        backend.at(&key).unwrap().list(list).add(&key).unwrap();
    }
    assert_eq!(keys_of(&mut backend, list), (0..100).collect::<Vec<_>>());
}

/// Enumeration goes by key group, then by the bytes of the key; breaking stops it, errors return.
pub fn enumeration_is_ordered_and_stops<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    for key in 0..300 {
        backend.at(&key).unwrap().value(count).set(&key).unwrap();
    }
    let space = backend.store().key_space().clone();
    let mut want: Vec<u64> = (0..300).collect();
    want.sort_by_key(|key| (group_of(&space, key), *key));
    let mut seen = Vec::new();
    let visited = backend.for_each_key(count, |key| {
        seen.push(key);
        Ok(if seen.len() == 250 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    visited.unwrap();
    assert_eq!(seen, want[..250]);
    let failed = backend.for_each_key(count, |_| Err(Error::unavailable("on purpose")));
    refused(failed, ErrorKind::Unavailable);
}

/// The closure may clear, add, and clear and add. Flink: `testApplyToAllKeysLambdaFunction`,
/// `testConcurrentModificationWithApplyToAllKeys`.
pub fn apply_may_change_what_it_visits<H: Harness>(kit: &Kit<H>) {
    const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
    let mut backend = kit.fresh::<u64>();
    let (list, count) = (backend.open(LIST).unwrap(), backend.open(COUNT).unwrap());
    for key in 0..100 {
        backend.at(&key).unwrap().list(list).add_all(&[key, 1]).unwrap();
    }
    let mut visits = 0;
    let applied = backend.apply_to_all_keys(list, |mut cx| {
        visits += 1;
        let key = cx.list(list).get()?[0];
        match key % 3 {
            0 => cx.list(list).clear()?,
            1 => cx.list(list).add(&2)?,
            _ => {
                cx.list(list).clear()?;
                cx.list(list).add(&key)?;
            }
        }
        cx.value(count).set(&key)
    });
    applied.unwrap();
    assert_eq!(visits, 100);
    for key in 0..100 {
        let mut cx = backend.at(&key).unwrap();
        let want = [vec![], vec![key, 1, 2], vec![key]];
        assert_eq!(cx.list(list).get().unwrap(), want[usize::try_from(key % 3).unwrap()]);
        assert_eq!(cx.value(count).get().unwrap(), Some(key));
    }
    let cleared = backend.apply_to_all_keys(count, |mut cx| cx.value(count).clear());
    cleared.unwrap();
    assert!(keys_of(&mut backend, count).is_empty());
}

/// Keys of foreign key groups are refused, one by one and in batches, and change nothing.
pub fn foreign_keys_are_refused<H: Harness>(kit: &Kit<H>) {
    let range = ten().range_of(1, 3).unwrap();
    let mut backend = kit.try_open::<u64>(ten(), range, Vec::new()).unwrap();
    let count = backend.open(COUNT).unwrap();
    let space = backend.store().key_space().clone();
    let mut owned = Vec::new();
    for key in 0..100 {
        if range.contains(group_of(&space, &key)) {
            backend.at(&key).unwrap().value(count).set(&key).unwrap();
            owned.push(key);
        } else {
            refused(backend.at(&key).map(drop), ErrorKind::InvalidInput);
            refused(backend.batch([key]).map(drop), ErrorKind::InvalidInput);
        }
    }
    assert!(!owned.is_empty() && owned.len() < 100);
    assert_eq!(keys_of(&mut backend, count), owned);
}

/// Flink's placement puts keys where Flink puts them, and the store finds them there.
pub fn flink_placement<H: Harness>(kit: &Kit<H>) {
    let many = groups(128);
    let mut backend = kit.try_open_placed::<i32, FlinkHash>(many, many.all(), Vec::new()).unwrap();
    let count = backend.open(COUNT).unwrap();
    let mut want = BTreeMap::<_, Vec<i32>>::new();
    for key in -50..50 {
        let mut cx = backend.at(&key).unwrap();
        assert_eq!(cx.key_group(), many.group_of(flink_murmur(key)));
        cx.value(count).set(&1).unwrap();
        want.entry(many.group_of(flink_murmur(key))).or_default().push(key);
    }
    let mut seen = Vec::new();
    let visited = backend.for_each_key(count, |key| {
        seen.push(key);
        Ok(ControlFlow::Continue(()))
    });
    visited.unwrap();
    assert_eq!(seen, want.into_values().flatten().collect::<Vec<_>>());
}

/// Counters follow updates and clears. Flink: `testNumStateEntries`.
pub fn entries_are_counted<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    let map = backend.open(MapDescriptor::<u8, u8>::new("map")).unwrap();
    let exact = kit.profile().exact_counts;
    let expect = |found: u64, want: u64| assert!(found == want || !exact, "{found}, not {want}");
    assert_eq!(total_entries(&backend), 0);
    for key in [0, 1, 1, 2] {
        backend.at(&key).unwrap().value(count).set(&key).unwrap();
    }
    expect(total_entries(&backend), 3);
    backend.at(&1).unwrap().map(map).insert(&1, &1).unwrap();
    backend.at(&1).unwrap().map(map).insert(&2, &1).unwrap();
    backend.at(&1).unwrap().map(map).insert(&2, &2).unwrap();
    expect(total_entries(&backend), 5);
    backend.at(&1).unwrap().value(count).clear().unwrap();
    backend.at(&1).unwrap().value(count).clear().unwrap();
    expect(total_entries(&backend), 4);
    backend.at(&1).unwrap().map(map).clear().unwrap();
    backend.at(&0).unwrap().value(count).update(|_| None).unwrap();
    backend.at(&2).unwrap().value(count).clear().unwrap();
    assert_eq!(total_entries(&backend), 0);
}

/// 1,000 keys that each are in two namespaces, once in each. Flink: `testGetKeys`.
pub fn one_key_in_several_namespaces<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let windowed = backend.open(WINDOWED).unwrap();
    for key in 0..1_000 {
        for (window, keys) in [("ns1", 0..1_000), ("ns2", 0..700)] {
            if keys.contains(&key) {
                let mut cx = backend.at(&key).unwrap();
                cx.within(&window.to_owned()).unwrap().value(windowed).set(&key).unwrap();
            }
        }
    }
    for (window, want) in [("ns1", 0..1_000), ("ns2", 0..700), ("ns", 0..0)] {
        let mut keys = Vec::new();
        let visited = backend.for_each_key_in(windowed, &window.to_owned(), |key| {
            keys.push(key);
            Ok(ControlFlow::Continue(()))
        });
        visited.unwrap();
        keys.sort_unstable();
        assert!(keys == want.collect::<Vec<u64>>(), "{window}");
    }
    if kit.profile().exact_counts {
        assert_eq!(total_entries(&backend), 1_700);
    }
}

type InWindow = MapDescriptor<u16, u64, Native, Native, InNamespace<u8>>;

fn pairs_of<H: Harness>(backend: &mut Backend<H>) -> Vec<(u64, u8)> {
    let descriptor: InWindow = MapDescriptor::new("in window").in_namespace();
    let map = backend.open(descriptor).unwrap();
    let mut pairs = Vec::new();
    let visited = backend.for_each_key_and_namespace(map, |key, window| {
        pairs.push((key, window));
        Ok(ControlFlow::Continue(()))
    });
    visited.unwrap();
    pairs.sort_unstable();
    pairs
}

fn fill_windows<H: Harness>(backend: &mut Backend<H>) -> Vec<(u64, u8)> {
    let descriptor: InWindow = MapDescriptor::new("in window").in_namespace();
    let map = backend.open(descriptor).unwrap();
    let mut want = Vec::new();
    for key in 0..100 {
        for window in [0, 1, u8::MAX] {
            if key % 3 == u64::from(window) % 3 {
                continue;
            }
            let mut cx = backend.at(&key).unwrap();
            let mut cx = cx.within(&window).unwrap();
            for entry in [0, 1, 256, u16::MAX] {
                cx.map(map).insert(&entry, &key).unwrap();
            }
            want.push((key, window));
        }
    }
    want
}

/// A pair of key and namespace comes once, however many entries its map has. Flink: `testMapStateGetKeys`,
/// `testGetKeysAndNamespaces`.
pub fn map_keys_come_once_per_namespace<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let mut want = fill_windows::<H>(&mut backend);
    assert_eq!(pairs_of::<H>(&mut backend), want);
    let descriptor: InWindow = MapDescriptor::new("in window").in_namespace();
    let map = backend.open(descriptor).unwrap();
    let gone = want.swap_remove(5);
    want.sort_unstable();
    backend.at(&gone.0).unwrap().within(&gone.1).unwrap().map(map).clear().unwrap();
    assert_eq!(pairs_of::<H>(&mut backend), want);
}

/// Enumeration finds the same after a restore from a snapshot of any kind.
pub fn enumeration_survives_a_restore<H: Harness>(kit: &Kit<H>) {
    for kind in kit.kinds() {
        let mut backend = kit.fresh::<u64>();
        let want = fill_windows::<H>(&mut backend);
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        assert_eq!(pairs_of::<H>(&mut restored), want);
        if kit.profile().exact_counts {
            assert_eq!(total_entries(&restored), 4 * want.len() as u64);
        }
    }
}
