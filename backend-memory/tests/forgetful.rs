//! A table that forgot what changed makes the next incremental snapshot a full one, of all states.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod series;

use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{ValueDescriptor, ValueState};
use series::{KEYS, open, take};

const KEPT: ValueDescriptor<u64> = ValueDescriptor::new("a, which remembers");
const REMOVED: ValueDescriptor<u64> = ValueDescriptor::new("b, which forgets");

#[test]
fn a_forgetful_state_makes_all_of_them_full() {
    let storage = TestStorage::default();
    let mut backend = open(Vec::new());
    let (kept, removed) = (backend.open(KEPT).unwrap(), backend.open(REMOVED).unwrap());
    for key in 0..KEYS {
        let mut cx = backend.at(&key).unwrap();
        cx.value(kept).set(&key).unwrap();
        cx.value(removed).set(&key).unwrap();
    }
    assert_eq!(take(&mut backend, &storage, 1).snapshot.kind, SnapshotKind::Full);
    backend.at(&7).unwrap().value(kept).set(&70).unwrap();
    assert_eq!(take(&mut backend, &storage, 2).snapshot.kind, SnapshotKind::Incremental);
    for key in 0..KEYS {
        backend.at(&key).unwrap().value(removed).clear().unwrap();
    }
    let part = take(&mut backend, &storage, 3);
    assert_eq!(part.snapshot.kind, SnapshotKind::Full);
    let mut restored = open(vec![part]);
    let (kept, removed) = (restored.open(KEPT).unwrap(), restored.open(REMOVED).unwrap());
    for key in 0..KEYS {
        let mut cx = restored.at(&key).unwrap();
        let want = if key == 7 { 70 } else { key };
        assert_eq!(cx.value(kept).get().unwrap(), Some(want));
        assert_eq!(cx.value(removed).get().unwrap(), None);
    }
}
