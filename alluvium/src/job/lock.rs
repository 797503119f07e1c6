//! One process per job: a file in its directory that the kernel locks as long as the process lives.
//!
//! A lock of the kernel needs no owner and no age: it ends with the process, also by `SIGKILL`. Where
//! the file system has none (some network file systems), and over object stores, exclusive
//! publication alone decides between two processes: one of them fails, and none is damaged.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use alluvium_state_api::Error;
use alluvium_state_api::vfs::{FileSystem, ReadFile};

use super::error::{JobError, Result};

/// The name of the file. It stays when the job has ended.
const NAME: &str = ".lock";

/// A job that this process has for itself until it drops this.
#[derive(Debug)]
pub(crate) struct Lock(Box<dyn ReadFile>);

impl Lock {
    /// Takes the lock of the job in `directory`; `None` where the file system has no locks.
    ///
    /// # Errors
    /// [`JobError::Busy`] where another process has it; where the file cannot be made or opened.
    pub(crate) fn take(fs: &dyn FileSystem, directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(NAME);
        let failed = |error| Error::io("lock", &path, error);
        match fs.create_new(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error).into());
            }
            created => drop(created),
        }
        let file = fs.open(&path).map_err(failed)?;
        match file.as_file().map(std::fs::File::try_lock) {
            Some(Ok(())) => Ok(Some(Self(file))),
            Some(Err(TryLockError::WouldBlock)) => Err(JobError::Busy(directory.to_owned())),
            Some(Err(TryLockError::Error(_))) | None => Ok(None),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would do the same.
        drop(self.0.as_file().map(std::fs::File::unlock));
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
