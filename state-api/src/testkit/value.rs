//! Value states.

use super::fixtures::{RawKey, keys_of, refused};
use super::harness::{Harness, Kit, ten, total_entries};
use crate::codec::Postcard;
use crate::{Change, Error, ErrorKind, KeyedStore, ValueDescriptor, ValueState};

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
const NAME: ValueDescriptor<String> = ValueDescriptor::new("name");
const DEFAULTED: ValueDescriptor<Vec<u8>> =
    ValueDescriptor::new("defaulted").with_default(|| vec![1, 2]);

/// What was set is read, per key, until it is replaced or cleared. Flink: `testValueState`.
pub fn reads_what_was_set<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let name = backend.open(NAME).unwrap();
    for key in 1..=3 {
        let mut cx = backend.at(&key).unwrap();
        assert_eq!(cx.value(name).get().unwrap(), None);
        cx.value(name).set(key.to_string().as_str()).unwrap();
    }
    backend.at(&2).unwrap().value(name).set("u2").unwrap();
    backend.at(&3).unwrap().value(name).clear().unwrap();
    let read = [1, 2, 3, 4].map(|key| backend.at(&key).unwrap().value(name).get().unwrap());
    assert_eq!(read, [Some("1".to_owned()), Some("u2".to_owned()), None, None]);
    assert_eq!(keys_of(&mut backend, name), [1, 2]);
}

/// Two states of one key do not know each other. Flink: `testMultipleValueStates`.
pub fn states_are_independent<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<String>();
    let (count, name) = (backend.open(COUNT).unwrap(), backend.open(NAME).unwrap());
    let mut cx = backend.at("k").unwrap();
    cx.value(count).set(&5).unwrap();
    assert_eq!(cx.value(name).get().unwrap(), None);
    cx.value(name).set("five").unwrap();
    cx.value(count).clear().unwrap();
    assert_eq!(cx.value(name).get().unwrap().as_deref(), Some("five"));
    assert_eq!(cx.value(count).get().unwrap(), None);
}

/// Empty states read as the default, each time as a fresh one, also after a clear.
/// Flink: `testValueStateDefaultValue`, `testValueStateNullAsDefaultValue`, `testCopyDefaultValue`.
pub fn default_shows_where_nothing_is<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let state = backend.open(DEFAULTED).unwrap();
    let mut cx = backend.at(&1).unwrap();
    let mut first = cx.value(state).get().unwrap().unwrap();
    first.push(3);
    assert_eq!(cx.value(state).get().unwrap(), Some(vec![1, 2]));
    assert!(cx.value(state).read(|bytes| bytes.is_none()).unwrap());
    cx.value(state).set(&[9][..]).unwrap();
    assert_eq!(cx.value(state).get().unwrap(), Some(vec![9]));
    cx.value(state).clear().unwrap();
    assert_eq!(cx.value(state).get().unwrap(), Some(vec![1, 2]));
    assert_eq!(total_entries(&backend), 0);
}

/// The closure sees the old value or the default; `None` clears. Flink: `testValueStateNullUpdate`.
pub fn update_reads_changes_and_clears<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let (count, state) = (backend.open(COUNT).unwrap(), backend.open(DEFAULTED).unwrap());
    let mut cx = backend.at(&1).unwrap();
    for _ in 0..3 {
        cx.value(count).update(|n| Some(n.unwrap_or(10) + 1)).unwrap();
    }
    assert_eq!(cx.value(count).get().unwrap(), Some(13));
    cx.value(count).update(|n| n.filter(|n| *n != 13)).unwrap();
    assert_eq!(cx.value(count).get().unwrap(), None);
    cx.value(count).update(|n| n).unwrap();
    assert_eq!(cx.value(count).get().unwrap(), None);
    let mut seen = None;
    cx.value(state)
        .update(|old| {
            seen = old;
            None
        })
        .unwrap();
    assert_eq!(seen, Some(vec![1, 2]));
    assert_eq!(total_entries(&backend), 0);
}

/// A closure that fails leaves the entry as it was, present or absent (rule R1).
pub fn failed_update_changes_nothing<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    backend.at(&1).unwrap().value(count).set(&5).unwrap();
    for key in [1, 2] {
        let mut cx = backend.at(&key).unwrap();
        let failed = cx.value(count).try_update(|_| Err(Error::unavailable("on purpose")));
        refused(failed, ErrorKind::Unavailable);
    }
    assert_eq!(backend.at(&1).unwrap().value(count).get().unwrap(), Some(5));
    assert_eq!(backend.at(&2).unwrap().value(count).get().unwrap(), None);
    assert_eq!(keys_of(&mut backend, count), [1]);
}

/// `Keep` keeps whatever was written to the buffer, `Put` with an empty buffer is an empty value.
pub fn modify_obeys_its_closure<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let slot = backend.open(DEFAULTED).map(|_| crate::Slot::new(0)).unwrap();
    let store = backend.store_mut();
    let key = RawKey::new(ten(), b"8 bytes!", b"", b"");
    let mut calls = 0;
    for (change, want) in [
        (Change::Keep, None),
        (Change::Remove, None),
        (Change::Put, Some(&b"new"[..])),
        (Change::Keep, Some(b"new")),
        (Change::Put, Some(b"new")),
        (Change::Remove, None),
    ] {
        let done = store.modify(slot, &key.get(), &mut |_, out| {
            calls += 1;
            assert!(out.is_empty(), "the buffer comes empty");
            out.extend_from_slice(b"new");
            Ok(change)
        });
        done.unwrap();
        assert_eq!(store.get(slot, &key.get()).unwrap(), want);
    }
    assert_eq!(calls, 6, "the closure runs once");
    store.modify(slot, &key.get(), &mut |_, _| Ok(Change::Put)).unwrap();
    assert_eq!(store.get(slot, &key.get()).unwrap(), Some(&b""[..]));
}

/// Borrowed reads, and reads into an existing value.
pub fn borrowed_reads<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let name = backend.open(NAME).unwrap();
    let mut cx = backend.at(&1).unwrap();
    let mut target = "before".to_owned();
    assert!(!cx.value(name).get_into(&mut target).unwrap());
    cx.value(name).set("élan").unwrap();
    assert!(cx.value(name).get_into(&mut target).unwrap());
    assert_eq!(target, "élan");
    assert_eq!(cx.value(name).read(|view| view.map(str::len)).unwrap(), Some(5));
}

/// Values of fixed and of varying width, of no width at all, and of serde types.
pub fn values_of_every_shape<H: Harness>(kit: &Kit<H>) {
    const SHORT: ValueDescriptor<u8> = ValueDescriptor::new("u8");
    const FLAG: ValueDescriptor<bool> = ValueDescriptor::new("bool");
    const WIDE: ValueDescriptor<[u8; 100]> = ValueDescriptor::new("array");
    const PAIR: ValueDescriptor<(String, Option<i64>)> = ValueDescriptor::new("pair");
    const SERDE: ValueDescriptor<Vec<(u8, String)>, Postcard> =
        ValueDescriptor::new("serde").with_codec();
    let mut backend = kit.fresh::<(u32, String)>();
    let (short, flag) = (backend.open(SHORT).unwrap(), backend.open(FLAG).unwrap());
    let (wide, pair) = (backend.open(WIDE).unwrap(), backend.open(PAIR).unwrap());
    let serde = backend.open(SERDE).unwrap();
    let key = (7, "key".to_owned());
    let mut cx = backend.at(&key).unwrap();
    cx.value(short).set(&255).unwrap();
    cx.value(flag).set(&false).unwrap();
    cx.value(wide).set(&[7; 100]).unwrap();
    cx.value(pair).set(&(String::new(), None)).unwrap();
    cx.value(serde).set(&vec![(1, "a".to_owned()), (2, String::new())]).unwrap();
    assert_eq!(cx.value(short).get().unwrap(), Some(255));
    assert_eq!(cx.value(flag).get().unwrap(), Some(false));
    assert_eq!(cx.value(wide).get().unwrap(), Some([7; 100]));
    assert_eq!(cx.value(pair).get().unwrap(), Some((String::new(), None)));
    assert_eq!(cx.value(serde).get().unwrap().unwrap().len(), 2);
}

/// Values that grow and shrink in place, from nothing to a mebibyte.
pub fn values_change_their_length<H: Harness>(kit: &Kit<H>) {
    const BYTES: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("bytes");
    let mut backend = kit.fresh::<u64>();
    let bytes = backend.open(BYTES).unwrap();
    for len in [0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 65_536, 1 << 20, 3, 0, 40] {
        for key in [1, 2] {
            let value = vec![u8::try_from(len % 251).unwrap() ^ key; len];
            let mut cx = backend.at(&u64::from(key)).unwrap();
            cx.value(bytes).set(value.as_slice()).unwrap();
        }
        for key in [1, 2] {
            let value = vec![u8::try_from(len % 251).unwrap() ^ key; len];
            let mut cx = backend.at(&u64::from(key)).unwrap();
            assert!(cx.value(bytes).get().unwrap() == Some(value), "{len} bytes");
        }
    }
}

/// Entries come and go through growth and shrinking. Flink: `testIncrementalRehash`.
pub fn survives_growth_and_shrinking<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let count = backend.open(COUNT).unwrap();
    for key in 0..5_000 {
        backend.at(&key).unwrap().value(count).set(&(key * 3)).unwrap();
        if key % 3 == 0 {
            backend.at(&(key / 2)).unwrap().value(count).clear().unwrap();
        }
    }
    let gone = |key: u64| {
        key <= 4_999 / 2 && ((2 * key).is_multiple_of(3) || (2 * key + 1).is_multiple_of(3))
    };
    for key in 0..5_000 {
        let want = (!gone(key)).then_some(key * 3);
        assert_eq!(backend.at(&key).unwrap().value(count).get().unwrap(), want, "key {key}");
    }
    for key in 0..5_000 {
        backend.at(&key).unwrap().value(count).clear().unwrap();
    }
    if kit.profile().exact_counts {
        assert_eq!(total_entries(&backend), 0);
    }
    assert!(keys_of(&mut backend, count).is_empty());
}

/// A stored null is a value, not an absent one. Flink: the null rules of `testValueStateNullUpdate`.
pub fn none_is_a_value<H: Harness>(kit: &Kit<H>) {
    const MAYBE: ValueDescriptor<Option<u16>> = ValueDescriptor::new("maybe");
    let mut backend = kit.fresh::<u64>();
    let maybe = backend.open(MAYBE).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.value(maybe).set(&None).unwrap();
    assert_eq!(cx.value(maybe).get().unwrap(), Some(None));
    cx.value(maybe).update(|old| old.map(|_| Some(3))).unwrap();
    assert_eq!(cx.value(maybe).get().unwrap(), Some(Some(3)));
    cx.value(maybe).update(|_| Some(None)).unwrap();
    assert_eq!(keys_of(&mut backend, maybe), [1]);
    backend.at(&1).unwrap().value(maybe).clear().unwrap();
    assert_eq!(backend.at(&1).unwrap().value(maybe).get().unwrap(), None);
    assert!(keys_of(&mut backend, maybe).is_empty());
}

/// The default is the program's, not the store's: it makes no entry and is in no snapshot, and a value
/// that happens to be the default is a value.
pub fn default_is_not_stored<H: Harness>(kit: &Kit<H>) {
    const OTHER: ValueDescriptor<Vec<u8>> =
        ValueDescriptor::new("defaulted").with_default(|| vec![7]);
    let mut backend = kit.fresh::<u64>();
    let state = backend.open(DEFAULTED).unwrap();
    assert_eq!(backend.at(&1).unwrap().value(state).get().unwrap(), Some(vec![1, 2]));
    backend.at(&2).unwrap().value(state).set(&[1, 2][..]).unwrap();
    assert_eq!(keys_of(&mut backend, state), [2]);
    for kind in kit.kinds() {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let other = restored.open(OTHER).unwrap();
        let read = [1, 2].map(|key| restored.at(&key).unwrap().value(other).get().unwrap());
        assert_eq!(read, [Some(vec![7]), Some(vec![1, 2])]);
        assert_eq!(keys_of(&mut restored, other), [2]);
    }
}
