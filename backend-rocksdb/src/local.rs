//! The private directory of a store, in which its database is.
//!
//! # Invariants
//! * L1 One store has the directory at a time. It holds the lock of the kernel, or where the file system has
//!   none, nobody else is told of the directory.
//! * L2 Only directories whose names this module draws are removed, with the files in them: 32 hexadecimal digits
//!   and `.rocksdb`, with `.tmp` or without. A directory that was given by mistake loses nothing.
//! * L3 Nothing here outlives its owner: durable is what is in a checkpoint. What an earlier owner left is
//!   removed when the next one comes.
//!
//! RocksDB itself reads and writes its files by the operating system's calls, past
//! [`FileSystem`](alluvium_state_api::vfs::FileSystem).
//!
//! # Failure
//! `InvalidInput` where the directory cannot be used at all, also because another store has it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::random::Randomness;
use alluvium_state_api::storage::is_drawn;
use alluvium_state_api::vfs::{
    EntryKind, FileLock, FileSystem, Locking, ensure_directory, lock_file,
};
use alluvium_state_api::{Error, OpenEnv, Result};

/// The name of the lock's file. It stays when the owner has gone.
const LOCK: &str = ".lock";
/// What the names of databases end with.
const SUFFIX: &str = ".rocksdb";
/// What RocksDB appends while it makes a copy of a database by second names.
const UNFINISHED: &str = ".tmp";

/// A directory that belongs to one store; its databases go away with it.
#[derive(Debug)]
pub(crate) struct LocalDirectory {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    randomness: Arc<dyn Randomness>,
    _lock: Option<FileLock>,
}

impl LocalDirectory {
    /// Creates the directory where it is missing, takes it, and removes what an earlier owner left.
    ///
    /// # Errors
    /// `InvalidInput` without a directory, where another store has it, or it cannot be made or written to.
    pub(crate) fn open(env: &OpenEnv) -> Result<Self> {
        let path = env.local_dir.clone().ok_or_else(|| {
            Error::invalid_input(
                "the backend rocksdb needs a private local directory; give OpenEnv one (with_local_dir)",
            )
        })?;
        let (fs, randomness) = (Arc::clone(&env.file_system), Arc::clone(&env.randomness));
        ensure_directory(&*fs, &path).map_err(|error| unusable("create", &path, error))?;
        let lock = path.join(LOCK);
        let lock = match lock_file(&*fs, &lock).map_err(|error| unusable("lock", &lock, error))? {
            Locking::Locked(lock) => Some(lock),
            Locking::Unsupported => None,
            Locking::Busy => {
                return Err(Error::invalid_input(
                    "another store has this directory, in this process or another one; give each \
                     subtask a directory of its own",
                )
                .with_path(path));
            }
        };
        let directory = Self { fs, path, randomness, _lock: lock };
        directory.remove_databases().map_err(|error| unusable("clear", &directory.path, error))?;
        Ok(directory)
    }

    /// A path in the directory for a database, which RocksDB creates.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(crate) fn fresh_database(&self) -> Result<PathBuf> {
        let path = self.fresh_path();
        self.fs.create_dir(&path).map_err(|error| Error::io("create", &path, error))?;
        Ok(path)
    }

    /// A path in the directory for something that RocksDB creates with its directory.
    pub(crate) fn fresh_path(&self) -> PathBuf {
        self.path.join(format!("{:032x}{SUFFIX}", self.randomness.next_u128()))
    }

    /// The file system.
    pub(crate) fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// Removes a database that nobody has open, finished or not.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn remove_database(&self, path: &Path) -> io::Result<()> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        gone(remove_flat(&*self.fs, unfinished.as_ref()))?;
        gone(remove_flat(&*self.fs, path))
    }

    /// Removes all databases in the directory (L2).
    fn remove_databases(&self) -> io::Result<()> {
        for entry in self.fs.list(&self.path)? {
            let ours = |name: &str| {
                let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
                name.strip_suffix(SUFFIX).is_some_and(is_drawn)
            };
            let is_directory = entry.metadata.kind == EntryKind::Directory;
            if is_directory && entry.name.to_str().is_some_and(ours) {
                remove_flat(&*self.fs, &self.path.join(&entry.name))?;
            }
        }
        Ok(())
    }
}

impl Drop for LocalDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next owner.
        drop(self.remove_databases());
    }
}

/// Removes a directory that has files only.
fn remove_flat(fs: &dyn FileSystem, path: &Path) -> io::Result<()> {
    for entry in fs.list(path)? {
        gone(fs.remove_file(&path.join(&entry.name)))?;
    }
    gone(fs.remove_dir(path))
}

/// What is gone already need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A directory that cannot be used is a wrong setting.
#[cold]
fn unusable(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let wrong = matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename
    );
    if !wrong {
        return Error::io(operation, path, error);
    }
    let message = format!(
        "{operation} failed: {error}; the store needs a directory for itself that it can write to"
    );
    Error::invalid_input(message).with_operation(operation).with_path(path).with_source(error)
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::{ErrorKind, KeyedBackend, MaxParallelism};

    use super::*;

    fn env(path: &Path) -> OpenEnv {
        let groups = MaxParallelism::new(4).unwrap();
        let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
        OpenEnv::new(space).with_local_dir(path)
    }

    #[test]
    fn a_directory_has_one_owner_and_keeps_what_is_not_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in ["data.rocksdb", "00000000000000000000000000000000", "notes"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        std::fs::write(path.join(format!("{:032x}{SUFFIX}", 7)), b"a file").unwrap();
        let left = path.join(format!("{:032x}{SUFFIX}", 8));
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("CURRENT"), b"of an earlier owner").unwrap();
        let first = LocalDirectory::open(&env(path)).unwrap();
        assert!(!left.exists());
        let second = LocalDirectory::open(&env(path)).map(drop).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::InvalidInput, "{second}");
        let database = first.fresh_database().unwrap();
        assert!(database.is_dir());
        drop(first);
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let kept = format!("{:032x}{SUFFIX}", 7);
        let expected = [LOCK, "00000000000000000000000000000000", &kept, "data.rocksdb", "notes"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = LocalDirectory::open(&env(file.path())).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}
