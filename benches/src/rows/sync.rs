//! The synchronous phase: milliseconds of wall-clock time in which the writer stands still.
//!
//! Every other snapshot runs to its end while nothing else happens, the others are dropped; between
//! them entries change, so that no epoch is empty.

use alluvium_state_api::KeyedStore;
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};

use super::Lab;
use crate::Outcome;
use crate::clock::{thread_cpu_ns, timed};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::float;
use crate::keys::accesses;
use crate::row::{Bar, Row};
use crate::subject::Subject;

/// Entries that change between two snapshots.
const CHANGED: usize = 10_000;

pub(super) fn tiny<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut disk = lab.disk()?;
    let mut subject = Subject::<S>::filled(&mut disk, lab.sizes.tiny)?;
    let rows = measure(lab, name, (&mut subject, &mut disk), lab.sizes.tiny)?;
    lab.disk = Some(disk);
    Ok(rows)
}

pub(super) fn small<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut disk = lab.disk()?;
    let mut subject = Subject::<S>::filled(&mut disk, lab.sizes.small)?;
    let rows = measure(lab, name, (&mut subject, &mut disk), lab.sizes.small)?;
    lab.disk = Some(disk);
    Ok(rows)
}

pub(super) fn large<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut disk = lab.disk()?;
    let mut subject = lab.large::<S>(&mut disk)?;
    let rows = measure(lab, name, (&mut subject, &mut disk), lab.sizes.large)?;
    lab.keep(subject, disk);
    Ok(rows)
}

fn measure<S: KeyedStore>(
    lab: &Lab,
    name: &str,
    (subject, disk): (&mut Subject<S>, &mut Disk),
    keys: u64,
) -> Outcome<Vec<Row>> {
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..lab.sizes.rounds {
        subject.update(&accesses(keys, CHANGED, round as u64))?;
        let attempt = disk.begin()?;
        let request = SnapshotRequest::new(attempt.id, SnapshotKind::Incremental);
        let cpu_before = thread_cpu_ns();
        let (task, seconds) = timed(|| subject.backend.snapshot(&request));
        cpu.push(float(thread_cpu_ns().saturating_sub(cpu_before)) / 1e6);
        wall.push(seconds * 1e3);
        let task = task?;
        if round % 2 == 0 {
            attempt.run(task)?;
        }
        subject.backend.checkpoint_aborted(attempt.id)?;
        attempt.remove()?;
    }
    Ok(vec![
        Row::new(name, "ms", Bar::WorstBelow(1.0, 0.1), wall),
        Row::note(format!("{name}/cpu"), "ms", cpu),
    ])
}
