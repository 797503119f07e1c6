//! Checkpoints of this backend restored by the memory backend, and the other way round: not only canonical
//! savepoints, since the segments of a checkpoint are state files.

mod harness;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::testkit::fixtures::{Everything, Image, fill, image};
use alluvium_state_api::testkit::{Harness, Increments, Kit, Profile, Taken};
use alluvium_state_api::{OpenEnv, Result};
use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options: mapped.
    Mapped: PROFILE, Mapped;
    /// Default options, read instead of mapped.
    Read: PROFILE, Pread;
    /// Mapped, and always short of memory.
    TinyMapped: TINY, Mapped;
    /// Read, and always short of memory.
    TinyRead: TINY, Pread;
}

/// The memory backend.
#[derive(Debug, Default)]
struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn profile(&self) -> Profile {
        Profile {
            name: "memory",
            increments: Increments::Native,
            exact_counts: true,
            digests: true,
            local_directory: false,
            buffer_bytes: 0,
        }
    }

    fn open(&self, env: OpenEnv) -> Result<MemoryStore> {
        MemoryStore::open(env)
    }
}

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
fn exchange<A: Harness, B: Harness>() {
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

#[test]
fn memory_and_mapped() {
    exchange::<Memory, Mapped>();
    exchange::<Mapped, Memory>();
}

#[test]
fn memory_and_read() {
    exchange::<Memory, Read>();
    exchange::<Read, Memory>();
}

#[test]
fn memory_and_the_same_short_of_memory() {
    exchange::<TinyMapped, Memory>();
    exchange::<Memory, TinyRead>();
}

#[test]
fn one_read_mode_and_the_other() {
    exchange::<TinyRead, TinyMapped>();
    exchange::<Mapped, Read>();
}
