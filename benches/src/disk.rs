//! Snapshots into the directory of a job on a local disk, and plain files beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, FileName, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
    SnapshotTask,
};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage};
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{CheckpointId, KeyedStore, RestorePart, Result};
use tempfile::TempDir;

use crate::Outcome;
use crate::clock::timed;
use crate::subject::Subject;

/// How much a plain writer writes at once.
const PIECE_BYTES: usize = 1 << 20;

/// A job's directory, removed in the end.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    storage: LocalStorage,
    last: u64,
}

/// One attempt at a checkpoint.
#[derive(Debug)]
pub struct Attempt {
    /// Its number.
    pub id: CheckpointId,
    attempt: Arc<dyn CheckpointAttempt>,
}

impl Attempt {
    /// Runs the asynchronous phase of a snapshot.
    ///
    /// # Errors
    /// As [`SnapshotTask::run`].
    pub fn run(&self, task: Box<dyn SnapshotTask>) -> Result<KeyedSnapshot> {
        let (cancel, progress) = (CancelToken::default(), Progress::default());
        let sink = self.attempt.sink();
        task.run(SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress })
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// As [`CheckpointAttempt::abort`].
    pub fn remove(self) -> Result<()> {
        self.attempt.abort()
    }
}

impl Disk {
    /// A fresh directory in `parent`.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(parent: &Path) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("alluvium-ratios-").tempdir_in(parent)?;
        let options = LocalOptions::default().with_inline_threshold_bytes(0);
        let job = FileName::new("ratios")?;
        let (fs, randomness) = (Arc::new(RealFs), Arc::new(OsRandomness));
        let storage = LocalStorage::open(fs, randomness, directory.path(), &job, options)?;
        Ok(Self { directory, storage, last: 0 })
    }

    /// Begins the next checkpoint.
    ///
    /// # Errors
    /// As [`CheckpointStorage::begin`].
    pub fn begin(&mut self) -> Result<Attempt> {
        self.last = self.last.saturating_add(1);
        let id = CheckpointId::new(self.last);
        Ok(Attempt { id, attempt: self.storage.begin(id)? })
    }

    /// Takes a whole snapshot; confirms it if increments are to build on it.
    ///
    /// # Errors
    /// Where the snapshot fails.
    pub fn snapshot<S: KeyedStore>(
        &mut self,
        subject: &mut Subject<S>,
        kind: SnapshotKind,
    ) -> Result<(KeyedSnapshot, CheckpointId)> {
        let attempt = self.begin()?;
        let task = subject.backend.snapshot(&SnapshotRequest::new(attempt.id, kind))?;
        let snapshot = attempt.run(task)?;
        if kind == SnapshotKind::Incremental {
            subject.backend.checkpoint_completed(attempt.id)?;
        }
        Ok((snapshot, attempt.id))
    }

    /// A snapshot as a part to restore.
    pub fn part(&self, (snapshot, id): &(KeyedSnapshot, CheckpointId)) -> RestorePart {
        RestorePart { snapshot: snapshot.clone(), source: self.storage.source(*id), base: None }
    }

    /// A fresh name beside the job's directory, on the same file system.
    pub fn fresh_path(&mut self) -> PathBuf {
        self.last = self.last.saturating_add(1);
        self.directory.path().join(format!("fresh-{}", self.last))
    }
}

/// Writes and syncs so many bytes sequentially; returns the seconds that took. The file is removed.
///
/// # Errors
/// Where the file system fails.
pub fn write_plainly(path: &Path, mut bytes: u64) -> Outcome<f64> {
    let piece: Vec<u8> = (0..PIECE_BYTES).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
    let write = || -> Outcome<()> {
        let mut file = RealFs.create_new(path)?;
        while bytes > 0 {
            let take = usize::try_from(bytes).unwrap_or(usize::MAX).min(piece.len());
            file.write_all(piece.get(..take).unwrap_or_default())?;
            bytes = bytes.saturating_sub(take as u64);
        }
        file.sync()?;
        Ok(())
    };
    let (written, seconds) = timed(write);
    written?;
    RealFs.remove_file(path)?;
    Ok(seconds)
}
