//! Entries of a large table wait for each other when it is restored, and come in their order all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod series;

use std::collections::BTreeMap;

use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{ValueDescriptor, ValueState};
use series::{KEYS, open, take};

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");

#[test]
fn a_chain_restores_its_newest_words() {
    let storage = TestStorage::default();
    let (mut backend, mut model) = (open(Vec::new()), BTreeMap::new());
    let count = backend.open(COUNT).unwrap();
    let mut part = None;
    // Sets all keys, then removes and changes some, some of these in turn, and sets some again.
    for (round, step) in [(0, 1), (1, 7), (2, 5), (3, 35), (4, 11)] {
        for key in (0..KEYS).step_by(step) {
            let value = (round != 1 && round != 3).then_some(key * 10 + round);
            let mut context = backend.at(&key).unwrap();
            let mut state = context.value(count);
            match value {
                Some(value) => (state.set(&value).unwrap(), model.insert(key, value)).0,
                None => (state.clear().unwrap(), model.remove(&key)).0,
            }
        }
        part = Some(take(&mut backend, &storage, round + 1));
    }
    let part = part.unwrap();
    assert!(part.snapshot.files.len() > 3, "{} files", part.snapshot.files.len());
    let mut restored = open(vec![part]);
    let count = restored.open(COUNT).unwrap();
    for key in 0..KEYS {
        let found = restored.at(&key).unwrap().value(count).get().unwrap();
        assert_eq!(found, model.get(&key).copied(), "of key {key}");
    }
}
