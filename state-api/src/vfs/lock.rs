//! A file that the kernel locks as long as its owner lives.
//!
//! A lock of the kernel needs no age and no owner's name: it ends with the process, also by `SIGKILL`.
//! Some file systems have none.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use super::{FileSystem, ReadFile};

/// The answer to [`lock_file`].
#[derive(Debug)]
pub enum Locking {
    /// The file is locked until this is dropped.
    Locked(FileLock),
    /// Somebody else has the lock, in this process or another one.
    Busy,
    /// The file system has no locks.
    Unsupported,
}

/// A locked file; see [`lock_file`]. The file stays when the lock ends.
#[derive(Debug)]
pub struct FileLock(Box<dyn ReadFile>);

/// Locks the file at `path` for the caller alone, without waiting, and creates it where there is none.
///
/// # Errors
/// The operating system's, where the file cannot be made or opened.
pub fn lock_file(fs: &dyn FileSystem, path: &Path) -> io::Result<Locking> {
    match fs.create_new(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        created => drop(created),
    }
    let file = fs.open(path)?;
    Ok(match file.as_file().map(std::fs::File::try_lock) {
        Some(Ok(())) => Locking::Locked(FileLock(file)),
        Some(Err(TryLockError::WouldBlock)) => Locking::Busy,
        Some(Err(TryLockError::Error(_))) | None => Locking::Unsupported,
    })
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file would do the same.
        drop(self.0.as_file().map(std::fs::File::unlock));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryFs, RealFs};
    use super::*;

    #[test]
    fn a_lock_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = lock_file(&RealFs, &path).unwrap();
        assert!(matches!(first, Locking::Locked(_)));
        assert!(matches!(lock_file(&RealFs, &path).unwrap(), Locking::Busy));
        drop(first);
        assert!(matches!(lock_file(&RealFs, &path).unwrap(), Locking::Locked(_)));
    }

    #[test]
    fn a_file_system_without_locks_has_none() {
        let lock = lock_file(&MemoryFs::new(), Path::new("/lock")).unwrap();
        assert!(matches!(lock, Locking::Unsupported));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let missing = lock_file(&RealFs, &directory.path().join("none/lock"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
