//! Publication: the order in which a checkpoint becomes durable and then visible.
//!
//! | step | what | after a crash from here on |
//! |---|---|---|
//! | 1 | fsync of the directories of the files and of the checkpoint's own name | absent |
//! | 2 | metadata into a draft with a random name, fsync | absent |
//! | 3 | the draft gets the name `_metadata`, exclusively | absent or whole |
//! | 4 | fsync of the directory | whole |
//!
//! The files themselves were synced by their writers. Up to step 3 every failure is determinate; in
//! step 4 none is. Over a network a rename whose answer was lost may come late, so that in step 3 looking
//! is not enough: a failure is determinate where the draft was removed, without which a late rename comes
//! to nothing, and the name is not there then.

use std::io;
use std::path::Path;

use super::attempt::Site;
use super::layout::{METADATA, cannot_write, create_file, create_fresh, unless_missing};
use super::source::read_metadata;
use crate::storage::checkpoint::check_metadata_length;
use crate::vfs::FileSystem;
use crate::{Error, ErrorKind, Result};

pub(super) fn publish(site: &Site, metadata: &[u8]) -> Result<()> {
    check_metadata_length(metadata)?;
    let (fs, own) = (&*site.ground.fs, &*site.own);
    let parent = own.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    for directory in [Some(own), site.shared.as_deref(), Some(parent)].into_iter().flatten() {
        let synced = fs.sync_directory(directory);
        synced.map_err(|error| cannot_write("fsync", directory, error))?;
    }
    let (_, draft, mut file) =
        create_fresh(own, || Ok(site.ground.draft_name()), |path| create_file(fs, path))?;
    let written = file.write_all(metadata).and_then(|()| file.sync());
    drop(file);
    site.remember_draft(&draft);
    let written = written.map_err(|error| cannot_write("write", &draft, error));
    if let Err(error) = written.and_then(|()| reveal(fs, &draft, &own.join(METADATA), metadata)) {
        if error.kind() != ErrorKind::Indeterminate {
            // If this fails as well the draft is an orphan, which nothing takes for a checkpoint.
            drop(unless_missing(fs.remove_file(&draft)));
        }
        return Err(error);
    }
    fs.sync_directory(own).map_err(|error| {
        Error::indeterminate("the checkpoint is visible, but may not survive a power cut")
            .with_source(cannot_write("fsync", own, error))
    })
}

/// Gives the draft its final name, unless something else has it.
fn reveal(fs: &dyn FileSystem, draft: &Path, path: &Path, metadata: &[u8]) -> Result<()> {
    let error = match exclusively(fs, draft, path) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let existed = error.kind() == io::ErrorKind::AlreadyExists;
    let fenced = existed || unless_missing(fs.remove_file(draft)).is_ok();
    match read_metadata(fs, path) {
        // Ours after all: a network file system repeated a request that had succeeded.
        Ok(found) if existed && found == metadata => Ok(()),
        Ok(found) if found != metadata => Err(Error::already_exists(
            "another attempt has published this checkpoint; nothing was overwritten",
        )
        .with_path(path)),
        Err(looked) if looked.kind() == ErrorKind::NotFound && !existed && fenced => {
            Err(cannot_write("rename", path, error))
        }
        Err(_) if existed => {
            Err(Error::already_exists("another attempt has published this checkpoint")
                .with_path(path))
        }
        _ => Err(Error::indeterminate("it is not known whether the checkpoint became visible")
            .with_path(path)
            .with_source(error)),
    }
}

fn exclusively(fs: &dyn FileSystem, draft: &Path, path: &Path) -> io::Result<()> {
    match fs.rename_no_replace(draft, path) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
        {
            fs.hard_link(draft, path)?;
            // A draft that stays is removed with the checkpoint.
            drop(fs.remove_file(draft));
            Ok(())
        }
        result => result,
    }
}
