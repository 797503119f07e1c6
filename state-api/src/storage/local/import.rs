//! Taking a file of another snapshot over in a directory: a second name for it where both are in one
//! file system, a copy otherwise.
//!
//! # Invariants
//! 1. The file gets a fresh random name of ours. Snapshot files are never written again, so that who
//!    removes either name does no harm to the other.
//! 2. What is looked at is what was linked: kind and length are compared through the new name.
//! 3. Content and name are durable before the file is registered with its attempt, whoever wrote it
//!    and however long ago.
//!
//! A link costs two syncs and reads nothing, so it does not find damage inside the file: restoring does.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::attempt::Site;
use super::layout::{cannot_write, create_fresh, unless_missing};
use crate::snapshot::{FileLocation, SnapshotFile, StoredFile};
use crate::storage::{FileScope, SnapshotSource};
use crate::vfs::{EntryKind, must_be_copied};
use crate::{Error, Result};

/// Links `file` into the place of `scope`; `None` where it has to be copied.
pub(super) fn link(
    site: &Arc<Site>,
    file: &SnapshotFile,
    from: &dyn SnapshotSource,
    scope: FileScope,
) -> Result<Option<StoredFile>> {
    let Some(original) = from.local_path(file) else {
        return Ok(None);
    };
    // Says what is wrong with a file that is missing or has another length.
    drop(from.open(file)?);
    site.check_open()?;
    let (fs, ground) = (&*site.ground.fs, &site.ground);
    let (directory, shared) = site.directory_of(scope);
    let mut refused = false;
    let linked = create_fresh(
        directory,
        || ground.file_name(),
        |path| {
            fs.hard_link(&original, path).inspect_err(|error| {
                refused = must_be_copied(error);
                if error.kind() != io::ErrorKind::AlreadyExists {
                    // It may have happened all the same. What stays is an orphan.
                    drop(unless_missing(fs.remove_file(path)));
                }
            })
        },
    );
    let (name, path, ()) = match linked {
        Err(_) if refused => return Ok(None),
        linked => linked?,
    };
    match settle(site, file, directory, &path) {
        Ok(true) => {}
        Ok(false) => {
            site.remove_unfinished(&path);
            return Ok(None);
        }
        Err(error) => {
            site.remove_unfinished(&path);
            return Err(error);
        }
    }
    let location = if shared { FileLocation::Shared(name) } else { FileLocation::Own(name) };
    Ok(Some(StoredFile { location, ..file.stored.clone() }))
}

/// Makes the directory of `scope` durable, a copy having been finished in it.
pub(super) fn sync_names(site: &Site, scope: FileScope) -> Result<()> {
    let (directory, _) = site.directory_of(scope);
    let synced = site.ground.fs.sync_directory(directory);
    synced.map_err(|error| cannot_write("fsync", directory, error))
}

/// Checks what was linked to `path`, makes it durable and registers it. `false` where this process may
/// not sync it, and has to write a copy of its own.
fn settle(site: &Site, file: &SnapshotFile, directory: &Path, path: &Path) -> Result<bool> {
    let fs = &*site.ground.fs;
    let found = fs.metadata(path).map_err(|error| cannot_write("metadata", path, error))?;
    if found.kind != EntryKind::File || found.length != file.stored.length {
        return Err(Error::corrupted(format!(
            "the {:?} behind {:?} has {} bytes instead of {}; it was replaced while it was taken over",
            found.kind, file.stored.location, found.length, file.stored.length
        )));
    }
    let mut opened = match fs.open_append(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        opened => opened.map_err(|error| cannot_write("open", path, error))?,
    };
    opened.sync().map_err(|error| cannot_write("fsync", path, error))?;
    drop(opened);
    fs.sync_directory(directory).map_err(|error| cannot_write("fsync", directory, error))?;
    site.register(path)?;
    Ok(true)
}
