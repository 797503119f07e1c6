//! Batches.

use super::fixtures::{RawKey, fold, refused};
use super::harness::{Harness, Kit, ten};
use crate::{
    Change, Error, ErrorKind, KeyBatchBuffer, KeyedStore, ReducingDescriptor, ReducingState, Slot,
    ValueDescriptor, ValueState,
};

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
const DEFAULTED: ValueDescriptor<u64> = ValueDescriptor::new("defaulted").with_default(|| 7);
const FOLDED: ReducingDescriptor<i64> = ReducingDescriptor::new("folded", fold);

/// Values come in the order of the keys, absent ones as none, repeated ones repeatedly.
pub fn reads_in_order<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (count, defaulted) = (backend.open(COUNT).unwrap(), backend.open(DEFAULTED).unwrap());
    for key in 0..10 {
        backend.at(&key).unwrap().value(count).set(&(key + 100)).unwrap();
    }
    let keys = [9, 3, 50, 3, 0];
    let mut seen = Vec::new();
    backend.batch(keys).unwrap().get(count, |i, value| seen.push((i, value))).unwrap();
    let want = [Some(109), Some(103), None, Some(103), Some(100)];
    assert_eq!(seen, (0..).zip(want).collect::<Vec<_>>());
    let mut read = Vec::new();
    backend.batch(keys).unwrap().get(defaulted, |_, value| read.push(value)).unwrap();
    assert_eq!(read, [Some(7); 5]);
}

/// Updates run in the order of the keys; a key that occurs twice is updated twice.
pub fn updates_in_order<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    let keys = [1, 2, 1, 3, 1];
    let mut old = Vec::new();
    let updated = backend.batch(keys).unwrap().update(count, |i, value| {
        old.push(value);
        Some(value.unwrap_or(0) * 10 + i as u64)
    });
    updated.unwrap();
    assert_eq!(old, [None, None, Some(0), None, Some(2)]);
    let cleared = backend.batch([2, 3]).unwrap().update(count, |i, n| n.filter(|_| i == 1));
    cleared.unwrap();
    let read = [1, 2, 3].map(|key| backend.at(&key).unwrap().value(count).get().unwrap());
    assert_eq!(read, [Some(24), None, Some(3)]);
}

/// Folds in the order of the keys; keys for which values are missing stay as they are.
pub fn folds_in_order<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let folded = backend.open(FOLDED).unwrap();
    backend.batch([1, 2, 1, 3, 2]).unwrap().add(folded, [10, 20, 30, 40]).unwrap();
    let read = [1, 2, 3].map(|key| backend.at(&key).unwrap().reducing(folded).get().unwrap());
    assert_eq!(read, [Some(fold(10, 30)), Some(20), Some(40)]);
}

/// An empty batch does nothing; a large one grows the table on the way.
pub fn of_every_length<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    let mut next = 0;
    for len in [0, 1, 2, 63, 64, 65, 1_000, 3_000] {
        let keys = next..next + len;
        let updated = backend.batch(keys.clone()).unwrap().update(count, |i, old| {
            assert_eq!(old, None);
            Some(next + i as u64)
        });
        updated.unwrap();
        let mut seen = 0;
        let read = backend.batch(keys).unwrap().get(count, |i, value| {
            assert_eq!(value, Some(next + i as u64));
            seen += 1;
        });
        read.unwrap();
        assert_eq!(seen, len);
        next += len;
    }
}

/// An error stops the batch: what came before stays, the failing entry and the rest are untouched.
pub fn error_stops_it<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    backend.open(COUNT).unwrap();
    let (slot, store) = (Slot::new(0), backend.store_mut());
    let keys: Vec<RawKey> = (0..5_u8).map(|key| RawKey::new(ten(), &[key; 8], b"", b"")).collect();
    let mut buffer = KeyBatchBuffer::default();
    for key in &keys {
        let key = key.get();
        buffer.bytes_mut().extend_from_slice(key.bytes());
        buffer.commit(key.bytes().len(), key.key_hash(), key.placement()).unwrap();
    }
    let mut visited = 0;
    let failed = store.modify_many(slot, buffer.as_batch(ten()), &mut |index, _, out| {
        visited += 1;
        if index == 2 {
            return Err(Error::unavailable("on purpose"));
        }
        out.extend_from_slice(&[1; 8]);
        Ok(Change::Put)
    });
    refused(failed, ErrorKind::Unavailable);
    assert_eq!(visited, 3);
    let present: Vec<bool> =
        keys.iter().map(|key| store.get(slot, &key.get()).unwrap().is_some()).collect();
    assert_eq!(present, [true, true, false, false, false]);
    let failed = store.get_many(slot, buffer.as_batch(ten()), &mut |index, _| match index {
        0 => Ok(()),
        _ => Err(Error::unavailable("on purpose")),
    });
    refused(failed, ErrorKind::Unavailable);
}
