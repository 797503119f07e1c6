//! A file system that silently leaves out one thing: the broken product of a canary.
//!
//! # Role
//! A harness that looks for missing syncs, torn publications or swallowed errors must find them where
//! they are. [`OmittingFs`] stands between the product and any other file system and breaks one rule
//! of [`vfs`](crate::vfs) as a careless change of the product would: it calls a sync done that did
//! not happen, publishes by copying, forgets to delete, or takes an error for a success. A canary
//! test runs its harness over it and fails unless the harness complains.
//!
//! # Invariants
//! 1. Nothing but the [`Omission`] differs from the file system underneath.
//! 2. [`omitted`](OmittingFs::omitted) counts how often it did: a canary in which that is 0 shows
//!    nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::vfs::{DirectoryEntry, FileSystem, Metadata, ReadFile, WriteBack, WriteFile};

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Omission {
    /// The sync of a file; early write-back as well.
    SyncFile,
    /// The sync of a directory.
    SyncDirectory,
    /// The removal of a file.
    RemoveFile,
    /// That a rename is one step: the content is copied to the new name, and the old name removed.
    AtomicRename,
    /// That a rename refuses a name that exists: it replaces the file.
    ExclusiveRename,
    /// The error of a write to a file: it is called done.
    WriteError,
    /// The error of a sync of a file: it is called done.
    SyncError,
    /// The error of a read: what was in the buffer is called read.
    ReadError,
}

impl Omission {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SyncFile,
        Self::SyncDirectory,
        Self::RemoveFile,
        Self::AtomicRename,
        Self::ExclusiveRename,
        Self::WriteError,
        Self::SyncError,
        Self::ReadError,
    ];
}

/// A [`FileSystem`] without one thing; clones share the count.
#[derive(Clone, Debug)]
pub struct OmittingFs {
    inner: Arc<dyn FileSystem>,
    omission: Omission,
    omitted: Arc<AtomicU64>,
}

impl OmittingFs {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn FileSystem>, omission: Omission) -> Self {
        Self { inner, omission, omitted: Arc::default() }
    }

    /// How often something was left out.
    pub fn omitted(&self) -> u64 {
        self.omitted.load(Ordering::Relaxed)
    }

    /// Whether this is left out; counts it if so.
    fn omits(&self, omission: Omission) -> bool {
        let omits = self.omission == omission;
        if omits {
            self.omitted.fetch_add(1, Ordering::Relaxed);
        }
        omits
    }

    /// The outcome of something whose error may be taken for a success.
    fn forgiving<T>(&self, omission: Omission, result: io::Result<T>, done: T) -> io::Result<T> {
        if result.is_err() && self.omits(omission) { Ok(done) } else { result }
    }

    fn handle<F>(&self, inner: F) -> OmittingFile<F> {
        OmittingFile { fs: self.clone(), inner }
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let source = self.inner.open(from)?;
        let length = usize::try_from(source.length()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        source.read_exact_at(0, &mut bytes)?;
        let mut copy = self.inner.create_new(to)?;
        copy.write_all(&bytes)?;
        self.inner.remove_file(from)
    }
}

impl FileSystem for OmittingFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(self.handle(self.inner.create_new(path)?)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(self.handle(self.inner.open_append(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = self.inner.open(path)?;
        match self.omission {
            Omission::ReadError => Ok(Box::new(self.handle(file))),
            _ => Ok(file),
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>> {
        self.inner.modified_ms(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.inner.list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if self.omits(Omission::SyncDirectory) {
            return Ok(());
        }
        self.inner.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.omits(Omission::AtomicRename) {
            return self.copy(from, to);
        }
        if self.omits(Omission::ExclusiveRename) {
            return self.inner.rename(from, to);
        }
        self.inner.rename_no_replace(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if self.omits(Omission::RemoveFile) {
            return Ok(());
        }
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }
}

#[derive(Debug)]
struct OmittingFile<F> {
    fs: OmittingFs,
    inner: F,
}

impl io::Write for OmittingFile<Box<dyn WriteFile>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.fs.forgiving(Omission::WriteError, written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteFile for OmittingFile<Box<dyn WriteFile>> {
    fn sync(&mut self) -> io::Result<()> {
        if self.fs.omits(Omission::SyncFile) {
            return Ok(());
        }
        let synced = self.inner.sync();
        self.fs.forgiving(Omission::SyncError, synced, ())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = self.inner.skip(bytes);
        self.fs.forgiving(Omission::WriteError, skipped, ())
    }

    fn write_back(&self) -> io::Result<Option<Box<dyn WriteBack>>> {
        match self.fs.omission {
            Omission::SyncFile => Ok(None),
            _ => self.inner.write_back(),
        }
    }
}

impl ReadFile for OmittingFile<Box<dyn ReadFile>> {
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len();
        let read = self.inner.read_at(offset, buffer);
        self.fs.forgiving(Omission::ReadError, read, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::faulty::EIO;
    use crate::vfs::faulty::Fault::Fails;
    use crate::vfs::{FaultyFs, MemoryFs};

    /// Writes a draft, syncs it, gives it its name, syncs the directory, removes another file.
    fn publish(fs: &dyn FileSystem) -> io::Result<()> {
        let mut file = fs.create_new(Path::new("/draft"))?;
        file.write_all(b"content")?;
        file.sync()?;
        drop(file);
        fs.rename_no_replace(Path::new("/draft"), Path::new("/name"))?;
        fs.sync_directory(Path::new("/"))?;
        drop(fs.create_new(Path::new("/old"))?);
        fs.remove_file(Path::new("/old"))
    }

    fn length(fs: &MemoryFs, path: &str) -> Option<u64> {
        fs.metadata(Path::new(path)).ok().map(|found| found.length)
    }

    fn published(omission: Omission) -> (OmittingFs, MemoryFs) {
        let memory = MemoryFs::new();
        let omitting = OmittingFs::new(Arc::new(memory.clone()), omission);
        publish(&omitting).unwrap();
        (omitting, memory)
    }

    #[test]
    fn one_thing_is_left_out_and_counted() {
        let durable = |omission| {
            let (omitting, memory) = published(omission);
            let left = memory.crash();
            (omitting.omitted(), length(&left, "/name"), length(&memory, "/old"))
        };
        assert_eq!(durable(Omission::WriteError), (0, Some(7), None));
        assert_eq!(durable(Omission::SyncFile), (1, Some(0), None));
        assert_eq!(durable(Omission::SyncDirectory), (1, None, None));
        assert_eq!(durable(Omission::RemoveFile), (1, Some(7), Some(0)));
        assert_eq!(durable(Omission::AtomicRename), (1, Some(0), None));
    }

    #[test]
    fn a_rename_that_is_not_exclusive_replaces() {
        let (omitting, memory) = published(Omission::ExclusiveRename);
        publish(&omitting).unwrap();
        assert_eq!(length(&memory, "/name"), Some(7));
        let strict: Arc<dyn FileSystem> = Arc::new(memory);
        assert_eq!(publish(&*strict).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn errors_are_taken_for_success() {
        for (omission, number) in [(Omission::WriteError, 2), (Omission::SyncError, 3)] {
            let faulty = FaultyFs::new(Arc::new(MemoryFs::new())).with_fault(number, Fails(EIO));
            let omitting = OmittingFs::new(Arc::new(faulty), omission);
            publish(&omitting).unwrap();
            assert_eq!(omitting.omitted(), 1, "{omission:?}");
        }
    }

    #[test]
    fn a_failed_read_reads_what_was_in_the_buffer() {
        let (_, memory) = published(Omission::SyncError);
        let faulty = FaultyFs::new(Arc::new(memory)).with_fault(2, Fails(EIO));
        let omitting = OmittingFs::new(Arc::new(faulty), Omission::ReadError);
        let mut buffer = [1; 7];
        let file = omitting.open(Path::new("/name")).unwrap();
        file.read_exact_at(0, &mut buffer).unwrap();
        assert_eq!((buffer, omitting.omitted()), ([1; 7], 1));
    }
}
