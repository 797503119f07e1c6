//! What merging segments in the background costs the writer, at the rate at which it may write.
//!
//! Two stores are restored from the last of eight checkpoints, each with more keys, of whose segments the large ones of one may
//! stay as they are, and the other begins to merge them as soon as it is open. The same updates run in
//! both, and count as long as the merge runs.

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_state_api::snapshot::SnapshotKind;

use super::Lab;
use super::increments::Checkpoint;
use crate::clock::Stopwatch;
use crate::disk::Disk;
use crate::engine::{environment, fs_store};
use crate::keys::accesses;
use crate::row::{Bar, Row};
use crate::subject::Subject;
use crate::watch::Watch;
use crate::{Outcome, float};

/// Checkpoints whose segments are merged, as far as increments have not folded key groups already.
const CHECKPOINTS: u64 = 8;
/// Segments that there are at least.
const FEWEST: usize = 3;
/// So many are left alone.
const UNDISTURBED: usize = 1000;
/// Updates between two looks at whether the merge still runs.
const PIECE: usize = 2_000;

/// A checkpoint of so many keys in several segments.
fn in_segments(disk: &mut Disk, keys: u64) -> Outcome<Checkpoint> {
    let mut options = FsOptions::default();
    options.max_segments = UNDISTURBED;
    let mut subject = Subject::over(fs_store(disk, Vec::new(), options)?)?;
    let (mut from, mut newest) = (0, None);
    for part in 1..=CHECKPOINTS {
        let to = keys * part / CHECKPOINTS;
        subject.fill(from, to)?;
        newest = Some(disk.snapshot(&mut subject, SnapshotKind::Incremental)?);
        from = to;
    }
    let checkpoint = newest.ok_or("there are no segments")?;
    if checkpoint.0.files.len() < FEWEST {
        return Err(format!("there are {} files", checkpoint.0.files.len()).into());
    }
    Ok(checkpoint)
}

/// When each piece of updates was done, and the sum of the values before.
type Course = Vec<(f64, u64)>;

fn updates(
    disk: &mut Disk,
    from: &Checkpoint,
    sequence: &[u64],
    max_segments: usize,
) -> Outcome<Course> {
    let merges = max_segments < UNDISTURBED;
    let (watch, mut options) = (Watch::default(), FsOptions::default());
    options.max_segments = max_segments;
    let mut environment = environment(vec![disk.part(from)])?.with_local_dir(disk.fresh_path());
    environment.spawner = std::sync::Arc::new(watch.clone());
    let mut subject = Subject::over(FsStore::open_with(environment, options)?)?;
    let (clock, mut course) = (Stopwatch::start(), Course::new());
    for piece in sequence.chunks(PIECE) {
        let sum = subject.update(piece)?;
        if merges && !watch.is_busy() {
            break;
        }
        course.push((clock.seconds(), sum));
    }
    Ok(course)
}

pub(super) fn throughput(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    (lab.pair, lab.large) = (None, None);
    let (keys, mut disk) = (lab.sizes.large, lab.disk()?);
    let from = in_segments(&mut disk, keys)?;
    let sequence = accesses(keys, lab.sizes.accesses / 4, 13);
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..=lab.sizes.rounds {
        let mut run = |segments| updates(&mut disk, &from, &sequence, segments);
        let (merging, alone);
        if round % 2 == 0 {
            merging = run(2)?;
            alone = run(UNDISTURBED)?;
        } else {
            alone = run(UNDISTURBED)?;
            merging = run(2)?;
        }
        let Some((disturbed, alone)) = merging.iter().zip(&alone).next_back() else {
            return Err("the merge ended before the first updates did; use more keys".into());
        };
        if disturbed.1 != alone.1 {
            return Err(format!("round {round}: merging changes what is read").into());
        }
        // the first round warms up
        if round > 0 {
            let count = float((merging.len() * PIECE) as u64);
            ratios.push(alone.0 / disturbed.0);
            rates.push(count / disturbed.0 / 1e6);
        }
    }
    lab.disk = Some(disk);
    Ok(vec![
        Row::new(name, "x", Bar::AtLeast(0.7, 0.9), ratios),
        Row::note(format!("{name}/rate"), "M/s", rates),
    ])
}
