//! A compaction filter of an embedding program's hook: what it drops is gone from the store.

use std::sync::Arc;

use alluvium_backend_rocksdb::rocksdb::CompactionDecision;
use alluvium_backend_rocksdb::{
    MemoryBudget, OptionsHook, RocksOptions, RocksStore, Tuning, rocksdb,
};
use alluvium_state_api::{KeyedBackend, MaxParallelism, OpenEnv, ValueDescriptor, ValueState};

/// Keys of the store have two bytes of key group, two of the state; values of fixed-width keys are stored as they are.
#[derive(Debug)]
struct DropsOnes;

impl OptionsHook for DropsOnes {
    fn column_family(&self, options: &mut rocksdb::Options) {
        options.set_compaction_filter("drops-ones", |_level, key, value| {
            let is_entry = key.first().is_some_and(|group| *group < 0x80);
            match value.first() {
                Some(1) if is_entry => CompactionDecision::Remove,
                _ => CompactionDecision::Keep,
            }
        });
    }
}

#[test]
fn a_hooks_filter_drops_what_has_expired() {
    let local = tempfile::tempdir().unwrap();
    let groups = MaxParallelism::new(4).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let mut options = RocksOptions::default();
    options.hook = Some(Arc::new(DropsOnes));
    options.memory = MemoryBudget::PerStore;
    // What is kept in front of RocksDB no filter sees.
    options.write_back.store_bytes = 0;
    options.tuning = Tuning { write_buffer_bytes: Some(64 << 10), ..Tuning::default() };
    let env = OpenEnv::new(space).with_local_dir(local.path());
    let store = RocksStore::open_with(env, options).unwrap();
    let mut backend = KeyedBackend::<u64, _>::new(store).unwrap();
    let value = backend.open(ValueDescriptor::<[u8; 100]>::new("value")).unwrap();
    for key in 0..20_000u64 {
        let first = u8::try_from(key % 2).unwrap();
        backend.at(&key).unwrap().value(value).set(&[first; 100]).unwrap();
    }
    let mut left = [0, 0];
    for key in 0..20_000u64 {
        if let Some(found) = backend.at(&key).unwrap().value(value).get().unwrap() {
            left[usize::from(found[0])] += 1;
        }
    }
    assert_eq!(left[0], 10_000, "what has not expired stays");
    assert!(left[1] < 5_000, "{} of what has expired are left", left[1]);
}
