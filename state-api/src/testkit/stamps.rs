//! Stamped states: eight bytes in front of each value, element or map value, which the store keeps,
//! returns and writes, and does not count against limits. Through the SPI: the typed layer has none.

use std::ops::ControlFlow;

use super::contents::contents_of;
use super::fixtures::{RawKey, refused};
use super::harness::{Backend, Harness, KINDS, Kit, ten};
use crate::schema::StateMeta;
use crate::snapshot::SnapshotKind;
use crate::{
    Change, Descriptor, ElementsBuffer, ErrorKind, InNamespace, KeyBatchBuffer, KeyedStore,
    ListDescriptor, MapDescriptor, Slot, ValueDescriptor,
};

fn value() -> StateMeta {
    stamped(&ValueDescriptor::<String>::new("value").with_size_limit(5).meta())
}

fn number() -> StateMeta {
    stamped(&ValueDescriptor::<u32>::new("number").meta())
}

fn list() -> StateMeta {
    stamped(&ListDescriptor::<String>::new("list").with_size_limit(18).meta())
}

fn map() -> StateMeta {
    stamped(&MapDescriptor::<u8, String>::new("map").with_size_limit(5).meta())
}

fn stamped(meta: &StateMeta) -> StateMeta {
    StateMeta { stamped: true, ..meta.clone() }
}

fn with(stamp: u64, payload: &[u8]) -> Vec<u8> {
    [&stamp.to_le_bytes(), payload].concat()
}

fn elements(all: &[(u64, &[u8])]) -> ElementsBuffer {
    let mut buffer = ElementsBuffer::default();
    for (stamp, payload) in all {
        buffer.push(&with(*stamp, payload)).unwrap();
    }
    buffer
}

fn key(number: u64, map_key: &[u8]) -> RawKey {
    RawKey::new(ten(), &number.to_be_bytes(), b"", map_key)
}

/// Value, number, list and map.
fn open<H: Harness>(backend: &mut Backend<H>) -> [Slot; 4] {
    let store = backend.store_mut();
    [value(), number(), list(), map()].map(|meta| store.register(&meta).unwrap().slot)
}

fn fill<H: Harness>(backend: &mut Backend<H>, stamp: u64) {
    let [value, number, list, map] = open::<H>(backend);
    let store = backend.store_mut();
    for id in 0..20 {
        let at = key(id, b"");
        store.put(value, &at.get(), &with(stamp + id, b"text")).unwrap();
        store.put(number, &at.get(), &with(stamp + id, &[1, 2, 3, 4])).unwrap();
        let some = elements(&[(stamp + id, b"a"), (u64::MAX, b"")]);
        store.append(list, &at.get(), some.as_elements()).unwrap();
        store.put(map, &key(id, b"m").get(), &with(stamp + id, b"")).unwrap();
    }
}

/// Reads, updates, scans and snapshots of every kind have the stamps.
pub fn travel_with_values<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    fill::<H>(&mut backend, 100);
    let [_, number, list, map] = open::<H>(&mut backend);
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    let store = backend.store_mut();
    let modified = store.modify(number, &key(3, b"").get(), &mut |old, out| {
        assert_eq!(old, Some(&with(103, &[1, 2, 3, 4])[..]));
        out.extend_from_slice(&with(7, &[9, 9, 9, 9]));
        Ok(Change::Put)
    });
    modified.unwrap();
    store.append(list, &key(3, b"").get(), elements(&[(8, b"b")]).as_elements()).unwrap();
    store.put(map, &key(3, b"m").get(), &with(9, b"xyz")).unwrap();
    let whole = contents_of(store);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let store = restored.store_mut();
        assert!(store.states().iter().all(|meta| meta.stamped));
        assert!(contents_of(store) == whole, "{kind:?}");
        let (at, slots) = (key(3, b""), open::<H>(&mut restored));
        let store = restored.store_mut();
        assert_eq!(store.get(slots[0], &at.get()).unwrap(), Some(&with(103, b"text")[..]));
        assert_eq!(store.get(slots[1], &at.get()).unwrap(), Some(&with(7, &[9; 4])[..]));
        let mut seen = Vec::new();
        let read = store.read_list(slots[2], &at.get(), &mut |element| {
            seen.push(element.to_vec());
            Ok(ControlFlow::Continue(()))
        });
        assert!(read.unwrap());
        assert_eq!(seen, [with(103, b"a"), with(u64::MAX, b""), with(8, b"b")]);
        assert_eq!(store.get(slots[3], &key(3, b"m").get()).unwrap(), Some(&with(9, b"xyz")[..]));
    }
}

/// Limits and sizes are of payloads.
pub fn do_not_count<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let [value, _, list, map] = open::<H>(&mut backend);
    let store = backend.store_mut();
    let (at, in_map) = (key(1, b""), key(1, b"m"));
    for (slot, at) in [(value, &at), (map, &in_map)] {
        store.put(slot, &at.get(), &with(1, b"12345")).unwrap();
        let refusal = store.put(slot, &at.get(), &with(1, b"123456"));
        let limit = refusal.unwrap_err().limit().cloned().expect("details");
        assert_eq!((limit.size, limit.limit), (6, 5));
        assert_eq!(store.get(slot, &at.get()).unwrap(), Some(&with(1, b"12345")[..]));
    }
    store.append(list, &at.get(), elements(&[(1, b"ab"), (2, b"c")]).as_elements()).unwrap();
    let size = store.list_size(list, &at.get()).unwrap();
    assert_eq!((size.elements, size.bytes), (2, 4 + 2 + 4 + 1));
    let more = elements(&[(3, b"defg")]);
    refused(store.append(list, &at.get(), more.as_elements()), ErrorKind::LimitExceeded);
    store.append(list, &at.get(), elements(&[(3, b"def")]).as_elements()).unwrap();
    assert_eq!(store.list_size(list, &at.get()).unwrap().bytes, 18);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let [_, _, list, _] = open::<H>(&mut restored);
        let store = restored.store_mut();
        let size = store.list_size(list, &at.get()).unwrap();
        assert_eq!((size.elements, size.bytes), (3, 18));
        let none = elements(&[(4, b"")]);
        refused(store.append(list, &at.get(), none.as_elements()), ErrorKind::LimitExceeded);
    }
}

/// A state is stamped or not, for good.
pub fn are_fixed_by_the_snapshot<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    fill::<H>(&mut backend, 100);
    let plain = ValueDescriptor::<u64>::new("plain").meta();
    backend.store_mut().register(&plain).unwrap();
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let store = restored.store_mut();
        for meta in [value(), number(), list(), map()] {
            let unstamped = StateMeta { stamped: false, ..meta };
            refused(store.register(&unstamped), ErrorKind::Incompatible);
        }
        refused(store.register(&stamped(&plain)), ErrorKind::Incompatible);
        open::<H>(&mut restored);
        restored.store_mut().register(&plain).unwrap();
    }
}

/// Stamps are content: other stamps give another digest and other canonical bytes.
pub fn belong_to_the_digest<H: Harness>(kit: &Kit<H>) {
    let taken = [100, 100, 101].map(|stamp| {
        let mut backend = kit.fresh::<u64>();
        fill::<H>(&mut backend, stamp);
        kit.take(&mut backend, SnapshotKind::Canonical)
    });
    let digests = taken.each_ref().map(|taken| {
        taken.snapshot.states.iter().map(|state| state.digest.expect("a digest")).collect()
    });
    let [one, same, other]: [Vec<_>; 3] = digests;
    assert_eq!(one, same);
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
}

/// Lists are merged with the stamps of their elements, within the limit of their payloads.
pub fn stay_with_merged_elements<H: Harness>(kit: &Kit<H>) {
    type Windowed = ListDescriptor<String, crate::codec::Native, InNamespace<u8>>;
    let windowed: Windowed = ListDescriptor::new("windowed").with_size_limit(15).in_namespace();
    let mut backend = kit.fresh::<u64>();
    let slot = backend.store_mut().register(&stamped(&windowed.meta())).unwrap().slot;
    let store = backend.store_mut();
    let at = |window: u8| RawKey::new(ten(), &1_u64.to_be_bytes(), &[window], b"");
    for window in 1..=3 {
        let stamp = u64::from(window);
        store.append(slot, &at(window).get(), elements(&[(stamp, b"x")]).as_elements()).unwrap();
    }
    let mut sources = KeyBatchBuffer::default();
    for window in [3, 2] {
        let source = at(window);
        let source = source.get();
        sources.bytes_mut().extend_from_slice(source.bytes());
        sources.commit(8, source.key_hash(), source.placement()).unwrap();
    }
    let never: &mut crate::MergeValues<'_> = &mut |_, _, _| panic!("lists are not folded");
    store.merge_namespaces(slot, &at(1).get(), sources.as_batch(ten()), never).unwrap();
    let mut seen = Vec::new();
    let read = store.read_list(slot, &at(1).get(), &mut |element| {
        seen.push(element.to_vec());
        Ok(ControlFlow::Continue(()))
    });
    assert!(read.unwrap());
    assert_eq!(seen, [with(1, b"x"), with(3, b"x"), with(2, b"x")]);
    assert_eq!(store.list_size(slot, &at(1).get()).unwrap().bytes, 15);
}
