//! Snapshots of one backend restored by another one, increments among them, and back.
//!
//! No case of the kit, which knows one backend at a time: whoever has two calls [`exchange`].

use super::fixtures::{Everything, Image, fill, image};
use super::harness::{Harness, Kit, Taken};
use crate::snapshot::SnapshotKind;

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

/// Restores all of them with another backend, changes something, and takes a snapshot that the first
/// backend restores.
pub fn exchange<A: Harness, B: Harness>() {
    let (from, to) = (Kit::<A>::new(), Kit::<B>::new());
    for (taken, mut image) in series(&from) {
        let mut backend = to.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut backend);
        states.check(&mut backend, &image, 310);
        for key in (0..300).step_by(11) {
            states.remove(&mut backend, key);
            states.put(&mut backend, key, 77);
            image.insert(key, 77);
        }
        let back = to.take(&mut backend, SnapshotKind::Incremental);
        let mut backend = from.restore::<u64>(&[&back]);
        let states = Everything::open(&mut backend);
        states.check(&mut backend, &image, 310);
    }
}
