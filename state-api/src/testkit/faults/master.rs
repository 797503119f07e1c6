//! Who runs the checkpoints of a job: what a script needs of it, and where it works.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::script::{Ask, Origin};
use crate::env::RestorePart;
use crate::random::SeededRandomness;
use crate::snapshot::{CancelToken, FileName, KeyedSnapshot, SnapshotRequest};
use crate::storage::local::{LocalOptions, LocalStorage};
use crate::storage::{CheckpointStorage, SnapshotSink};
use crate::vfs::FileSystem;
use crate::{CheckpointId, Error, KeyGroupRange, MaxParallelism, Result};

/// How many completed checkpoints a master retains.
pub const RETAINED: usize = 2;
/// How many key groups the job has.
pub const GROUPS: u32 = 8;
/// The job's name.
pub const JOB: &str = "faulty-job";

/// The place of a job: a directory of a file system.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// The directory, which exists.
    pub root: PathBuf,
    /// The seed of names and tokens.
    pub seed: u64,
}

impl Place {
    /// The job's storage. Nearly every file is a file of its own, none is inline.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn storage(&self) -> Result<Arc<dyn CheckpointStorage>> {
        let options = LocalOptions {
            write_buffer_bytes: 4 << 10,
            ..LocalOptions::default()
                .with_inline_threshold_bytes(100)
                .with_savepoint_directory(self.savepoints())
        };
        let (fs, job) = (Arc::clone(&self.fs), FileName::new(JOB)?);
        let storage = LocalStorage::open(fs, self.randomness(), &self.checkpoints(), &job, options);
        Ok(Arc::new(storage?))
    }

    /// Fresh randomness from the seed.
    pub fn randomness(&self) -> Arc<SeededRandomness> {
        Arc::new(SeededRandomness::new(self.seed))
    }

    /// Where the directories of jobs are.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Where savepoints are.
    pub fn savepoints(&self) -> PathBuf {
        self.root.join("savepoints")
    }

    /// The job's directory.
    pub fn job(&self) -> PathBuf {
        self.checkpoints().join(Path::new(JOB))
    }

    /// The same place on what a power cut has left, with names that were not used before.
    #[must_use]
    pub fn on(&self, fs: Arc<dyn FileSystem>) -> Self {
        Self { fs, root: self.root.clone(), seed: !self.seed }
    }
}

/// The job's key groups.
///
/// # Errors
/// None: the number is in bounds.
pub fn key_groups() -> Result<MaxParallelism> {
    MaxParallelism::new(GROUPS)
}

/// What a subtask is started with: its key groups, and what to restore.
pub type Subtask = (KeyGroupRange, Vec<RestorePart>);

/// How a job starts.
#[derive(Debug)]
pub struct Started {
    /// The bytes of the application in what is restored; `None` for a fresh start.
    pub application: Option<Vec<u8>>,
    /// The subtasks.
    pub subtasks: Vec<Subtask>,
}

/// A checkpoint or savepoint under way.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What each store is asked for.
    pub request: SnapshotRequest,
    /// Where the files go.
    pub sink: Arc<dyn SnapshotSink>,
    /// Cancelled when it is given up.
    pub cancel: CancelToken,
    /// By what it can be opened once it is complete.
    pub pointer: String,
}

/// What the subtasks must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The checkpoint or savepoint.
    pub id: CheckpointId,
    /// Whether it is complete, or was aborted.
    pub completed: bool,
}

/// Runs the checkpoints of a job over the storage of a [`Place`], [`RETAINED`] of them being kept. The
/// testkit has a [`PlainMaster`](super::PlainMaster); a coordinator is tested by implementing this.
pub trait Master: Sized {
    /// Opens what the place holds.
    ///
    /// # Errors
    /// Where the storage fails.
    fn open(place: &Place) -> Result<Self>;

    /// Starts the job, whatever it did before. `savepoint` is the last one.
    ///
    /// # Errors
    /// Where the storage fails.
    fn start(
        &mut self,
        origin: Origin,
        savepoint: Option<&str>,
        parallelism: u32,
    ) -> Result<Started>;

    /// Begins a checkpoint or savepoint with bytes of the application.
    ///
    /// # Errors
    /// Where the storage fails.
    fn trigger(&mut self, ask: Ask, application: Vec<u8>) -> Result<Plan>;

    /// A subtask acknowledges or declines; the last one completes the checkpoint.
    ///
    /// # Errors
    /// For wrong use only.
    fn take(
        &mut self,
        id: CheckpointId,
        subtask: u32,
        part: Result<KeyedSnapshot, Error>,
    ) -> Result<()>;

    /// Gives a checkpoint up.
    fn abort(&mut self, id: CheckpointId);

    /// What the subtasks must be told since the last call, in order.
    fn told(&mut self) -> Vec<Told>;

    /// Deletes a savepoint.
    ///
    /// # Errors
    /// Where the storage fails; a new call goes on.
    fn dispose(&mut self, pointer: &str) -> Result<()>;

    /// Goes on with deletions that failed.
    fn settle(&mut self);

    /// One clean-up pass: removes what nothing refers to, however young.
    ///
    /// # Errors
    /// Where the storage fails.
    fn collect(&mut self) -> Result<()>;
}
