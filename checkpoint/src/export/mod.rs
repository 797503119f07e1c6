//! Writing a checkpoint or savepoint out as one self-contained directory, anywhere.
//!
//! # Role
//! A checkpoint of a job refers to files in the job's directory, and its job deletes it. A copy has all
//! of its files for itself, so it may be kept, moved with plain file operations, and restored from when
//! the job's directory is gone; nobody but the user deletes it. It may be in another file system or in
//! another storage than the original.
//!
//! # What is copied
//! Every file that the metadata names, once, under a new random name; what is inline stays inline. The
//! metadata keeps everything else: kind, number, job, time, statistics, bytes of the application.
//!
//! # What it promises
//! 1. The copy appears at once and whole, with its metadata; an interrupted one leaves files that
//!    nothing takes for a checkpoint.
//! 2. Every byte is compared with the checksum in the metadata on its way, so that a damaged original
//!    is refused, unless [`ExportOptions::verify`] is off and a link spares reading.
//! 3. The original is only read.
//!
//! # Cost
//! Each file is read once and written once. Where original and copy are in one local file system, a
//! second name is made instead, which takes no space; the file is still read to be verified.

mod files;

use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, SnapshotSink};
use alluvium_state_api::{Error, Result};

pub(crate) use files::Files;

use crate::files::SharedFiles;
use crate::restore::RestorePoint;

/// How a checkpoint is written out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Whether a second name will do for a file that is in the same file system (default). Files of
    /// snapshots are never written again, and either name may be removed without the other; but damage
    /// to the medium hits both. Off: every file is copied.
    pub links: bool,
    /// Whether files are read and compared with their checksums even where a second name makes that
    /// unnecessary. Default on.
    pub verify: bool,
    /// How many files are transferred at once. Default 4, at least 1.
    pub transfers: usize,
    /// Stops the work from another thread; nothing is left then.
    pub cancel: CancelToken,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { links: true, verify: true, transfers: 4, cancel: CancelToken::default() }
    }
}

/// A finished copy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// By what it can be opened.
    pub pointer: String,
    /// How many files it has, metadata not included.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Writes `point` out to exactly `target`, a new or empty place of `storage`.
///
/// # Errors
/// Nothing is at `target` then. Those of [`CheckpointStorage::begin_export`]; `NotFound` and
/// `Corrupted` where files of the original are missing or damaged; `Cancelled`; those of
/// [`CheckpointAttempt::publish`]: after `Indeterminate` the copy may be there.
pub fn export(
    point: &RestorePoint,
    storage: &dyn CheckpointStorage,
    target: &str,
    options: &ExportOptions,
) -> Result<Exported> {
    let metadata = point.metadata();
    let checkpoint = metadata.checkpoint;
    let attempt = storage.begin_export(target)?;
    let exported = write_to(&*attempt, |sink| {
        // Refuses a name that stands for two contents.
        SharedFiles::of(metadata)?;
        let files = Files::import(metadata.keyed().map(|keyed| keyed.2), point, sink, options)?;
        let mut copied = CheckpointMetadata { origin: None, ..metadata.clone() };
        let subtasks = copied.operators.iter_mut().flat_map(|operator| &mut operator.subtasks);
        for keyed in subtasks.filter_map(|subtask| subtask.keyed.as_mut()) {
            files.relocate(keyed)?;
        }
        let pointer = attempt.pointer().to_owned();
        let (files, bytes) = files.totals();
        Ok((copied, Exported { pointer, files, bytes }))
    });
    exported.map_err(|error| error.with_checkpoint(checkpoint))
}

/// Publishes what `write` makes, or takes the whole attempt back.
pub(crate) fn write_to<T>(
    attempt: &dyn CheckpointAttempt,
    write: impl FnOnce(&dyn SnapshotSink) -> Result<(CheckpointMetadata, T)>,
) -> Result<T> {
    let publish = || {
        let (metadata, written) = write(&*attempt.sink())?;
        attempt.publish(&metadata.encode()?)?;
        Ok(written)
    };
    publish().map_err(|error: Error| match attempt.abort() {
        Ok(()) => error,
        Err(left) => {
            let message = format!(
                "{}; what was written so far could not be removed ({})",
                error.message(),
                left.message()
            );
            Error::new(error.kind(), message).with_source(error).with_path(attempt.pointer())
        }
    })
}
