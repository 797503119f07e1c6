//! Claiming a snapshot: its files become those of a checkpoint of the job's own, and what is left of
//! the original is deleted with that checkpoint.
//!
//! # Rules
//! * K1 The original is only read until a checkpoint of the job that needs nothing of it is durable
//!   and has been replaced by a later one.
//! * K2 What is deleted then is the original's metadata and the files in its own directory, if the
//!   metadata is still the one that was claimed. Shared files of its job are never touched.
//! * K3 An origin is acted upon only in a checkpoint that the job itself has published, and never if
//!   it leads to a published checkpoint of the same job.
//! * K4 The original goes first, then the checkpoint that remembers it: a crash in between leaves a
//!   checkpoint whose origin is gone, which is no error.

use std::collections::BTreeMap;

use alluvium_state_api::format::file_checksum;
use alluvium_state_api::format::metadata::{CheckpointMetadata, Origin};
use alluvium_state_api::snapshot::StoredFile;
use alluvium_state_api::storage::{CheckpointStorage, FileScope, SnapshotSink, SnapshotSource};
use alluvium_state_api::{Error, ErrorKind, Result};

use crate::files::{self, Place, SharedFiles};

/// Takes every file of `metadata` over into `sink`, and lets it name the new ones.
pub(crate) fn import(
    metadata: &mut CheckpointMetadata,
    source: &dyn SnapshotSource,
    sink: &dyn SnapshotSink,
) -> Result<()> {
    // Refuses a name that stands for two contents.
    SharedFiles::of(metadata)?;
    let mut taken: BTreeMap<Place, StoredFile> = BTreeMap::new();
    let subtasks = metadata.operators.iter_mut().flat_map(|operator| &mut operator.subtasks);
    let snapshots = subtasks.filter_map(|subtask| subtask.keyed.as_mut());
    for file in snapshots.flat_map(|keyed| &mut keyed.files) {
        let Some(place) = files::place(&file.stored.location) else {
            continue;
        };
        let stored = match taken.get(&place) {
            Some(stored) => stored.clone(),
            None => sink.import(file, source, FileScope::Shared)?,
        };
        if (stored.length, stored.checksum) != (file.stored.length, file.stored.checksum) {
            let message = format!("file {} has two different lengths or checksums", place.1);
            return Err(Error::corrupted(message));
        }
        taken.insert(place, stored.clone());
        file.stored = stored;
    }
    Ok(())
}

/// Deletes what is left of a claimed snapshot, if it is still the one that was claimed. What is gone
/// already is no error, and a call that was interrupted can be repeated.
pub(crate) fn release(storage: &dyn CheckpointStorage, job: &str, origin: &Origin) -> Result<()> {
    let stored = match storage.open_pointer(&origin.pointer) {
        // It may come back: the file system was not mounted, the server did not answer.
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        Err(error) if error.kind() == ErrorKind::NotFound => return resume(storage, origin),
        Err(_) => return Ok(()),
        Ok(stored) => stored,
    };
    if file_checksum(&stored.metadata) != origin.checksum {
        return Ok(());
    }
    let Ok(metadata) = CheckpointMetadata::decode(&stored.metadata) else {
        return Ok(());
    };
    if *metadata.job == *job {
        match storage.load(metadata.checkpoint) {
            Ok(own) if own.metadata == stored.metadata => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            _ => {}
        }
    }
    match storage.discard_savepoint(&stored.pointer, &files::own_files(&metadata)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        discarded => discarded,
    }
}

/// The metadata is gone: it may have been this job's doing, and the rest not yet.
fn resume(storage: &dyn CheckpointStorage, origin: &Origin) -> Result<()> {
    match storage.discard_savepoint(&origin.pointer, &[]) {
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        _ => Ok(()),
    }
}
