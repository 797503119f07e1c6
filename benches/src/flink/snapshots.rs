//! Snapshots, updates while one is written, and restores: what `Snapshots.java` and its neighbours measure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_state_api::codec::Native;
use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    CheckpointId, KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, NoNamespace, Result,
    StableHash, ValueDescriptor, ValueHandle, hash_bytes,
};
use serde_json::json;

use super::inputs::{JavaRandom, pool, shuffled, uniform};
use super::measure::{Bench, Cycle, of};
use super::values::pooled;
use super::{Backend, GROUPS, Side, all_groups, fresh, open};
use crate::clock::{Stopwatch, timed};
use crate::disk::Disk;
use crate::{Outcome, float};

const BYTES: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");

type Value = ValueHandle<Vec<u8>, Native, NoNamespace>;
type Taken = (KeyedSnapshot, CheckpointId);

/// Where a key belongs, as the typed front finds it.
fn group_of(key: u64, groups: MaxParallelism) -> KeyGroup {
    let encoded = key.to_be_bytes();
    groups.group_of(StableHash::placement(&key, &encoded, hash_bytes(&encoded)))
}

/// One snapshot: milliseconds of its phases, and what there is to restore.
struct Snap {
    sync_ms: f64,
    async_ms: f64,
    taken: Taken,
}

fn snap<S: Side>(backend: &mut Backend<S>, disk: &mut Disk, kind: SnapshotKind) -> Outcome<Snap> {
    let attempt = disk.begin()?;
    let request = SnapshotRequest::new(attempt.id, kind);
    let (task, sync_s) = timed(|| backend.snapshot(&request));
    let task = task?;
    let (snapshot, async_s) = timed(|| attempt.run(task));
    let taken = (snapshot?, attempt.id);
    if kind == SnapshotKind::Incremental {
        backend.checkpoint_completed(attempt.id)?;
    } else {
        backend.checkpoint_aborted(attempt.id)?;
    }
    Ok(Snap { sync_ms: sync_s * 1e3, async_ms: async_s * 1e3, taken })
}

/// Has what is in memory written out, as the other side's compaction does: by an increment that is given up.
fn settle<S: Side>(backend: &mut Backend<S>, disk: &mut Disk) -> Outcome<()> {
    let attempt = disk.begin()?;
    let task = backend.snapshot(&SnapshotRequest::new(attempt.id, SnapshotKind::Incremental))?;
    attempt.run(task)?;
    backend.checkpoint_aborted(attempt.id)?;
    Ok(attempt.remove()?)
}

fn report(bench: &Bench<'_>, operation: &str, snaps: &[Snap]) {
    let median =
        |figure: fn(&Snap) -> f64| of(&mut snaps.iter().map(figure).collect::<Vec<_>>())[1];
    let bytes = snaps.last().map_or(0, |snap| snap.taken.0.bytes_new);
    let fields = json!({
        "sync_ms_median": median(|snap| snap.sync_ms),
        "async_ms_median": median(|snap| snap.async_ms),
        "bytes_written": bytes,
    });
    bench.line("snapshot", operation, fields);
}

/// What a run works with.
struct Stage<'a> {
    bench: &'a Bench<'a>,
    pool: Vec<Vec<u8>>,
}

impl Stage<'_> {
    fn keys(&self) -> u64 {
        self.bench.options.keys
    }

    /// Sets the keys of the backend's groups.
    fn populate<S: Side>(&self, backend: &mut Backend<S>, range: KeyGroupRange) -> Outcome<Value> {
        let (value, groups) = (backend.open(BYTES)?, MaxParallelism::new(GROUPS)?);
        for key in 0..self.keys() {
            if range.contains(group_of(key, groups)) {
                backend.at(&key)?.value(value).set(pooled(&self.pool, key))?;
            }
        }
        Ok(value)
    }

    /// Overwrites some entries, as in a job that goes on.
    fn touch<S: Side>(&self, backend: &mut Backend<S>, value: Value, seed: u64) -> Result<()> {
        let mut random = JavaRandom::new(seed);
        let keys = u32::try_from(self.keys()).unwrap_or(u32::MAX);
        for _ in 0..1000 {
            let key = u64::from(random.below(keys));
            let bytes = pooled(&self.pool, u64::from(random.below(1024)));
            backend.at(&key)?.value(value).set(bytes)?;
        }
        Ok(())
    }

    /// Takes full snapshots of both kinds; the last one of each.
    fn full<S: Side>(&self, disk: &mut Disk) -> Outcome<[Taken; 2]> {
        let mut backend = fresh::<S>(disk)?;
        let value = self.populate(&mut backend, all_groups()?)?;
        let mut kept = Vec::new();
        for (name, kind) in [
            ("canonicalSavepoint", SnapshotKind::Canonical),
            ("nativeCheckpoint", SnapshotKind::Full),
        ] {
            let mut snaps = Vec::new();
            for number in 0..=self.bench.options.snapshot_rounds {
                self.touch(&mut backend, value, 89 + number)?;
                let one = snap(&mut backend, disk, kind)?;
                if number > 0 {
                    snaps.push(one);
                }
            }
            report(self.bench, name, &snaps);
            kept.extend(snaps.pop().map(|snap| snap.taken));
        }
        for (name, kind) in [("canonical", SnapshotKind::Canonical), ("native", SnapshotKind::Full)]
        {
            for reads in [false, true] {
                self.during(&mut backend, value, disk, (name, kind, reads))?;
            }
        }
        kept.try_into().map_err(|_short| "a snapshot is missing".into())
    }

    /// Overwrites, or reads and overwrites, while a snapshot is written.
    fn during<S: Side>(
        &self,
        backend: &mut Backend<S>,
        value: Value,
        disk: &mut Disk,
        (name, kind, reads): (&str, SnapshotKind, bool),
    ) -> Outcome<()> {
        let draws = Cycle::new(uniform(self.keys(), 1 << 20, 77));
        let mut buffer = Vec::new();
        let mut work = |backend: &mut Backend<S>, from: u64| {
            draws.each(from, from + 64, |at, key| {
                buffer.clear();
                buffer.extend_from_slice(pooled(&self.pool, at));
                let mut here = backend.at(&key)?;
                let mut here = here.value(value);
                if reads {
                    let first =
                        here.read(|found| found.and_then(|found| found.first().copied()))?;
                    if let (Some(place), Some(first)) = (buffer.first_mut(), first) {
                        *place = first;
                    }
                }
                here.set(buffer.as_slice())
            })
        };
        let mut rates = Vec::new();
        for number in 0..=self.bench.options.snapshot_rounds {
            let attempt = disk.begin()?;
            let task = backend.snapshot(&SnapshotRequest::new(attempt.id, kind))?;
            let done = AtomicBool::new(false);
            let (taken, played) = thread::scope(|scope| {
                let worker = scope.spawn(|| {
                    let taken = attempt.run(task);
                    done.store(true, Ordering::Release);
                    taken
                });
                let (watch, mut at) = (Stopwatch::start(), 0);
                let mut played = Ok(());
                while played.is_ok() && !done.load(Ordering::Acquire) {
                    played = work(backend, at);
                    at += 64;
                }
                let rate = float(at) / watch.seconds();
                (worker.join(), played.map(|()| rate))
            });
            taken.map_err(|_panic| "the snapshot's thread panicked")??;
            backend.checkpoint_aborted(attempt.id)?;
            attempt.remove()?;
            let rate = played?;
            if number > 0 {
                rates.push(rate);
            }
        }
        let operation = format!("{name}{}", if reads { "ReadOverwrite" } else { "Overwrite" });
        let fields = json!({ "during_ops_s_median": of(&mut rates)[1] });
        self.bench.line("updates-during-snapshot", &operation, fields);
        Ok(())
    }

    /// Restores by so many subtasks, one after the other: until each has its state and has read one value right.
    fn restore<S: Side>(
        &self,
        operation: &str,
        disk: &mut Disk,
        taken: &[Taken],
        subtasks: u32,
    ) -> Outcome<()> {
        let groups = MaxParallelism::new(GROUPS)?;
        let mut times = Vec::new();
        for number in 0..=self.bench.options.snapshot_rounds {
            let mut seconds = 0.0;
            for subtask in 0..subtasks {
                let range = groups.range_of(subtask, subtasks)?;
                let own = |key: &u64| range.contains(group_of(*key, groups));
                let key = (0..self.keys()).find(own).ok_or("a subtask has no key")?;
                let parts = taken.iter().map(|one| disk.part(one)).collect();
                let watch = Stopwatch::start();
                let mut backend = open::<S>(disk, range, parts)?;
                let value = backend.open(BYTES)?;
                let length = |backend: &mut Backend<S>, key: u64| {
                    backend.at(&key)?.value(value).read(|found| found.map(<[u8]>::len))
                };
                let first = length(&mut backend, key)?;
                seconds += watch.seconds();
                // As on the other side, once: entries over the whole key space are looked up.
                let some = (0..self.keys()).step_by(997).filter(own);
                for key in some.take(if number == 0 { usize::MAX } else { 0 }) {
                    if first != Some(100) || length(&mut backend, key)? != Some(100) {
                        return Err(format!("{operation}: key {key} was not restored").into());
                    }
                }
            }
            if number > 0 {
                times.push(seconds * 1e3);
            }
        }
        self.bench.line("restore", operation, json!({ "ms_median": of(&mut times)[1] }));
        Ok(())
    }

    /// The snapshots of two subtasks.
    fn halves<S: Side>(&self, disk: &mut Disk, kind: SnapshotKind) -> Outcome<Vec<Taken>> {
        let groups = MaxParallelism::new(GROUPS)?;
        let mut taken = Vec::new();
        for subtask in 0..2 {
            let range = groups.range_of(subtask, 2)?;
            let mut backend = open::<S>(disk, range, Vec::new())?;
            self.populate(&mut backend, range)?;
            taken.push(snap(&mut backend, disk, kind)?.taken);
        }
        Ok(taken)
    }

    /// Increments after 1 and 10 percent of the entries changed, on top of a first one.
    fn increments<S: Side>(&self, disk: &mut Disk) -> Outcome<Taken> {
        let mut of_each = [Vec::new(), Vec::new(), Vec::new()];
        let mut last = None;
        for number in 0..=self.bench.options.snapshot_rounds {
            let mut backend = fresh::<S>(disk)?;
            let value = self.populate(&mut backend, all_groups()?)?;
            settle(&mut backend, disk)?;
            for (percent, (snaps, seed)) in
                [0, 1, 10].into_iter().zip(of_each.iter_mut().zip(999..))
            {
                let order = Cycle::new(shuffled(0, self.keys(), seed));
                order.each(0, self.keys() * percent / 100, |at, key| {
                    backend.at(&key)?.value(value).set(pooled(&self.pool, at * 7 + 3))
                })?;
                let one = snap(&mut backend, disk, SnapshotKind::Incremental)?;
                last = Some(one.taken.clone());
                if number > 0 {
                    snaps.push(one);
                }
            }
        }
        let names = ["incrementalFirst", "incremental1pct", "incremental10pct"];
        for (name, snaps) in names.iter().zip(&of_each) {
            report(self.bench, name, snaps);
        }
        last.ok_or_else(|| "no increment was taken".into())
    }
}

pub(super) fn all<S: Side>(bench: &Bench<'_>, disk: &mut Disk) -> Outcome<()> {
    let stage = Stage { bench, pool: pool(1024, 100, 4) };
    let [canonical, native] = stage.full::<S>(disk)?;
    for (name, kind, taken) in
        [("Canonical", SnapshotKind::Canonical, canonical), ("Native", SnapshotKind::Full, native)]
    {
        stage.restore::<S>(&format!("restore{name}"), disk, std::slice::from_ref(&taken), 1)?;
        stage.restore::<S>(&format!("rescale1to2{name}"), disk, std::slice::from_ref(&taken), 2)?;
        let halves = stage.halves::<S>(disk, kind)?;
        stage.restore::<S>(&format!("rescale2to1{name}"), disk, &halves, 1)?;
    }
    let last = stage.increments::<S>(disk)?;
    stage.restore::<S>("restoreIncremental", disk, std::slice::from_ref(&last), 1)?;
    stage.restore::<S>("rescale1to2Incremental", disk, &[last], 2)?;
    let halves = stage.halves::<S>(disk, SnapshotKind::Incremental)?;
    stage.restore::<S>("rescale2to1Incremental", disk, &halves, 1)
}
