//! Directories of jobs that are named on the command line.

use std::ffi::OsStr;
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

/// Opens the directory of a job that is there, and creates nothing. Its savepoints are looked for in
/// `savepoints`, or else beside it.
///
/// # Errors
/// Those of [`LocalStorage::existing`].
pub(super) fn open_job(path: &Path, savepoints: Option<&Path>) -> Result<LocalStorage, Error> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().and_then(OsStr::to_str);
    let mut options = LocalOptions::default();
    let job = match name.and_then(|name| FileName::new(name).ok()) {
        Some(job) => {
            if let Some(directory) = savepoints.or(whole.parent()) {
                options = options.with_savepoint_directory(directory);
            }
            job
        }
        // Nobody knows what its savepoints are called.
        None => FileName::new("job")?,
    };
    LocalStorage::existing(fs, Arc::new(OsRandomness), path, &job, options)
}
