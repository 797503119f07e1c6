//! The private directory of a store: where its segments are.
//!
//! # Invariants
//! * L1 One store has the directory at a time. It holds the lock of the kernel, or where the file
//!   system has none, nobody else is told of the directory.
//! * L2 Only names that this module draws are removed: 32 hexadecimal digits and `.segment`. A
//!   directory that was given by mistake loses nothing.
//! * L3 A file is read only after it was finished, and is never written again.
//! * L4 Nothing here outlives its owner: durable is what is in a checkpoint. What an earlier owner
//!   left is removed when the next one comes.
//!
//! # Failure
//! `InvalidInput` where the directory cannot be used at all, also because another store has it;
//! `Unavailable` where the file system fails later. After a failed write or sync the file is lost.

mod adopt;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_state_api::random::Randomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{FileReader, FileWriter, is_drawn, open_file};
use alluvium_state_api::vfs::{FileLock, FileSystem, Locking, ensure_directory, lock_file};
use alluvium_state_api::{Error, ErrorKind, Result};

pub(crate) use adopt::Wanted;
use writer::{LocalWriter, Purpose};

/// The name of the lock's file. It stays when the owner has gone.
const LOCK: &str = ".lock";
/// What the names of segments end with.
const SUFFIX: &str = ".segment";
/// How often a new name is drawn where one is taken.
const NAME_ATTEMPTS: u32 = 10;

/// A directory that belongs to one store; clones are the same directory.
#[derive(Clone, Debug)]
pub(crate) struct LocalDirectory(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    randomness: Arc<dyn Randomness>,
    next_id: AtomicU64,
    _lock: Option<FileLock>,
}

/// A file of a [`LocalDirectory`], which is removed when this is dropped. What is mapped or open stays
/// readable.
#[derive(Debug)]
pub(crate) struct LocalFile {
    directory: Arc<Owned>,
    path: PathBuf,
    name: FileName,
    id: u64,
    has_gaps: bool,
}

impl LocalDirectory {
    /// Creates the directory where it is missing, takes it, and removes what an earlier owner left.
    ///
    /// # Errors
    /// `InvalidInput` where another store has it, or it cannot be made or written to; `Unavailable`
    /// where the file system fails.
    pub(crate) fn open(
        fs: Arc<dyn FileSystem>,
        path: impl Into<PathBuf>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self> {
        let path = path.into();
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
        remove_stale(&*fs, &path)?;
        let next_id = AtomicU64::new(0);
        Ok(Self(Arc::new(Owned { fs, path, randomness, next_id, _lock: lock })))
    }

    /// Begins a file of a fresh random name. It is complete once the writer is finished; the file goes
    /// away with the [`LocalFile`], however far it came.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(crate) fn create(&self) -> Result<(LocalFile, Box<dyn FileWriter>)> {
        self.begin(Purpose::Segment)
    }

    /// The same for a file that is read again at once and then removed: it is not synced, and it says of
    /// itself that increments may refer to it, as the increments of a layer want.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) fn create_scratch(&self) -> Result<(LocalFile, Box<dyn FileWriter>)> {
        self.begin(Purpose::Scratch)
    }

    fn begin(&self, purpose: Purpose) -> Result<(LocalFile, Box<dyn FileWriter>)> {
        let (file, writer) = self.fresh("create", |path| self.0.fs.create_new(path))?;
        let writer = LocalWriter::new(writer, file.path.clone(), file.name.clone(), purpose);
        Ok((file, Box::new(writer)))
    }

    /// Makes something of a fresh random name.
    fn fresh<T>(
        &self,
        operation: &'static str,
        mut make: impl FnMut(&Path) -> io::Result<T>,
    ) -> Result<(LocalFile, T)> {
        for _ in 0..NAME_ATTEMPTS {
            let name = format!("{:032x}{SUFFIX}", self.0.randomness.next_u128());
            let path = self.0.path.join(&name);
            match make(&path) {
                Ok(made) => {
                    let directory = Arc::clone(&self.0);
                    let id = directory.next_id.fetch_add(1, Ordering::Relaxed);
                    let name = FileName::new(&name)?;
                    return Ok((LocalFile { directory, path, name, id, has_gaps: false }, made));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(operation, &path, error)),
            }
        }
        Err(Error::unavailable(format!(
            "no free random name was found in {NAME_ATTEMPTS} attempts; is the randomness random?"
        ))
        .with_path(&self.0.path))
    }
}

impl LocalFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name in the directory.
    pub(crate) fn name(&self) -> &FileName {
        &self.name
    }

    /// A number that no other file of the directory has, in the life of its owner.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether it has but parts of the file that it stands for.
    pub(crate) fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Opens it; it must be `length` bytes long.
    ///
    /// # Errors
    /// `Corrupted` for another length, `NotFound`, `Unavailable`.
    pub(crate) fn read(&self, length: u64) -> Result<Box<dyn FileReader>> {
        open_file(&*self.directory.fs, &self.path, length)
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next owner.
        drop(self.directory.fs.remove_file(&self.path));
    }
}

/// Removes the segments of an earlier owner (L2).
fn remove_stale(fs: &dyn FileSystem, directory: &Path) -> Result<()> {
    let entries = fs.list(directory).map_err(|error| unusable("list", directory, error))?;
    for entry in entries {
        let ours = |name: &str| name.strip_suffix(SUFFIX).is_some_and(is_drawn);
        if entry.name.to_str().is_some_and(ours) {
            let path = directory.join(&entry.name);
            match fs.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unusable("remove", &path, error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A directory that cannot be used is a wrong setting.
#[cold]
fn unusable(operation: &'static str, path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidFilename => {
            let message = format!(
                "{operation} failed: {error}; the store needs a directory for itself that it can write to"
            );
            Error::invalid_input(message)
                .with_operation(operation)
                .with_path(path)
                .with_source(error)
        }
        _ => failed(operation, path, error),
    }
}

/// An error of the file system while the store has the directory.
#[cold]
fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{operation} failed: {error}"))
        .with_operation(operation)
        .with_path(path)
        .with_source(error)
}

#[cfg(test)]
mod tests;
