//! Snapshots of one backend restored by another one, increments among them, and back.
//!
//! No case of the kit, which knows one backend at a time: whoever has two calls [`exchange`]. Files of a backend's own
//! format must be refused by the other one, not misread.

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Harness, Kit, Taken, ten};
use crate::ErrorKind;
use crate::snapshot::{FileFormat, SnapshotKind};

/// Takes snapshots of every kind, increments among them, with what they must hold.
fn series<H: Harness>(kit: &Kit<H>) -> Vec<(Taken, Image)> {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let mut image = image(300, 5);
    fill(&mut backend, &states, &image);
    let mut taken = vec![(kit.confirm(&mut backend, SnapshotKind::Incremental), image.clone())];
    for round in 0..6 {
        for key in (round..300).step_by(7) {
            states.remove(&mut backend, key);
            image.remove(&key);
            if key % 2 == 0 {
                states.put(&mut backend, key, key + round);
                image.insert(key, key + round);
            }
        }
        let increment = kit.confirm(&mut backend, SnapshotKind::Incremental);
        taken.push((increment, image.clone()));
    }
    for kind in [SnapshotKind::Canonical, SnapshotKind::Full] {
        taken.push((kit.take(&mut backend, kind), image.clone()));
    }
    taken
}

/// Whether a snapshot has files that only its own backend reads.
fn is_native(taken: &Taken) -> bool {
    taken.snapshot.files.iter().any(|file| file.format == FileFormat::Native)
}

/// Restores all of them with another backend, changes something, and takes a snapshot that the first
/// backend restores.
pub fn exchange<A: Harness, B: Harness>() {
    let (from, to) = (Kit::<A>::new(), Kit::<B>::new());
    let other = from.profile().name != to.profile().name;
    for (taken, mut image) in series(&from) {
        if other && is_native(&taken) {
            let refused = to.try_open::<u64>(ten(), ten().all(), vec![taken.part()]);
            assert_eq!(refused.map(drop).unwrap_err().kind(), ErrorKind::Incompatible);
            continue;
        }
        let mut backend = to.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut backend);
        states.check(&mut backend, &image, 310);
        for key in (0..300).step_by(11) {
            states.remove(&mut backend, key);
            states.put(&mut backend, key, 77);
            image.insert(key, 77);
        }
        let mut back = to.take(&mut backend, SnapshotKind::Incremental);
        if other && is_native(&back) {
            back = to.take(&mut backend, SnapshotKind::Full);
        }
        let mut backend = from.restore::<u64>(&[&back]);
        let states = Everything::open(&mut backend);
        states.check(&mut backend, &image, 310);
    }
}
