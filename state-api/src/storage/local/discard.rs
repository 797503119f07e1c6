//! Removing checkpoints and shared files, metadata first; savepoints are in
//! [`disposal`](super::disposal).
//!
//! # Invariants
//! 1. No data file is removed before the removal of the metadata is durable; a crash in between
//!    leaves orphans, never a checkpoint with holes.
//! 2. Directories are entered only if they are real ones: a symbolic link is refused.
//! 3. In a checkpoint's directory only names that we may have written are removed, in `shared` only
//!    those that the caller lists.

use std::io;
use std::path::Path;

use super::layout::{METADATA, cannot_write, is_ours, unless_missing};
use crate::snapshot::FileName;
use crate::vfs::{DirectoryEntry, EntryKind, FileSystem};
use crate::{Error, Result};

/// Removes all of a checkpoint's directory that is ours; none at all is no error.
pub(super) fn remove_checkpoint(fs: &dyn FileSystem, own: &Path) -> Result<()> {
    if !require_directory(fs, own)? {
        return Ok(());
    }
    remove_metadata(fs, own)?;
    let entries = list(fs, own)?;
    let ours = entries
        .iter()
        .filter(|entry| entry.metadata.kind == EntryKind::File && is_ours(&entry.name));
    remove_all(fs, own, ours.map(|entry| Path::new(&entry.name)))?;
    remove_directory(fs, own)
}

/// Removes shared files.
pub(super) fn remove_shared(fs: &dyn FileSystem, shared: &Path, files: &[FileName]) -> Result<()> {
    if files.is_empty() || !require_directory(fs, shared)? {
        return Ok(());
    }
    remove_all(fs, shared, files.iter().map(|name| Path::new(name.as_str())))
}

/// Whether the directory is there; refuses anything else of that name.
pub(super) fn require_directory(fs: &dyn FileSystem, path: &Path) -> Result<bool> {
    match fs.metadata(path) {
        Ok(found) if found.kind == EntryKind::Directory => Ok(true),
        Ok(found) => Err(Error::invalid_input(format!(
            "this has to be a directory but is a {:?}; nothing was removed or written",
            found.kind
        ))
        .with_path(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("metadata", path, error)),
    }
}

/// Removes a directory's metadata for good.
pub(super) fn remove_metadata(fs: &dyn FileSystem, own: &Path) -> Result<()> {
    let path = own.join(METADATA);
    let removed = unless_missing(fs.remove_file(&path));
    removed.map_err(|error| cannot_write("remove", &path, error))?;
    // Also where it was missing: whoever removed it may have died before this. A directory that is
    // missing was removed meanwhile by somebody who had synced it.
    let synced = unless_missing(fs.sync_directory(own));
    synced.map_err(|error| cannot_write("fsync", own, error))
}

/// Nothing, where somebody else has removed the directory meanwhile.
pub(super) fn list(fs: &dyn FileSystem, own: &Path) -> Result<Vec<DirectoryEntry>> {
    match fs.list(own) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| cannot_write("list", own, error)),
    }
}

/// Removes as many as possible, and returns the first failure.
pub(super) fn remove_all<'p>(
    fs: &dyn FileSystem,
    directory: &Path,
    names: impl Iterator<Item = &'p Path>,
) -> Result<()> {
    let mut failure = None;
    for name in names {
        let path = directory.join(name);
        if let Err(error) = unless_missing(fs.remove_file(&path)) {
            failure = failure.or(Some(cannot_write("remove", &path, error)));
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Removes a directory, unless somebody else has put something there.
pub(super) fn remove_directory(fs: &dyn FileSystem, path: &Path) -> Result<()> {
    match unless_missing(fs.remove_dir(path)) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        result => result.map_err(|error| cannot_write("remove", path, error)),
    }
}
