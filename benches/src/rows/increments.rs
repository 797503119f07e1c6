//! What increments write, and what restoring a chain of them costs.

use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind};
use alluvium_state_api::{CheckpointId, KeyedStore};

use super::Lab;
use crate::clock::{Meter, timed};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::keys::{accesses, key};
use crate::row::{Bar, Row};
use crate::subject::Subject;
use crate::{Outcome, float};

const BYTES: Bar = Bar::AtMost(0.03, 0.015);
/// Restores take so little time, and spread so much, that there are as many times more rounds of them.
const SHORT_ROUNDS: usize = 3;

/// Changes 1 % of random keys, some of them twice.
fn change<S: KeyedStore>(subject: &mut Subject<S>, keys: u64, seed: u64) -> Outcome<()> {
    let count = usize::try_from(keys / 100)?;
    subject.update(&accesses(keys, count, seed))?;
    Ok(())
}

/// The first increment on a full snapshot, several times.
pub(super) fn one<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let (keys, mut disk, mut rounds) = (lab.sizes.small, lab.disk()?, Vec::new());
    for round in 0..lab.sizes.rounds {
        let mut subject = Subject::<S>::filled(&mut disk, keys)?;
        let (full, _) = disk.snapshot(&mut subject, SnapshotKind::Incremental)?;
        change(&mut subject, keys, round as u64)?;
        let (increment, _) = disk.snapshot(&mut subject, SnapshotKind::Incremental)?;
        expect_kind(&increment, SnapshotKind::Incremental)?;
        rounds.push(float(increment.bytes_new) / float(full.bytes_new));
    }
    lab.disk = Some(disk);
    Ok(vec![Row::new(name, "x", BYTES, rounds)])
}

fn expect_kind(snapshot: &KeyedSnapshot, kind: SnapshotKind) -> Outcome<()> {
    if snapshot.kind == kind {
        return Ok(());
    }
    Err(format!("a snapshot of kind {:?} came where {kind:?} was expected", snapshot.kind).into())
}

/// A snapshot, and the checkpoint that it is of.
pub(super) type Checkpoint = (KeyedSnapshot, CheckpointId);

/// A full snapshot and `count` increments of 1 % upon it, all confirmed.
fn chain_of<S: KeyedStore>(
    subject: &mut Subject<S>,
    disk: &mut Disk,
    keys: u64,
    count: usize,
) -> Outcome<Vec<Checkpoint>> {
    let mut series = vec![disk.snapshot(subject, SnapshotKind::Incremental)?];
    for number in 0..count {
        change(subject, keys, number as u64)?;
        let increment = disk.snapshot(subject, SnapshotKind::Incremental)?;
        expect_kind(&increment.0, SnapshotKind::Incremental)?;
        series.push(increment);
    }
    Ok(series)
}

/// Series of increments, each of which pays for keeping the chain short. A round is the average of
/// one series.
pub(super) fn series<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let (keys, mut disk, mut rounds) = (lab.sizes.small, lab.disk()?, Vec::new());
    let mut subject = Subject::<S>::filled(&mut disk, keys)?;
    let series = chain_of(&mut subject, &mut disk, keys, lab.sizes.series)?;
    let full = series.first().map_or(0, |(full, _)| full.bytes_new);
    let increments: Vec<f64> =
        series.iter().skip(1).map(|(s, _)| float(s.bytes_new) / float(full)).collect();
    let average = increments.iter().sum::<f64>() / float(increments.len().max(1) as u64);
    rounds.push(average);
    let files = series.iter().map(|(snapshot, _)| float(snapshot.files.len() as u64)).collect();
    let read = series.iter().map(|(s, _)| float(s.bytes_full) / float(full)).collect();
    lab.disk = Some(disk);
    Ok(vec![
        Row::new(name, "x", BYTES, rounds),
        Row::note(format!("{name}/single"), "x", increments),
        Row::note(format!("{name}/files-of-chain"), "files", files),
        Row::note(format!("{name}/bytes-of-chain"), "x", read),
    ])
}

/// What came of a restore.
struct Restored {
    /// Of the values that were read.
    sum: u64,
    /// Wall-clock time.
    seconds: f64,
    /// Processor time of the thread that waits for it.
    processor: f64,
}

/// Restores a store and reads. Closing does not count.
fn restore<S: Engine>(disk: &mut Disk, from: &Checkpoint, probes: &[u64]) -> Outcome<Restored> {
    let parts = vec![disk.part(from)];
    let work = || -> Outcome<_> {
        let mut restored = Subject::over(S::store(disk, parts)?)?;
        let sum = restored.get(probes)?;
        Ok((restored, sum))
    };
    let ((restored, seconds), processor) = Meter::Processor.time(|| timed(work));
    let (restored, sum) = restored?;
    drop(restored);
    Ok(Restored { sum, seconds, processor })
}

/// Restores the chain after a few and after many increments, against a full snapshot of the same
/// content.
pub(super) fn chain<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let (keys, mut disk, mut rows) = (lab.sizes.small * 2, lab.disk()?, Vec::new());
    let (mut worst, mut median_of_worst) = (Vec::new(), 0.0);
    for count in [lab.sizes.series / 6, lab.sizes.series] {
        let mut subject = Subject::<S>::filled(&mut disk, keys)?;
        let series = chain_of(&mut subject, &mut disk, keys, count)?;
        let full = disk.snapshot(&mut subject, SnapshotKind::Full)?;
        drop(subject);
        let Some(newest) = series.last() else { continue };
        let probes: Vec<u64> = (0..keys).step_by(101).map(key).collect();
        let [mut times, mut processor, mut milliseconds] = [const { Vec::new() }; 3];
        for round in 0..=lab.sizes.rounds * SHORT_ROUNDS {
            let mut restore = |from| restore::<S>(&mut disk, from, &probes);
            let (of_chain, of_full);
            if round % 2 == 0 {
                of_chain = restore(newest)?;
                of_full = restore(&full)?;
            } else {
                of_full = restore(&full)?;
                of_chain = restore(newest)?;
            }
            if of_chain.sum != of_full.sum {
                return Err(format!("round {round}: chain and full snapshot disagree").into());
            }
            // the first round warms up
            if round > 0 {
                times.push(of_chain.seconds / of_full.seconds);
                processor.push(of_chain.processor / of_full.processor);
                milliseconds.push(of_chain.seconds * 1e3);
            }
        }
        let row = Row::note(format!("{name}/after-{count}"), "x", times.clone());
        if worst.is_empty() || row.median > median_of_worst {
            (worst, median_of_worst) = (times, row.median);
        }
        rows.push(row);
        rows.push(Row::note(format!("{name}/after-{count}/processor"), "x", processor));
        rows.push(Row::note(format!("{name}/after-{count}/time"), "ms", milliseconds));
    }
    lab.disk = Some(disk);
    rows.insert(0, Row::new(name, "x", Bar::AtMost(1.3, 1.1), worst));
    Ok(rows)
}
