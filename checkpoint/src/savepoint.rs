//! Disposing of savepoints and copies. Taking savepoints is a [`Trigger`](crate::Trigger), starting from
//! them a [`StartFrom::Pointer`](crate::StartFrom).

use alluvium_state_api::format::metadata::CheckpointKind;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{Error, ErrorKind, Result};

use crate::files::{self, SharedFiles};
use crate::restore::RestorePoint;

/// Removes a savepoint, or a copy of a checkpoint: its metadata, then the files that it names, and
/// nothing else. A call that failed or died on the way can be repeated until it succeeds; then there is
/// `NotFound`.
///
/// # Errors
/// Those of [`check_disposable`] and of [`RestorePoint::open`] (what cannot be read is not removed);
/// `Unavailable` where something could not be removed.
pub fn dispose_savepoint(storage: &dyn CheckpointStorage, pointer: &str) -> Result<()> {
    let point = match RestorePoint::open(storage, pointer) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Goes on where an earlier call had removed the metadata.
            return storage.discard_savepoint(pointer, &[]);
        }
        point => point?,
    };
    check_disposable(&point)?;
    storage.discard_savepoint(point.pointer(), &files::own_files(point.metadata()))
}

/// Whether something belongs to whoever has its place, and to nobody else: a savepoint, or a checkpoint
/// that was copied out. What a job deletes itself is refused.
///
/// # Errors
/// `InvalidInput` for a checkpoint in the place that its job gave it, and for one that shares files with
/// others, with what to do instead.
pub fn check_disposable(point: &RestorePoint) -> Result<()> {
    let metadata = point.metadata();
    if metadata.kind == CheckpointKind::Savepoint {
        return Ok(());
    }
    let name = point.pointer().trim_end_matches('/').rsplit('/').next();
    let in_job = name == Some(&format!("chk-{}", metadata.checkpoint));
    let what = if in_job {
        "it lies where its job has put it: a job that runs deletes it by itself; of a job that is over \
         remove the whole directory, and a copy that was given this name, rename first"
    } else if SharedFiles::of(metadata)?.is_empty() {
        return Ok(());
    } else {
        "it refers to files that its job shares with other checkpoints, and this directory alone is \
         no copy of it; put it back, or remove the directory by hand"
    };
    Err(Error::invalid_input(format!(
        "this is a checkpoint, and no savepoint or copy of one: {what}"
    ))
    .with_path(point.pointer()))
}
