//! Operations of list, reducing and map state.

use std::ops::ControlFlow;

use alluvium_state_api::{
    ListDescriptor, ListState, MapDescriptor, MapState, ReducingDescriptor, ReducingState,
};

use super::inputs::shuffled;
use super::measure::{Bench, Cycle};
use super::values::{longs_to_store, nth};
use super::{Side, fresh};
use crate::Outcome;
use crate::disk::Disk;

const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
const SUM: ReducingDescriptor<u64> = ReducingDescriptor::new("reducing", u64::wrapping_add);
const MAP: MapDescriptor<u64, f64> = MapDescriptor::new("map");
const NO_LIMIT: u64 = u64::MAX >> 2;
const ON: alluvium_state_api::Result<ControlFlow<()>> = Ok(ControlFlow::Continue(()));

pub(super) fn list<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let (order, values) = (Cycle::new(shuffled(0, keys, 1)), longs_to_store());
    let mut backend = fresh::<S>(disk)?;
    let list = backend.open(LIST)?;
    for key in 0..keys {
        backend.at(&key)?.list(list).add(&nth(&values, key))?;
    }
    let mut filled = 0u64;
    for key in 0..keys {
        backend.at(&key)?.list(list).for_each(|element| {
            filled = filled.wrapping_add(element.wrapping_mul(key + 1));
            ON
        })?;
    }
    bench.measure("listGet", (1, NO_LIMIT, filled), |from, to| {
        let mut found = 0u64;
        order.each(from, to, |_, key| {
            found += u64::from(!backend.at(&key)?.list(list).get()?.is_empty());
            Ok(())
        })?;
        Ok(found)
    })?;
    bench.measure("listGetAndIterate", (1, NO_LIMIT, filled), |from, to| {
        let mut sum = 0u64;
        order.each(from, to, |_, key| {
            backend.at(&key)?.list(list).for_each(|element| {
                sum = sum.wrapping_add(element);
                ON
            })
        })?;
        Ok(sum)
    })?;
    bench.measure("listUpdate", (1, NO_LIMIT, filled), |from, to| {
        order.each(from, to, |at, key| backend.at(&key)?.list(list).update(&[nth(&values, at)]))?;
        Ok(to)
    })?;
    let added = Cycle::new(shuffled(keys, bench.options.new_keys, 3));
    bench.measure("listAdd", (1, bench.added_per_round(), filled), |from, to| {
        added.each(from, to, |at, key| backend.at(&key)?.list(list).update(&[nth(&values, at)]))?;
        Ok(to)
    })?;
    bench.measure("listAppend", (1, 2 * keys, filled), |from, to| {
        order.each(from, to, |at, key| backend.at(&key)?.list(list).add(&nth(&values, at)))?;
        Ok(to)
    })?;
    let hundred: Vec<u64> = values.iter().take(100).copied().collect();
    bench.measure("listAddAll100", (1, 20_000, filled), |from, to| {
        order.each(from, to, |_, key| backend.at(&key)?.list(list).add_all(&hundred))?;
        Ok(to)
    })?;
    Ok(())
}

pub(super) fn reducing<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let (order, values) = (Cycle::new(shuffled(0, keys, 1)), longs_to_store());
    let mut backend = fresh::<S>(disk)?;
    let sum = backend.open(SUM)?;
    for key in 0..keys {
        backend.at(&key)?.reducing(sum).add(nth(&values, key))?;
    }
    let mut filled = 0u64;
    for key in 0..keys {
        let found = backend.at(&key)?.reducing(sum).get()?.unwrap_or(0);
        filled = filled.wrapping_add(found.wrapping_mul(key + 1));
    }
    bench.measure("reducingAdd", (1, NO_LIMIT, filled), |from, to| {
        order.each(from, to, |at, key| backend.at(&key)?.reducing(sum).add(nth(&values, at)))?;
        Ok(to)
    })?;
    bench.measure("reducingGet", (1, NO_LIMIT, filled), |from, to| {
        let mut total = 0u64;
        order.each(from, to, |_, key| {
            total = total.wrapping_add(backend.at(&key)?.reducing(sum).get()?.unwrap_or(0));
            Ok(())
        })?;
        Ok(total)
    })?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers far below 2^53")]
const fn whole(value: f64) -> i64 {
    value as i64
}

pub(super) fn map<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let (keys, entries) = (bench.options.map_keys, bench.options.map_entries);
    let order = Cycle::new(shuffled(0, keys, 1));
    let float = crate::float;
    let mut backend = fresh::<S>(disk)?;
    let map = backend.open(MAP)?;
    for key in 0..keys {
        for entry in 0..entries {
            backend.at(&key)?.map(map).insert(&entry, &(float(key) + float(entry) * 0.5))?;
        }
    }
    let mut filled = 0i64;
    for key in 0..keys {
        backend.at(&key)?.map(map).for_each(|entry, value| {
            let both = whole(float(entry) + 2.0 * value);
            filled = filled.wrapping_add(both.wrapping_mul(key.cast_signed() + 1));
            ON
        })?;
    }
    let filled = filled.cast_unsigned();
    bench.measure("mapGet", (1, NO_LIMIT, filled), |from, to| {
        let mut sum = 0.0;
        order.each(from, to, |at, key| {
            sum += backend.at(&key)?.map(map).get(&(at % entries))?.unwrap_or(0.0);
            Ok(())
        })?;
        Ok(whole(sum).cast_unsigned())
    })?;
    bench.measure("mapContains", (1, NO_LIMIT, filled), |from, to| {
        let mut hits = 0u64;
        order.each(from, to, |at, key| {
            hits += u64::from(backend.at(&key)?.map(map).contains(&((at % entries) << 1))?);
            Ok(())
        })?;
        Ok(hits)
    })?;
    bench.measure("mapIterate", (entries, NO_LIMIT, filled), |from, to| {
        let mut sum = 0.0;
        order.each(from, to, |_, key| {
            backend.at(&key)?.map(map).for_each(|entry, value| {
                sum += float(entry) + value;
                ON
            })
        })?;
        Ok(whole(sum).cast_unsigned())
    })?;
    bench.measure("mapUpdate", (1, NO_LIMIT, filled), |from, to| {
        order.each(from, to, |at, key| {
            backend.at(&key)?.map(map).insert(&(at % entries), &float(at))
        })?;
        Ok(to)
    })?;
    let added = Cycle::new(shuffled(keys, bench.options.new_keys, 3));
    bench.measure("mapAdd", (1, bench.added_per_round(), filled), |from, to| {
        added.each(from, to, |at, key| {
            backend.at(&key)?.map(map).insert(&(at % entries), &float(at))
        })?;
        Ok(to)
    })?;
    Ok(())
}
