//! Placement against key groups and ranges that real Flink computed, and frozen values of our own.

use super::*;
use crate::{EntryKey, MaxParallelism, entry_hash_of};

const VECTORS: &str = include_str!("../../tests/vectors/flink-key-groups.tsv");

fn java_hash_of(kind: &str, key: &str) -> i32 {
    match kind {
        "int" => key.parse::<i32>().unwrap().java_hash(),
        "long" => key.parse::<i64>().unwrap().java_hash(),
        "short" => key.parse::<i16>().unwrap().java_hash(),
        "bool" => key.parse::<bool>().unwrap().java_hash(),
        "string" => key.java_hash(),
        other => panic!("unknown vector kind {other}"),
    }
}

/// The file's rows are `kind, key, maximum parallelism, key group`, or for ranges
/// `range, "max,parallelism,subtask", first, last` (inclusive; an empty range ends before it starts).
#[test]
fn placement_and_ranges_agree_with_real_flink() {
    let (mut keys, mut ranges) = (0, 0);
    for line in VECTORS.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, key, a, b] = fields[..] else { panic!("odd row {line:?}") };
        if kind == "range" {
            let parts: Vec<u32> = key.split(',').map(|part| part.parse().unwrap()).collect();
            let range =
                MaxParallelism::new(parts[0]).unwrap().range_of(parts[2], parts[1]).unwrap();
            let (first, last): (i32, i32) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(i32::from(range.start()), first, "{line}");
            assert_eq!(i32::from(range.end()), last + 1, "{line}");
            ranges += 1;
        } else {
            let groups = MaxParallelism::new(a.parse().unwrap()).unwrap();
            let group = groups.group_of(flink_murmur(java_hash_of(kind, key)));
            assert_eq!(group.index(), b.parse::<u16>().unwrap(), "{line}");
            keys += 1;
        }
    }
    assert_eq!((keys, ranges), (800, 200));
}

#[test]
fn murmur_takes_the_absolute_value_the_way_flink_does() {
    assert_eq!(flink_murmur(0), 593_689_054);
    assert_eq!(flink_murmur(-1), 1_982_413_648);
    assert_eq!(flink_murmur(i32::MIN), 1_718_298_732);
    assert_eq!(flink_murmur(-2_089_875_627), 0);
    assert_eq!(flink_murmur(-1_035_494_534), 0);
}

#[test]
fn java_hash_codes_are_javas() {
    assert_eq!("flink".java_hash(), 97_520_992);
    assert_eq!(1_234_567_890_123_i64.java_hash(), 1_912_276_436);
    assert_eq!([1u8, 255][..].java_hash(), 31 * (31 + 1) - 1);
    assert_eq!((1i32, 2i32).java_hash(), 33);
    assert_eq!((1i32, "a".to_owned(), true).java_hash(), 31 * (31 + 97) + 1231);
    assert_eq!(0.0f64.java_hash(), 0);
}

#[test]
fn suffixes_of_any_hash_mix_without_overflow() {
    for hash in [0, 1, u64::MAX, 0x8000_0000_0000_0000] {
        assert_ne!(hash_with_suffix(hash, b"a"), hash_with_suffix(hash, b"b"));
    }
}

/// Frozen for ever: lookups in state files find entries by it (FORMAT.md 2.10).
#[test]
fn hash_of_an_entry_is_frozen() {
    let bytes = b"keywindowmap";
    let entry = EntryKey::new(bytes, 3, 9).unwrap();
    let (x, y) = (hash_bytes(b"key"), hash_bytes(b"windowmap"));
    let product = u128::from(x ^ y) * 0x9e37_79b9_7f4a_7c15;
    let (low, high) = ((x ^ y).wrapping_mul(0x9e37_79b9_7f4a_7c15), (product >> 64) as u64);
    assert_eq!(entry_hash_of(entry), low ^ high.rotate_left(32));
    assert_eq!(entry_hash_of(entry), 0x9b07_f774_57c9_ae54);
    assert_eq!(entry_hash_of(EntryKey::new(b"key", 3, 3).unwrap()), x);
}

/// Frozen for ever: a change here moves every key of every snapshot.
#[test]
fn stable_hash_is_frozen() {
    assert_eq!(hash_bytes(&[]), 0x2d06_8005_38d3_94c2);
    assert_eq!(hash_bytes(&1u64.to_be_bytes()), 0xf36b_4a1a_44f7_8bf3);
    assert_eq!(hash_bytes(b"alluvium\0"), 0xc1d1_4d01_6f23_de97);
    assert_eq!(stable_placement(0x1234_5678_9abc_def0), 0x1234_5678);
}
