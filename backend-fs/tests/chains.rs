//! Long chains of increments: key groups are folded on the way, so that a restore reads little more than
//! the state, and what it reads is right at every point, in every backend.

mod harness;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind};
use alluvium_state_api::testkit::fixtures::{Everything, Image, fill, image};
use alluvium_state_api::testkit::{Harness, Increments, Kit, Profile};
use alluvium_state_api::{OpenEnv, Result};
use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options: mapped.
    Mapped: PROFILE, Mapped;
    /// Default options, read instead of mapped.
    Read: PROFILE, Pread;
    /// Mapped, and always short of memory.
    TinyMapped: TINY, Mapped;
}

/// The memory backend.
#[derive(Debug, Default)]
struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn profile(&self) -> Profile {
        let increments = Increments::Native;
        let (exact_counts, local_directory) = (true, false);
        Profile { name: "memory", increments, exact_counts, local_directory, ..PROFILE }
    }

    fn open(&self, env: OpenEnv) -> Result<MemoryStore> {
        MemoryStore::open(env)
    }
}

const KEYS: u64 = 800;

/// Whether files count for some key groups only: the others were folded.
fn is_folded(snapshot: &KeyedSnapshot) -> bool {
    snapshot.files.iter().any(|file| file.live.as_slice() != [snapshot.range])
}

/// Takes a long chain, and restores it now and then as `H` and as `O`.
fn long_chain<H: Harness, O: Harness>() -> Vec<KeyedSnapshot> {
    let (kit, other) = (Kit::<H>::new(), Kit::<O>::new());
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let mut image: Image = image(KEYS, 5);
    fill(&mut backend, &states, &image);
    let mut snapshots = Vec::new();
    for round in 0..40_u64 {
        for key in (round..KEYS).step_by(41) {
            states.remove(&mut backend, key);
            image.remove(&key);
            if (key + round) % 3 > 0 {
                states.put(&mut backend, key, key + round);
                image.insert(key, key + round);
            }
        }
        let taken = kit.confirm(&mut backend, SnapshotKind::Incremental);
        if round % 9 == 2 {
            let mut restored = kit.restore::<u64>(&[&taken]);
            let states = Everything::open(&mut restored);
            states.check(&mut restored, &image, KEYS + 10);
            let mut restored = other.restore::<u64>(&[&taken]);
            let states = Everything::open(&mut restored);
            states.check(&mut restored, &image, KEYS + 10);
        }
        snapshots.push(taken.snapshot.clone());
    }
    states.check(&mut backend, &image, KEYS + 10);
    snapshots
}

#[test]
fn a_restore_reads_little_more_than_the_state() {
    let snapshots = long_chain::<Mapped, Memory>();
    let full = snapshots.first().map_or(0, |first| first.bytes_new);
    for (round, snapshot) in snapshots.iter().enumerate() {
        let (read, files) = (snapshot.bytes_full, snapshot.files.len());
        assert!(read <= full * 3 / 2, "round {round}: {read} bytes are read of {full}");
        assert!(files <= 64, "round {round}: {files} files");
    }
    assert!(snapshots.last().is_some_and(is_folded));
    let written: u64 = snapshots.iter().skip(1).map(|snapshot| snapshot.bytes_new).sum();
    let changed = snapshots.get(1).map_or(0, |second| second.bytes_new) * 39;
    assert!(written <= changed * 5, "{written} bytes were written, {changed} had changed");
}

#[test]
fn chains_hold_when_files_are_read() {
    assert!(long_chain::<Read, Mapped>().last().is_some_and(is_folded));
}

#[test]
fn chains_hold_when_memory_is_short() {
    long_chain::<TinyMapped, Read>();
}
