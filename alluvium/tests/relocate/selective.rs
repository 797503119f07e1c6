//! A subtask reads the sections of its key groups, and not the whole of its predecessors' files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_checkpoint::{OperatorSpec, RestoreOptions, Trigger};
use alluvium_state_api::snapshot::{SnapshotFile, SnapshotKind};
use alluvium_state_api::storage::{FileReader, SnapshotSource};
use alluvium_state_api::testkit::Harness;
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{KeyedBackend, OpenEnv, Result};

use super::fs::Fs;
use super::harness::Memory;
use super::job::{Job, UID, steps};

/// What may be read of each file beside the sections, whatever its length: header, index, footer, and
/// what comes along with them.
const BESIDE: u64 = 96 << 10;

/// A source that counts the bytes that are read.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn SnapshotSource>,
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingReader {
    inner: Box<dyn FileReader>,
    read: Arc<AtomicU64>,
}

impl SnapshotSource for Counting {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let (inner, read) = (self.inner.open(file)?, Arc::clone(&self.read));
        Ok(Box::new(CountingReader { inner, read }))
    }
}

impl FileReader for CountingReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.inner.read_exact_at(offset, buffer)
    }
}

/// What a job of some subtasks does with a snapshot that one of others has taken, in bytes.
struct Restored {
    /// What was read.
    read: u64,
    /// What the files have.
    bytes: u64,
    /// What the files have that each subtask opened, added up.
    opened: u64,
    /// How often files were opened.
    opens: u64,
}

/// A job of `before` subtasks with a snapshot of each kind.
struct Before<H: Harness> {
    job: Job<H>,
    pointer: String,
}

impl<H: Harness> Before<H> {
    /// A single snapshot.
    fn of(trigger: Trigger, before: u32) -> Self {
        let mut job = Job::<H>::fresh(&MemoryFs::new(), 64, before, SnapshotKind::Full);
        job.run(&steps(1, 10_000, 30_000), false);
        let pointer = job.complete(trigger).pointer;
        Self { job, pointer }
    }

    /// A chain of increments, each of them larger than what may be read beside the sections.
    fn of_increments(before: u32) -> Self {
        let kind = SnapshotKind::Incremental;
        let mut job = Job::<H>::fresh(&MemoryFs::new(), 64, before, kind);
        let mut pointer = String::new();
        for (round, count) in (0..).zip([30_000, 3_000, 3_000]) {
            job.run(&steps(round, 40_000, count), false);
            pointer = job.complete(Trigger::checkpoint()).pointer;
        }
        Self { job, pointer }
    }

    /// Restores it in `after` subtasks, after a change of what each part says of the snapshot.
    fn restored(&self, after: u32, change: impl Fn(&mut SnapshotFile)) -> Restored {
        let point = self.job.point(&self.pointer);
        let files = point.metadata().keyed().flat_map(|(_, _, keyed)| &keyed.files);
        let bytes = files.map(|file| file.stored.length).sum();
        let operator = OperatorSpec::new(UID, after);
        let plan = point.plan(&[operator], RestoreOptions::default()).unwrap();
        let read = Arc::new(AtomicU64::new(0));
        let (mut opened, mut opens) = (0, 0);
        let harness = H::default();
        for subtask in &plan.operators[0].subtasks {
            let mut parts = subtask.restore.clone();
            for part in &mut parts {
                part.snapshot.files.iter_mut().for_each(&change);
                let lengths = part.snapshot.files.iter().map(|file| file.stored.length);
                (opened, opens) =
                    (opened + lengths.clone().sum::<u64>(), opens + lengths.count() as u64);
                let (inner, read) = (Arc::clone(&part.source), Arc::clone(&read));
                part.source = Arc::new(Counting { inner, read });
            }
            let groups = plan.operators[0].operator.groups();
            let space = KeyedBackend::<u64>::key_space(groups, subtask.range).unwrap();
            drop(harness.open(OpenEnv::new(space).with_restore(parts)).unwrap());
        }
        Restored { read: read.load(Ordering::Relaxed), bytes, opened, opens }
    }
}

fn check(restored: &Restored, (before, after): (u32, u32)) {
    let Restored { read, bytes, opened, opens } = restored;
    let most = bytes + opens * BESIDE;
    assert!(*read <= most, "{before} -> {after}: {read} of {bytes}, {opens} opened");
    assert!(most < *opened || bytes == opened, "reading all of each file would pass");
}

fn read_each_section_once<H: Harness>() {
    let canonical = [(1, 2), (4, 3), (8, 1)].map(|ways| (Trigger::savepoint(None), ways));
    let full = [(1, 8), (3, 5)].map(|ways| (Trigger::full_checkpoint(), ways));
    for (trigger, (before, after)) in canonical.into_iter().chain(full) {
        check(&Before::<H>::of(trigger, before).restored(after, |_| {}), (before, after));
    }
}

#[test]
fn all_subtasks_together_read_each_section_once() {
    read_each_section_once::<Memory>();
}

#[test]
fn all_subtasks_together_copy_each_section_once() {
    read_each_section_once::<Fs>();
}

/// And what a version wrote that did not record frame checksums is recognised by all its bytes.
fn read_each_section_of_a_chain_once<H: Harness>() {
    for (before, after) in [(1, 4), (3, 2)] {
        let chain = Before::<H>::of_increments(before);
        let point = chain.job.point(&chain.pointer);
        let files = point.metadata().keyed().map(|(_, _, keyed)| keyed.files.len());
        let files: Vec<_> = files.collect();
        assert!(files.iter().all(|count| *count >= 3), "these are chains: {files:?}");
        let with = chain.restored(after, |_| {});
        check(&with, (before, after));
        let without = chain.restored(after, |file| file.frame_checksum = None);
        assert!(without.read >= without.opened, "{} of {}", without.read, without.opened);
        assert!(with.read + with.opened <= without.read + with.opens * BESIDE);
    }
}

#[test]
fn all_subtasks_together_read_each_section_of_a_chain_once() {
    read_each_section_of_a_chain_once::<Memory>();
}

#[test]
fn all_subtasks_together_copy_each_section_of_a_chain_once() {
    read_each_section_of_a_chain_once::<Fs>();
}
