//! Rescales cut at the edges of key-group numbers of one and two bytes, with keys at the edges of what
//! bytes can be. Flink: `testClipDBWithKeyGroupRange`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::contents::{Contents, assert_holds, contents_of};
use super::fixtures::{group_of, refused};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, groups};
use crate::codec::Native;
use crate::schema::KeySpace;
use crate::snapshot::SnapshotKind;
use crate::{
    ErrorKind, KeyGroupRange, KeyedStore, ListDescriptor, ListState, MapDescriptor, MaxParallelism,
    StableHash, ValueDescriptor, ValueState,
};

type Key = Vec<u8>;

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
const LIST: ListDescriptor<u64> = ListDescriptor::new("list");
const MAP: MapDescriptor<Vec<u8>, u8> = MapDescriptor::new("map");

/// Key groups on both sides of where their number gets another byte, another bit, or ends.
const EDGES: [u32; 8] = [0, 1, 127, 128, 255, 256, 32_766, 32_767];

/// Two keys in each of these key groups that exist, one of them beginning with 0xff; the empty key;
/// keys of 0xff and of zeros only.
fn keys(groups: MaxParallelism) -> Vec<Key> {
    let space = KeySpace::of::<Key, Native, StableHash>(groups, groups.all()).unwrap();
    let mut keys: BTreeSet<Key> = BTreeSet::from([Vec::new()]);
    for byte in [0, 0xff] {
        keys.extend([1, 2, 3, 7, 8, 9, 16, 17, 40].map(|length| vec![byte; length]));
    }
    for prefix in [&[][..], &[0xff, 0xff, 0xff]] {
        let wanted = EDGES.iter().filter(|edge| **edge < u32::from(groups.get()));
        let mut wanted: BTreeSet<u32> = wanted.copied().collect();
        for number in 0_u32.. {
            let key = [prefix, &number.to_be_bytes()].concat();
            if wanted.remove(&u32::from(group_of(&space, &key).index())) {
                keys.insert(key);
            }
            if wanted.is_empty() {
                break;
            }
        }
    }
    keys.into_iter().collect()
}

/// The same, looked for once in a process.
fn keys_at_edges(groups: MaxParallelism) -> Vec<Key> {
    static FOUND: OnceLock<BTreeMap<u16, Vec<Key>>> = OnceLock::new();
    let all = [128, 129, 256, 257, 32_768];
    let found = FOUND.get_or_init(|| {
        let spaces = all.map(super::harness::groups);
        spaces.into_iter().map(|groups| (groups.get(), keys(groups))).collect()
    });
    found[&groups.get()].clone()
}

/// The ranges between these cuts, as far as there are key groups.
fn ranges(groups: MaxParallelism, cuts: &[u16]) -> Vec<KeyGroupRange> {
    let cuts: BTreeSet<u16> =
        cuts.iter().map(|cut| (*cut).min(groups.get())).chain([0, groups.get()]).collect();
    let cuts: Vec<u16> = cuts.into_iter().collect();
    cuts.windows(2).map(|pair| KeyGroupRange::new(pair[0], pair[1]).unwrap()).collect()
}

fn open<H: Harness>(
    kit: &Kit<H>,
    groups: MaxParallelism,
    range: KeyGroupRange,
    from: &[Taken],
) -> Backend<H, Key> {
    let touching = from.iter().filter(|taken| !taken.snapshot.range.intersection(range).is_empty());
    kit.try_open(groups, range, touching.map(Taken::part_as_base).collect()).unwrap()
}

fn filled<H: Harness>(
    kit: &Kit<H>,
    groups: MaxParallelism,
    keys: &[Key],
) -> (Backend<H, Key>, Contents) {
    let mut backend = open(kit, groups, groups.all(), &[]);
    let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
    let map = backend.open(MAP).unwrap();
    for key in keys {
        let mut cx = backend.at(key).unwrap();
        cx.value(value).set(key).unwrap();
        cx.list(list).add_all(&[key.len() as u64, u64::MAX]).unwrap();
        cx.map(map).insert(&b""[..], &0).unwrap();
        cx.map(map).insert(&[0xff][..], &1).unwrap();
    }
    let whole = contents_of(backend.store_mut());
    assert_eq!(whole.len(), 4 * keys.len());
    (backend, whole)
}

/// Point reads find the keys that a store owns; others are refused.
fn check_points<H: Harness>(backend: &mut Backend<H, Key>, keys: &[Key]) {
    let value = backend.open(VALUE).unwrap();
    let space = backend.store().key_space().clone();
    for key in keys {
        if space.range().contains(group_of(&space, key)) {
            assert!(backend.at(key).unwrap().value(value).get().unwrap().as_ref() == Some(key));
        } else {
            refused(backend.at(key).map(drop), ErrorKind::InvalidInput);
        }
    }
}

/// All to one range per edge, to other cuts, and back to one, by each kind of snapshot.
fn cut<H: Harness>(kit: &Kit<H>, count: u32) {
    let groups = groups(count);
    let keys = keys_at_edges(groups);
    let cuts: [&[u16]; 3] =
        [&[1, 127, 128, 129, 255, 256, 257, 32_766, 32_767], &[128, 256, 32_767], &[]];
    for kind in KINDS {
        let (mut backend, whole) = filled(kit, groups, &keys);
        let mut taken = vec![kit.take(&mut backend, kind)];
        for cuts in cuts {
            let ranges = ranges(groups, cuts);
            let reopen = |range: &KeyGroupRange| open(kit, groups, *range, &taken);
            let mut backends: Vec<_> = ranges.iter().map(reopen).collect();
            assert_holds(backends.iter_mut().map(Backend::<H, Key>::store_mut), &whole);
            for backend in &mut backends {
                check_points::<H>(backend, &keys);
            }
            taken = backends.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        }
    }
}

/// 128 and 129 key groups: the last number that Flink puts into one byte, and one more.
pub fn of_one_byte<H: Harness>(kit: &Kit<H>) {
    cut(kit, 128);
    cut(kit, 129);
}

/// 256 and 257 key groups: the last number that fits into one byte, and one more.
pub fn of_two_bytes<H: Harness>(kit: &Kit<H>) {
    cut(kit, 256);
    cut(kit, 257);
}

/// 32,768 key groups, up to the last one.
pub fn of_all_groups<H: Harness>(kit: &Kit<H>) {
    cut(kit, 32_768);
}

/// Key groups that are empty of entries, and ranges that own nothing but them.
pub fn of_empty_groups<H: Harness>(kit: &Kit<H>) {
    let groups = groups(32_768);
    let key = keys_at_edges(groups).swap_remove(0);
    for kind in KINDS {
        let (mut backend, whole) = filled(kit, groups, std::slice::from_ref(&key));
        let group = group_of(backend.store().key_space(), &key).index();
        let taken = vec![kit.take(&mut backend, kind)];
        let ranges = ranges(groups, &[group, group + 1]);
        let reopen = |range: &KeyGroupRange| open(kit, groups, *range, &taken);
        let mut backends: Vec<_> = ranges.iter().map(reopen).collect();
        assert_holds(backends.iter_mut().map(Backend::<H, Key>::store_mut), &whole);
        let again: Vec<_> = backends.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        let mut backend = open(kit, groups, groups.all(), &again);
        assert_holds([backend.store_mut()], &whole);
        let savepoint = kit.take(&mut backend, SnapshotKind::Canonical);
        assert_eq!(savepoint.snapshot.states.len(), 3);
    }
}
