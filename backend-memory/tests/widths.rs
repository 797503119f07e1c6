//! Keys and values that have not the width that their codecs declare are refused, and change nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::testkit::fixtures::{RawKey, refused};
use alluvium_state_api::testkit::ten;
use alluvium_state_api::{
    Change, Descriptor, ElementsBuffer, ErrorKind, KeyBatchBuffer, KeyedBackend, KeyedStore,
    ListDescriptor, MapDescriptor, OpenEnv, Scan, Slot, ValueDescriptor,
};

/// A store of 8-byte keys.
fn fresh() -> MemoryStore {
    let space = KeyedBackend::<u64>::key_space(ten(), ten().all()).unwrap();
    MemoryStore::open(OpenEnv::new(space)).unwrap()
}

fn key(bytes: &[u8]) -> RawKey {
    RawKey::new(ten(), bytes, &[], &[])
}

fn entries(store: &MemoryStore) -> u64 {
    store.statistics().states.iter().map(|state| state.entries.get()).sum()
}

fn slot(store: &mut MemoryStore, descriptor: &impl Descriptor) -> Slot {
    store.register(&descriptor.meta()).unwrap().slot
}

#[test]
fn values_under_keys_of_another_width() {
    let mut store = fresh();
    let state = slot(&mut store, &ValueDescriptor::<u64>::new("value"));
    let short = key(&[1; 7]);
    refused(store.get(state, &short.get()), ErrorKind::InvalidInput);
    refused(store.put(state, &short.get(), &[0; 8]), ErrorKind::InvalidInput);
    refused(store.remove(state, &short.get()), ErrorKind::InvalidInput);
    let put = &mut |_: Option<&[u8]>, out: &mut Vec<u8>| {
        out.extend_from_slice(&[0; 8]);
        Ok(Change::Put)
    };
    refused(store.modify(state, &short.get(), put), ErrorKind::InvalidInput);
    assert_eq!(entries(&store), 0);
}

#[test]
fn values_of_another_width() {
    let mut store = fresh();
    let state = slot(&mut store, &ValueDescriptor::<u64>::new("value"));
    let right = key(&[1; 8]);
    store.put(state, &right.get(), &[7; 8]).unwrap();
    refused(store.put(state, &right.get(), &[0; 9]), ErrorKind::InvalidInput);
    let put = &mut |_: Option<&[u8]>, out: &mut Vec<u8>| {
        out.push(1);
        Ok(Change::Put)
    };
    refused(store.modify(state, &right.get(), put), ErrorKind::InvalidInput);
    assert_eq!(store.get(state, &right.get()).unwrap(), Some(&[7; 8][..]));
}

#[test]
fn lists_under_keys_of_another_width() {
    let mut store = fresh();
    let state = slot(&mut store, &ListDescriptor::<String>::new("list"));
    let (long, mut elements) = (key(&[1; 9]), ElementsBuffer::default());
    elements.push(b"element").unwrap();
    refused(store.append(state, &long.get(), elements.as_elements()), ErrorKind::InvalidInput);
    refused(
        store.replace_list(state, &long.get(), elements.as_elements()),
        ErrorKind::InvalidInput,
    );
    refused(store.list_size(state, &long.get()), ErrorKind::InvalidInput);
    refused(store.remove(state, &long.get()), ErrorKind::InvalidInput);
    let visit = &mut |_: &[u8]| Ok(ControlFlow::Continue(()));
    refused(store.read_list(state, &long.get(), visit), ErrorKind::InvalidInput);
    assert_eq!(entries(&store), 0);
}

#[test]
fn maps_under_keys_and_with_values_of_another_width() {
    let mut store = fresh();
    let state = slot(&mut store, &MapDescriptor::<String, u64>::new("map"));
    let short = RawKey::new(ten(), &[1; 5], &[], b"part");
    refused(store.get(state, &short.get()), ErrorKind::InvalidInput);
    refused(store.put(state, &short.get(), &[0; 8]), ErrorKind::InvalidInput);
    refused(store.remove(state, &short.get()), ErrorKind::InvalidInput);
    refused(store.remove_prefix(state, &key(&[1; 5]).get()), ErrorKind::InvalidInput);
    let prefix = key(&[1; 5]);
    let scan = Scan::Map { prefix: prefix.get(), from: &[] };
    let visited = store.scan(state, scan, &mut |_, _| Ok(ControlFlow::Continue(())));
    refused(visited, ErrorKind::InvalidInput);
    let right = RawKey::new(ten(), &[1; 8], &[], b"part");
    refused(store.put(state, &right.get(), &[0; 7]), ErrorKind::InvalidInput);
    assert_eq!(entries(&store), 0);
}

#[test]
fn a_batch_is_refused_by_its_first_key_of_another_width() {
    let mut store = fresh();
    let state = slot(&mut store, &ValueDescriptor::<u64>::new("value"));
    let mut batch = KeyBatchBuffer::default();
    for width in [8, 8, 3] {
        let raw = key(&vec![1; width]);
        batch.bytes_mut().extend_from_slice(raw.get().bytes());
        batch.commit(width, raw.get().key_hash(), raw.get().placement()).unwrap();
    }
    let mut seen = 0;
    let visited = store.get_many(state, batch.as_batch(ten()), &mut |_, value| {
        seen += 1;
        assert_eq!(value, None);
        Ok(())
    });
    refused(visited, ErrorKind::InvalidInput);
    assert_eq!(seen, 2);
    let changed = store.modify_many(state, batch.as_batch(ten()), &mut |index, old, out| {
        assert_eq!(old.is_some(), index == 1, "the second key is the first one");
        out.extend_from_slice(&[9; 8]);
        Ok(Change::Put)
    });
    refused(changed, ErrorKind::InvalidInput);
    assert_eq!(entries(&store), 1, "what came before the refused key stays");
}
