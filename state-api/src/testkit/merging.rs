//! Merging namespaces: every combination of full and empty ones, whichever is the target, whatever the
//! order of the sources. Flink: the merge matrices of `StateBackendTestBase`.

use std::fmt::Debug;
use std::ops::ControlFlow;

use super::aggregating::Median;
use super::fixtures::{Trail, fold};
use super::harness::{Backend, Harness, KINDS, Kit, total_entries};
use crate::codec::Native;
use crate::snapshot::SnapshotKind;
use crate::{
    AggregatingDescriptor, AggregatingState, AnyHandle, InNamespace, KeyContext, ListDescriptor,
    ListState, Mergeable, ReducingDescriptor, ReducingState,
};

type In = InNamespace<i64>;

const LIST: ListDescriptor<i64, Native, In> = ListDescriptor::new("list").in_namespace();
const FOLDED: ReducingDescriptor<i64, Native, In> =
    ReducingDescriptor::new("folded", fold).in_namespace();
const TRAIL: AggregatingDescriptor<Trail, Native, In> =
    AggregatingDescriptor::new("trail").in_namespace();
const MEDIAN: AggregatingDescriptor<Median, Native, In> =
    AggregatingDescriptor::new("median").in_namespace();

/// How many namespaces there are.
const WINDOWS: i64 = 4;

/// One merge: which namespaces hold something, which is the target, the sources in order.
struct Combination {
    key: u64,
    held: Vec<i64>,
    target: i64,
    sources: Vec<i64>,
}

impl Combination {
    /// All of them: 16 ways to fill four namespaces, four targets, two orders.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for filled in 0..1 << WINDOWS {
            for target in 0..WINDOWS {
                let held: Vec<i64> = (0..WINDOWS).filter(|w| filled >> w & 1 == 1).collect();
                let sources: Vec<i64> = (0..WINDOWS).filter(|window| *window != target).collect();
                for sources in [sources.clone(), sources.into_iter().rev().collect()] {
                    all.push(Self { key: all.len() as u64, held: held.clone(), target, sources });
                }
            }
        }
        all
    }

    /// The sources that hold something, in order.
    fn sources_held(&self) -> impl Iterator<Item = i64> {
        self.sources.iter().copied().filter(|window| self.held.contains(window))
    }

    /// Sources in order, then the target: those that hold something.
    fn target_last(&self) -> impl Iterator<Item = i64> {
        let target = self.held.contains(&self.target).then_some(self.target);
        self.sources_held().chain(target)
    }

    /// The target, then sources in order: those that hold something.
    fn target_first(&self) -> impl Iterator<Item = i64> {
        let target = self.held.contains(&self.target).then_some(self.target);
        target.into_iter().chain(self.sources_held())
    }
}

/// What is put into a namespace, one after the other: one value more from window to window.
fn inputs(window: i64) -> impl Iterator<Item = i64> {
    (0..=window).map(move |n| window * 10 + n)
}

/// Fills and merges all combinations and compares what is there then: the target and nothing else,
/// also after a restore from a snapshot of each kind.
fn matrix<H: Harness, A: Mergeable + AnyHandle<Namespace = In> + Copy, T: Debug + PartialEq>(
    kit: &Kit<H>,
    open: impl Fn(&mut Backend<H>) -> A,
    add: impl Fn(&mut KeyContext<'_, H::Store, In>, A, i64),
    read: impl Fn(&mut KeyContext<'_, H::Store, In>, A) -> Option<T>,
    want: impl Fn(&Combination) -> Option<T>,
) {
    let combinations = Combination::all();
    let mut backend = kit.fresh::<u64>();
    let handle = open(&mut backend);
    for Combination { key, held, .. } in &combinations {
        let mut cx = backend.at(key).unwrap();
        for window in held {
            let mut cx = cx.within(window).unwrap();
            inputs(*window).for_each(|input| add(&mut cx, handle, input));
        }
    }
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    for Combination { key, target, sources, .. } in &combinations {
        backend.at(key).unwrap().merge_namespaces(handle, target, sources).unwrap();
    }
    let check = |backend: &mut Backend<H>| {
        let (handle, mut left) = (open(backend), Vec::new());
        for combination in &combinations {
            let Combination { key, target, sources, held } = combination;
            let mut cx = backend.at(key).unwrap();
            let merged = read(&mut cx.within(target).unwrap(), handle);
            assert_eq!(merged, want(combination), "{held:?}: {sources:?} into {target}");
            for source in sources {
                assert_eq!(read(&mut cx.within(source).unwrap(), handle), None, "a source");
            }
            left.extend((!held.is_empty()).then_some((*key, *target)));
        }
        let mut found = Vec::new();
        let visited = backend.for_each_key_and_namespace(handle, |key, window| {
            found.push((key, window));
            Ok(ControlFlow::Continue(()))
        });
        visited.unwrap();
        found.sort_unstable();
        assert_eq!(found, left, "the targets are left and no source is");
        if kit.profile().exact_counts {
            assert_eq!(total_entries(backend), left.len() as u64);
        }
    };
    check(&mut backend);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        check(&mut kit.restore(&[&taken]));
    }
}

/// Lists: the target's elements first. Flink: `testListStateMerging`.
pub fn of_lists<H: Harness>(kit: &Kit<H>) {
    matrix(
        kit,
        |backend| backend.open(LIST).unwrap(),
        |cx, list, input| cx.list(list).add(&input).unwrap(),
        |cx, list| Some(cx.list(list).get().unwrap()).filter(|list| !list.is_empty()),
        |combination| {
            let elements: Vec<i64> = combination.target_first().flat_map(inputs).collect();
            Some(elements).filter(|elements| !elements.is_empty())
        },
    );
}

/// Reducing states: the target is the last argument. Flink: `testReducingStateMerging`.
pub fn of_reducing_states<H: Harness>(kit: &Kit<H>) {
    matrix(
        kit,
        |backend| backend.open(FOLDED).unwrap(),
        |cx, folded, input| cx.reducing(folded).add(input).unwrap(),
        |cx, folded| cx.reducing(folded).get().unwrap(),
        |combination| {
            let of_window = |window| inputs(window).reduce(fold).unwrap();
            combination.target_last().map(of_window).reduce(fold)
        },
    );
}

/// Accumulators of a fixed width. Flink: `testAggregatingStateMergingWithImmutableAccumulator`.
pub fn of_immutable_accumulators<H: Harness>(kit: &Kit<H>) {
    matrix(
        kit,
        |backend| backend.open(TRAIL).unwrap(),
        |cx, trail, input| cx.aggregating(trail).add(input).unwrap(),
        |cx, trail| cx.aggregating(trail).get().unwrap(),
        |combination| {
            let of_window = |window| inputs(window).fold((0, 7), |(n, t), i| (n + 1, fold(t, i)));
            let merge = |a: (u64, i64), b: (u64, i64)| (a.0 + b.0, fold(a.1, b.1));
            let merged = combination.target_last().map(of_window).reduce(merge);
            merged.map(|(count, trail)| format!("{count}:{trail}"))
        },
    );
}

/// Accumulators that grow. Flink: `testAggregatingStateMergingWithMutableAccumulator`.
pub fn of_mutable_accumulators<H: Harness>(kit: &Kit<H>) {
    let input = |input: i64| u8::try_from(input).unwrap();
    matrix(
        kit,
        |backend| backend.open(MEDIAN).unwrap(),
        |cx, median, number| cx.aggregating(median).add(input(number)).unwrap(),
        |cx, median| cx.aggregating(median).get().unwrap(),
        |combination| {
            let mut all: Vec<u8> = combination.target_last().flat_map(inputs).map(input).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied()
        },
    );
}

/// A merge between the two phases of a snapshot is not seen by it.
pub fn is_unseen_by_snapshots<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let (list, folded) = (backend.open(LIST).unwrap(), backend.open(FOLDED).unwrap());
        for window in [1, 2, 3] {
            let mut cx = backend.at(&1).unwrap();
            cx.within(&window).unwrap().list(list).add(&window).unwrap();
            cx.within(&window).unwrap().reducing(folded).add(window).unwrap();
        }
        let begun = kit.begin(&mut backend, kind);
        let mut cx = backend.at(&1).unwrap();
        cx.merge_namespaces(list, &2, &[1, 3]).unwrap();
        cx.merge_namespaces(folded, &4, &[1, 2, 3]).unwrap();
        let taken = kit.finish(begun);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let (list, folded) = (restored.open(LIST).unwrap(), restored.open(FOLDED).unwrap());
        for window in [1, 2, 3] {
            let mut cx = restored.at(&1).unwrap();
            let mut cx = cx.within(&window).unwrap();
            assert_eq!(cx.list(list).get().unwrap(), [window]);
            assert_eq!(cx.reducing(folded).get().unwrap(), Some(window));
        }
    }
}
