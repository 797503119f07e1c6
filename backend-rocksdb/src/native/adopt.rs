//! Takes the files of a native snapshot into a directory: tables and blob files by second names where both are in one file system,
//! and copies otherwise.

use std::io::Write;
use std::path::Path;

use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::storage::{SnapshotSource, open_file, read_pieces};
use alluvium_state_api::vfs::{FileSystem, must_be_copied};
use alluvium_state_api::{Error, RestorePart, Result};
use xxhash_rust::xxh3::Xxh3;

use super::Role;

/// Takes all files of a part's database into `directory`, under RocksDB's names.
///
/// # Errors
/// `Corrupted` where a file is not what the snapshot says; `NotFound`, `Unavailable`.
pub(super) fn adopt(fs: &dyn FileSystem, part: &RestorePart, directory: &Path) -> Result<()> {
    for file in &part.snapshot.files {
        let role = Role::of(&file.label)
            .ok_or_else(|| Error::corrupted("a file is called as none of RocksDB's"))?;
        if role == Role::States {
            continue;
        }
        let path = directory.join(&*file.label);
        let linked = role.is_lasting() && link(fs, file, &*part.source, &path)?;
        if !linked {
            copy(fs, file, &*part.source, &path)?;
        }
    }
    Ok(())
}

/// Makes a second name for a file; `false` where it has to be copied.
fn link(
    fs: &dyn FileSystem,
    file: &SnapshotFile,
    source: &dyn SnapshotSource,
    path: &Path,
) -> Result<bool> {
    let Some(original) = source.local_path(file) else {
        return Ok(false);
    };
    match fs.hard_link(&original, path) {
        Ok(()) => {
            // What was linked, not what was found under the name before.
            drop(open_file(fs, path, file.stored.length)?);
            Ok(true)
        }
        Err(error) if must_be_copied(&error) => Ok(false),
        Err(error) => Err(Error::io("link", path, error)),
    }
}

fn copy(
    fs: &dyn FileSystem,
    file: &SnapshotFile,
    source: &dyn SnapshotSource,
    path: &Path,
) -> Result<()> {
    let mut writer = fs.create_new(path).map_err(|error| Error::io("create", path, error))?;
    read(file, source, &mut |bytes| {
        writer.write_all(bytes).map_err(|error| Error::io("write", path, error))
    })
}

/// Reads a file piece by piece.
///
/// # Errors
/// `Corrupted` where it is not what the snapshot says, which is known in the end; `NotFound`, `Unavailable`; those of
/// `take`.
pub(super) fn read(
    file: &SnapshotFile,
    source: &dyn SnapshotSource,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let reader = source.open(file)?;
    let (length, mut hasher) = (reader.len(), Xxh3::new());
    read_pieces(&*reader, 0..length, |bytes| {
        hasher.update(bytes);
        take(bytes)
    })?;
    let (expected, found) = (&file.stored, hasher.digest128());
    if (length, found) == (expected.length, expected.checksum) {
        return Ok(());
    }
    Err(Error::corrupted(format!(
        "{:?} has {length} bytes with checksum {found:032x} instead of {} with {:032x}; restore from another checkpoint",
        expected.location, expected.length, expected.checksum
    )))
}
