//! Incremental snapshots: on top of what was confirmed, and of nothing else.

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Backend, Harness, Increments, KINDS, Kit, Taken, run_task};
use crate::snapshot::{CancelToken, SnapshotKind};
use crate::{CheckpointId, ListDescriptor, ListState, ValueDescriptor, ValueState};

const KEYS: u64 = 40;
const INCREMENTAL: SnapshotKind = SnapshotKind::Incremental;

struct Job<H: Harness> {
    backend: Backend<H>,
    states: Everything,
    image: Image,
}

impl<H: Harness> Job<H> {
    fn new(kit: &Kit<H>) -> Self {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let image = image(KEYS, 1_000);
        fill(&mut backend, &states, &image);
        Self { backend, states, image }
    }

    fn put(&mut self, key: u64, seed: u64) {
        self.states.put(&mut self.backend, key, seed);
        self.image.insert(key, seed);
    }

    fn remove(&mut self, key: u64) {
        self.states.remove(&mut self.backend, key);
        self.image.remove(&key);
    }

    /// Changes a few keys, differently each round.
    fn change(&mut self, round: u64) {
        self.put(round % KEYS, round * 100);
        self.put((round * 7 + 3) % (2 * KEYS), round * 100 + 1);
        self.remove((round * 5 + 1) % (2 * KEYS));
    }
}

fn check<H: Harness>(kit: &Kit<H>, taken: &Taken, image: &Image) {
    let mut restored = kit.restore::<u64>(&[taken]);
    let states = Everything::open(&mut restored);
    states.check(&mut restored, image, 2 * KEYS);
}

/// A chain of forty, each confirmed; any of the last three retained ones restores.
pub fn long_chains_restore_from_any_point<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let mut retained: Vec<(Taken, Image)> = Vec::new();
    for round in 0..40 {
        job.change(round);
        let taken = kit.confirm(&mut job.backend, INCREMENTAL);
        retained.push((taken, job.image.clone()));
        if retained.len() > 3 {
            retained.remove(0);
        }
        kit.storage.retain(retained.iter().map(|(taken, _)| (taken.id, &taken.snapshot)));
        if round % 6 == 5 {
            for (taken, image) in &retained {
                check(kit, taken, image);
            }
        }
    }
    let last = &retained[2].0.snapshot;
    assert!(last.files.len() < 40, "history does not grow without bound");
}

/// What was written since an unconfirmed checkpoint is in the next one, and so is what was in it.
pub fn unconfirmed_checkpoints_are_not_built_on<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let base = kit.confirm(&mut job.backend, INCREMENTAL);
    for round in 0..6 {
        job.change(round);
        kit.take(&mut job.backend, INCREMENTAL);
    }
    job.change(6);
    // The files of what was never confirmed go, before anything could name them to keep them.
    kit.storage.retain([(base.id, &base.snapshot)]);
    let taken = kit.take(&mut job.backend, INCREMENTAL);
    kit.storage.retain([(base.id, &base.snapshot), (taken.id, &taken.snapshot)]);
    check(kit, &taken, &job.image);
}

/// Aborted checkpoints lose nothing, even when the notification comes before the task has run.
pub fn aborted_checkpoints_lose_nothing<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let base = kit.confirm(&mut job.backend, INCREMENTAL);
    for round in 0..8 {
        job.change(round);
        let begun = kit.begin(&mut job.backend, INCREMENTAL);
        job.put(3, round);
        if round % 2 == 0 {
            job.backend.checkpoint_aborted(begun.id).unwrap();
        }
        let sink = kit.storage.sink(begun.id);
        let id = begun.id;
        let _either = run_task(begun.task, &sink, &CancelToken::default());
        assert_eq!(sink.left_open(), 0);
        job.backend.checkpoint_aborted(id).unwrap();
    }
    kit.storage.retain([(base.id, &base.snapshot)]);
    let taken = kit.take(&mut job.backend, INCREMENTAL);
    kit.storage.retain([(base.id, &base.snapshot), (taken.id, &taken.snapshot)]);
    check(kit, &taken, &job.image);
}

/// Failed and dropped tasks between confirmed ones.
pub fn failures_between_confirmations<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let mut base = kit.confirm(&mut job.backend, INCREMENTAL);
    for round in 0..12 {
        job.change(round);
        match round % 4 {
            0 => drop(kit.begin(&mut job.backend, INCREMENTAL)),
            1 => {
                let begun = kit.begin(&mut job.backend, INCREMENTAL);
                let sink = kit.storage.sink(begun.id).failing_at(round / 4);
                assert!(run_task(begun.task, &sink, &CancelToken::default()).is_err());
            }
            2 => drop(kit.take(&mut job.backend, INCREMENTAL)),
            _ => {}
        }
        job.change(round + 50);
        if round % 4 == 3 {
            let taken = kit.confirm(&mut job.backend, INCREMENTAL);
            kit.storage.retain([(base.id, &base.snapshot), (taken.id, &taken.snapshot)]);
            base = taken;
        }
    }
    let taken = kit.take(&mut job.backend, INCREMENTAL);
    kit.storage.retain([(base.id, &base.snapshot), (taken.id, &taken.snapshot)]);
    check(kit, &taken, &job.image);
    check(kit, &base, &job.image);
}

/// Confirmations come late, twice, out of order, for checkpoints that nobody knows.
pub fn notifications_may_be_late_and_repeated<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let unknown = CheckpointId::new(1_000);
    let mut taken = Vec::new();
    for round in 0..9 {
        job.change(round);
        taken.push(kit.take(&mut job.backend, INCREMENTAL));
        let at = |back: usize| taken[taken.len().saturating_sub(back)].id;
        match round % 3 {
            0 => job.backend.checkpoint_completed(at(1)).unwrap(),
            1 => {
                job.backend.checkpoint_completed(at(2)).unwrap();
                job.backend.checkpoint_completed(at(2)).unwrap();
            }
            _ => {
                job.backend.checkpoint_completed(at(1)).unwrap();
                job.backend.checkpoint_completed(at(3)).unwrap();
            }
        }
        job.backend.checkpoint_completed(unknown).unwrap();
        job.backend.checkpoint_aborted(unknown).unwrap();
        job.put(1, round);
        let next = kit.take(&mut job.backend, INCREMENTAL);
        check(kit, &next, &job.image);
        job.backend.checkpoint_aborted(next.id).unwrap();
    }
}

/// A snapshot in flight may still refer to the base it began with after a later one was confirmed.
pub fn bases_are_pinned_while_in_flight<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let base = kit.confirm(&mut job.backend, INCREMENTAL);
    job.change(1);
    let held = kit.begin(&mut job.backend, INCREMENTAL);
    let held_image = job.image.clone();
    job.change(2);
    let second = kit.confirm(&mut job.backend, INCREMENTAL);
    job.change(3);
    let third = kit.confirm(&mut job.backend, INCREMENTAL);
    let third_image = job.image.clone();
    let held = kit.finish(held);
    let kept = [&base, &held, &second, &third];
    kit.storage.retain(kept.map(|taken| (taken.id, &taken.snapshot)));
    check(kit, &held, &held_image);
    check(kit, &third, &third_image);
}

/// Changing 1 % of the entries writes at most 10 % of the bytes, where the backend is incremental. The least
/// of three increments counts: one that merges its files writes more at times.
pub fn small_changes_write_little<H: Harness>(kit: &Kit<H>) {
    let descriptor = ValueDescriptor::<[u8; 64]>::new("value");
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(descriptor).unwrap();
    for key in 0..10_000 {
        backend.at(&key).unwrap().value(value).set(&[1; 64]).unwrap();
    }
    let full = kit.confirm(&mut backend, INCREMENTAL).snapshot;
    let mut least = u64::MAX;
    for round in 0..3 {
        for key in (0..10_000).step_by(100) {
            backend.at(&key).unwrap().value(value).set(&[round; 64]).unwrap();
        }
        least = least.min(kit.confirm(&mut backend, INCREMENTAL).snapshot.bytes_new);
    }
    if kit.profile().increments == Increments::Native {
        let full = full.bytes_new;
        assert!(least * 10 <= full, "{least} bytes after 1 % changed, {full} in full");
    }
    let unchanged = kit.confirm(&mut backend, INCREMENTAL);
    let mut restored = kit.restore::<u64>(&[&unchanged]);
    let value = restored.open(descriptor).unwrap();
    for key in 0..10_000 {
        let want = if key % 100 == 0 { [2; 64] } else { [1; 64] };
        assert_eq!(restored.at(&key).unwrap().value(value).get().unwrap(), Some(want));
    }
}

/// Entries that are removed, and those that are removed and come back, through increments.
pub fn removals_are_recorded<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    kit.confirm(&mut job.backend, INCREMENTAL);
    for round in 0..4 {
        for key in 0..KEYS {
            match (key + round) % 4 {
                0 => job.remove(key),
                1 => {
                    job.remove(key);
                    job.put(key, round);
                }
                2 => {
                    job.put(key, round);
                    job.remove(key);
                }
                _ => {}
            }
        }
        let taken = kit.confirm(&mut job.backend, INCREMENTAL);
        check(kit, &taken, &job.image);
    }
    for key in 0..KEYS {
        job.remove(key);
    }
    let taken = kit.confirm(&mut job.backend, INCREMENTAL);
    check(kit, &taken, &Image::new());
}

/// Lists that are appended to, replaced, cleared and appended to again between increments.
pub fn list_appends_are_recorded<H: Harness>(kit: &Kit<H>) {
    let descriptor = ListDescriptor::<u64>::new("list");
    let mut backend = kit.fresh::<u64>();
    let list = backend.open(descriptor).unwrap();
    let mut model = vec![Vec::new(); 12];
    for round in 0..10 {
        for key in 0..12_u64 {
            let mut cx = backend.at(&key).unwrap();
            let want = &mut model[usize::try_from(key).unwrap()];
            match (key + round) % 6 {
                0 | 1 => {
                    cx.list(list).add(&round).unwrap();
                    want.push(round);
                }
                2 => {
                    cx.list(list).update(&[round, key]).unwrap();
                    *want = vec![round, key];
                }
                3 if round % 2 == 0 => {
                    cx.list(list).clear().unwrap();
                    want.clear();
                }
                4 => {
                    cx.list(list).clear().unwrap();
                    cx.list(list).add_all(&[key, 1]).unwrap();
                    cx.list(list).add(&2).unwrap();
                    *want = vec![key, 1, 2];
                }
                _ => {}
            }
        }
        let taken = if round % 3 == 1 {
            kit.take(&mut backend, INCREMENTAL)
        } else {
            kit.confirm(&mut backend, INCREMENTAL)
        };
        let mut restored = kit.restore::<u64>(&[&taken]);
        let list = restored.open(descriptor).unwrap();
        for (key, want) in (0..).zip(&model) {
            assert_eq!(&restored.at(&key).unwrap().list(list).get().unwrap(), want);
        }
    }
}

/// After a restore increments go on where they were, round after round.
pub fn chains_go_on_after_a_restore<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let mut taken = kit.confirm(&mut job.backend, INCREMENTAL);
    for round in 0..5 {
        job.backend = kit.resume::<u64>(&taken);
        job.states = Everything::open(&mut job.backend);
        job.change(round);
        let first = kit.take(&mut job.backend, INCREMENTAL);
        check(kit, &first, &job.image);
        job.change(round + 20);
        let next = kit.confirm(&mut job.backend, INCREMENTAL);
        kit.storage.retain([&taken, &first, &next].map(|taken| (taken.id, &taken.snapshot)));
        check(kit, &next, &job.image);
        taken = next;
    }
}

/// A store that was restored from someone else's snapshot refers to none of its files.
pub fn foreign_files_are_not_referenced<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut job = Job::new(kit);
        let foreign = kit.confirm(&mut job.backend, kind);
        let other = Kit::<H>::new();
        job.backend = other.restore::<u64>(&[&foreign]);
        job.states = Everything::open(&mut job.backend);
        job.change(1);
        let first = other.confirm(&mut job.backend, INCREMENTAL);
        check(&other, &first, &job.image);
        job.change(2);
        let second = other.confirm(&mut job.backend, INCREMENTAL);
        check(&other, &second, &job.image);
    }
}

/// Full, incremental and canonical snapshots in turns do not disturb each other. A full or incremental
/// checkpoint that completes subsumes the ones before it; a canonical one subsumes nothing.
pub fn kinds_may_alternate<H: Harness>(kit: &Kit<H>) {
    let mut job = Job::new(kit);
    let mut retained: Vec<Taken> = Vec::new();
    for round in 0..18 {
        job.change(round);
        let kind = KINDS[usize::try_from(round * round % 3 + round / 9).unwrap() % 3];
        let taken = kit.take(&mut job.backend, kind);
        check(kit, &taken, &job.image);
        if round % 4 != 2 {
            job.backend.checkpoint_completed(taken.id).unwrap();
            if kind != SnapshotKind::Canonical {
                retained = vec![taken];
            }
        }
        kit.storage.retain(retained.iter().map(|taken| (taken.id, &taken.snapshot)));
    }
}
