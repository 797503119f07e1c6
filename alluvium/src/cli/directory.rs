//! Directories of jobs that are named on the command line.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{Directory, StorageEnv};
use alluvium_state_api::Error;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};

use super::failure::Failure;
use super::operate::refused;

/// The directory that `dir` means: a path, or the URL of a file system.
///
/// # Errors
/// Where it is the URL of something without directories. What follows the scheme may hold credentials,
/// and is not repeated.
pub(super) fn directory(dir: &Path, command: &str) -> Result<Directory, Failure> {
    // What is no text is a path for sure.
    let Some(url) = dir.to_str() else {
        return Ok(Directory { file_system: StorageEnv::default().file_system, path: dir.into() });
    };
    Directory::open(url, &StorageEnv::default()).map_err(|error| {
        if url.starts_with("hdfs://") {
            return refused(&error);
        }
        Failure::usage(format!(
            "`{command}` takes local directories only, and hdfs:// in a build with the feature hdfs; \
             give a path or file:// and a path"
        ))
    })
}

/// Opens the directory of a job that is there, and creates nothing. Its savepoints are looked for in
/// `savepoints`, or else beside it.
///
/// # Errors
/// Those of [`LocalStorage::existing`].
pub(super) fn open_job(job: &Directory, savepoints: Option<&Path>) -> Result<LocalStorage, Error> {
    let (fs, path) = (Arc::clone(&job.file_system), &job.path);
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
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
