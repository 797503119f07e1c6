//! Names of objects: those of the local layout, below a prefix.

use alluvium_state_api::{CheckpointId, Error, Result};
use object_store::path::Path;

pub(super) const METADATA: &str = "_metadata";
pub(super) const SHARED: &str = "shared";

/// The key of `text`, as it is: nothing is encoded.
pub(super) fn key(text: &str) -> Result<Path> {
    if text.contains('\0') || text.trim().is_empty() {
        return Err(Error::invalid_input("the name of an object is empty or has a zero byte"));
    }
    Path::parse(text).map_err(|_text| {
        Error::invalid_input("an object store cannot hold this path: no part may be empty, . or ..")
    })
}

/// The key of `name` below `prefix`.
pub(super) fn below(prefix: &Path, name: &str) -> Path {
    prefix.clone().join(name)
}

pub(super) fn checkpoint_name(id: CheckpointId) -> String {
    format!("chk-{id}")
}

/// The checkpoint of this name, exactly as [`checkpoint_name`] writes it.
pub(super) fn parse_checkpoint(name: &str) -> Option<CheckpointId> {
    let id = CheckpointId::new(name.strip_prefix("chk-")?.parse().ok()?);
    (checkpoint_name(id) == name).then_some(id)
}

/// Whether data files of a job lie in a place of this name.
pub(crate) fn is_place(name: &str) -> bool {
    name == SHARED || parse_checkpoint(name).is_some()
}

/// The prefix of the job's shared files, where `own` is named as a checkpoint.
pub(super) fn shared_beside(own: &Path) -> Option<Path> {
    let (job, name) = own.as_ref().rsplit_once('/')?;
    parse_checkpoint(name)?;
    Path::parse(format!("{job}/{SHARED}")).ok()
}
