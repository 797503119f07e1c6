//! A subtask reads the sections of its key groups, and not the whole of its predecessors' files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_checkpoint::{OperatorSpec, RestoreOptions, Trigger};
use alluvium_state_api::snapshot::{SnapshotFile, SnapshotKind};
use alluvium_state_api::storage::{FileReader, SnapshotSource};
use alluvium_state_api::testkit::Harness;
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{KeyedBackend, OpenEnv, Result};

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

fn restore(trigger: Trigger, before: u32, after: u32) -> Restored {
    let fs = MemoryFs::new();
    let mut job = Job::<Memory>::fresh(&fs, 64, before, SnapshotKind::Full);
    job.run(&steps(1, 10_000, 30_000), false);
    let pointer = job.complete(trigger).pointer;
    let point = job.point(&pointer);
    let files = point.metadata().keyed().flat_map(|(_, _, keyed)| &keyed.files);
    let bytes = files.map(|file| file.stored.length).sum();
    let operator = OperatorSpec::new(UID, after);
    let plan = point.plan(&[operator], RestoreOptions::default()).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let (mut opened, mut opens) = (0, 0);
    for subtask in &plan.operators[0].subtasks {
        let mut parts = subtask.restore.clone();
        for part in &mut parts {
            let lengths = part.snapshot.files.iter().map(|file| file.stored.length);
            (opened, opens) =
                (opened + lengths.clone().sum::<u64>(), opens + lengths.count() as u64);
            let (inner, read) = (Arc::clone(&part.source), Arc::clone(&read));
            part.source = Arc::new(Counting { inner, read });
        }
        let groups = plan.operators[0].operator.groups();
        let space = KeyedBackend::<u64>::key_space(groups, subtask.range).unwrap();
        drop(Memory.open(OpenEnv::new(space).with_restore(parts)).unwrap());
    }
    Restored { read: read.load(Ordering::Relaxed), bytes, opened, opens }
}

#[test]
fn all_subtasks_together_read_each_section_once() {
    let canonical = [(1, 2), (4, 3), (8, 1)].map(|ways| (Trigger::savepoint(None), ways));
    let full = [(1, 8), (3, 5)].map(|ways| (Trigger::full_checkpoint(), ways));
    for (trigger, (before, after)) in canonical.into_iter().chain(full) {
        let Restored { read, bytes, opened, opens } = restore(trigger, before, after);
        let most = bytes + opens * BESIDE;
        assert!(read <= most, "{before} -> {after}: {read} of {bytes}, {opens} opened");
        assert!(most < opened || bytes == opened, "reading all of each file would pass");
    }
}
