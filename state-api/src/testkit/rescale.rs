//! Other parallelism: every key group of every part ends up where it belongs, once.

use super::contents::{Contents, assert_holds, contents_of};
use super::fixtures::{Everything, Image, group_of, image, refused};
use super::harness::{Backend, Harness, KINDS, Kit, Taken, groups, total_entries};
use crate::snapshot::SnapshotKind;
use crate::{ErrorKind, KeyGroupRange, KeyedStore, MaxParallelism, ValueDescriptor, ValueState};

/// Parallelism before and after.
const STEPS: [u32; 5] = [1, 2, 3, 5, 8];

fn open_all<H: Harness>(
    kit: &Kit<H>,
    groups: MaxParallelism,
    parallelism: u32,
    from: &[Taken],
    as_base: bool,
) -> Vec<Backend<H>> {
    let open = |subtask| {
        let range = groups.range_of(subtask, parallelism).unwrap();
        let part = |taken: &Taken| {
            if as_base { taken.part_as_base() } else { taken.part() }
        };
        let touching = from.iter().filter(|t| !t.snapshot.range.intersection(range).is_empty());
        kit.try_open::<u64>(groups, range, touching.map(part).collect()).unwrap()
    };
    (0..parallelism).map(open).collect()
}

fn fill_all<H: Harness>(backends: &mut [Backend<H>], image: &Image) {
    for backend in backends {
        let states = Everything::open(backend);
        let space = backend.store().key_space().clone();
        for (key, seed) in image {
            if space.range().contains(group_of(&space, key)) {
                states.put(backend, *key, *seed);
            }
        }
    }
}

fn check_all<H: Harness>(backends: &mut [Backend<H>], image: &Image, domain: u64) {
    for backend in backends.iter_mut() {
        let states = Everything::open(backend);
        states.check(backend, image, domain);
    }
    let total: u64 = backends.iter().map(total_entries).sum();
    let exact = backends.iter().all(|backend| {
        let statistics = backend.statistics();
        let exact = |count| matches!(count, crate::snapshot::EntryCount::Exact(_));
        statistics.states.iter().all(|state| exact(state.entries))
    });
    let want = image.len() as u64 * Everything::ENTRIES_PER_KEY;
    assert!(total == want || !exact, "{total} entries in all subtasks, not {want}");
}

fn matrix<H: Harness>(kit: &Kit<H>, count: u32, keys: u64, steps: &[u32]) {
    for kind in KINDS {
        for from in steps {
            to_each(kit, (count, keys), kind, *from, steps);
        }
    }
}

fn to_each<H: Harness>(
    kit: &Kit<H>,
    (count, keys): (u32, u64),
    kind: SnapshotKind,
    from: u32,
    steps: &[u32],
) {
    let (groups, image) = (groups(count), image(keys, 100));
    let mut old = open_all(kit, groups, from, &[], false);
    fill_all::<H>(&mut old, &image);
    let taken: Vec<_> = old.iter_mut().map(|backend| kit.take(backend, kind)).collect();
    for to in steps {
        let mut new = open_all(kit, groups, *to, &taken, true);
        check_all::<H>(&mut new, &image, keys + 5);
    }
}

/// p to q for p and q of 1, 2, 3, 5 and 8, with ten key groups.
/// Flink: `testKeyGroupSnapshotRestoreScaleUp`, `...ScaleDown`, `testKeyGroupsSnapshotRestoreNoRescale`.
pub fn with_ten_groups<H: Harness>(kit: &Kit<H>) {
    matrix(kit, 10, 40, &STEPS);
}

/// The same with 128 key groups.
pub fn with_128_groups<H: Harness>(kit: &Kit<H>) {
    matrix(kit, 128, 40, &STEPS);
}

/// The same with 32,768 key groups, the most there can be; the kinds of snapshot in turns.
pub fn with_32768_groups<H: Harness>(kit: &Kit<H>) {
    for (from, kind) in STEPS.into_iter().zip(KINDS.into_iter().cycle()) {
        to_each(kit, (32_768, 20), kind, from, &STEPS);
    }
}

/// As many subtasks as key groups, and one key group in all.
pub fn with_as_many_subtasks_as_groups<H: Harness>(kit: &Kit<H>) {
    matrix(kit, 5, 30, &[5, 1]);
    matrix(kit, 1, 10, &[1]);
}

/// 15 to 77 and back. Flink: `testKeyGroupSnapshotRestoreScaleUpUnEvenDistribute`, `...ScaleDown...`.
pub fn uneven<H: Harness>(kit: &Kit<H>) {
    let (groups, image) = (groups(128), image(60, 7));
    for kind in KINDS {
        for (from, to) in [(15, 77), (77, 15)] {
            let mut old = open_all(kit, groups, from, &[], false);
            fill_all::<H>(&mut old, &image);
            let taken: Vec<_> = old.iter_mut().map(|backend| kit.take(backend, kind)).collect();
            let mut new = open_all(kit, groups, to, &taken, false);
            check_all::<H>(&mut new, &image, 60);
        }
    }
}

/// 4 to 2, 2 to 4 and 2 to 2 of 128 key groups: each entry is in the store that owns its key group, and
/// in no other. Flink: `testKeyGroupSnapshotRestoreScaleDown`, `...ScaleUp`,
/// `testKeyGroupsSnapshotRestoreNoRescale`.
pub fn four_to_two_and_back<H: Harness>(kit: &Kit<H>) {
    let (groups, image) = (groups(128), image(60, 7));
    for kind in KINDS {
        let mut backends = open_all(kit, groups, 4, &[], false);
        fill_all::<H>(&mut backends, &image);
        let whole = contents_of_all::<H>(&mut backends);
        for parallelism in [2, 4, 2, 2] {
            let taken: Vec<_> =
                backends.iter_mut().map(|backend| kit.take(backend, kind)).collect();
            backends = open_all(kit, groups, parallelism, &taken, true);
            assert_holds(backends.iter_mut().map(Backend::<H>::store_mut), &whole);
        }
        check_all::<H>(&mut backends, &image, 60);
    }
}

fn contents_of_all<H: Harness>(backends: &mut [Backend<H>]) -> Contents {
    backends.iter_mut().flat_map(|backend| contents_of(backend.store_mut())).collect()
}

/// Ranges that no parallelism gives, of one key group up to nearly all, restored from parts in another
/// order, again and again; kinds alternate, and changes come between. Invariant I7 of a rescale: nothing
/// is lost, nothing is twice, everything is where it belongs.
pub fn unaligned_ranges<H: Harness>(kit: &Kit<H>) {
    const CUTS: [&[u16]; 7] =
        [&[1], &[1, 2, 3, 127], &[64, 65], &[127], &[13, 14, 77, 78, 126], &[], &[30, 100]];
    let (groups, mut image) = (groups(128), image(60, 7));
    let mut backends = open_all(kit, groups, 1, &[], false);
    fill_all::<H>(&mut backends, &image);
    for (round, cuts) in (0..).zip(CUTS.into_iter().cycle().take(14)) {
        let kind = KINDS[round % 3];
        let whole = contents_of_all::<H>(&mut backends);
        let mut taken: Vec<_> =
            backends.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        taken.reverse();
        let middle = round % taken.len();
        taken.rotate_left(middle);
        let ends: Vec<u16> = [&[0], cuts, &[groups.get()]].concat();
        let ranges = ends.windows(2).map(|pair| KeyGroupRange::new(pair[0], pair[1]).unwrap());
        let reopen = |range| {
            let parts = taken.iter().map(Taken::part_as_base).collect();
            kit.try_open::<u64>(groups, range, parts).unwrap()
        };
        backends = ranges.map(reopen).collect();
        assert_holds(backends.iter_mut().map(Backend::<H>::store_mut), &whole);
        let key = round as u64;
        for backend in &mut backends {
            let states = Everything::open(backend);
            if backend.at(&key).is_ok() {
                states.put(backend, key, 900 + key);
                image.insert(key, 900 + key);
            }
        }
        check_all::<H>(&mut backends, &image, 60);
    }
}

/// Rescaled again and again without a change in between: content and digests stay as they were.
pub fn repeated<H: Harness>(kit: &Kit<H>) {
    let (groups, image) = (groups(128), image(40, 7));
    for kind in KINDS {
        let mut backends = open_all(kit, groups, 3, &[], false);
        fill_all::<H>(&mut backends, &image);
        let whole = contents_of_all::<H>(&mut backends);
        let mut first = None;
        for parallelism in [8, 5, 1, 2, 8, 3] {
            let taken: Vec<_> =
                backends.iter_mut().map(|backend| kit.take(backend, kind)).collect();
            let states = || taken.iter().flat_map(|taken| &taken.snapshot.states);
            if states().all(|state| state.digest.is_some()) {
                let digests = states().filter_map(|state| state.digest);
                let sum = digests.fold(0, |sum: u128, digest| sum.wrapping_add(digest.0));
                assert_eq!(*first.get_or_insert(sum), sum, "digests of {kind:?}");
            }
            backends = open_all(kit, groups, parallelism, &taken, true);
            assert_holds(backends.iter_mut().map(Backend::<H>::store_mut), &whole);
        }
    }
}

/// Subtasks with states of different names. Flink: `testKeyGroupSnapshotRestore`.
pub fn subtasks_may_have_different_states<H: Harness>(kit: &Kit<H>) {
    const NAMES: [&str; 4] = ["zero", "one", "two", "three"];
    let groups = groups(128);
    for kind in KINDS {
        for to in [1, 2, 3] {
            let mut old = open_all(kit, groups, 4, &[], false);
            for (backend, name) in old.iter_mut().zip(NAMES) {
                let value = backend.open(ValueDescriptor::<u64>::new(name)).unwrap();
                for key in 0..50 {
                    if let Ok(mut cx) = backend.at(&key) {
                        cx.value(value).set(&key).unwrap();
                    }
                }
            }
            let taken: Vec<_> = old.iter_mut().map(|backend| kit.take(backend, kind)).collect();
            for mut backend in open_all(kit, groups, to, &taken, false) {
                let open = |name| ValueDescriptor::<u64>::new(name);
                let handles = NAMES.map(|name| backend.open(open(name)).unwrap());
                for key in 0..50 {
                    let Ok(mut cx) = backend.at(&key) else {
                        continue;
                    };
                    let owner = groups.owner_of(cx.key_group(), 4).unwrap();
                    for (subtask, handle) in (0..).zip(handles) {
                        let want = (subtask == owner).then_some(key);
                        assert_eq!(cx.value(handle).get().unwrap(), want);
                    }
                }
            }
        }
    }
}

/// A chain of increments across rescales: 2 to 3 to 1 to 2, with changes and confirmations between.
pub fn chains_cross_rescales<H: Harness>(kit: &Kit<H>) {
    let (groups, mut image) = (groups(16), image(50, 0));
    let mut backends = open_all(kit, groups, 2, &[], false);
    fill_all::<H>(&mut backends, &image);
    for (round, to) in (1..).zip([3, 1, 2, 5, 2]) {
        let mut taken = Vec::new();
        for step in 0..3 {
            let keys: Vec<u64> = (0..50).filter(|key| (key * 7 + round + step) % 9 == 0).collect();
            for backend in &mut backends {
                let states = Everything::open(backend);
                for key in &keys {
                    if backend.at(key).is_ok() {
                        states.put(backend, *key, key + round * 10 + step);
                    }
                }
            }
            image.extend(keys.iter().map(|key| (*key, key + round * 10 + step)));
            let id = kit.next_id();
            taken = backends.iter_mut().map(|backend| confirm_as(kit, backend, id)).collect();
        }
        kit.storage.retain(taken.iter().map(|taken| (taken.id, &taken.snapshot)));
        backends = open_all(kit, groups, to, &taken, true);
        check_all::<H>(&mut backends, &image, 60);
    }
}

fn confirm_as<H: Harness>(
    kit: &Kit<H>,
    backend: &mut Backend<H>,
    id: crate::CheckpointId,
) -> Taken {
    let request = crate::snapshot::SnapshotRequest::new(id, SnapshotKind::Incremental);
    let task = backend.snapshot(&request).unwrap();
    let taken = kit.finish(super::harness::Begun { id, task });
    backend.checkpoint_completed(id).unwrap();
    taken
}

/// Parts that leave a key group out, or bring one twice, are refused.
pub fn parts_must_tile_the_range<H: Harness>(kit: &Kit<H>) {
    let groups = groups(12);
    let mut old = open_all(kit, groups, 3, &[], false);
    fill_all::<H>(&mut old, &image(20, 0));
    let taken: Vec<_> =
        old.iter_mut().map(|backend| kit.take(backend, SnapshotKind::Full)).collect();
    let open = |parts: &[usize]| {
        let parts = parts.iter().map(|part| taken[*part].part()).collect();
        kit.try_open::<u64>(groups, groups.all(), parts).map(drop)
    };
    open(&[2, 0, 1]).unwrap();
    for wrong in [&[0, 1][..], &[0, 2], &[1, 2], &[0], &[0, 1, 1, 2], &[0, 0, 1, 2]] {
        refused(open(wrong), ErrorKind::Incompatible);
    }
}

/// A part that has nothing for this subtask may be passed along.
pub fn foreign_parts_are_ignored<H: Harness>(kit: &Kit<H>) {
    let (groups, image) = (groups(12), image(20, 0));
    let mut old = open_all(kit, groups, 3, &[], false);
    fill_all::<H>(&mut old, &image);
    for kind in KINDS {
        let taken: Vec<_> = old.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        for subtask in 0..4 {
            let range = groups.range_of(subtask, 4).unwrap();
            let parts = taken.iter().map(Taken::part).collect();
            let mut backend = kit.try_open::<u64>(groups, range, parts).unwrap();
            let states = Everything::open(&mut backend);
            states.check(&mut backend, &image, 25);
        }
    }
}

/// Untyped: no state is registered after the rescale, and nothing is lost at the next one.
pub fn untouched_state_rescales<H: Harness>(kit: &Kit<H>) {
    let (groups, image) = (groups(10), image(40, 3));
    for kind in KINDS {
        let mut old = open_all(kit, groups, 2, &[], false);
        fill_all::<H>(&mut old, &image);
        let mut taken: Vec<_> = old.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        for parallelism in [3, 1, 2] {
            let mut between = open_all(kit, groups, parallelism, &taken, true);
            taken = between.iter_mut().map(|backend| kit.take(backend, kind)).collect();
        }
        let mut new = open_all(kit, groups, 2, &taken, false);
        check_all::<H>(&mut new, &image, 45);
    }
}
