//! Disposing of savepoints. Taking them is a [`Trigger`](crate::Trigger), starting from them a
//! [`StartFrom::Pointer`](crate::StartFrom).

use alluvium_state_api::format::metadata::CheckpointKind;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{Error, ErrorKind, Result};

use crate::files;
use crate::restore::RestorePoint;

/// Removes a savepoint: its metadata, then the files that it names, and nothing else. A call that
/// failed or died on the way can be repeated until it succeeds; then there is `NotFound`.
///
/// # Errors
/// `InvalidInput` for what is a checkpoint and no savepoint; those of [`RestorePoint::open`] (what
/// cannot be read is not removed); `Unavailable` where something could not be removed.
pub fn dispose_savepoint(storage: &dyn CheckpointStorage, pointer: &str) -> Result<()> {
    let point = match RestorePoint::open(storage, pointer) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Goes on where an earlier call had removed the metadata.
            return storage.discard_savepoint(pointer, &[]);
        }
        point => point?,
    };
    if point.metadata().kind != CheckpointKind::Savepoint {
        return Err(Error::invalid_input(
            "this is a checkpoint, which its job deletes itself, and no savepoint",
        )
        .with_path(pointer));
    }
    storage.discard_savepoint(point.pointer(), &files::own_files(point.metadata()))
}
