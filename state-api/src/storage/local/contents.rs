//! What a directory that somebody names is: of a job, of many jobs, or a checkpoint itself.
//!
//! It is for those who look at checkpoints from outside and have nothing but a path. Nothing is
//! created, and nothing below the directory is followed that is a symbolic link.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::layout::{METADATA, SHARED, parse_checkpoint};
use crate::vfs::{DirectoryEntry, EntryKind, FileSystem};
use crate::{Error, Result};

/// How the names of savepoints begin.
const SAVEPOINT: &str = "savepoint-";

/// What a directory is to those who look for checkpoints in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Whether it is a checkpoint or savepoint itself: there is metadata in it.
    pub is_checkpoint: bool,
    /// Whether it is the directory of a job: there are checkpoints or shared files in it.
    pub is_job: bool,
    /// The directories of jobs in it, by name.
    pub jobs: Vec<String>,
    /// The directories in it that are named as savepoints are, complete or not.
    pub savepoints: Vec<String>,
}

/// Looks what `directory` is.
///
/// # Errors
/// `NotFound` where there is nothing; `InvalidInput` for what is no directory; `Unavailable`.
///
/// ```
/// use std::path::Path;
/// use alluvium_state_api::storage::local::contents;
/// use alluvium_state_api::vfs::{MemoryFs, ensure_directory};
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let fs = MemoryFs::new();
/// for path in ["/checkpoints/word-count/shared", "/checkpoints/savepoint-word-c-01"] {
///     ensure_directory(&fs, Path::new(path)).expect("memory can be written");
/// }
/// let found = contents(&fs, Path::new("/checkpoints"))?;
/// assert_eq!(found.jobs, ["word-count"]);
/// assert_eq!(found.savepoints, ["savepoint-word-c-01"]);
/// assert!(contents(&fs, Path::new("/checkpoints/word-count"))?.is_job);
/// # Ok(())
/// # }
/// ```
pub fn contents(fs: &dyn FileSystem, directory: &Path) -> Result<Contents> {
    let mut contents = Contents::default();
    for entry in list(fs, directory)? {
        let is_directory = entry.metadata.kind == EntryKind::Directory;
        contents.is_checkpoint |= entry.name == METADATA && !is_directory;
        if !is_directory {
            continue;
        }
        if is_of_job(&entry.name) {
            contents.is_job = true;
            continue;
        }
        let Some(name) = entry.name.to_str() else {
            continue;
        };
        if name.starts_with(SAVEPOINT) {
            contents.savepoints.push(name.to_owned());
        } else if holds_job(fs, &directory.join(name))? {
            contents.jobs.push(name.to_owned());
        }
    }
    Ok(contents)
}

/// Whether a directory of this name makes the one above it that of a job.
fn is_of_job(name: &OsStr) -> bool {
    name == SHARED || parse_checkpoint(name).is_some()
}

/// Whether `path` is the directory of a job. One that may not be entered is none of ours.
fn holds_job(fs: &dyn FileSystem, path: &Path) -> Result<bool> {
    match fs.list(path) {
        Ok(entries) => Ok(entries
            .iter()
            .any(|entry| entry.metadata.kind == EntryKind::Directory && is_of_job(&entry.name))),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Ok(false),
            _ => Err(Error::io("list", path, error)),
        },
    }
}

fn list(fs: &dyn FileSystem, directory: &Path) -> Result<Vec<DirectoryEntry>> {
    fs.list(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found("there is no such directory; check the path").with_path(directory)
        }
        io::ErrorKind::NotADirectory => Error::invalid_input(
            "this is a file; give the directory of a job, or the one that holds directories of jobs",
        )
        .with_path(directory),
        _ => Error::io("list", directory, error),
    })
}
