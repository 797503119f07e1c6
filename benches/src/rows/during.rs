//! What an asynchronous snapshot costs the writer while it runs.
//!
//! Only work that ends before the task does counts. The undisturbed control runs beside a second
//! thread that sleeps; a second control runs beside one that writes and syncs a plain file of as many
//! bytes, which shows how much of the loss is the machine's. Before each measurement all entries are
//! touched, so that the control is not charged for the first change of entries after a snapshot, and
//! the snapshot is.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::{KeyedStore, Result, ValueState};

use super::Lab;
use crate::clock::{Stopwatch, thread_cpu_ns};
use crate::disk::{Disk, write_plainly};
use crate::engine::Engine;
use crate::keys::{Uniform, accesses, key, mix};
use crate::row::{Bar, Row};
use crate::subject::Subject;
use crate::{Outcome, float};

/// Updates between two looks at whether the other thread is done.
const PIECE: usize = 2_000;

/// Operations that are timed one by one between two looks.
const STEP: u64 = 64;

/// Runs `work` on a second thread and `step` on this one, again and again, until the other is done.
/// Returns what `work` yields; the last, cut step was told that it does not count.
fn beside<R: Send>(
    work: impl FnOnce() -> R + Send,
    mut step: impl FnMut(&dyn Fn() -> bool) -> Result<()>,
) -> Outcome<R> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            done.store(true, Ordering::Release);
            result
        });
        let counts = || !done.load(Ordering::Acquire);
        let mut stepped = Ok(());
        while counts() && stepped.is_ok() {
            stepped = step(&counts);
        }
        let result = worker.join().map_err(|_panic| "the second thread panicked")?;
        stepped?;
        Ok(result)
    })
}

/// Updates per second while `work` runs on a second thread.
pub(super) fn updates_beside<S: KeyedStore, R: Send>(
    subject: &mut Subject<S>,
    sequence: &[u64],
    work: impl FnOnce() -> R + Send,
) -> Outcome<(f64, R)> {
    let (mut updates, mut seconds) = (0u64, 0.0f64);
    let mut pieces = sequence.chunks(PIECE).cycle();
    let watch = Stopwatch::start();
    let result = beside(work, |counts| {
        let piece = pieces.next().unwrap_or_default();
        subject.update(piece)?;
        if counts() {
            updates += piece.len() as u64;
            seconds = watch.seconds();
        }
        Ok(())
    })?;
    if updates == 0 {
        return Err("the snapshot ended before the first updates did; use more keys".into());
    }
    Ok((float(updates) / seconds, result))
}

/// Takes a snapshot and measures updates while its asynchronous phase runs.
fn updates_beside_snapshot<S: KeyedStore>(
    subject: &mut Subject<S>,
    sequence: &[u64],
    disk: &mut Disk,
) -> Outcome<(f64, KeyedSnapshot)> {
    let attempt = disk.begin()?;
    let request = SnapshotRequest::new(attempt.id, SnapshotKind::Full);
    let task = subject.backend.snapshot(&request)?;
    let (rate, snapshot) = updates_beside(subject, sequence, || attempt.run(task))?;
    attempt.remove()?;
    Ok((rate, snapshot?))
}

pub(super) fn throughput<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let (keys, mut disk) = (lab.sizes.large, lab.disk()?);
    let mut subject = lab.large::<S>(&mut disk)?;
    let sequence = accesses(keys, lab.sizes.accesses * 2, 11);
    let [mut idle_ratios, mut busy_ratios, mut rates] = [const { Vec::new() }; 3];
    let mut last = 0.2f64;
    for round in 0..=lab.sizes.rounds {
        subject.touch_all(keys)?;
        let pause = Duration::from_secs_f64(last);
        let (idle, ()) = updates_beside(&mut subject, &sequence, || thread::sleep(pause))?;
        let watch = Stopwatch::start();
        let (disturbed, snapshot) = updates_beside_snapshot(&mut subject, &sequence, &mut disk)?;
        last = watch.seconds();
        subject.touch_all(keys)?;
        let path = disk.fresh_path();
        let write = || write_repeatedly(&path, snapshot.bytes_new, last);
        let (busy, written) = updates_beside(&mut subject, &sequence, write)?;
        written?;
        if round > 0 {
            idle_ratios.push(disturbed / idle);
            busy_ratios.push(disturbed / busy);
            rates.push(disturbed / 1e6);
        }
    }
    lab.keep(subject, disk);
    Ok(vec![
        Row::new(name, "x", Bar::AtLeast(0.7, 0.9), idle_ratios),
        Row::note(format!("{name}/beside-plain-writer"), "x", busy_ratios),
        Row::note(format!("{name}/rate"), "M/s", rates),
    ])
}

fn write_repeatedly(path: &Path, bytes: u64, seconds: f64) -> Outcome<()> {
    let watch = Stopwatch::start();
    while watch.seconds() < seconds {
        write_plainly(path, bytes)?;
    }
    Ok(())
}

/// The longest operations of one measurement, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    cpu: u64,
    wall: u64,
}

/// Updates, inserts and removals in turn, each timed by itself: keys above `keys` come and go.
#[derive(Debug)]
struct Churn {
    keys: u64,
    random: Uniform,
    turn: u64,
    added: u64,
}

impl Churn {
    fn operation<S: KeyedStore>(&mut self, subject: &mut Subject<S>) -> Result<()> {
        let count = subject.count;
        self.turn = self.turn.wrapping_add(1);
        match self.turn % 3 {
            0 => {
                let key = key(self.random.next().unwrap_or(0));
                subject.backend.at(&key)?.value(count).update(|n| n.map(|n| n.wrapping_add(1)))
            }
            1 => {
                let key = key(self.keys.saturating_add(self.added));
                subject.backend.at(&key)?.value(count).set(&1)
            }
            _ => {
                let key = key(self.keys.saturating_add(self.added));
                self.added = self.added.saturating_add(1);
                subject.backend.at(&key)?.value(count).clear()
            }
        }
    }

    fn steps<S: KeyedStore>(&mut self, subject: &mut Subject<S>, worst: &mut Worst) -> Result<()> {
        for _ in 0..STEP {
            let (cpu, watch) = (thread_cpu_ns(), Stopwatch::start());
            self.operation(subject)?;
            let wall = u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            worst.cpu = worst.cpu.max(thread_cpu_ns().saturating_sub(cpu));
            worst.wall = worst.wall.max(wall);
        }
        Ok(())
    }
}

pub(super) fn worst_operation<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let (keys, mut disk) = (lab.sizes.large, lab.disk()?);
    let mut subject = lab.large::<S>(&mut disk)?;
    let random = Uniform::new(keys, mix(keys));
    let mut churn = Churn { keys, random, turn: 0, added: 0 };
    let (mut disturbed, mut control) = (Vec::new(), Vec::new());
    for _ in 0..lab.sizes.rounds {
        let attempt = disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, SnapshotKind::Full);
        let task = subject.backend.snapshot(&request)?;
        let (watch, mut worst) = (Stopwatch::start(), Worst::default());
        let step = |_: &dyn Fn() -> bool| churn.steps(&mut subject, &mut worst);
        beside(|| attempt.run(task), step)??;
        disturbed.push(worst);
        attempt.remove()?;
        let (pause, mut worst) = (watch.elapsed(), Worst::default());
        let step = |_: &dyn Fn() -> bool| churn.steps(&mut subject, &mut worst);
        beside(|| thread::sleep(pause), step)?;
        control.push(worst);
    }
    lab.keep(subject, disk);
    let cpu = |all: &[Worst]| all.iter().map(|worst| float(worst.cpu) / 1e6).collect();
    let wall = |all: &[Worst]| all.iter().map(|worst| float(worst.wall) / 1e6).collect();
    Ok(vec![
        Row::new(name, "ms", Bar::WorstBelow(1.0, 0.1), cpu(&disturbed)),
        Row::note(format!("{name}/cpu-undisturbed"), "ms", cpu(&control)),
        Row::note(format!("{name}/wall"), "ms", wall(&disturbed)),
        Row::note(format!("{name}/wall-undisturbed"), "ms", wall(&control)),
    ])
}
