//! Taking snapshots: the request, the task, and the handle that describes the result.
//!
//! A store's [`snapshot`](crate::KeyedStore::snapshot) is the short synchronous phase; it returns an
//! owned [`SnapshotTask`] that any thread runs while the writer goes on. The task writes files
//! through a [`SnapshotSink`] and returns a [`KeyedSnapshot`], which travels to the coordinator and
//! into the checkpoint's metadata. Dropping a task un-run releases whatever it pinned.

pub mod helpers;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::format::{StateFileSpec, WrittenStateFile};
use crate::schema::{KeyIdentity, StateMeta};
use crate::storage::SnapshotSink;
use crate::{CheckpointId, Error, KeyGroupRange, MaxParallelism, Result};

/// What kind of snapshot is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotKind {
    /// Everything, in the backend's own form.
    Full,
    /// What changed since the last confirmed checkpoint, on top of that checkpoint's files; a full
    /// one where there is no such checkpoint.
    Incremental,
    /// Everything, in the canonical form: the same bytes from every backend, self-contained.
    Canonical,
}

/// Compression of the blocks of state files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Blocks are stored as they are.
    #[default]
    None,
    /// Snappy, raw format.
    Snappy,
    /// LZ4, block format.
    Lz4,
    /// Zstandard, fast level.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The name used in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The compression with this name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming what exists.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|compression| compression.name() == name).ok_or_else(|| {
            Error::invalid_input(format!(
                "unknown compression {name:?}; choose none, snappy, lz4 or zstd"
            ))
        })
    }
}

/// What the synchronous phase is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotRequest {
    /// The checkpoint or savepoint that the snapshot belongs to.
    pub checkpoint: CheckpointId,
    /// Its kind.
    pub kind: SnapshotKind,
    /// How blocks are compressed.
    pub compression: Compression,
}

impl SnapshotRequest {
    /// A request without compression.
    pub const fn new(checkpoint: CheckpointId, kind: SnapshotKind) -> Self {
        Self { checkpoint, kind, compression: Compression::None }
    }

    /// The same request with compressed blocks.
    #[must_use]
    pub const fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }
}

/// Cancels a running snapshot from another thread; clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the work to stop. It ends with an error of kind `Cancelled` at its next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Fails once the work was cancelled.
    ///
    /// # Errors
    /// [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::cancelled("the snapshot was cancelled"));
        }
        Ok(())
    }
}

/// How far a snapshot is; clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<ProgressCounters>);

#[derive(Debug, Default)]
struct ProgressCounters {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Adds written entries and bytes.
    pub fn add(&self, entries: u64, bytes: u64) {
        self.0.entries.fetch_add(entries, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Entries written so far.
    pub fn entries(&self) -> u64 {
        self.0.entries.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

/// What a running task is given.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotContext<'a> {
    /// Where its files go.
    pub sink: &'a dyn SnapshotSink,
    /// Checked between blocks.
    pub cancel: &'a CancelToken,
    /// Advanced as blocks are written.
    pub progress: &'a Progress,
}

/// The asynchronous phase of a snapshot: owned, sendable, borrows nothing of the store.
pub trait SnapshotTask: Send {
    /// Writes the snapshot's files and describes them.
    ///
    /// # Errors
    /// `Cancelled`, `LimitExceeded` (inline snapshots), or whatever the sink returns. Files written
    /// until then are discarded; the store goes on as if the snapshot had not been asked for, and
    /// nothing that changed since the last confirmed checkpoint is forgotten.
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot>;
}

/// A closure is a task: for stores whose asynchronous phase is one function.
impl<F: FnOnce(SnapshotContext<'_>) -> Result<KeyedSnapshot> + Send> SnapshotTask for F {
    fn run(self: Box<Self>, context: SnapshotContext<'_>) -> Result<KeyedSnapshot> {
        self(context)
    }
}

/// The name of a snapshot file: one component of a safe alphabet, 1 to 200 characters of
/// `[A-Za-z0-9._-]`, not beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Box<str>);

impl FileName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput): anything that could leave its directory.
    pub fn new(name: &str) -> Result<Self> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=200).contains(&name.len()) && name.bytes().all(safe);
        if !fits || name.starts_with('.') {
            return Err(Error::invalid_input(format!(
                "file name {name:?} is not one safe component (1 to 200 of A-Z a-z 0-9 . _ -)"
            )));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a file of a snapshot is. References are relative, so that directories can be moved.
#[derive(Clone, PartialEq, Eq)]
pub enum FileLocation {
    /// In the metadata itself.
    Inline(Arc<[u8]>),
    /// In the directory of the checkpoint or savepoint.
    Own(FileName),
    /// In the job's directory of shared files.
    Shared(FileName),
}

impl fmt::Debug for FileLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Own(name) => write!(f, "Own({name})"),
            Self::Shared(name) => write!(f, "Shared({name})"),
        }
    }
}

/// What is inside a file of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// An Alluvium state file (see `FORMAT.md`): canonical, own form or increment by its flags.
    State,
    /// A file of the backend's own, which only that backend reads.
    Native,
}

/// A file that was written durably: where it is and how it can be recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Where it is.
    pub location: FileLocation,
    /// Its length in bytes.
    pub length: u64,
    /// XXH3-128 (seed 0) of all its bytes.
    pub checksum: u128,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Where it is, how long, with which checksum.
    pub stored: StoredFile,
    /// XXH3-128 of a state file's header, index and footer, by which it is recognised where only parts
    /// of it are read. None for files that are inline (whose bytes the metadata's own checksum
    /// covers) or of a backend's own format, and in snapshots of versions that did not record it.
    pub frame_checksum: Option<u128>,
    /// What is inside.
    pub format: FileFormat,
    /// What the backend calls it (a native file's local name); empty for state files.
    pub label: Box<str>,
    /// The key groups that count, in ascending, disjoint, non-adjacent ranges: those of other groups
    /// have been superseded by a later file of the chain.
    pub live: Vec<KeyGroupRange>,
}

impl SnapshotFile {
    /// The key groups of `range` for which the file counts, in ascending ranges.
    pub fn live_within(&self, range: KeyGroupRange) -> Vec<KeyGroupRange> {
        let live = self.live.iter().map(|live| live.intersection(range));
        live.filter(|live| !live.is_empty()).collect()
    }

    /// The description of a state file that was just written, and counts in all of `range`.
    pub fn of_state(written: WrittenStateFile, range: KeyGroupRange) -> Self {
        let inline = matches!(written.stored.location, FileLocation::Inline(_));
        Self {
            frame_checksum: (!inline).then_some(written.frame_checksum),
            stored: written.stored,
            format: FileFormat::State,
            label: "".into(),
            live: Some(range).filter(|range| !range.is_empty()).into_iter().collect(),
        }
    }
}

/// The 128-bit digest of logical content; see `FORMAT.md`. A wrapping sum, so order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// How many entries a state has, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryCount {
    /// Counted.
    Exact(u64),
    /// A cheap guess.
    Estimate(u64),
}

impl EntryCount {
    /// The number, exact or not.
    pub const fn get(self) -> u64 {
        match self {
            Self::Exact(count) | Self::Estimate(count) => count,
        }
    }
}

/// A state as it is in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSummary {
    /// Its description.
    pub meta: StateMeta,
    /// How many entries it has in this subtask: keys and namespaces, or map entries.
    pub entries: EntryCount,
    /// The digest over its content in this subtask, where the backend knows it.
    pub digest: Option<Digest>,
}

/// The result of a snapshot of one subtask: everything that restore needs besides the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedSnapshot {
    /// The name of the backend that wrote it.
    pub backend: Cow<'static, str>,
    /// The kind that was written (a first incremental snapshot is a full one).
    pub kind: SnapshotKind,
    /// How keys are encoded and placed.
    pub key: KeyIdentity,
    /// The number of key groups of the job.
    pub groups: MaxParallelism,
    /// The key groups of the subtask.
    pub range: KeyGroupRange,
    /// The states, ordered by name; also those that were restored and never accessed.
    pub states: Vec<StateSummary>,
    /// The files, oldest first: later ones override earlier ones.
    pub files: Vec<SnapshotFile>,
    /// Bytes written by this snapshot.
    pub bytes_new: u64,
    /// Bytes that a restore reads: new ones and those of earlier checkpoints.
    pub bytes_full: u64,
}

impl KeyedSnapshot {
    /// The description of a snapshot that consists of one state file with everything in it.
    /// Incremental snapshots that were written in full are described as what they are.
    pub fn of_file(
        backend: &'static str,
        kind: SnapshotKind,
        spec: &StateFileSpec,
        written: WrittenStateFile,
    ) -> Self {
        let length = written.stored.length;
        let summaries = spec.states.iter().zip(&written.states);
        Self {
            backend: backend.into(),
            kind: if kind == SnapshotKind::Canonical { kind } else { SnapshotKind::Full },
            key: spec.key.clone(),
            groups: spec.groups,
            range: spec.range,
            states: summaries.map(|(meta, totals)| totals.summary(meta.clone())).collect(),
            files: vec![SnapshotFile::of_state(written, spec.range)],
            bytes_new: length,
            bytes_full: length,
        }
    }
}
