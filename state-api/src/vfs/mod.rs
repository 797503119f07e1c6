//! The I/O seam: every byte that Alluvium's own crates read or write passes [`FileSystem`].
//!
//! # Role
//! Storage and the backends hold an `Arc<dyn FileSystem>`. There are three: [`RealFs`] is the
//! operating system's; [`FaultyFs`] wraps another one, and fails or cuts the power at the N-th
//! operation; [`MemoryFs`] is a model that forgets, on [`MemoryFs::crash`], whatever was not synced.
//! Errors are [`io::Error`], since the layer above knows what an error means for a checkpoint.
//!
//! # Invariants
//! 1. A file is created once, appended to, synced, and never written again: there is neither
//!    truncation nor writing in place, so that hard links and memory maps stay valid. What is appended
//!    may be a gap of zeros ([`WriteFile::skip`]).
//! 2. Content is durable after [`WriteFile::sync`]; a *name* is durable only after
//!    [`FileSystem::sync_directory`] of the directory that holds it. Creation, rename, link and
//!    removal are all changes of names.
//! 3. The last component of a path is never followed if it is a symbolic link: opening one fails,
//!    [`FileSystem::metadata`] and [`FileSystem::list`] report it as one.
//! 4. After a failed write or sync nothing is retried on that file: the kernel may have dropped the
//!    data and call the next sync a success. [`FaultyFs::retried`] finds offenders.
//!
//! # Cost
//! One virtual call per operation. Callers write in large pieces.

mod directory;
pub mod faulty;
mod link;
mod lock;
#[cfg(feature = "mmap")]
mod map;
pub mod memory;
mod real;

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

pub use directory::ensure_directory;
pub use faulty::FaultyFs;
pub use link::must_be_copied;
pub use lock::{FileLock, Locking, lock_file};
#[cfg(feature = "mmap")]
pub use map::Mapping;
pub use memory::MemoryFs;
pub use real::RealFs;

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it points to.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// Kind and length of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: EntryKind,
    /// Length of a file in bytes; 0 for everything else.
    pub length: u64,
}

/// One entry of a listed directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name, one component.
    pub name: OsString,
    /// Kind and length.
    pub metadata: Metadata,
}

/// A file system. See the module for what is durable when.
///
/// # Errors
/// Every method returns the operating system's error. Kinds on which callers may rely:
/// `NotFound`, `AlreadyExists`, `NotADirectory`, `IsADirectory` and `DirectoryNotEmpty` as in POSIX,
/// the error number `ELOOP` for a symbolic link in the last component, `Unsupported` or `InvalidInput` where
/// the file system underneath cannot do [`rename_no_replace`](Self::rename_no_replace).
pub trait FileSystem: Debug + Send + Sync {
    /// What stands before a path of this file system in a URL, such as `hdfs://host:8020`: pointers begin
    /// with it. Empty for a file system whose paths stand for themselves.
    #[expect(clippy::unnecessary_literal_bound, reason = "others return what they hold")]
    fn url_prefix(&self) -> &str {
        ""
    }

    /// Creates a file that does not exist yet, for appending.
    ///
    /// # Errors
    /// `AlreadyExists` also for directories and symbolic links, dangling ones included.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens an existing regular file for appending.
    ///
    /// # Errors
    /// See the trait.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens an existing regular file for reading.
    ///
    /// # Errors
    /// See the trait.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Kind and length of what `path` names.
    ///
    /// # Errors
    /// See the trait.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// When what `path` names was last changed, or got another name, in milliseconds since 1970 by the
    /// file system's clock; `None` where it does not say.
    ///
    /// # Errors
    /// See the trait.
    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>>;

    /// The entries of a directory, ordered by name.
    ///
    /// # Errors
    /// See the trait.
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;

    /// Creates one directory whose parent exists.
    ///
    /// # Errors
    /// See the trait. [`ensure_directory`] makes a whole path, durably.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable. Follows a symbolic link to a directory.
    ///
    /// # Errors
    /// See the trait.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or directory, replacing a file that has the name already.
    ///
    /// # Errors
    /// See the trait.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames atomically, failing where `to` exists.
    ///
    /// # Errors
    /// `AlreadyExists`; `Unsupported` or `InvalidInput` where it is not available (some network
    /// file systems): then [`hard_link`](Self::hard_link) and
    /// [`remove_file`](Self::remove_file) do the same in two steps.
    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, failing where `link` exists.
    ///
    /// # Errors
    /// See the trait.
    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()>;

    /// Removes the name of a file or symbolic link.
    ///
    /// # Errors
    /// See the trait.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` and those of the trait.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file being written; [`io::Write::write`] appends, and may be short as POSIX allows.
pub trait WriteFile: io::Write + Debug + Send {
    /// Makes everything written so far durable, length included.
    ///
    /// # Errors
    /// The file is then lost, see invariant 4 of the module.
    fn sync(&mut self) -> io::Result<()>;

    /// Appends so many zeros, which take no room on the disk where the file system can do without them: a
    /// file that stands for parts of another one has each byte where that one has it.
    ///
    /// # Errors
    /// See [`FileSystem`].
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.write_all(ZEROS.get(..count).unwrap_or_default())?;
            left -= count as u64;
        }
        Ok(())
    }

    /// A handle with which another thread can push what was written so far to the disk, so that the
    /// final [`sync`](Self::sync) of a long file is short. `None` where that makes no sense.
    ///
    /// # Errors
    /// See [`FileSystem`].
    fn write_back(&self) -> io::Result<Option<Box<dyn WriteBack>>> {
        Ok(None)
    }

    /// Asks that writes from now on go to the disk at once, past the page cache: for long files that
    /// are rarely read, and need not push what is read often out of it. They are durable after
    /// [`sync`](Self::sync) as ever. `false` where that cannot be had.
    ///
    /// It lasts while writes begin, in memory and in the file, at multiples of [`BYPASS_ALIGNMENT`]
    /// and are as long; the first one that is not, such as the last of a file, ends it.
    ///
    /// # Errors
    /// See [`FileSystem`].
    fn bypass_cache(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// What gaps are made of where they cannot be left out.
const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// What writes past the page cache are aligned to, in bytes: a page, and no less than the blocks of
/// usual disks.
pub const BYPASS_ALIGNMENT: usize = 4096;

/// Pushes a file's data to the disk, once.
pub trait WriteBack: Debug + Send {
    /// Waits until the data is on the disk.
    ///
    /// # Errors
    /// Counts as a failed [`WriteFile::sync`] of the file: the error is reported only once, here.
    fn run(self: Box<Self>) -> io::Result<()>;
}

/// An open file to read, at any offset and from any thread.
pub trait ReadFile: Debug + Send + Sync {
    /// The present length in bytes, through the open descriptor.
    ///
    /// # Errors
    /// See [`FileSystem`].
    fn length(&self) -> io::Result<u64>;

    /// Reads some bytes at `offset`; 0 only at the end of the file or for an empty buffer.
    ///
    /// # Errors
    /// See [`FileSystem`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, mut offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut rest = buffer;
        while !rest.is_empty() {
            match self.read_at(offset, rest) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    rest = rest.get_mut(count..).unwrap_or_default();
                    offset = offset.saturating_add(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The operating system's file, for memory maps and locks; `None` where there is none.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

#[cfg(test)]
mod tests;
