//! Names in a job's directory.
//!
//! ```text
//! <directory>/<job>/shared/<32 hex digits>        files that later checkpoints may reference
//! <directory>/<job>/chk-<n>/_metadata             appears last; with it the checkpoint exists
//! <directory>/<job>/chk-<n>/<32 hex digits>       the checkpoint's own files
//! <directory>/<job>/chk-<n>/.metadata-<32 hex>    metadata on its way
//! <target>/savepoint-<first 6 of job>-<16 hex>/   a savepoint (the first 6 hex: a hash of the job's name): `_metadata` and all its files
//! <directory of either>/.metadata-disposed        what is being deleted, see [`disposal`](super::disposal)
//! ```

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LocalOptions;
use crate::random::Randomness;
use crate::snapshot::FileName;
use crate::storage::survey::{self, DRAFT, is_drawn};
use crate::vfs::{FileSystem, WriteFile};
use crate::{CheckpointId, Error, ErrorKind, Result};

pub(super) const METADATA: &str = "_metadata";
pub(super) const SHARED: &str = "shared";
const CHECKPOINT: &str = "chk-";

/// How often a new name is drawn where one is taken.
const NAME_ATTEMPTS: u32 = 10;

/// What everything in this module works with.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) randomness: Arc<dyn Randomness>,
    pub(super) options: LocalOptions,
}

pub(super) fn checkpoint_name(id: CheckpointId) -> String {
    format!("{CHECKPOINT}{id}")
}

/// The checkpoint whose directory has this name, exactly as [`checkpoint_name`] writes it.
pub(super) fn parse_checkpoint(name: &OsStr) -> Option<CheckpointId> {
    let digits = name.to_str()?.strip_prefix(CHECKPOINT)?;
    let id = CheckpointId::new(digits.parse().ok()?);
    (checkpoint_name(id).as_str() == name).then_some(id)
}

/// Whether a file of this name in a checkpoint's directory is one that we may have written, metadata
/// aside.
pub(super) fn is_ours(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| is_drawn(name) || survey::is_draft(name))
}

/// Whether this is the name of metadata on its way, or left on its way.
pub(super) fn is_draft(name: &Path) -> bool {
    name.to_str().is_some_and(survey::is_draft)
}

impl Ground {
    pub(super) fn file_name(&self) -> Result<FileName> {
        FileName::new(&format!("{:032x}", self.randomness.next_u128()))
    }

    pub(super) fn draft_name(&self) -> String {
        format!("{DRAFT}{:032x}", self.randomness.next_u128())
    }

    pub(super) fn savepoint_name(&self, job: &FileName) -> String {
        survey::savepoint_name(job.as_str(), self.randomness.next_u64())
    }
}

/// Makes something new below `directory`, drawing another name where one is taken.
pub(super) fn create_fresh<N: ToString, T>(
    directory: &Path,
    mut name: impl FnMut() -> Result<N>,
    mut create: impl FnMut(&Path) -> io::Result<T>,
) -> Result<(N, PathBuf, T)> {
    for _ in 0..NAME_ATTEMPTS {
        let name = name()?;
        let path = directory.join(name.to_string());
        match create(&path) {
            Ok(created) => return Ok((name, path, created)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_write("create", &path, error)),
        }
    }
    Err(Error::unavailable(format!(
        "no free random name was found in {NAME_ATTEMPTS} attempts; is the randomness random?"
    ))
    .with_path(directory))
}

/// Creates a file whose name was drawn. One that is there in spite of an error is removed: it can be nobody
/// else's.
pub(super) fn create_file(fs: &dyn FileSystem, path: &Path) -> io::Result<Box<dyn WriteFile>> {
    let created = fs.create_new(path);
    if created.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists) {
        // If this fails as well it is an orphan.
        drop(fs.remove_file(path));
    }
    created
}

/// An error of writing, where a missing or occupied name is no answer but a failure.
#[cold]
pub(super) fn cannot_write(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidFilename => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{operation} failed: {error}"))
        .with_operation(operation)
        .with_path(path)
        .with_source(error)
}

/// Ignores that something is not there.
pub(super) fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
