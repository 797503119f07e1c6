//! Directories of jobs that are named on the command line.

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::Error;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::vfs::{FileSystem, RealFs};

use super::failure::Failure;

/// The path that `dir` means.
///
/// # Errors
/// Where it is a URL of another scheme than `file://`. What follows the scheme may hold credentials,
/// and is not repeated.
pub(super) fn local<'a>(dir: &'a Path, command: &str) -> Result<&'a Path, Failure> {
    match dir.to_str().and_then(|text| text.split_once("://")) {
        Some(("file", path)) => Ok(Path::new(path)),
        Some(_) => Err(Failure::usage(format!(
            "`{command}` takes local directories only; give a path or file:// and a path"
        ))),
        None => Ok(dir),
    }
}

/// Opens the directory of a job that is there, and creates nothing.
///
/// # Errors
/// Those of [`LocalStorage::existing`].
pub(super) fn open_job(path: &Path) -> Result<LocalStorage, Error> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    // Names savepoints, of which none is taken here.
    let job = FileName::new("job")?;
    LocalStorage::existing(fs, Arc::new(OsRandomness), path, &job, LocalOptions::default())
}
