//! What random tests are unlikely to come upon.

use super::super::{Blob, Fixed, Seed, ShardImage, Table, VarKey};
use super::rig::{Kind, Rig};

/// A simple sequence of numbers that look random.
fn random(state: &mut u32, below: u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 8) % below
}

fn churn<K: Kind>(hash: fn(&[u8]) -> u64, keys: u32, ops: u32) {
    let mut rig = Rig::<K>::with_hash(hash);
    let mut state = 1;
    for op in 0..ops {
        let (key, value) = (random(&mut state, keys), random(&mut state, 10_000));
        match random(&mut state, 10) {
            0..=4 => rig.put(key, value),
            5 => rig.edit(key, value),
            6 => rig.get(key),
            _ => rig.remove(key),
        }
        if op % 500 == 0 && rig.flights.len() < 5 {
            rig.begin(op % 1000 == 0);
        }
        if op % 60 == 0 && !rig.flights.is_empty() {
            rig.step(op as usize % rig.flights.len(), true);
        }
    }
    rig.finish();
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    churn::<[u8; 8]>(|_| 42, 1_000, 8_000);
    churn::<VarKey>(|_| 42, 600, 4_000);
}

#[test]
fn keys_of_few_hashes_do_not_blow_up_the_directory() {
    let mut table = Table::<[u8; 8], Fixed<8>>::new(Seed::new(3, 5), |key| u64::from(key[7] & 1));
    for number in 0..6_000_u64 {
        let key = number.to_be_bytes();
        table.insert(u64::from(key[7] & 1), key, Fixed(key));
    }
    assert_eq!(table.len(), 6_000);
    assert!(table.heap_bytes() < 6_000 * 64, "{} bytes", table.heap_bytes());
}

#[test]
fn generations_survive_thousands_of_epochs() {
    let mut rig = Rig::<[u8; 8]>::new();
    let mut state = 7;
    (0..400).for_each(|key| rig.put(key, key));
    for epoch in 0..3_000 {
        rig.begin(epoch % 3 != 0);
        for _ in 0..random(&mut state, 6) {
            let (key, value) = (random(&mut state, 500), random(&mut state, 1 << 20));
            if value % 4 == 0 {
                rig.remove(key);
            } else {
                rig.put(key, value);
            }
        }
        // Confirmed now and then, so that bases grow old, some of them too old.
        let confirm = epoch % 7 == 0 && epoch % 1000 < 500;
        while rig.flights.len() > 8 {
            rig.step(0, confirm);
        }
    }
    rig.finish();
}

#[test]
fn a_snapshot_left_behind_stops_further_ones() {
    let mut table = Table::<[u8; 8], Fixed<8>>::new(Seed::new(3, 5), |_| 0);
    let stuck = table.begin_snapshot(true).unwrap();
    let begun = (0..1_000).take_while(|_| table.begin_snapshot(true).is_some()).count();
    assert!((150..256).contains(&begun), "{begun}");
    drop(stuck);
    assert!(table.begin_snapshot(true).is_some());
}

#[test]
fn memory_returns_after_removal() {
    let mut rig = Rig::<VarKey>::new();
    (0..20_000).for_each(|key| rig.put(key, key % 16 * 16 + 11));
    let full = rig.table.heap_bytes();
    (0..20_000).filter(|key| key % 50 != 0).for_each(|key| rig.remove(key));
    assert!(rig.table.heap_bytes() < full / 8, "{} of {full}", rig.table.heap_bytes());
    rig.finish();
}

#[test]
fn heap_bytes_are_what_the_entries_have() {
    let mut rig = Rig::<VarKey>::new();
    let empty = rig.table.heap_bytes();
    for round in 0..3 {
        (0..8_u32).for_each(|key| rig.put(key, key * 700 + round));
        (0..8_u32).for_each(|key| rig.edit(key, key * 300 + round));
    }
    (0..8_u32).for_each(|key| rig.remove(key));
    assert_eq!(rig.table.heap_bytes(), empty);
}

#[test]
fn reserve_changes_nothing_but_capacity() {
    let mut rig = Rig::<[u8; 8]>::new();
    rig.table.reserve(50_000, 800_000);
    let reserved = rig.table.heap_bytes();
    (0..50_000).for_each(|key| rig.put(key, key));
    assert!(rig.table.heap_bytes() <= reserved * 13 / 10);
    rig.begin(false);
    (0..50_000).for_each(|key| rig.edit(key, key + 1));
    rig.finish();
}

#[test]
fn long_values_find_the_shards_that_were_made_for_them() {
    let key = |number: u64| number.to_be_bytes();
    let mut table = Table::<[u8; 8], Blob>::new(Seed::new(3, 5), xxhash_rust::xxh3::xxh3_64);
    table.reserve(20_000, 20_000 * 108);
    let depth = table.depth();
    for number in 0..20_000 {
        let hash = xxhash_rust::xxh3::xxh3_64(&key(number));
        table.insert(hash, key(number), Blob::new(&[7; 100]));
    }
    assert_eq!((depth, table.depth()), (5, 5));
}

#[test]
fn too_many_removals_end_increments() {
    let mut table = Table::<[u8; 8], Fixed<8>>::new(Seed::new(3, 5), xxhash_rust::xxh3::xxh3_64);
    let first = table.begin_snapshot(true).unwrap();
    assert!(table.set_horizon(Some(first.epoch())));
    for number in 0..80_000_u64 {
        let key = number.to_be_bytes();
        table.insert(xxhash_rust::xxh3::xxh3_64(&key), key, Fixed(key));
        table.remove(xxhash_rust::xxh3::xxh3_64(&key), key);
    }
    assert!(!table.begin_snapshot(true).unwrap().since(first.epoch()));
}

#[test]
fn an_increment_leaves_out_shards_that_did_not_change() {
    let mut rig = Rig::<[u8; 8]>::new();
    (0..50_000).for_each(|key| rig.put(key, key));
    rig.begin(false);
    while rig.step(0, true) {}
    rig.edit(17, 1);
    let base = rig.table.begin_snapshot(true).unwrap().epoch() - 1;
    let mut view = rig.table.begin_snapshot(true).unwrap();
    assert!(view.since(base));
    let (mut image, mut shards, mut items) = (ShardImage::default(), 0, 0);
    while view.next_shard(&mut image) {
        shards += 1;
        image.for_each(|_| items += 1);
    }
    assert_eq!((shards, items), (1, 1));
}
