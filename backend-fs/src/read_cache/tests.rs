use std::collections::HashMap;

use alluvium_state_api::{
    Descriptor, EntryKey, KeyedBackend, ListDescriptor, MapDescriptor, MaxParallelism,
    ValueDescriptor, hash_bytes,
};

use super::*;

fn space() -> KeySpace {
    let groups = MaxParallelism::new(8).unwrap();
    KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap()
}

/// A cache of so many bytes for two counters, a text, a map of texts and a list.
fn cache(bytes: u64) -> ReadCache {
    let metas = [
        ValueDescriptor::<u64>::new("one").meta(),
        ValueDescriptor::<u64>::new("other").meta(),
        ValueDescriptor::<String>::new("text").meta(),
        MapDescriptor::<String, u64>::new("map").meta(),
        ListDescriptor::<u64>::new("list").meta(),
    ];
    let mut cache = ReadCache::new(bytes);
    for (slot, meta) in (0..).zip(&metas) {
        cache.add_state(Slot::new(slot), meta, &space());
    }
    cache
}

/// Runs `act` with the key that has this number, or of a map, one of its entries.
fn with_key<R>(number: u64, map_key: &[u8], act: impl FnOnce(&StateKey<'_>) -> R) -> R {
    let bytes = [&number.to_le_bytes()[..], map_key].concat();
    let entry = EntryKey::new(&bytes, 8, 8).unwrap();
    let hash = hash_bytes(entry.key());
    let groups = MaxParallelism::new(8).unwrap();
    act(&StateKey::new(entry, hash, 0, groups))
}

fn find(cache: &mut ReadCache, slot: u32, number: u64, map_key: &[u8]) -> Option<Vec<u8>> {
    with_key(number, map_key, |key| {
        let spot = cache.spot(Slot::new(slot), key);
        let there = cache.holds(spot, key);
        let hit = cache.find(spot, key);
        assert_eq!(hit.is_some(), there);
        hit.map(|hit| cache.lend(hit).to_vec())
    })
}

/// Adds what is not there.
fn add(cache: &mut ReadCache, slot: u32, number: u64, map_key: &[u8], value: &[u8]) {
    if find(cache, slot, number, map_key).is_none() {
        with_key(number, map_key, |key| cache.add(Slot::new(slot), key, value));
    }
}

#[test]
fn what_was_added_is_there_in_its_state_only() {
    let mut cache = cache(1 << 20);
    for number in 0..300_u64 {
        add(&mut cache, 0, number, b"", &number.to_le_bytes());
        add(&mut cache, 1, number, b"", &(number + 1).to_le_bytes());
        add(&mut cache, 2, number, b"", &vec![7; usize::try_from(number % 200).unwrap()]);
        add(&mut cache, 3, number, b"", &number.to_le_bytes());
        add(&mut cache, 3, number, b"key", &(number + 2).to_le_bytes());
        add(&mut cache, 4, number, b"", b"lists are not kept");
    }
    for number in 0..300_u64 {
        let value = |more: u64| Some((number + more).to_le_bytes().to_vec());
        assert_eq!(find(&mut cache, 0, number, b""), value(0));
        assert_eq!(find(&mut cache, 1, number, b""), value(1));
        assert_eq!(find(&mut cache, 4, number, b""), None);
        let map = [find(&mut cache, 3, number, b""), find(&mut cache, 3, number, b"key")];
        assert!(
            map.iter().zip([0, 2]).all(|(found, more)| found.is_none() || *found == value(more))
        );
        let text = find(&mut cache, 2, number, b"");
        assert!(text.is_none_or(|text| text == vec![7; text.len()]));
    }
}

#[test]
fn nothing_is_there_after_it_was_emptied_and_without_memory() {
    for bytes in [0, 100, 1 << 20] {
        let mut cache = cache(bytes);
        for round in 0..3_u8 {
            for (slot, number) in (0..50).flat_map(|number| [(0, number), (2, number), (3, number)])
            {
                assert_eq!(find(&mut cache, slot, number, b""), None, "round {round}");
                add(&mut cache, slot, number, b"", &[round; 8]);
                let found = find(&mut cache, slot, number, b"");
                assert_eq!(found.is_some(), bytes > 100, "{bytes} bytes");
                assert!(found.is_none_or(|found| found == [round; 8]));
            }
            cache.clear();
        }
    }
}

#[test]
fn memory_is_bounded_and_what_is_found_is_right() {
    let mut numbers = 1_u64;
    for bytes in [1 << 10, 6 << 10, 300 << 10] {
        let (mut cache, mut model) = (cache(bytes), HashMap::new());
        for round in 0..40_000_u64 {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (slot, number) = (u32::try_from(numbers >> 62).unwrap(), (numbers >> 40) % 3_000);
            let found = find(&mut cache, slot, number, b"");
            let known = model.get(&(slot, number));
            assert!(found.is_none() || found.as_ref() == known, "{slot} {number}");
            let length = if slot == 2 { (numbers >> 20) % 300 } else { 8 };
            let value = vec![numbers.to_le_bytes()[4]; usize::try_from(length).unwrap()];
            if found.is_none() {
                add(&mut cache, slot, number, b"", &value);
                model.insert((slot, number), value);
            }
            if round % 10_000 == 9_999 {
                cache.clear();
            }
        }
        let held = cache.held_bytes();
        assert!(held <= bytes + 3 * 64, "{held} of {bytes}");
        let (hits, misses) = cache.hits_and_misses();
        assert!(hits > 0 && misses > 0, "{hits} and {misses}");
    }
}

#[test]
fn what_does_not_pay_is_sampled_until_it_does() {
    let mut cache = cache(64 << 10);
    let misses = |cache: &ReadCache| cache.hits_and_misses().1;
    // So many keys that none is there when it comes again.
    for number in 0..200_000 {
        add(&mut cache, 0, number, b"", &[1; 8]);
    }
    let before = misses(&cache);
    for number in 0..16_000 {
        find(&mut cache, 0, number, b"");
    }
    let asked = misses(&cache) - before;
    assert!(asked < 2_000, "{asked} of 16,000 were looked for");
    // A few that are read again and again.
    for number in (0..400_000).map(|number| number % 500) {
        add(&mut cache, 0, number, b"", &[2; 8]);
    }
    let found = (0..500).filter(|number| find(&mut cache, 0, *number, b"").is_some()).count();
    assert!(found > 400, "{found} of 500");
}

#[test]
fn what_is_asked_for_by_a_word_is_there_until_it_is_forgotten() {
    let mut cache = cache(1 << 20);
    let [one, other] = [0, 1].map(|slot| cache.of_eights(Slot::new(slot)).unwrap());
    assert!((2..5).all(|slot| cache.of_eights(Slot::new(slot)).is_none()));
    for number in 0..500_u64 {
        add(&mut cache, 0, number, b"", &number.to_le_bytes());
        add(&mut cache, 1, number, b"", &(number + 1).to_le_bytes());
    }
    let both = |cache: &mut ReadCache, number: u64| {
        let key = number.to_le_bytes();
        [one, other].map(|state| (cache.eight(state, key), cache.eight_if(state, key)))
    };
    let mut found = 0;
    for number in 0..500 {
        let known = [0, 1].map(|slot| find(&mut cache, slot, number, b"").is_some());
        for (at, (word, again)) in (0..).zip(both(&mut cache, number)) {
            assert_eq!(word, again);
            assert!(word.is_none_or(|word| word == number + at));
            assert!(word.is_none() || known.get(usize::try_from(at).unwrap()) == Some(&true));
            found += u64::from(word.is_some());
        }
    }
    assert!(found > 950, "{found} of 1,000");
    for number in 0..500_u64 {
        with_key(number, b"", |key| cache.told(Slot::new(0), key, None));
        assert_eq!(find(&mut cache, 0, number, b""), None);
        let [(word, _), (of_other, _)] = both(&mut cache, number);
        assert_eq!(word, None);
        assert!(of_other.is_none_or(|word| word == number + 1));
    }
    let stay = (0..500).filter(|number| find(&mut cache, 1, *number, b"").is_some()).count();
    assert!(stay > 450, "{stay} of 500");
}

#[test]
fn what_was_forgotten_while_it_did_not_pay_is_not_there_when_it_does() {
    let mut cache = cache(64 << 10);
    let state = cache.of_eights(Slot::new(0)).unwrap();
    let is_there = |cache: &mut ReadCache, number: u64| cache.eight(state, number.to_le_bytes());
    for number in 0..1_000 {
        add(&mut cache, 0, number, b"", &[1; 8]);
    }
    // So many keys that none is there when it comes again: most sets are left alone, with what is in them.
    for number in 1_000..60_000 {
        add(&mut cache, 0, number, b"", &[1; 8]);
    }
    let hidden: Vec<u64> = (0..60_000).filter(|n| is_there(&mut cache, *n).is_none()).collect();
    for number in 0..60_000 {
        with_key(number, b"", |key| cache.told(Slot::new(0), key, None));
    }
    // A few that are read again and again, until it pays.
    for number in (0..400_000).map(|number| 100_000 + number % 500) {
        add(&mut cache, 0, number, b"", &[2; 8]);
    }
    let seen = hidden.iter().filter(|number| is_there(&mut cache, **number).is_some()).count();
    assert!(hidden.len() > 50_000 && seen == 0, "{seen} of {}", hidden.len());
}
