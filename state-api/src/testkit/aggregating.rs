//! Aggregating states.

use super::fixtures::{Trail, fold, keys_of};
use super::harness::{Harness, Kit, total_entries};
use crate::{Aggregate, AggregatingDescriptor, AggregatingState};

const TRAIL: AggregatingDescriptor<Trail> = AggregatingDescriptor::new("trail");
const MEDIAN: AggregatingDescriptor<Median> = AggregatingDescriptor::new("median");

/// An accumulator of varying width that is changed in place.
#[derive(Debug)]
pub struct Median;

impl Aggregate for Median {
    type Input = u8;
    type Accumulator = Vec<u8>;
    type Output = u8;

    fn create() -> Vec<u8> {
        Vec::new()
    }

    fn add(mut accumulator: Vec<u8>, input: u8) -> Vec<u8> {
        accumulator.push(input);
        accumulator.sort_unstable();
        accumulator
    }

    fn merge(mut first: Vec<u8>, second: Vec<u8>) -> Vec<u8> {
        first.extend(second);
        first.sort_unstable();
        first
    }

    fn result(accumulator: &Vec<u8>) -> u8 {
        accumulator.get(accumulator.len() / 2).copied().unwrap_or(0)
    }
}

/// Nothing is read where nothing was added; then the result of what was.
/// Flink: `testAggregatingStateAddAndGetWithImmutableAccumulator`.
pub fn yields_its_result<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let trail = backend.open(TRAIL).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert_eq!(cx.aggregating(trail).get().unwrap(), None);
    cx.aggregating(trail).add(4).unwrap();
    cx.aggregating(trail).add(5).unwrap();
    let want = format!("2:{}", fold(fold(7, 4), 5));
    assert_eq!(cx.aggregating(trail).get().unwrap(), Some(want));
    assert_eq!(keys_of(&mut backend, trail), [1]);
}

/// An accumulator that changes its length. Flink: `...WithMutableAccumulator`.
pub fn accumulators_may_grow<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let median = backend.open(MEDIAN).unwrap();
    for n in 0..100 {
        backend.at(&(u64::from(n) % 3)).unwrap().aggregating(median).add(n).unwrap();
    }
    let read = [0, 1, 2].map(|key| backend.at(&key).unwrap().aggregating(median).get().unwrap());
    assert_eq!(read, [Some(51), Some(49), Some(50)]);
}

/// A cleared accumulator begins with a fresh one.
pub fn clear_begins_anew<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let trail = backend.open(TRAIL).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.aggregating(trail).add(4).unwrap();
    cx.aggregating(trail).clear().unwrap();
    assert_eq!(cx.aggregating(trail).get().unwrap(), None);
    cx.aggregating(trail).add(5).unwrap();
    let want = format!("1:{}", fold(7, 5));
    assert_eq!(cx.aggregating(trail).get().unwrap(), Some(want));
    cx.aggregating(trail).clear().unwrap();
    assert_eq!(total_entries(&backend), 0);
}
