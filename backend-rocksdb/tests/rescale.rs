//! Restores at another parallelism from RocksDB's own files: what is taken as it is, what is copied, and what increments
//! share afterwards.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_backend_rocksdb::{OptionsHook, RocksStore, rocksdb};
use alluvium_state_api::snapshot::{FileLocation, FileName, KeyedSnapshot, SnapshotKind};
use alluvium_state_api::testkit::fixtures::{Everything, Image, group_of};
use alluvium_state_api::testkit::{Backend, Harness, Kit, Profile, Taken};
use alluvium_state_api::{
    KeyedStore, ListDescriptor, ListState, MapDescriptor, MapState, MaxParallelism, OpenEnv,
    RestorePart, Result, ValueDescriptor, ValueState,
};
use harness::{BLOB_BYTES, PROFILE, TINY, harnesses};

harnesses! {
    /// Default options.
    Plain: PROFILE;
    /// Short of memory, so that there are many tables on several levels.
    Tiny: TINY;
    /// All values in blob files.
    Blobs: Profile { buffer_bytes: BLOB_BYTES, ..TINY };
}

/// Short of memory, but nothing is compacted, so that all tables are on the first level and stay what they are.
#[derive(Debug, Default)]
struct Still;

impl Harness for Still {
    type Store = RocksStore;

    fn profile(&self) -> Profile {
        TINY
    }

    fn open(&self, env: OpenEnv) -> Result<RocksStore> {
        let mut options = harness::options(TINY);
        options.hook = Some(Arc::new(NoCompaction));
        RocksStore::open_with(env, options)
    }
}

#[derive(Debug)]
struct NoCompaction;

impl OptionsHook for NoCompaction {
    fn column_family(&self, options: &mut rocksdb::Options) {
        options.set_disable_auto_compactions(true);
        options.set_level_zero_slowdown_writes_trigger(1_000);
        options.set_level_zero_stop_writes_trigger(1_000);
    }
}

const INCREMENTAL: SnapshotKind = SnapshotKind::Incremental;
const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("number");
const OTHER: ValueDescriptor<u64> = ValueDescriptor::new("another");
const PAGES: MapDescriptor<u64, u64> = MapDescriptor::new("pages");

/// The subtasks of a job.
struct Job<H: Harness> {
    kit: Kit<H>,
    stores: Vec<Backend<H>>,
}

impl<H: Harness> Job<H> {
    fn new(parallelism: u32) -> Self {
        let mut job = Self { kit: Kit::new(), stores: Vec::new() };
        job.open(parallelism, &[]);
        job
    }

    /// All subtasks, with what a checkpoint has for each.
    fn open(&mut self, parallelism: u32, taken: &[Taken]) {
        let groups = MaxParallelism::new(10).unwrap();
        let id = taken.last().map(|taken| taken.id);
        self.stores.clear();
        for subtask in 0..parallelism {
            let range = groups.range_of(subtask, parallelism).unwrap();
            let of = |taken: &&Taken| !taken.snapshot.range.intersection(range).is_empty();
            // One checkpoint, although the kit counts each snapshot as its own.
            let part = |taken: &Taken| RestorePart { base: id, ..taken.part() };
            let parts = taken.iter().filter(of).map(part).collect();
            self.stores.push(self.kit.try_open::<u64>(groups, range, parts).unwrap());
        }
    }

    fn take(&mut self) -> Vec<Taken> {
        let kit = &self.kit;
        self.stores.iter_mut().map(|store| kit.confirm(store, INCREMENTAL)).collect()
    }

    /// Calls it for each key with the store that has it.
    fn each(
        &mut self,
        keys: impl IntoIterator<Item = u64>,
        mut f: impl FnMut(&mut Backend<H>, u64),
    ) {
        for key in keys {
            let has = |store: &&mut Backend<H>| {
                let space = store.store().key_space();
                space.range().contains(group_of(space, &key))
            };
            f(self.stores.iter_mut().find(has).unwrap(), key);
        }
    }
}

/// Files that snapshots have in the job's directory of shared files.
fn shared<'a>(snapshots: impl IntoIterator<Item = &'a KeyedSnapshot>) -> BTreeSet<FileName> {
    let files = snapshots.into_iter().flat_map(|snapshot| &snapshot.files);
    let shared = files.filter_map(|file| match &file.stored.location {
        FileLocation::Shared(name) => Some(name.clone()),
        _ => None,
    });
    shared.collect()
}

fn tables(taken: &[Taken]) -> BTreeSet<FileName> {
    shared(taken.iter().map(|taken| &taken.snapshot))
}

/// Sets values of 8 bytes.
fn put<H: Harness>(job: &mut Job<H>, keys: std::ops::Range<u64>, value: u64) {
    job.each(keys, |store, key| {
        let handle = store.open(VALUE).unwrap();
        store.at(&key).unwrap().value(handle).set(&value).unwrap();
    });
}

/// Changes and rescales a job again and again, with every kind of state, and compares it with what it should have.
fn course<H: Harness>(parallelisms: &[u32], keys: u64) {
    let mut job = Job::<H>::new(parallelisms[0]);
    let (mut image, mut large) = (Image::new(), BTreeMap::new());
    for (step, next) in (1..).zip(parallelisms.iter().skip(1).chain(&parallelisms[..1])) {
        for round in 0..3 {
            let seed = step * 1_000 + round * 100;
            // Some keys change in each round, some go away, some never come again.
            let changed = (0..keys).filter(move |key| (key + step + round) % 3 == 0);
            job.each(changed, |store, key| {
                let states = Everything::open(store);
                let pages = store.open(PAGES).unwrap();
                if (key + seed) % 5 == 0 {
                    states.remove(store, key);
                    store.at(&key).unwrap().map(pages).clear().unwrap();
                    image.remove(&key);
                    large.remove(&key);
                } else {
                    states.put(store, key, seed + key);
                    image.insert(key, seed + key);
                    if key % 7 == 0 {
                        // Long enough that removing it is a range deletion.
                        let mut cx = store.at(&key).unwrap();
                        for page in 0..40 {
                            cx.map(pages).insert(&(page * round), &seed).unwrap();
                            large
                                .entry(key)
                                .or_insert_with(BTreeMap::new)
                                .insert(page * round, seed);
                        }
                    }
                }
            });
            let _increment = job.take();
        }
        let taken = job.take();
        job.open(*next, &taken);
        for store in &mut job.stores {
            let states = Everything::open(store);
            states.check(store, &image, keys + 10);
        }
        job.each(0..keys, |store, key| {
            let pages = store.open(PAGES).unwrap();
            let mut found = store.at(&key).unwrap().map(pages).entries().unwrap();
            found.sort_unstable();
            let expected = large.get(&key).cloned().unwrap_or_default();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "step {step}, key {key}");
        });
    }
}

#[test]
fn a_job_has_what_it_had_at_any_parallelism() {
    for parallelisms in [&[2, 1][..], &[2, 3, 5], &[1, 2, 1, 2], &[3, 2, 4, 1]] {
        course::<Still>(parallelisms, 200);
        course::<Plain>(parallelisms, 200);
        course::<Blobs>(parallelisms, 100);
    }
}

#[test]
fn a_job_with_tables_on_several_levels_has_what_it_had() {
    for parallelisms in [&[2, 1][..], &[2, 3], &[1, 2, 1, 3, 2]] {
        course::<Tiny>(parallelisms, 1_500);
    }
}

#[test]
fn tables_of_all_parts_are_taken_as_they_are() {
    for (before, after) in [(2, 1), (2, 3), (3, 2), (5, 1)] {
        let mut job = Job::<Still>::new(before);
        put(&mut job, 0..60_000, 1);
        put(&mut job, 0..3_000, 2);
        let taken = job.take();
        job.open(after, &taken);
        put(&mut job, 0..30, 3);
        let next = job.take();
        let (old, new) = (tables(&taken), tables(&next));
        assert!(old.len() > 20 && old.is_subset(&new), "{before} to {after}: {old:?}, {new:?}");
        // One table for each store more, for what has changed.
        assert!(new.len() <= old.len() + usize::try_from(after).unwrap(), "{before} to {after}");
        // Increments go on from there.
        put(&mut job, 30..60, 3);
        let last = job.take();
        assert!(new.is_subset(&tables(&last)));
        let bytes: u64 = last.iter().map(|taken| taken.snapshot.bytes_new).sum();
        assert!(bytes < 60_000, "{bytes}");
        job.open(before, &last);
        job.each(0..60_000, |store, key| {
            let handle = store.open(VALUE).unwrap();
            let expected = match key {
                0..60 => 3,
                60..3_000 => 2,
                _ => 1,
            };
            let found = store.at(&key).unwrap().value(handle).get().unwrap();
            assert_eq!(found, Some(expected), "{before} to {after}, key {key}");
        });
    }
}

#[test]
fn only_the_job_s_own_tables_are_shared() {
    let mut job = Job::<Still>::new(2);
    put(&mut job, 0..10_000, 1);
    let taken = job.take();
    let whole = job.kit.restore::<u64>(&[&taken[0], &taken[1]]);
    job.stores = vec![whole];
    assert!(tables(&job.take()).is_disjoint(&tables(&taken)));
    // Of one checkpoint and another one, neither is the base.
    let parts = vec![taken[0].part_as_base(), taken[1].part_as_base()];
    let groups = MaxParallelism::new(10).unwrap();
    job.stores = vec![job.kit.try_open(groups, groups.all(), parts).unwrap()];
    assert!(tables(&job.take()).is_disjoint(&tables(&taken)));
}

#[test]
fn states_of_one_part_alone_keep_their_numbers_and_its_tables() {
    let mut job = Job::<Still>::new(2);
    put(&mut job, 0..10_000, 1);
    let groups = MaxParallelism::new(10).unwrap();
    let second = groups.range_of(1, 2).unwrap();
    job.each(0..10_000, |store, key| {
        if store.store().key_space().range() == second {
            let handle = store.open(OTHER).unwrap();
            store.at(&key).unwrap().value(handle).set(&key).unwrap();
        }
    });
    let taken = job.take();
    for _ in 0..2 {
        job.open(1, &taken);
        // A new state does not get the number of one that is known.
        let store = &mut job.stores[0];
        let fresh = store.open(ValueDescriptor::<u64>::new("a new one")).unwrap();
        store.at(&1).unwrap().value(fresh).set(&7).unwrap();
        let next = job.take();
        assert!(tables(&taken).is_subset(&tables(&next)));
        job.open(3, &next);
        job.each(0..10_000, |store, key| {
            let (value, other) = (store.open(VALUE).unwrap(), store.open(OTHER).unwrap());
            let space = store.store().key_space().clone();
            let has_other = second.contains(group_of(&space, &key));
            let mut cx = store.at(&key).unwrap();
            assert_eq!(cx.value(value).get().unwrap(), Some(1));
            assert_eq!(cx.value(other).get().unwrap(), has_other.then_some(key), "key {key}");
        });
    }
}

#[test]
fn states_with_other_numbers_are_copied() {
    let mut job = Job::<Still>::new(2);
    // The second store knows another state first.
    let first = job.stores[1].open(ValueDescriptor::<u64>::new("a state before")).unwrap();
    job.each(0..10_000, |store, key| {
        let handle = store.open(VALUE).unwrap();
        store.at(&key).unwrap().value(handle).set(&key).unwrap();
    });
    let groups = MaxParallelism::new(10).unwrap();
    let second = groups.range_of(1, 2).unwrap();
    job.each(0..10_000, |store, key| {
        if store.store().key_space().range() == second {
            store.at(&key).unwrap().value(first).set(&(key + 1)).unwrap();
        }
    });
    let taken = job.take();
    job.open(1, &taken);
    let next = tables(&job.take());
    let of = |taken: &Taken| shared([&taken.snapshot]);
    let (one, other) = (of(&taken[0]), of(&taken[1]));
    assert!(one.is_subset(&next) != other.is_subset(&next), "one is copied");
    assert!(one.is_disjoint(&next) != other.is_disjoint(&next));
    job.each(0..10_000, |store, key| {
        let value = store.open(VALUE).unwrap();
        let before = store.open(ValueDescriptor::<u64>::new("a state before")).unwrap();
        let has = second.contains(group_of(&store.store().key_space().clone(), &key));
        let mut cx = store.at(&key).unwrap();
        assert_eq!(cx.value(value).get().unwrap(), Some(key));
        assert_eq!(cx.value(before).get().unwrap(), has.then_some(key + 1));
    });
}

#[test]
fn long_lists_that_were_copied_are_replaced_as_a_whole() {
    let lists = ListDescriptor::<Vec<u8>>::new("lists");
    let mut job = Job::<Still>::new(2);
    // Each store knows another state first, so that one of them has to give its numbers up.
    let second = MaxParallelism::new(10).unwrap().range_of(1, 2).unwrap();
    job.each(0..40, |store, key| {
        if store.store().key_space().range() == second {
            let handle = store.open(lists).unwrap();
            store.at(&key).unwrap().list(handle).add_all(&vec![vec![1; 50_000]; 4]).unwrap();
        }
        let value = store.open(VALUE).unwrap();
        store.at(&key).unwrap().value(value).set(&key).unwrap();
    });
    let taken = job.take();
    job.open(1, &taken);
    job.each(0..40, |store, key| {
        let handle = store.open(lists).unwrap();
        let mut cx = store.at(&key).unwrap();
        let mut list = cx.list(handle);
        list.update(&[vec![2; 8]]).unwrap();
        list.add_all(&vec![vec![3; 50_000]; 2]).unwrap();
        let elements = [vec![2; 8], vec![3; 50_000], vec![3; 50_000]];
        assert_eq!(list.get().unwrap(), elements, "{key}");
    });
}

#[test]
fn what_a_former_rescale_left_does_not_come_back() {
    for course in [&[1, 2, 1, 2][..], &[1, 3, 2, 1], &[2, 3, 2, 3]] {
        let mut job = Job::<Still>::new(course[0]);
        let keys = 5_000;
        put(&mut job, 0..keys, 1);
        for (version, next) in (2..).zip(&course[1..]) {
            let taken = job.take();
            job.open(*next, &taken);
            // What other stores have of these keys is older, and is hidden by a cut alone.
            job.each(0..keys, |store, key| {
                let handle = store.open(VALUE).unwrap();
                let mut cx = store.at(&key).unwrap();
                match key % 3 {
                    0 => cx.value(handle).clear().unwrap(),
                    1 => cx.value(handle).set(&version).unwrap(),
                    _ => {}
                }
            });
        }
        let taken = job.take();
        let last = (2..).zip(&course[1..]).last().unwrap().0;
        job.open(1, &taken);
        job.each(0..keys, |store, key| {
            let handle = store.open(VALUE).unwrap();
            let expected = [None, Some(last), Some(1)][usize::try_from(key % 3).unwrap()];
            let found = store.at(&key).unwrap().value(handle).get().unwrap();
            assert_eq!(found, expected, "{course:?}, key {key}");
        });
    }
}

#[test]
fn large_maps_that_were_removed_and_filled_again_are_whole() {
    const ENTRIES: u64 = 3_000;
    let mut job = Job::<Tiny>::new(2);
    let mut image = BTreeMap::new();
    for round in 0..24_u64 {
        for key in 0..8 {
            let removes = (key + round) % 3 == 0;
            job.each(key..=key, |store, key| {
                let pages = store.open(PAGES).unwrap();
                let mut cx = store.at(&key).unwrap();
                if removes {
                    cx.map(pages).clear().unwrap();
                    image.retain(|(other, _), _| *other != key);
                }
                // A part of the map only, so that compaction meets it alone.
                let from = (key * 7 + round * 5) % 10 * ENTRIES / 10;
                for page in from..from + ENTRIES / 5 {
                    cx.map(pages).insert(&page, &round).unwrap();
                    image.insert((key, page), round);
                }
            });
        }
        let taken = job.take();
        let mut whole = job.kit.restore::<u64>(&[&taken[0], &taken[1]]);
        let pages = whole.open(PAGES).unwrap();
        for key in 0..8 {
            let mut found = whole.at(&key).unwrap().map(pages).entries().unwrap();
            found.sort_unstable();
            let of = image.range((key, 0)..(key + 1, 0));
            let expected: Vec<(u64, u64)> = of.map(|((_, page), round)| (*page, *round)).collect();
            assert!(found == expected, "round {round}, key {key}");
        }
    }
}
