//! How fast full snapshots are written, and how much memory entries take.

use alluvium_backend_fs::FsStore;
use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::KeyedStore;
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};

use super::Lab;
use crate::clock::timed;
use crate::disk::{Disk, write_plainly};
use crate::engine::{Engine, memory_store};
use crate::row::{Bar, Row};
use crate::subject::Subject;
use crate::{Outcome, float};

/// Rounds in which the canonical form is written too.
const CANONICAL_ROUNDS: usize = 3;

fn write<S: KeyedStore>(
    subject: &mut Subject<S>,
    disk: &mut Disk,
    kind: SnapshotKind,
) -> Outcome<(u64, f64)> {
    let attempt = disk.begin()?;
    let task = subject.backend.snapshot(&SnapshotRequest::new(attempt.id, kind))?;
    let (snapshot, seconds) = timed(|| attempt.run(task));
    let bytes = snapshot?.bytes_new;
    attempt.remove()?;
    Ok((bytes, seconds))
}

pub(super) fn per_second_memory(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    per_second::<MemoryStore>(lab, name, Bar::AtLeast(0.7, 0.9))
}

pub(super) fn per_second_fs(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    per_second::<FsStore>(lab, name, Bar::None)
}

fn per_second<S: Engine>(lab: &mut Lab, name: &str, bar: Bar) -> Outcome<Vec<Row>> {
    let mut disk = lab.disk()?;
    let mut subject = lab.large::<S>(&mut disk)?;
    let [mut own_ratios, mut canonical_ratios, mut rates] = [const { Vec::new() }; 3];
    for round in 0..=lab.sizes.rounds {
        let path = disk.fresh_path();
        let (bytes, own) = write(&mut subject, &mut disk, SnapshotKind::Full)?;
        let plain = write_plainly(&path, bytes)?;
        if round > 0 {
            own_ratios.push(plain / own);
            rates.push(float(bytes) / own / 1e6);
        }
        if round < CANONICAL_ROUNDS {
            let (bytes, canonical) = write(&mut subject, &mut disk, SnapshotKind::Canonical)?;
            canonical_ratios.push(write_plainly(&path, bytes)? / canonical);
        }
    }
    lab.keep(subject, disk);
    Ok(vec![
        Row::new(name, "x", bar, own_ratios),
        Row::note(format!("{name}/rate"), "MB/s", rates),
        Row::note(format!("{name}/canonical"), "x", canonical_ratios),
    ])
}

/// Rounds are sizes here: a table is measured while it grows, a quarter more each time.
pub(super) fn per_entry(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let before = (lab.allocated)();
    let mut subject = Subject::over(memory_store(Vec::new())?)?;
    let (mut filled, mut rounds) = (0, Vec::new());
    let mut size = lab.sizes.small;
    loop {
        size = size.min(lab.sizes.large);
        subject.fill(filled, size)?;
        filled = size;
        let bytes = (lab.allocated)().saturating_sub(before);
        rounds.push(float(bytes as u64) / float(size));
        if size == lab.sizes.large {
            break;
        }
        size += size / 4;
    }
    Ok(vec![Row::new(name, "bytes", Bar::WorstBelow(32.0, 24.0), rounds)])
}
