//! Operations of value state, and read-modify-write.

use alluvium_state_api::codec::Native;
use alluvium_state_api::{NoNamespace, Result, ValueDescriptor, ValueHandle, ValueState};
use serde_json::json;

use super::inputs::{pool, shuffled, uniform, zipf};
use super::measure::{Bench, Cycle};
use super::{Backend, Side, fresh};
use crate::clock::timed;
use crate::disk::Disk;
use crate::resident::Resident;
use crate::{Outcome, float};

const LONG: ValueDescriptor<u64> = ValueDescriptor::new("value");
const BYTES: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
/// A round without a limit on its operations.
const NO_LIMIT: u64 = u64::MAX >> 2;
/// Draws of a pattern, which are gone through again and again.
const DRAWS: usize = 1 << 21;

/// The same value as the other side has at a position.
pub(super) fn nth(values: &[u64], at: u64) -> u64 {
    let place = usize::try_from(at & (values.len() as u64).wrapping_sub(1)).unwrap_or(0);
    values.get(place).copied().unwrap_or(0)
}

/// As many values as the other side has.
pub(super) fn longs_to_store() -> Vec<u64> {
    shuffled(0, 1 << 20, 2)
}

type Long = ValueHandle<u64, Native, NoNamespace>;

fn digest<S: Side>(backend: &mut Backend<S>, value: Long, keys: u64) -> Result<u64> {
    let mut sum = 0u64;
    for key in 0..keys {
        let found = backend.at(&key)?.value(value).get()?.unwrap_or(0);
        sum = sum.wrapping_add(found.wrapping_mul(key + 1));
    }
    Ok(sum)
}

pub(super) fn longs<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let (order, values) = (Cycle::new(shuffled(0, keys, 1)), longs_to_store());
    let mut rates = Vec::new();
    for number in 0..=bench.options.load_rounds {
        let mut backend = fresh::<S>(disk)?;
        let value = backend.open(LONG)?;
        let load =
            || order.each(0, keys, |at, key| backend.at(&key)?.value(value).set(&nth(&values, at)));
        let (loaded, seconds) = timed(load);
        loaded?;
        if number > 0 {
            rates.push(float(keys) / seconds);
        }
    }
    bench.rates("valueLoad", rates, None);
    let mut backend = fresh::<S>(disk)?;
    let value = backend.open(LONG)?;
    for key in 0..keys {
        backend.at(&key)?.value(value).set(&nth(&values, key))?;
    }
    let filled = digest(&mut backend, value, keys)?;
    bench.measure("valueGet", (1, NO_LIMIT, filled), |from, to| {
        let mut sum = 0u64;
        order.each(from, to, |_, key| {
            sum = sum.wrapping_add(backend.at(&key)?.value(value).get()?.unwrap_or(0));
            Ok(())
        })?;
        Ok(sum)
    })?;
    bench.measure("valueUpdate", (1, NO_LIMIT, filled), |from, to| {
        order.each(from, to, |at, key| backend.at(&key)?.value(value).set(&nth(&values, at)))?;
        Ok(to)
    })?;
    let added = Cycle::new(shuffled(keys, bench.options.new_keys, 3));
    bench.measure("valueAdd", (1, bench.added_per_round(), filled), |from, to| {
        added.each(from, to, |at, key| backend.at(&key)?.value(value).set(&nth(&values, at)))?;
        Ok(to)
    })?;
    Ok(())
}

/// The value of a position, of 1024.
pub(super) fn pooled(pool: &[Vec<u8>], at: u64) -> &[u8] {
    let place = usize::try_from(at & 1023).unwrap_or(0);
    pool.get(place).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn bytes<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let (order, pool) = (Cycle::new(shuffled(0, keys, 1)), pool(1024, 100, 4));
    let mut backend = fresh::<S>(disk)?;
    let value = backend.open(BYTES)?;
    for key in 0..keys {
        backend.at(&key)?.value(value).set(pooled(&pool, key))?;
    }
    let signed = |bytes: &[u8], place: usize| {
        i64::from(bytes.get(place).copied().unwrap_or(0).cast_signed())
    };
    let mut filled = 0i64;
    for key in 0..keys {
        let found = backend
            .at(&key)?
            .value(value)
            .read(|found| found.map_or(0, |found| signed(found, 0) * 256 + signed(found, 99)))?;
        filled = filled.wrapping_add(found.wrapping_mul(key.cast_signed() + 1));
    }
    let filled = filled.cast_unsigned();
    bench.measure("value100Get", (1, NO_LIMIT, filled), |from, to| {
        let mut sum = 0u64;
        order.each(from, to, |_, key| {
            let first = |found: Option<&[u8]>| found.and_then(|found| found.first().copied());
            let found = backend.at(&key)?.value(value).read(first)?;
            sum = sum.wrapping_add(u64::from(found.unwrap_or(0)));
            Ok(())
        })?;
        Ok(sum)
    })?;
    bench.measure("value100Update", (1, NO_LIMIT, filled), |from, to| {
        order.each(from, to, |at, key| backend.at(&key)?.value(value).set(pooled(&pool, at)))?;
        Ok(to)
    })?;
    let added = Cycle::new(shuffled(keys, bench.options.new_keys, 3));
    bench.measure("value100Add", (1, bench.added_per_round(), filled), |from, to| {
        added.each(from, to, |at, key| backend.at(&key)?.value(value).set(pooled(&pool, at)))?;
        Ok(to)
    })?;
    Ok(())
}

/// Counts: by a read and a write, as on the other side, and by the one call that there is for it here.
pub(super) fn read_modify_write<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let mut backend = fresh::<S>(disk)?;
    let value = backend.open(LONG)?;
    for key in 0..keys {
        backend.at(&key)?.value(value).set(&1)?;
    }
    let filled = digest(&mut backend, value, keys)?;
    let draws = [
        ("rmwUniform", Cycle::new(uniform(keys, DRAWS, 5))),
        ("rmwZipf099", Cycle::new(zipf(keys, 0.99, DRAWS, 6))),
    ];
    for (name, draws) in &draws {
        bench.measure(name, (1, NO_LIMIT, filled), |from, to| {
            draws.each(from, to, |_, key| {
                let mut at = backend.at(&key)?;
                let mut count = at.value(value);
                let seen = count.get()?;
                count.set(&seen.map_or(1, |seen| seen + 1))
            })?;
            Ok(to)
        })?;
        bench.measure(&format!("{name}/one-call"), (1, NO_LIMIT, filled), |from, to| {
            draws.each(from, to, |_, key| {
                let mut at = backend.at(&key)?;
                at.value(value).update(|seen| Some(seen.map_or(1, |seen| seen + 1)))
            })?;
            Ok(to)
        })?;
    }
    Ok(())
}

/// Memory of the process per entry, of values of 8 and of 100 bytes.
pub(super) fn memory<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let keys = bench.options.keys;
    let mut backend = fresh::<S>(disk)?;
    let before = Resident::now()?.anonymous;
    let operation = if bench.options.long_values {
        let (value, pool) = (backend.open(BYTES)?, pool(1024, 100, 4));
        (0..keys).try_for_each(|key| backend.at(&key)?.value(value).set(pooled(&pool, key)))?;
        "long->byte[100]"
    } else {
        let value = backend.open(LONG)?;
        (0..keys)
            .try_for_each(|key| backend.at(&key)?.value(value).set(&(key * 31 + 1_000_000)))?;
        "long->long"
    };
    let taken = Resident::now()?.anonymous.saturating_sub(before);
    bench.line("memory", operation, json!({ "bytes_per_entry": float(taken) / float(keys) }));
    Ok(())
}
