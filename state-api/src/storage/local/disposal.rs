//! Deleting a savepoint, or what is left of a claimed snapshot, so that a call can be repeated.
//!
//! Only metadata names the files of a savepoint, and it goes first. So a marker keeps the names until
//! the last of them is gone:
//!
//! | step | after a crash from here on |
//! |---|---|
//! | 1 marker with the names, fsync of it and of the directory | whole |
//! | 2 the metadata goes, fsync of the directory | whole or gone; a new call goes on from the marker |
//! | 3 the files go, fsync of the directory | gone; the marker tells what may still be there |
//! | 4 the marker goes, and the directory | gone; the directory may be left, empty or with the marker |
//!
//! # Invariants
//! 1. Metadata that is there rules: a marker beside it is of a call that came to nothing, or is
//!    somebody's trick, and is replaced.
//! 2. Whatever a marker says, only regular names in its own directory are removed, and no metadata.
//!
//! A full disk has no room for a marker, but must not keep anybody from deleting: then step 1 is
//! left out, and a call that is interrupted leaves files that nothing names.

use std::io;
use std::path::Path;

use super::discard::{list, remove_all, remove_directory, remove_metadata, require_directory};
use super::layout::{METADATA, cannot_write, is_draft, unless_missing};
use super::source::read_bounded;
use crate::snapshot::FileName;
use crate::storage::{MAX_REMAINS_BYTES, decode_remains, encode_remains};
use crate::vfs::{EntryKind, FileSystem};
use crate::{Error, Result};

/// A draft's name, so that whoever removes drafts removes it, too.
pub(super) const MARKER: &str = crate::storage::survey::DISPOSAL;

/// Removes a savepoint's metadata and the given files.
pub(super) fn dispose(fs: &dyn FileSystem, own: &Path, files: &[FileName]) -> Result<()> {
    if !require_directory(fs, own)? {
        return Ok(());
    }
    match mark(fs, own, files) {
        Err(error) if is_full(&error) => {}
        marked => {
            marked.map_err(|error| cannot_write("write", &own.join(MARKER), error))?;
            fs.sync_directory(own).map_err(|error| cannot_write("fsync", own, error))?;
        }
    }
    remove_metadata(fs, own)?;
    remove_rest(fs, own, files)
}

/// Goes on where an earlier call was interrupted after it had removed the metadata. `false` where
/// none was.
pub(super) fn resume(fs: &dyn FileSystem, own: &Path) -> Result<bool> {
    let path = own.join(MARKER);
    match fs.metadata(&path) {
        Ok(found) if found.kind == EntryKind::File => {}
        Ok(_) => return Ok(false),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return Ok(false),
            _ => return Err(Error::io("metadata", &path, error)),
        },
    }
    if !require_directory(fs, own)? {
        return Ok(false);
    }
    let bytes = read_bounded(fs, &path, MAX_REMAINS_BYTES)?;
    let files = decode_remains(&bytes).map_err(|error| error.with_path(&path))?;
    // The removal of the metadata may not have been durable yet.
    fs.sync_directory(own).map_err(|error| cannot_write("fsync", own, error))?;
    remove_rest(fs, own, &files)?;
    Ok(true)
}

fn mark(fs: &dyn FileSystem, own: &Path, files: &[FileName]) -> io::Result<()> {
    let path = own.join(MARKER);
    unless_missing(fs.remove_file(&path))?;
    let mut marker = fs.create_new(&path)?;
    let written = marker.write_all(&encode_remains(files)).and_then(|()| marker.sync());
    drop(marker);
    written.inspect_err(|_| {
        // What stays is replaced by the next call.
        drop(fs.remove_file(&path));
    })
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn remove_rest(fs: &dyn FileSystem, own: &Path, files: &[FileName]) -> Result<()> {
    let entries = list(fs, own)?;
    let drafts = entries.iter().map(|entry| Path::new(&entry.name));
    let drafts = drafts.filter(|name| is_draft(name) && name.as_os_str() != MARKER);
    let files = files.iter().map(FileName::as_str).filter(|name| *name != METADATA);
    remove_all(fs, own, files.map(Path::new).chain(drafts))?;
    // Missing, where somebody else has removed all of it meanwhile.
    let synced = unless_missing(fs.sync_directory(own));
    synced.map_err(|error| cannot_write("fsync", own, error))?;
    remove_all(fs, own, std::iter::once(Path::new(MARKER)))?;
    remove_directory(fs, own)
}
