//! One process per job: a file in its directory that the kernel locks as long as the process lives.
//!
//! A lock of the kernel needs no owner and no age: it ends with the process, also by `SIGKILL`. Where
//! the file system has none (some network file systems), and over object stores, exclusive
//! publication alone decides between two processes: one of them fails, and none is damaged.

use std::path::Path;

use alluvium_state_api::Error;
use alluvium_state_api::vfs::{FileLock, FileSystem, Locking, lock_file};

use super::error::{JobError, Result};

/// The name of the file. It stays when the job has ended.
const NAME: &str = ".lock";

/// A job that this process has for itself until it drops this.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: FileLock,
}

impl Lock {
    /// Takes the lock of the job in `directory`; `None` where the file system has no locks.
    ///
    /// # Errors
    /// [`JobError::Busy`] where another process has it; where the file cannot be made or opened.
    pub(crate) fn take(fs: &dyn FileSystem, directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(NAME);
        match lock_file(fs, &path).map_err(|error| Error::io("lock", &path, error))? {
            Locking::Locked(lock) => Ok(Some(Self { _held: lock })),
            Locking::Busy => Err(JobError::Busy(directory.to_owned())),
            Locking::Unsupported => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::vfs::{MemoryFs, RealFs};

    use super::*;

    #[test]
    fn a_job_has_one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::take(&RealFs, directory.path()).unwrap();
        assert!(first.is_some());
        let second = Lock::take(&RealFs, directory.path()).unwrap_err();
        assert!(matches!(second, JobError::Busy(ref path) if path == directory.path()));
        assert!(second.to_string().contains("another process"), "{second}");
        drop(first);
        assert!(Lock::take(&RealFs, directory.path()).unwrap().is_some());
    }

    #[test]
    fn a_file_system_without_locks_has_none() {
        let fs = MemoryFs::new();
        fs.create_dir(Path::new("/job")).unwrap();
        assert!(Lock::take(&fs, Path::new("/job")).unwrap().is_none());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Lock::take(&RealFs, &directory.path().join("none")).is_err());
    }
}
