//! Map states.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::fixtures::{keys_of, refused};
use super::harness::{Harness, Kit, total_entries};
use crate::random::{Randomness, SeededRandomness};
use crate::{Error, ErrorKind, InNamespace, MapDescriptor, MapState};

const PAGES: MapDescriptor<String, u32> = MapDescriptor::new("pages");
const BY_NUMBER: MapDescriptor<i32, u64> = MapDescriptor::new("by number");

/// get, insert, contains and remove of single entries. Flink: `testMapState`.
pub fn single_entries<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(PAGES).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert_eq!(cx.map(map).get("a").unwrap(), None);
    assert!(!cx.map(map).contains("a").unwrap());
    cx.map(map).insert("a", &1).unwrap();
    cx.map(map).insert("a", &2).unwrap();
    cx.map(map).insert("b", &3).unwrap();
    assert_eq!(cx.map(map).get("a").unwrap(), Some(2));
    assert!(cx.map(map).contains("b").unwrap());
    cx.map(map).remove("a").unwrap();
    cx.map(map).remove("never there").unwrap();
    assert_eq!(cx.map(map).entries().unwrap(), [("b".to_owned(), 3)]);
    assert_eq!(backend.at(&2).unwrap().map(map).get("b").unwrap(), None);
}

/// An empty map reads as empty. Flink: `testMapStateDefaultValue`.
pub fn empty_where_nothing_is<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(PAGES).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert!(cx.map(map).is_empty().unwrap());
    assert!(cx.map(map).keys().unwrap().is_empty());
    assert!(cx.map(map).entries().unwrap().is_empty());
    cx.map(map).clear().unwrap();
    assert_eq!(total_entries(&backend), 0);
}

/// Emptiness through 1,024 inserts and removes. Flink: `testMapStateIsEmpty`.
pub fn emptiness_follows_entries<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    for n in 0..1_024 {
        backend.at(&1).unwrap().map(map).insert(&n, &0).unwrap();
        assert!(!backend.at(&1).unwrap().map(map).is_empty().unwrap());
    }
    for n in 0..1_024 {
        assert!(!backend.at(&1).unwrap().map(map).is_empty().unwrap());
        backend.at(&1).unwrap().map(map).remove(&n).unwrap();
    }
    assert!(backend.at(&1).unwrap().map(map).is_empty().unwrap());
    assert!(keys_of(&mut backend, map).is_empty());
}

/// Entries come in the order of their keys, negative numbers first, prefixes before what they begin.
pub fn entries_are_ordered<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (pages, numbers) = (backend.open(PAGES).unwrap(), backend.open(BY_NUMBER).unwrap());
    let mut cx = backend.at(&1).unwrap();
    for text in ["b", "", "ab", "a", "\u{10ffff}", "a\0", "a\0\0", "é", "aa"] {
        cx.map(pages).insert(text, &0).unwrap();
    }
    let want = ["", "a", "a\0", "a\0\0", "aa", "ab", "b", "é", "\u{10ffff}"];
    assert_eq!(cx.map(pages).keys().unwrap(), want);
    for n in [5, -1, i32::MAX, 0, i32::MIN, 256, 255] {
        cx.map(numbers).insert(&n, &0).unwrap();
    }
    let want = [i32::MIN, -1, 0, 5, 255, 256, i32::MAX];
    assert_eq!(cx.map(numbers).keys().unwrap(), want);
}

/// A scan from a lower bound begins there, whether the bound exists or not; breaking stops it.
pub fn scans_from_a_lower_bound<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    for key in [1, 2, 3] {
        for n in (0..100).step_by(2) {
            backend.at(&key).unwrap().map(map).insert(&n, &key).unwrap();
        }
    }
    let mut cx = backend.at(&2).unwrap();
    for (from, want) in [(-5, 0), (0, 0), (1, 2), (50, 50), (98, 98)] {
        let mut first = None;
        let scanned = cx.map(map).for_each_from(&from, |n, _| {
            first = Some(n);
            Ok(ControlFlow::Break(()))
        });
        scanned.unwrap();
        assert_eq!(first, Some(want), "from {from}");
    }
    let mut seen = Vec::new();
    let scanned = cx.map(map).for_each_from(&91, |n, key| {
        seen.push((n, key));
        Ok(ControlFlow::Continue(()))
    });
    scanned.unwrap();
    assert_eq!(seen, [(92, 2), (94, 2), (96, 2), (98, 2)]);
    let nothing = cx.map(map).for_each_from(&99, |_, _| panic!("there is no entry"));
    nothing.unwrap();
    let failed = cx.map(map).for_each(|_, _| Err(Error::unavailable("on purpose")));
    refused(failed, ErrorKind::Unavailable);
}

/// The closure of an update sees the old value; `None` removes.
pub fn update_in_one_probe<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(PAGES).unwrap();
    let mut cx = backend.at(&1).unwrap();
    for _ in 0..3 {
        cx.map(map).update("a", |n| Some(n.unwrap_or(0) + 1)).unwrap();
    }
    assert_eq!(cx.map(map).get("a").unwrap(), Some(3));
    cx.map(map).update("a", |_| None).unwrap();
    cx.map(map).update("b", |n| n).unwrap();
    assert!(cx.map(map).is_empty().unwrap());
}

/// Stored nulls are entries: `contains` holds for them. Flink: null values of `testMapState`.
pub fn none_is_a_value<H: Harness>(kit: &Kit<H>) {
    const MAYBE: MapDescriptor<u8, Option<u16>> = MapDescriptor::new("maybe");
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(MAYBE).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.map(map).insert(&1, &None).unwrap();
    assert!(cx.map(map).contains(&1).unwrap());
    assert_eq!(cx.map(map).get(&1).unwrap(), Some(None));
    assert_eq!(cx.map(map).get(&2).unwrap(), None);
}

/// Retain removes and changes while it visits everything. Flink: iterator `remove` and `setValue`.
pub fn retain_removes_and_changes<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    let mut cx = backend.at(&1).unwrap();
    for n in 0..100 {
        cx.map(map).insert(&n, &1).unwrap();
    }
    let mut visited = 0;
    let retained = cx.map(map).retain(|n, value| {
        visited += 1;
        if n % 5 == 0 {
            *value = 9;
        }
        n % 2 == 0
    });
    retained.unwrap();
    assert_eq!(visited, 100);
    let entries = cx.map(map).entries().unwrap();
    let want: Vec<_> = (0..100).step_by(2).map(|n| (n, if n % 5 == 0 { 9 } else { 1 })).collect();
    assert_eq!(entries, want);
}

/// Clearing a map leaves its neighbours alone: other keys, namespaces and states, also those whose
/// bytes begin alike.
pub fn clear_spares_neighbours<H: Harness>(kit: &Kit<H>) {
    const WINDOWED: MapDescriptor<
        String,
        u32,
        crate::codec::Native,
        crate::codec::Native,
        InNamespace<String>,
    > = MapDescriptor::new("windowed").in_namespace();
    let mut backend = kit.fresh::<String>();
    let (pages, windowed) = (backend.open(PAGES).unwrap(), backend.open(WINDOWED).unwrap());
    let keys = ["", "a", "a\0", "aa", "\u{ff}"];
    for key in keys {
        let mut cx = backend.at(key).unwrap();
        for entry in ["", "a", "\u{ff}"] {
            cx.map(pages).insert(entry, &1).unwrap();
            for window in ["", "a", "aa"] {
                let mut cx = cx.within(&window.to_owned()).unwrap();
                cx.map(windowed).insert(entry, &1).unwrap();
            }
        }
    }
    backend.at("a").unwrap().map(pages).clear().unwrap();
    backend.at("a").unwrap().within(&"a".to_owned()).unwrap().map(windowed).clear().unwrap();
    for key in keys {
        let mut cx = backend.at(key).unwrap();
        assert_eq!(cx.map(pages).keys().unwrap().len(), if key == "a" { 0 } else { 3 });
        for window in ["", "a", "aa"] {
            let mut cx = cx.within(&window.to_owned()).unwrap();
            let want = if key == "a" && window == "a" { 0 } else { 3 };
            assert_eq!(cx.map(windowed).keys().unwrap().len(), want, "{key:?} {window:?}");
        }
    }
}

/// 10,000 entries of one key, inserted in disorder, thinned out, scanned in order.
/// Flink: `testMapStateIteratorArbitraryAccess`.
pub fn large_maps_stay_ordered<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    let mut model = BTreeMap::new();
    for step in 0..10_000_i64 {
        let n = i32::try_from(step * 7_919 % 10_007).unwrap();
        backend.at(&1).unwrap().map(map).insert(&n, &step.unsigned_abs()).unwrap();
        model.insert(n, step.unsigned_abs());
        if step % 4 == 3 {
            let gone = i32::try_from(step * 31 % 10_007).unwrap();
            backend.at(&1).unwrap().map(map).remove(&gone).unwrap();
            model.remove(&gone);
        }
    }
    backend.at(&2).unwrap().map(map).insert(&1, &1).unwrap();
    let entries = backend.at(&1).unwrap().map(map).entries().unwrap();
    assert!(entries == model.into_iter().collect::<Vec<_>>(), "all entries, in order");
    backend.at(&1).unwrap().map(map).clear().unwrap();
    if kit.profile().exact_counts {
        assert_eq!(total_entries(&backend), 1);
    }
}

/// What is written between scans is seen by the next one, wherever it falls in the order.
pub fn scans_follow_writes<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    let mut model = BTreeMap::new();
    for step in 0..300_u64 {
        let n = i32::try_from(step * 37 % 101).unwrap();
        let mut cx = backend.at(&1).unwrap();
        if step % 3 == 2 {
            cx.map(map).remove(&n).unwrap();
            model.remove(&n);
        } else {
            cx.map(map).insert(&n, &step).unwrap();
            model.insert(n, step);
        }
        if step % 10 == 9 {
            let want: Vec<_> = model.iter().map(|(n, step)| (*n, *step)).collect();
            assert_eq!(cx.map(map).entries().unwrap(), want);
        }
    }
}

/// 4,096 entries from which rounds of `retain` remove and change at random, until few are left; those
/// that it visits come in ascending order. Flink: `testMapStateIteratorArbitraryAccess`.
pub fn retain_at_random<H: Harness>(kit: &Kit<H>) {
    let random = SeededRandomness::new(7);
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    let mut model = BTreeMap::new();
    for n in -2_048..2_048 {
        backend.at(&1).unwrap().map(map).insert(&n, &0).unwrap();
        model.insert(n, 0);
    }
    while model.len() > 20 {
        let (mut visited, mut left) = (Vec::new(), BTreeMap::new());
        let retained = backend.at(&1).unwrap().map(map).retain(|n, value| {
            visited.push((*n, *value));
            let chance = random.next_u64();
            *value += chance % 3;
            if chance % 5 < 2 {
                left.insert(*n, *value);
            }
            chance % 5 < 2
        });
        retained.unwrap();
        assert!(visited == model.into_iter().collect::<Vec<_>>(), "everything, in order");
        model = left;
        let want: Vec<_> = model.iter().map(|(n, value)| (*n, *value)).collect();
        assert!(backend.at(&1).unwrap().map(map).entries().unwrap() == want);
    }
}

/// A map of which nothing is retained is no map: no key, no entry. Flink: iterator `remove` to the end.
pub fn retain_may_empty_a_map<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(PAGES).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.map(map).retain(|_, _| panic!("there is nothing to visit")).unwrap();
    for text in ["", "a", "b"] {
        cx.map(map).insert(text, &1).unwrap();
    }
    cx.map(map).retain(|_, _| false).unwrap();
    assert!(cx.map(map).is_empty().unwrap());
    assert!(keys_of(&mut backend, map).is_empty());
    assert_eq!(total_entries(&backend), 0);
}

/// A long map visited in pieces, with removals, changes and insertions between them: the next piece
/// begins where the last one ended, and sees what is there by then. It is how this contract changes a
/// map while it iterates; a scan that runs holds the store. Flink: `testMapStateIteratorArbitraryAccess`.
pub fn scans_go_on_after_changes<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let map = backend.open(BY_NUMBER).unwrap();
    for n in (0..1_000).step_by(2) {
        backend.at(&1).unwrap().map(map).insert(&n, &0).unwrap();
    }
    let (mut next, mut seen) = (0, Vec::new());
    loop {
        let mut piece = Vec::new();
        let mut cx = backend.at(&1).unwrap();
        let scanned = cx.map(map).for_each_from(&next, |n, value| {
            piece.push((n, value));
            Ok(if piece.len() < 7 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        scanned.unwrap();
        let Some((last, _)) = piece.last().copied() else {
            break;
        };
        next = last + 1;
        cx.map(map).remove(&last).unwrap();
        cx.map(map).remove(&(last + 2)).unwrap();
        cx.map(map).insert(&(last - 1), &8).unwrap();
        if last < 998 {
            cx.map(map).insert(&(last + 1), &9).unwrap();
        }
        seen.extend(piece);
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "ascending, none twice");
    let inserted = seen.iter().filter(|(_, value)| *value == 9);
    assert!(inserted.clone().all(|(n, _)| n % 2 == 1) && inserted.count() > 50);
    let passed_over = seen.iter().filter(|(_, value)| *value == 8).count();
    assert_eq!(passed_over, 0, "what is inserted behind the scan is not visited");
    let even = seen.iter().filter(|(n, _)| n % 2 == 0).count();
    assert!(even > 300 && even < 500, "what was removed before the scan came is not visited");
}

/// Maps with keys of different lengths through two snapshots at different times. Flink: `testMapState`.
pub fn survives_snapshots<H: Harness>(kit: &Kit<H>) {
    for kind in kit.kinds() {
        let mut backend = kit.fresh::<String>();
        let map = backend.open(PAGES).unwrap();
        let (mut taken, mut model) = (Vec::new(), BTreeMap::new());
        for round in 0..3 {
            for (n, key) in (0..).zip(["", "k", "a much longer key than the others"]) {
                let mut cx = backend.at(key).unwrap();
                let entries = model.entry(key).or_insert_with(BTreeMap::new);
                for (m, entry) in (0..).zip(["", "e", "\0", "another map key, a long one"]) {
                    if (n + m + round) % 3 == 0 {
                        cx.map(map).remove(entry).unwrap();
                        entries.remove(entry);
                    } else {
                        cx.map(map).insert(entry, &(n * 100 + m * 10 + round)).unwrap();
                        entries.insert(entry.to_owned(), n * 100 + m * 10 + round);
                    }
                }
            }
            taken.push((kit.confirm(&mut backend, kind), model.clone()));
        }
        for (taken, model) in taken {
            let mut restored = kit.restore::<String>(&[&taken]);
            let map = restored.open(PAGES).unwrap();
            for (key, entries) in model {
                let want: Vec<_> = entries.into_iter().collect();
                assert_eq!(restored.at(key).unwrap().map(map).entries().unwrap(), want);
            }
        }
    }
}
