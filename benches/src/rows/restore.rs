//! How soon a store is ready after a restore: the time from opening it, out of a completed checkpoint on
//! the same file system, to the first value that it reads and that is right. The files are in the page
//! cache. To close the store again does not count.

use alluvium_state_api::snapshot::SnapshotKind;

use super::Lab;
use super::increments::Checkpoint;
use crate::Outcome;
use crate::clock::timed;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::keys::key;
use crate::row::{Bar, Row};
use crate::subject::Subject;

const RATIO: Bar = Bar::AtMost(2.0, 1.1);
const MILLISECONDS: Bar = Bar::AtMost(50.0, 10.0);

/// A checkpoint of a store with so many keys, which is closed again.
pub(super) fn checkpoint<S: Engine>(disk: &mut Disk, keys: u64) -> Outcome<Checkpoint> {
    let mut subject = Subject::<S>::filled(disk, keys)?;
    Ok(disk.snapshot(&mut subject, SnapshotKind::Incremental)?)
}

/// Milliseconds to the first read, which is of the key with this number.
fn first_read<S: Engine>(disk: &mut Disk, from: &Checkpoint, number: u64) -> Outcome<f64> {
    let part = disk.part(from);
    let (read, seconds) = timed(|| -> Outcome<_> {
        let mut subject = Subject::over(S::store(disk, vec![part])?)?;
        let value = subject.get(&[key(number)])?;
        Ok((subject, value))
    });
    let (subject, value) = read?;
    drop(subject);
    if value != number {
        return Err(format!("key number {number} has the value {value} after a restore").into());
    }
    Ok(seconds * 1e3)
}

pub(super) fn large_to_tiny<S: Engine>(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    (lab.pair, lab.large) = (None, None);
    let (sizes, mut disk) = (lab.sizes, lab.disk()?);
    let tiny = checkpoint::<S>(&mut disk, sizes.tiny)?;
    let large = checkpoint::<S>(&mut disk, sizes.large)?;
    let [mut ratios, mut tiny_ms, mut large_ms] = [const { Vec::new() }; 3];
    for round in 0..=sizes.rounds as u64 {
        // a prime step, so that rounds read from all over the file
        let number = |keys: u64| (round * 7_919_317) % keys;
        let (of_tiny, of_large);
        if round % 2 == 0 {
            of_tiny = first_read::<S>(&mut disk, &tiny, number(sizes.tiny))?;
            of_large = first_read::<S>(&mut disk, &large, number(sizes.large))?;
        } else {
            of_large = first_read::<S>(&mut disk, &large, number(sizes.large))?;
            of_tiny = first_read::<S>(&mut disk, &tiny, number(sizes.tiny))?;
        }
        // the first round warms up
        if round > 0 {
            ratios.push(of_large / of_tiny);
            tiny_ms.push(of_tiny);
            large_ms.push(of_large);
        }
    }
    lab.disk = Some(disk);
    Ok(vec![
        Row::new(name, "x", RATIO, ratios),
        Row::new(format!("{name}/10m"), "ms", MILLISECONDS, large_ms),
        Row::note(format!("{name}/100k"), "ms", tiny_ms),
    ])
}
