//! Snapshot storage in memory that counts, fails, blocks and forgets on demand.
//!
//! [`TestStorage`] is the directory of one job: shared files, and own files per checkpoint. A
//! [`TestSink`] takes the files of one snapshot; it can fail at the n-th write, cancel at the n-th
//! write, hold the first write at a [`Gate`], and knows whether every writer was finished or dropped.
//! Own files are found only through the source of their own checkpoint, so that a snapshot that
//! refers to another checkpoint's own file fails to restore.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use xxhash_rust::xxh3::xxh3_128;

use crate::random::{Randomness, SeededRandomness};
use crate::snapshot::{
    CancelToken, FileLocation, FileName, KeyedSnapshot, SnapshotFile, StoredFile,
};
use crate::storage::{
    FileReader, FileScope, FileWriter, InlinePolicy, SnapshotSink, SnapshotSource,
};
use crate::{CheckpointId, Error, Result};

/// The checkpoint of an own file, none for shared ones; and the name.
type Place = (Option<CheckpointId>, FileName);

/// The files of one job; clones share them.
#[derive(Clone, Debug)]
pub struct TestStorage(Arc<Files>);

#[derive(Debug)]
struct Files {
    files: Mutex<BTreeMap<Place, Arc<[u8]>>>,
    names: SeededRandomness,
}

impl Default for TestStorage {
    fn default() -> Self {
        Self(Arc::new(Files { files: Mutex::default(), names: SeededRandomness::new(0x7e57) }))
    }
}

impl TestStorage {
    /// A sink for the files of one subtask's snapshot.
    pub fn sink(&self, checkpoint: CheckpointId) -> TestSink {
        TestSink {
            storage: self.clone(),
            checkpoint,
            policy: InlinePolicy::Small { threshold_bytes: 0 },
            faults: Faults::default(),
            counters: Arc::default(),
        }
    }

    /// Access to the files of one checkpoint.
    pub fn source(&self, checkpoint: CheckpointId) -> Arc<dyn SnapshotSource> {
        Arc::new(TestSource { storage: self.clone(), checkpoint })
    }

    /// Whether this is the same storage.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.files.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Deletes all files but those of the given snapshots.
    pub fn retain<'s>(
        &self,
        snapshots: impl IntoIterator<Item = (CheckpointId, &'s KeyedSnapshot)>,
    ) {
        let kept: BTreeSet<Place> = snapshots
            .into_iter()
            .flat_map(|(id, snapshot)| snapshot.files.iter().filter_map(move |f| place(id, f)))
            .collect();
        self.0.files.lock().retain(|place, _| kept.contains(place));
    }

    /// Replaces a file's bytes by what `change` makes of them; inline files are not touched.
    pub fn alter(
        &self,
        checkpoint: CheckpointId,
        file: &SnapshotFile,
        change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
    ) {
        let Some(place) = place(checkpoint, file) else {
            return;
        };
        let mut files = self.0.files.lock();
        if let Some(changed) = files.remove(&place).and_then(|bytes| change(bytes.to_vec())) {
            files.insert(place, changed.into());
        }
    }

    /// Puts a file's bytes back.
    pub fn restore_file(&self, checkpoint: CheckpointId, file: &SnapshotFile, bytes: Arc<[u8]>) {
        if let Some(place) = place(checkpoint, file) {
            self.0.files.lock().insert(place, bytes);
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// As [`SnapshotSource::open`].
    pub fn read(&self, checkpoint: CheckpointId, file: &SnapshotFile) -> Result<Arc<[u8]>> {
        let bytes = match place(checkpoint, file) {
            None => match &file.stored.location {
                FileLocation::Inline(bytes) => Some(Arc::clone(bytes)),
                _ => None,
            },
            Some(place) => self.0.files.lock().get(&place).cloned(),
        };
        let bytes = bytes.ok_or_else(|| {
            Error::not_found(format!("there is no file {:?}", file.stored.location))
                .with_checkpoint(checkpoint)
        })?;
        if bytes.len() as u64 != file.stored.length {
            return Err(Error::corrupted(format!(
                "a file has {} bytes instead of {}",
                bytes.len(),
                file.stored.length
            )));
        }
        Ok(bytes)
    }
}

fn place(checkpoint: CheckpointId, file: &SnapshotFile) -> Option<Place> {
    match &file.stored.location {
        FileLocation::Inline(_) => None,
        FileLocation::Own(name) => Some((Some(checkpoint), name.clone())),
        FileLocation::Shared(name) => Some((None, name.clone())),
    }
}

/// Holds a snapshot at its first write until it is opened; clones are one gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    reached: bool,
}

impl Gate {
    /// Lets everybody through.
    pub fn open(&self) {
        self.0.0.lock().open = true;
        self.0.1.notify_all();
    }

    /// Waits until somebody stands at the gate.
    pub fn wait_until_reached(&self) {
        let mut state = self.0.0.lock();
        while !state.reached {
            self.0.1.wait(&mut state);
        }
    }

    fn pass(&self) {
        let mut state = self.0.0.lock();
        state.reached = true;
        self.0.1.notify_all();
        while !state.open {
            self.0.1.wait(&mut state);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Faults {
    fail_at: Option<u64>,
    cancel_at: Option<(u64, CancelToken)>,
    gate: Option<Gate>,
}

#[derive(Debug, Default)]
struct Counters {
    operations: AtomicU64,
    created: AtomicU64,
    finished: AtomicU64,
    dropped: AtomicU64,
}

/// Takes the files of one snapshot of one subtask; see the module's page.
#[derive(Debug)]
pub struct TestSink {
    storage: TestStorage,
    checkpoint: CheckpointId,
    policy: InlinePolicy,
    faults: Faults,
    counters: Arc<Counters>,
}

impl TestSink {
    /// Fails the n-th operation (create, write, finish; from 0) and all after it.
    #[must_use]
    pub fn failing_at(mut self, operation: u64) -> Self {
        self.faults.fail_at = Some(operation);
        self
    }

    /// Cancels the snapshot at the n-th operation.
    #[must_use]
    pub fn cancelling_at(mut self, operation: u64, cancel: CancelToken) -> Self {
        self.faults.cancel_at = Some((operation, cancel));
        self
    }

    /// Blocks the first operation until the gate opens.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.faults.gate = Some(gate.clone());
        self
    }

    /// Decides what goes inline.
    #[must_use]
    pub fn inline(mut self, policy: InlinePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Creates, writes and finishes so far.
    pub fn operations(&self) -> u64 {
        self.counters.operations.load(Ordering::Relaxed)
    }

    /// Files that were begun.
    pub fn created(&self) -> u64 {
        self.counters.created.load(Ordering::Relaxed)
    }

    /// Files that were begun and neither finished nor dropped.
    pub fn left_open(&self) -> u64 {
        let ended = self.counters.finished.load(Ordering::Relaxed)
            + self.counters.dropped.load(Ordering::Relaxed);
        self.created() - ended
    }
}

impl Counters {
    fn step(&self, faults: &Faults) -> Result<()> {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        if let Some(gate) = faults.gate.as_ref().filter(|_| operation == 0) {
            gate.pass();
        }
        if let Some((at, cancel)) = &faults.cancel_at
            && operation >= *at
        {
            cancel.cancel();
        }
        match faults.fail_at {
            Some(at) if operation >= at => Err(Error::unavailable("the storage failed on purpose")),
            _ => Ok(()),
        }
    }
}

impl SnapshotSink for TestSink {
    fn create(&self, scope: FileScope) -> Result<Box<dyn FileWriter>> {
        self.counters.step(&self.faults)?;
        self.counters.created.fetch_add(1, Ordering::Relaxed);
        let name = FileName::new(&format!("{:032x}", self.storage.0.names.next_u128()))?;
        Ok(Box::new(TestWriter {
            storage: self.storage.clone(),
            checkpoint: self.checkpoint,
            policy: self.policy,
            faults: self.faults.clone(),
            counters: Arc::clone(&self.counters),
            scope,
            name,
            bytes: Vec::new(),
            finished: false,
        }))
    }

    fn inline_policy(&self) -> InlinePolicy {
        self.policy
    }
}

struct TestWriter {
    storage: TestStorage,
    checkpoint: CheckpointId,
    policy: InlinePolicy,
    faults: Faults,
    counters: Arc<Counters>,
    scope: FileScope,
    name: FileName,
    bytes: Vec<u8>,
    finished: bool,
}

impl FileWriter for TestWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.counters.step(&self.faults)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<StoredFile> {
        self.counters.step(&self.faults)?;
        self.finished = true;
        self.counters.finished.fetch_add(1, Ordering::Relaxed);
        let bytes: Arc<[u8]> = std::mem::take(&mut self.bytes).into();
        let inline = match self.policy {
            InlinePolicy::Small { threshold_bytes } => bytes.len() as u64 <= threshold_bytes,
            InlinePolicy::Everything { .. } => true,
        };
        let (length, checksum) = (bytes.len() as u64, xxh3_128(&bytes));
        let name = self.name.clone();
        let location = if inline {
            FileLocation::Inline(bytes)
        } else {
            let (owner, location) = match self.scope {
                FileScope::Own => (Some(self.checkpoint), FileLocation::Own(name.clone())),
                FileScope::Shared => (None, FileLocation::Shared(name.clone())),
            };
            self.storage.0.files.lock().insert((owner, name), bytes);
            location
        };
        Ok(StoredFile { location, length, checksum })
    }
}

impl Drop for TestWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
struct TestSource {
    storage: TestStorage,
    checkpoint: CheckpointId,
}

impl SnapshotSource for TestSource {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let bytes = self.storage.read(self.checkpoint, file)?;
        Ok(Box::new(TestReader(bytes)))
    }
}

#[derive(Debug)]
struct TestReader(Arc<[u8]>);

impl FileReader for TestReader {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let found = range.and_then(|range| self.0.get(range));
        let bytes =
            found.ok_or_else(|| Error::corrupted("the file ends before").with_offset(offset))?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}
