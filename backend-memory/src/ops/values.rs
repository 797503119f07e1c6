//! Point access and batches of value-like states.

use std::ops::ControlFlow;

use alluvium_state_api::{
    Change, KeyBatch, MergeValues, Modify, ModifyEach, NewValue, Result, StateKey, VisitEach,
};

use super::{Target, wrong_key, wrong_width};
use crate::cells::value::ValueCell;
use crate::table::{BATCH, Entry, Fixed, KeyRep, Occupied, Table, Vacant};
use crate::tables::shape::Shape;

/// Keys whose cache misses overlap at each of the two steps before an access.
const STRIDE: usize = 16;

/// The value of a key.
#[inline]
pub(crate) fn get<'t, K: KeyRep, V: ValueCell>(
    table: &'t Table<K, V>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<Option<&'t [u8]>> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    Ok(table.get(hash, probe).map(V::bytes))
}

/// Sets the value of a key.
#[inline]
pub(crate) fn put<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    value: &[u8],
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    target.check_value(value.len())?;
    store(table.entry(hash, probe), target, value)
}

#[inline]
fn store<K: KeyRep, V: ValueCell>(
    mut entry: Entry<'_, '_, K, V>,
    target: Target<'_>,
    value: &[u8],
) -> Result<()> {
    match entry.edit(|cell| cell.assign(value)) {
        Some(true) => Ok(()),
        Some(false) => Err(wrong_width(target.meta, value.len())),
        None => {
            let cell = V::make(value).ok_or_else(|| wrong_width(target.meta, value.len()))?;
            entry.put(cell);
            Ok(())
        }
    }
}

/// Removes a key.
#[inline]
pub(crate) fn remove<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    table.remove(hash, probe);
    Ok(())
}

/// Reads, changes and writes in one probe; `out` is a buffer to use again.
#[expect(clippy::inline_always, reason = "so that its address and key travel in registers")]
#[inline(always)]
pub(crate) fn modify<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    (hash, bytes): (u64, &[u8]),
    target: Target<'_>,
    out: &mut Vec<u8>,
    change: &mut Modify<'_>,
) -> Result<()> {
    let Some(probe) = K::probe(bytes) else {
        return Err(wrong_key(target));
    };
    let entry = table.entry(hash, probe);
    out.clear();
    match change(entry.get().map(V::bytes), out)? {
        Change::Keep => Ok(()),
        Change::Put => {
            target.check_value(out.len())?;
            store(entry, target, out)
        }
        Change::Remove => {
            if entry.get().is_some() {
                entry.remove();
            }
            Ok(())
        }
    }
}

/// [`put`] for a value of fixed width that is within its limit.
#[expect(clippy::inline_always, reason = "so that key and value travel in registers")]
#[inline(always)]
pub(crate) fn put_fixed<K: KeyRep, const N: usize>(
    table: &mut Table<K, Fixed<N>>,
    hash: u64,
    probe: K::Probe<'_>,
    value: [u8; N],
) {
    match table.entry(hash, probe) {
        Entry::Occupied(mut entry) => entry.edit(move |cell| cell.0 = value),
        Entry::Vacant(entry) => entry.insert(Fixed(value)),
    }
}

/// [`modify`] for a value of fixed width that is within its limit; returns whether the new value has
/// that width.
#[expect(clippy::inline_always, reason = "so that key and value travel in registers")]
#[inline(always)]
pub(crate) fn modify_fixed<K: KeyRep, const N: usize>(
    table: &mut Table<K, Fixed<N>>,
    hash: u64,
    probe: K::Probe<'_>,
    out: &mut Vec<u8>,
    change: impl FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
) -> Result<bool> {
    match table.entry(hash, probe) {
        Entry::Occupied(entry) => Ok(modify_occupied(entry, out, change)?.is_some()),
        Entry::Vacant(entry) => fill_fixed(entry, out, change),
    }
}

/// [`modify_fixed`] for a key that has a value; what was decided, or none if the new value has another width.
#[expect(clippy::inline_always, reason = "so that the value travels in a register")]
#[inline(always)]
pub(crate) fn modify_occupied<K: KeyRep, const N: usize>(
    mut entry: Occupied<'_, K, Fixed<N>>,
    out: &mut Vec<u8>,
    change: impl FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
) -> Result<Option<Change>> {
    let mut new = NewValue::new(out);
    let decided = change(Some(&entry.get().0), &mut new)?;
    match decided {
        Change::Put => {
            let Some(value) = new.fixed() else {
                new.finish();
                return Ok(None);
            };
            entry.edit(move |cell| cell.0 = value);
        }
        Change::Remove => drop(entry.remove()),
        Change::Keep => {}
    }
    Ok(Some(decided))
}

/// [`modify_fixed`] for a key that has no value.
#[cold]
#[inline(never)]
fn fill_fixed<K: KeyRep, const N: usize>(
    entry: Vacant<'_, '_, K, Fixed<N>>,
    out: &mut Vec<u8>,
    change: impl FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
) -> Result<bool> {
    let mut new = NewValue::new(out);
    if let Change::Put = change(None, &mut new)? {
        let Some(value) = new.fixed() else {
            new.finish();
            return Ok(false);
        };
        entry.insert(Fixed(value));
    }
    Ok(true)
}

/// What a batch works with: the shape of keys, buffers to use again.
#[derive(Debug)]
pub(crate) struct BatchWork<'a> {
    pub(crate) shape: Shape,
    pub(crate) meta: &'a alluvium_state_api::schema::StateMeta,
    pub(crate) address: &'a mut Vec<u8>,
    pub(crate) hashes: &'a mut Vec<u64>,
    pub(crate) out: &'a mut Vec<u8>,
}

impl BatchWork<'_> {
    /// Loads what the keys from `from` on need into the cache; returns where that ends.
    #[inline]
    fn warm<K: KeyRep, V: ValueCell>(
        &mut self,
        table: &Table<K, V>,
        keys: KeyBatch<'_>,
        from: usize,
    ) -> usize {
        let to = keys.len().min(from + BATCH);
        self.hashes.clear();
        for index in from..to {
            let hash = keys.get(index).map_or(0, |key| self.shape.address(&key, self.address).0);
            self.hashes.push(hash);
        }
        table.warm(self.hashes);
        to
    }
}

/// Visits the values of many keys, in chunks whose cache misses overlap.
pub(crate) fn get_many<K: KeyRep, V: ValueCell>(
    table: &Table<K, V>,
    keys: KeyBatch<'_>,
    mut work: BatchWork<'_>,
    visit: &mut VisitEach<'_>,
) -> Result<()> {
    let mut from = 0;
    while from < keys.len() {
        let to = work.warm(table, keys, from);
        for index in from..to {
            let Some(key) = keys.get(index) else { continue };
            let target = Target { meta: work.meta, key: &key };
            let address = work.shape.address(&key, work.address);
            visit(index, get(table, address, target)?)?;
        }
        from = to;
    }
    Ok(())
}

/// [`modify`] for many keys, in chunks whose cache misses overlap.
pub(crate) fn modify_many<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    keys: KeyBatch<'_>,
    mut work: BatchWork<'_>,
    change: &mut ModifyEach<'_>,
) -> Result<()> {
    let mut from = 0;
    while from < keys.len() {
        let to = work.warm(table, keys, from);
        for index in from..to {
            let Some(key) = keys.get(index) else { continue };
            let target = Target { meta: work.meta, key: &key };
            let address = work.shape.address(&key, work.address);
            modify(table, address, target, work.out, &mut |old, out| change(index, old, out))?;
        }
        from = to;
    }
    Ok(())
}

/// Calls `each` with the index and the hash of every key, whose cache misses overlap: its tags are asked
/// for two strides before, the slot one stride before. `each` may change the table.
#[expect(clippy::inline_always, reason = "so that `each` is compiled into the loop")]
#[inline(always)]
fn each_warm<T, R>(
    target: &mut T,
    keys: &[[u8; 8]],
    table: impl Fn(&T) -> &Table<[u8; 8], Fixed<8>>,
    mut each: impl FnMut(&mut T, usize, u64, [u8; 8]) -> Result<ControlFlow<R>>,
) -> Result<Option<R>> {
    let hash = |key: &[u8; 8]| u64::from_le_bytes(*key);
    for key in keys.iter().take(STRIDE) {
        table(target).prefetch_tags(hash(key));
    }
    for (index, key) in keys.iter().take(STRIDE).enumerate() {
        if let Some(far) = keys.get(index + STRIDE) {
            table(target).prefetch_tags(hash(far));
        }
        table(target).prefetch_slot(hash(key));
    }
    for (index, key) in keys.iter().enumerate() {
        if let Some(far) = keys.get(index + 2 * STRIDE) {
            table(target).prefetch_tags(hash(far));
        }
        if let Some(next) = keys.get(index + STRIDE) {
            table(target).prefetch_slot(hash(next));
        }
        if let ControlFlow::Break(broken) = each(target, index, hash(key), *key)? {
            return Ok(Some(broken));
        }
    }
    Ok(None)
}

/// [`get_many`] for keys and values of 8 bytes.
pub(crate) fn get_many_fixed(
    mut table: &Table<[u8; 8], Fixed<8>>,
    keys: &[[u8; 8]],
    visit: &mut VisitEach<'_>,
) -> Result<()> {
    each_warm(
        &mut table,
        keys,
        |table| table,
        |table, index, hash, key| {
            visit(index, table.get(hash, key).map(ValueCell::bytes))?;
            Ok(ControlFlow::<()>::Continue(()))
        },
    )?;
    Ok(())
}

/// [`modify_many`] for keys and values of 8 bytes that are within their limit; stops and returns
/// `false` at a new value of another width.
pub(crate) fn modify_many_fixed(
    table: &mut Table<[u8; 8], Fixed<8>>,
    keys: &[[u8; 8]],
    out: &mut Vec<u8>,
    change: &mut ModifyEach<'_>,
) -> Result<bool> {
    let misfit = each_warm(
        table,
        keys,
        |table| table,
        |table, index, hash, key| {
            let fits = modify_fixed(table, hash, key, out, |old, new| {
                new.with_buffer(|out| change(index, old, out))
            })?;
            Ok(if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        },
    )?;
    Ok(misfit.is_none())
}

/// Folds the sources, in order, and then the target into it; removes the sources.
pub(crate) fn merge<K: KeyRep, V: ValueCell>(
    table: &mut Table<K, V>,
    shape: Shape,
    target: Target<'_>,
    sources: KeyBatch<'_>,
    merge: &mut MergeValues<'_>,
) -> Result<()> {
    let mut scratch = Vec::new();
    let mut folded: Option<Vec<u8>> = None;
    let mut fold = |value: Option<&[u8]>, target_last: bool| -> Result<bool> {
        let Some(value) = value else { return Ok(false) };
        folded = Some(match folded.take() {
            None if target_last => return Ok(false),
            None => value.to_vec(),
            Some(first) => {
                let mut out = Vec::new();
                merge(&first, value, &mut out)?;
                out
            }
        });
        Ok(true)
    };
    let mut found: Vec<StateKey<'_>> = Vec::new();
    for source in sources.iter() {
        let about = Target { meta: target.meta, key: &source };
        if fold(get(table, shape.address(&source, &mut scratch), about)?, false)? {
            found.push(source);
        }
    }
    fold(get(table, shape.address(target.key, &mut scratch), target)?, true)?;
    let Some(folded) = folded else { return Ok(()) };
    put(table, shape.address(target.key, &mut scratch), target, &folded)?;
    for source in &found {
        let about = Target { meta: target.meta, key: source };
        remove(table, shape.address(source, &mut scratch), about)?;
    }
    Ok(())
}
