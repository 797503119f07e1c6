//! Misuse of the SPI, and keys and values at the edges of what is allowed.

use std::ops::ControlFlow;

use super::fixtures::{Everything, RawKey, keys_of, refused};
use super::harness::{Backend, Harness, KINDS, Kit, ten};
use crate::schema::{StateKind, StateMeta};
use crate::{
    Change, Descriptor, Elements, ElementsBuffer, Error, ErrorKind, KeyBatchBuffer, KeyGroupRange,
    KeyedStore, ListDescriptor, ListState, MapDescriptor, MapState, Result, Scan, Slot,
    ValueDescriptor, ValueState,
};

type Call = (&'static str, fn(&mut dyn KeyedStore, Slot) -> Result<()>);

fn key() -> RawKey {
    RawKey::new(ten(), b"8 bytes!", b"", b"")
}

/// One call of each operation, with arguments that are right for the right kind of state.
const CALLS: [Call; 13] = [
    ("value", |store, slot| store.get(slot, &key().get()).map(drop)),
    ("value", |store, slot| {
        let value: &[u8] = match slot.index() {
            4 => b"1234",
            3 => b"1234567812345678",
            _ => b"12345678",
        };
        store.put(slot, &key().get(), value)
    }),
    ("value", |store, slot| store.modify(slot, &key().get(), &mut |_, _| Ok(Change::Keep))),
    ("value", |store, slot| store.get_many(slot, one_key().as_batch(ten()), &mut |_, _| Ok(()))),
    ("value", |store, slot| {
        store.modify_many(slot, one_key().as_batch(ten()), &mut |_, _, _| Ok(Change::Keep))
    }),
    ("any", |store, slot| store.remove(slot, &key().get())),
    ("map", |store, slot| store.remove_prefix(slot, &key().get())),
    ("map", |store, slot| {
        let key = key();
        let scan = Scan::Map { prefix: key.get(), from: &[] };
        store.scan(slot, scan, &mut |_, _| Ok(ControlFlow::Continue(())))
    }),
    ("list", |store, slot| {
        store.read_list(slot, &key().get(), &mut |_| Ok(ControlFlow::Continue(()))).map(drop)
    }),
    ("list", |store, slot| store.append(slot, &key().get(), one_element().as_elements())),
    ("list", |store, slot| store.replace_list(slot, &key().get(), Elements::default())),
    ("list", |store, slot| store.list_size(slot, &key().get()).map(drop)),
    ("merge", |store, slot| {
        let buffer = KeyBatchBuffer::default();
        let sources = buffer.as_batch(ten());
        store.merge_namespaces(slot, &key().get(), sources, &mut |_, _, _| Ok(()))
    }),
];

fn one_key() -> KeyBatchBuffer {
    let (key, mut buffer) = (key(), KeyBatchBuffer::default());
    let key = key.get();
    buffer.bytes_mut().extend_from_slice(key.bytes());
    buffer.commit(key.bytes().len(), key.key_hash(), key.placement()).unwrap();
    buffer
}

fn one_element() -> ElementsBuffer {
    let mut buffer = ElementsBuffer::default();
    buffer.push(b"12345678").unwrap();
    buffer
}

/// A slot that was not given out is refused by every operation (rule R2).
pub fn unknown_slots_are_refused<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    Everything::open(&mut backend);
    let store = backend.store_mut();
    for slot in [Slot::new(6), Slot::new(1_000), Slot::new(u32::MAX)] {
        for (_, call) in CALLS {
            refused(call(store, slot), ErrorKind::InvalidInput);
        }
        let scan = Scan::KeyGroups { range: ten().all(), from: &[] };
        let visited = store.scan(slot, scan, &mut |_, _| Ok(ControlFlow::Continue(())));
        refused(visited, ErrorKind::InvalidInput);
        refused(store.rewrite(slot, &mut |_, _| Ok(())), ErrorKind::InvalidInput);
    }
}

/// An operation that does not fit the state's kind is refused, and the others are not (rule R2).
pub fn operations_must_fit_the_kind<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    Everything::open(&mut backend);
    let store = backend.store_mut();
    let fits = [
        ("value", StateKind::Value),
        ("list", StateKind::List),
        ("reducing", StateKind::Reducing),
        ("aggregating", StateKind::Aggregating),
        ("map", StateKind::Map),
    ];
    for (index, (name, kind)) in (0..).zip(fits) {
        let slot = Slot::new(index);
        for (position, (group, call)) in CALLS.into_iter().enumerate() {
            let right = match group {
                "value" => kind != StateKind::List,
                "map" => kind == StateKind::Map,
                "list" => kind == StateKind::List,
                "merge" => !matches!(kind, StateKind::Value | StateKind::Map),
                _ => true,
            };
            let batch_of_maps = kind == StateKind::Map && (3..5).contains(&position);
            if !batch_of_maps {
                let done = call(store, slot);
                assert_eq!(done.is_ok(), right, "call {position} of {name}: {done:?}");
                if !right {
                    refused(done, ErrorKind::InvalidInput);
                }
            }
        }
    }
}

/// A handle of another backend is refused, whatever slot it has.
pub fn foreign_handles_are_refused<H: Harness>(kit: &Kit<H>) {
    const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");
    let (mut one, mut other) = (kit.fresh::<u64>(), kit.fresh::<u64>());
    let (mine, foreign) = (one.open(VALUE).unwrap(), other.open(VALUE).unwrap());
    let mut cx = one.at(&1).unwrap();
    refused(cx.value(foreign).set(&1), ErrorKind::InvalidInput);
    refused(cx.value(foreign).get(), ErrorKind::InvalidInput);
    refused(one.batch([1]).unwrap().get(foreign, |_, _| {}), ErrorKind::InvalidInput);
    let visited = one.for_each_key(foreign, |_| Ok(ControlFlow::Continue(())));
    refused(visited, ErrorKind::InvalidInput);
    one.at(&1).unwrap().value(mine).set(&1).unwrap();
    assert_eq!(other.at(&1).unwrap().value(foreign).get().unwrap(), None);
}

/// Registering the same description again gives the same slot; another one is refused.
pub fn registration_is_idempotent<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let value = ValueDescriptor::<u64>::new("value");
    let handle = backend.open(value).unwrap();
    backend.at(&1).unwrap().value(handle).set(&7).unwrap();
    let again = backend.open(value).unwrap();
    assert_eq!(backend.at(&1).unwrap().value(again).get().unwrap(), Some(7));
    let store = backend.store_mut();
    let first = store.register(&value.meta()).unwrap();
    assert_eq!((first.slot, first.restored), (Slot::new(0), None));
    for other in [
        ListDescriptor::<u64>::new("value").meta(),
        ValueDescriptor::<u32>::new("value").meta(),
        value.with_size_limit(8).meta(),
        MapDescriptor::<u8, u64>::new("value").meta(),
    ] {
        refused(store.register(&other), ErrorKind::Incompatible);
    }
    assert_eq!(store.states(), [value.meta()]);
    assert_eq!(backend.at(&1).unwrap().value(handle).get().unwrap(), Some(7));
}

/// Descriptions that are not valid, and ordered states, are refused and not remembered.
pub fn invalid_descriptions_are_refused<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let good = ValueDescriptor::<u64>::new("value").meta();
    let map = MapDescriptor::<u8, u8>::new("map").meta();
    let store = backend.store_mut();
    for bad in [
        StateMeta { name: "".into(), ..good.clone() },
        StateMeta { name: "x".repeat(256).into(), ..good.clone() },
        StateMeta { name: "a\nb".into(), ..good.clone() },
        StateMeta { size_limit: 0, ..good.clone() },
        StateMeta { kind: StateKind::Map, ..good.clone() },
        StateMeta { kind: StateKind::List, ..map },
    ] {
        refused(store.register(&bad), ErrorKind::InvalidInput);
    }
    let ordered = StateMeta { kind: StateKind::Ordered, ..good.clone() };
    refused(store.register(&ordered), ErrorKind::Unsupported);
    assert!(store.states().is_empty());
    let longest = StateMeta { name: "ä".repeat(127).into(), ..good };
    store.register(&longest).unwrap();
    assert_eq!(store.states().len(), 1);
}

/// State names that engines might trip over. Flink refuses `default` on `RocksDB`; we do not.
pub fn any_name_will_do<H: Harness>(kit: &Kit<H>) {
    const NAMES: [&str; 8] = ["default", "..", "a/b", "a\\b", " ", "名前", "_metadata", "CON"];
    let mut backend = kit.fresh::<u64>();
    for (n, name) in (0..).zip(NAMES) {
        let handle = backend.open(ValueDescriptor::<u64>::new(name)).unwrap();
        backend.at(&1).unwrap().value(handle).set(&n).unwrap();
    }
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        for (n, name) in (0..).zip(NAMES) {
            let handle = restored.open(ValueDescriptor::<u64>::new(name)).unwrap();
            assert_eq!(restored.at(&1).unwrap().value(handle).get().unwrap(), Some(n));
        }
    }
}

/// Empty keys, keys of zeros and of 0xff, keys that begin alike, keys of 64 KiB.
pub fn keys_of_every_shape<H: Harness>(kit: &Kit<H>) {
    let descriptor = ValueDescriptor::<Vec<u8>>::new("value");
    let pages = MapDescriptor::<Vec<u8>, Vec<u8>>::new("map");
    let mut keys: Vec<Vec<u8>> = vec![vec![]];
    for byte in [0, 1, 0x7f, 0x80, 0xfe, 0xff] {
        keys.extend([1, 2, 3, 15, 16, 17, 300, 65_536].map(|len| vec![byte; len]));
    }
    keys.extend([&b"\0\xff"[..], b"\xff\0", b"a\0b", b"a\0\0b", b"a\0\xffb"].map(<[u8]>::to_vec));
    let mut backend = kit.fresh::<Vec<u8>>();
    let (value, map) = (backend.open(descriptor).unwrap(), backend.open(pages).unwrap());
    for key in &keys {
        let mut cx = backend.at(key).unwrap();
        cx.value(value).set(key).unwrap();
        cx.map(map).insert(key, key).unwrap();
        cx.map(map).insert(&b"x"[..], &b""[..]).unwrap();
    }
    let mut sorted = keys.clone();
    sorted.sort();
    let check = |backend: &mut Backend<H, Vec<u8>>| {
        let (value, map) = (backend.open(descriptor).unwrap(), backend.open(pages).unwrap());
        for key in &keys {
            let mut cx = backend.at(key).unwrap();
            assert!(cx.value(value).get().unwrap().as_ref() == Some(key));
            assert!(cx.map(map).get(key).unwrap().as_ref() == Some(key));
            assert_eq!(cx.map(map).keys().unwrap().len(), 2);
        }
        assert!(keys_of(backend, value) == sorted);
        assert!(keys_of(backend, map) == sorted);
    };
    check(&mut backend);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        check(&mut kit.restore(&[&taken]));
    }
}

/// Values without bytes are values, of every kind, through snapshots.
pub fn empty_values_are_values<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<String>();
    let value = backend.open(ValueDescriptor::<String>::new("value")).unwrap();
    let list = backend.open(ListDescriptor::<String>::new("list")).unwrap();
    let map = backend.open(MapDescriptor::<String, String>::new("map")).unwrap();
    let mut cx = backend.at("").unwrap();
    cx.value(value).set("").unwrap();
    cx.list(list).add(&String::new()).unwrap();
    cx.map(map).insert("", "").unwrap();
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<String>(&[&taken]);
        let value = restored.open(ValueDescriptor::<String>::new("value")).unwrap();
        let list = restored.open(ListDescriptor::<String>::new("list")).unwrap();
        let map = restored.open(MapDescriptor::<String, String>::new("map")).unwrap();
        let mut cx = restored.at("").unwrap();
        assert_eq!(cx.value(value).get().unwrap().as_deref(), Some(""));
        assert_eq!(cx.list(list).get().unwrap(), [""]);
        assert_eq!(cx.map(map).entries().unwrap(), [(String::new(), String::new())]);
    }
}

/// A mebibyte in a value, an element and a map value, through snapshots.
pub fn large_values<H: Harness>(kit: &Kit<H>) {
    let large = |byte: u8| vec![byte; 1 << 20];
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(ValueDescriptor::<Vec<u8>>::new("value")).unwrap();
    let list = backend.open(ListDescriptor::<Vec<u8>>::new("list")).unwrap();
    let map = backend.open(MapDescriptor::<u8, Vec<u8>>::new("map")).unwrap();
    let mut cx = backend.at(&1).unwrap();
    cx.value(value).set(&large(1)).unwrap();
    cx.list(list).add_all(&[large(2), vec![], large(3)]).unwrap();
    cx.map(map).insert(&1, &large(4)).unwrap();
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let value = restored.open(ValueDescriptor::<Vec<u8>>::new("value")).unwrap();
        let list = restored.open(ListDescriptor::<Vec<u8>>::new("list")).unwrap();
        let map = restored.open(MapDescriptor::<u8, Vec<u8>>::new("map")).unwrap();
        let mut cx = restored.at(&1).unwrap();
        assert!(cx.value(value).get().unwrap() == Some(large(1)));
        assert!(cx.list(list).get().unwrap() == [large(2), vec![], large(3)]);
        assert!(cx.map(map).get(&1).unwrap() == Some(large(4)));
    }
}

/// A scan over key groups goes through groups, then bytes, from its lower bound; it sees what is
/// there and nothing else; it stops, and hands errors on; key groups of others are refused.
pub fn key_group_scans<H: Harness>(kit: &Kit<H>) {
    let range = KeyGroupRange::new(2, 8).unwrap();
    let mut backend = kit.try_open::<u64>(ten(), range, Vec::new()).unwrap();
    let value = backend.open(ValueDescriptor::<u64>::new("value")).unwrap();
    let mut want = Vec::new();
    for key in 0..200_u64 {
        if let Ok(mut cx) = backend.at(&key) {
            cx.value(value).set(&key).unwrap();
            want.push((cx.key_group(), key));
        }
    }
    let (gone, kept): (Vec<_>, Vec<_>) = want.into_iter().partition(|(_, key)| key % 5 == 0);
    for (_, key) in gone {
        backend.at(&key).unwrap().value(value).clear().unwrap();
    }
    let mut want = kept;
    want.sort_unstable();
    let store = backend.store_mut();
    let scan = |store: &mut H::Store, range, from: &[u8], most: usize| {
        let mut seen = Vec::new();
        let visited =
            store.scan(Slot::new(0), Scan::KeyGroups { range, from }, &mut |entry, bytes| {
                assert_eq!(entry.bytes(), bytes, "key and value are the same number");
                seen.push(u64::from_be_bytes(entry.key().try_into().unwrap()));
                Ok(if seen.len() == most {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            });
        visited.map(|()| seen)
    };
    let keys: Vec<u64> = want.iter().map(|(_, key)| *key).collect();
    assert_eq!(scan(store, range, &[], usize::MAX).unwrap(), keys);
    assert_eq!(scan(store, range, &[], 7).unwrap(), keys[..7]);
    let some = KeyGroupRange::new(4, 6).unwrap();
    for from in [0, 77, 78, u64::MAX] {
        let inside = want
            .iter()
            .filter(|(group, key)| some.contains(*group) && (group.index() > 4 || *key >= from));
        let inside: Vec<u64> = inside.map(|(_, key)| *key).collect();
        assert_eq!(scan(store, some, &from.to_be_bytes(), usize::MAX).unwrap(), inside);
    }
    let none = KeyGroupRange::new(5, 5).unwrap();
    assert!(scan(store, none, &[], usize::MAX).unwrap().is_empty());
    for outside in
        [ten().all(), KeyGroupRange::new(0, 3).unwrap(), KeyGroupRange::new(7, 9).unwrap()]
    {
        refused(scan(store, outside, &[], usize::MAX), ErrorKind::InvalidInput);
    }
    let whole = Scan::KeyGroups { range, from: &[] };
    let failed = store.scan(Slot::new(0), whole, &mut |_, _| Err(Error::unavailable("on purpose")));
    refused(failed, ErrorKind::Unavailable);
}

/// Completing a checkpoint whose task was dropped or failed is like one that nobody knows.
pub fn completion_of_what_never_was<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    states.put(&mut backend, 1, 1);
    for kind in KINDS {
        let dropped = kit.begin(&mut backend, kind);
        let id = dropped.id;
        drop(dropped.task);
        backend.checkpoint_completed(id).unwrap();
        let taken = kit.take(&mut backend, crate::snapshot::SnapshotKind::Incremental);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &[(1, 1)].into(), 5);
    }
}
