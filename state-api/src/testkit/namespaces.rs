//! Namespaces and their merging.

use super::fixtures::{Trail, fold, refused};
use super::harness::{Harness, Kit, total_entries};
use crate::codec::Native;
use crate::{
    AggregatingDescriptor, AggregatingState, ErrorKind, InNamespace, ListDescriptor, ListState,
    MapDescriptor, MapState, ReducingDescriptor, ReducingState, ValueDescriptor, ValueState,
};

type In<W> = InNamespace<W>;

const LIST: ListDescriptor<u64, Native, In<i64>> = ListDescriptor::new("list").in_namespace();
const FOLDED: ReducingDescriptor<i64, Native, In<i64>> =
    ReducingDescriptor::new("folded", fold).in_namespace();
const TRAIL: AggregatingDescriptor<Trail, Native, In<i64>> =
    AggregatingDescriptor::new("trail").in_namespace();
const NAMED: ValueDescriptor<u64, Native, In<String>> =
    ValueDescriptor::new("named").in_namespace();

/// One key has a value per namespace, also where namespaces begin alike.
pub fn namespaces_are_independent<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<String>();
    let named = backend.open(NAMED).unwrap();
    let names = ["", "a", "a\0", "ab", "b"];
    let keys = ["", "a", "aa"];
    for (k, key) in (0..).zip(keys) {
        for (n, name) in (0..).zip(names) {
            let mut cx = backend.at(key).unwrap();
            cx.within(&name.to_owned()).unwrap().value(named).set(&(k * 10 + n)).unwrap();
        }
    }
    backend.at("a").unwrap().within(&"a".to_owned()).unwrap().value(named).clear().unwrap();
    for (k, key) in (0..).zip(keys) {
        for (n, name) in (0..).zip(names) {
            let mut cx = backend.at(key).unwrap();
            let read = cx.within(&name.to_owned()).unwrap().value(named).get().unwrap();
            assert_eq!(read, (key != "a" || name != "a").then_some(k * 10 + n));
        }
    }
}

/// All kinds of state live in namespaces.
pub fn every_kind_has_namespaces<H: Harness>(kit: &Kit<H>) {
    const MAP: MapDescriptor<u8, u8, Native, Native, In<i64>> =
        MapDescriptor::new("map").in_namespace();
    let mut backend = kit.fresh::<u64>();
    let (list, folded) = (backend.open(LIST).unwrap(), backend.open(FOLDED).unwrap());
    let (trail, map) = (backend.open(TRAIL).unwrap(), backend.open(MAP).unwrap());
    for window in [-1, 0, 1] {
        let mut key = backend.at(&1).unwrap();
        let mut cx = key.within(&window).unwrap();
        cx.list(list).add(&window.unsigned_abs()).unwrap();
        cx.reducing(folded).add(window).unwrap();
        cx.aggregating(trail).add(window).unwrap();
        cx.map(map).insert(&1, &u8::from(window == 0)).unwrap();
    }
    for window in [-1, 0, 1] {
        let mut key = backend.at(&1).unwrap();
        let mut cx = key.within(&window).unwrap();
        assert_eq!(cx.list(list).get().unwrap(), [window.unsigned_abs()]);
        assert_eq!(cx.reducing(folded).get().unwrap(), Some(window));
        assert_eq!(cx.aggregating(trail).get().unwrap(), Some(format!("1:{}", fold(7, window))));
        assert_eq!(cx.map(map).entries().unwrap(), [(1, u8::from(window == 0))]);
    }
}

/// What the namespaces 1 (target), 2 and 3 hold before a merge.
const BEFORE: [[&[u64]; 3]; 8] = [
    [&[], &[], &[]],
    [&[1], &[], &[]],
    [&[], &[2, 3], &[]],
    [&[], &[], &[4]],
    [&[1], &[2], &[]],
    [&[1, 2], &[], &[3, 4]],
    [&[], &[1], &[2]],
    [&[1], &[2, 3], &[4, 5, 6]],
];

/// Lists: the target's elements first, then the sources' in order. Flink: `testListStateMerging`.
pub fn lists_merge_target_first<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(LIST).unwrap();
    for (key, before) in (0..).zip(BEFORE) {
        let mut cx = backend.at(&key).unwrap();
        for (window, elements) in (1..).zip(before) {
            cx.within(&window).unwrap().list(list).add_all(elements).unwrap();
        }
        cx.merge_namespaces(list, &1, &[2, 3]).unwrap();
        let merged = cx.within(&1).unwrap().list(list).get().unwrap();
        assert_eq!(merged, before.concat(), "case {key}");
        for source in [2, 3] {
            assert!(cx.within(&source).unwrap().list(list).get().unwrap().is_empty());
        }
        let size = cx.within(&1).unwrap().list(list).size().unwrap();
        assert_eq!(size.bytes, 12 * before.concat().len() as u64);
        cx.within(&1).unwrap().list(list).clear().unwrap();
    }
    assert_eq!(total_entries(&backend), 0, "nothing is left behind");
}

/// Reducing: the sources are folded in order, then the target is the second argument.
/// Flink: `testReducingStateMerging`.
pub fn reducing_merges_sources_first<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let folded = backend.open(FOLDED).unwrap();
    for (key, before) in (0..).zip(BEFORE) {
        let mut cx = backend.at(&key).unwrap();
        let mut parts = [None; 3];
        for ((window, values), part) in (1..).zip(before).zip(&mut parts) {
            for value in values {
                let value = value.cast_signed();
                cx.within(&window).unwrap().reducing(folded).add(value).unwrap();
                *part = Some(part.map_or(value, |old| fold(old, value)));
            }
        }
        let [target, first, second] = parts;
        cx.merge_namespaces(folded, &1, &[2, 3]).unwrap();
        let want = [first, second, target].into_iter().flatten().reduce(fold);
        assert_eq!(cx.within(&1).unwrap().reducing(folded).get().unwrap(), want, "case {key}");
        for source in [2, 3] {
            assert_eq!(cx.within(&source).unwrap().reducing(folded).get().unwrap(), None);
        }
        cx.within(&1).unwrap().reducing(folded).clear().unwrap();
    }
    assert_eq!(total_entries(&backend), 0, "nothing is left behind");
}

/// Aggregating: accumulators merge in the same order. Flink: `testAggregatingStateMerging...`.
pub fn aggregating_merges_accumulators<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let trail = backend.open(TRAIL).unwrap();
    for (key, before) in (0..).zip(BEFORE) {
        let mut cx = backend.at(&key).unwrap();
        let mut parts = [None; 3];
        for ((window, values), part) in (1..).zip(before).zip(&mut parts) {
            for value in values {
                let value = value.cast_signed();
                cx.within(&window).unwrap().aggregating(trail).add(value).unwrap();
                let (count, old) = part.unwrap_or((0, 7));
                *part = Some((count + 1, fold(old, value)));
            }
        }
        let [target, first, second] = parts;
        cx.merge_namespaces(trail, &1, &[2, 3]).unwrap();
        let merged = [first, second, target].into_iter().flatten();
        let want = merged.reduce(|a, b| (a.0 + b.0, fold(a.1, b.1)));
        let want = want.map(|(count, trail)| format!("{count}:{trail}"));
        assert_eq!(cx.within(&1).unwrap().aggregating(trail).get().unwrap(), want, "case {key}");
    }
}

/// The target among the sources, a source twice, no sources: nothing is lost or doubled.
pub fn merging_with_itself_loses_nothing<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (list, folded) = (backend.open(LIST).unwrap(), backend.open(FOLDED).unwrap());
    let mut cx = backend.at(&1).unwrap();
    for window in [1, 2] {
        cx.within(&window).unwrap().list(list).add(&window.unsigned_abs()).unwrap();
        cx.within(&window).unwrap().reducing(folded).add(window).unwrap();
    }
    cx.merge_namespaces(list, &1, &[]).unwrap();
    cx.merge_namespaces(list, &1, &[1]).unwrap();
    assert_eq!(cx.within(&1).unwrap().list(list).get().unwrap(), [1]);
    cx.merge_namespaces(list, &1, &[2, 1, 2, 9]).unwrap();
    assert_eq!(cx.within(&1).unwrap().list(list).get().unwrap(), [1, 2]);
    cx.merge_namespaces(folded, &1, &[2, 2, 1]).unwrap();
    assert_eq!(cx.within(&1).unwrap().reducing(folded).get().unwrap(), Some(fold(2, 1)));
}

/// Merging touches one key only, and other states not at all.
pub fn merging_touches_one_key<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (list, folded) = (backend.open(LIST).unwrap(), backend.open(FOLDED).unwrap());
    for key in 0..30 {
        for window in [1, 2] {
            let mut cx = backend.at(&key).unwrap();
            cx.within(&window).unwrap().list(list).add(&key).unwrap();
            cx.within(&window).unwrap().reducing(folded).add(window).unwrap();
        }
    }
    backend.at(&7).unwrap().merge_namespaces(list, &3, &[1, 2]).unwrap();
    for key in 0..30 {
        let mut cx = backend.at(&key).unwrap();
        let want: [usize; 3] = if key == 7 { [0, 0, 2] } else { [1, 1, 0] };
        for (window, want) in (1..).zip(want) {
            assert_eq!(cx.within(&window).unwrap().list(list).get().unwrap().len(), want);
        }
        assert_eq!(cx.within(&2).unwrap().reducing(folded).get().unwrap(), Some(2));
    }
}

/// A merge that would pass the limit moves nothing (rule R3).
pub fn merging_respects_the_limit<H: Harness>(kit: &Kit<H>) {
    const SMALL: ListDescriptor<u64, Native, In<i64>> =
        ListDescriptor::new("small").with_size_limit(36).in_namespace();
    const JOINED: ReducingDescriptor<String, Native, In<i64>> =
        ReducingDescriptor::new("joined", |a: String, b| a + b.as_str())
            .with_size_limit(5)
            .in_namespace();
    let mut backend = kit.fresh::<u64>();
    let (list, joined) = (backend.open(SMALL).unwrap(), backend.open(JOINED).unwrap());
    let mut cx = backend.at(&1).unwrap();
    for window in [1, 2] {
        cx.within(&window).unwrap().list(list).add_all(&[1, 2]).unwrap();
        cx.within(&window).unwrap().reducing(joined).add("abc".to_owned()).unwrap();
    }
    refused(cx.merge_namespaces(list, &1, &[2]), ErrorKind::LimitExceeded);
    refused(cx.merge_namespaces(joined, &1, &[2]), ErrorKind::LimitExceeded);
    for window in [1, 2] {
        assert_eq!(cx.within(&window).unwrap().list(list).get().unwrap(), [1, 2]);
        let text = cx.within(&window).unwrap().reducing(joined).get().unwrap();
        assert_eq!(text.as_deref(), Some("abc"));
    }
    cx.within(&3).unwrap().list(list).add(&3).unwrap();
    cx.merge_namespaces(list, &1, &[3]).unwrap();
    assert_eq!(cx.within(&1).unwrap().list(list).get().unwrap(), [1, 2, 3]);
}
