//! A file system in memory that forgets what was not synced.
//!
//! # Role
//! Tests run over [`MemoryFs`], crash it, and look at what is left; with
//! [`FaultyFs`](super::FaultyFs) around it the power is cut at a chosen operation. It stands for
//! the weakest file system that POSIX allows, not for one that exists: what survives here survives
//! everywhere.
//!
//! # Model
//! | what | durable after |
//! |---|---|
//! | bytes of a file | `sync` of the file |
//! | a name: created, renamed, linked, removed | `sync_directory` of the directory that holds it |
//! | a file or directory none of whose names is durable | never: it is gone with all below it |
//!
//! [`MemoryFs::crash`] keeps exactly that. [`MemoryFs::crash_with`] also keeps a random subset of
//! the rest, since a kernel may write anything at any time, in any order: single changes of names (a
//! rename within one directory is atomic, one across directories is two changes), single writes,
//! writes torn at any byte or in some sectors only, and a length whose bytes never arrived.
//!
//! # Invariants
//! 1. A crashed copy shares nothing with the original; handles stay with the original.
//! 2. The same operations and the same seed give the same survivors.
//! 3. Names of one file (hard links) that survive are still one file.
//!
//! ```
//! use std::path::Path;
//! use alluvium_state_api::vfs::{FileSystem, MemoryFs};
//!
//! # fn main() -> std::io::Result<()> {
//! let fs = MemoryFs::new();
//! let mut file = fs.create_new(Path::new("/synced"))?;
//! file.write_all(b"content")?;
//! file.sync()?;
//! assert!(fs.crash().open(Path::new("/synced")).is_err());   // its name was not
//! fs.sync_directory(Path::new("/"))?;
//! assert_eq!(fs.crash().open(Path::new("/synced"))?.length()?, 7);
//! # Ok(())
//! # }
//! ```

mod crash;
mod tree;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirectoryEntry, FileSystem, Metadata, ReadFile, WriteFile};
use crate::random::SeededRandomness;
use tree::{NodeId, Tree};

/// An in-memory file system with a model of durability; clones share their content.
///
/// Paths are taken from the root, whether they begin with `/` or not; `..` is refused.
#[derive(Clone, Debug, Default)]
pub struct MemoryFs {
    tree: Arc<Mutex<Tree>>,
}

impl MemoryFs {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a power cut leaves at least: only what was synced.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self::over(crash::survivors(&self.tree.lock(), None))
    }

    /// What a power cut may leave: what was synced, and a random part of the rest.
    #[must_use]
    pub fn crash_with(&self, seed: u64) -> Self {
        let random = SeededRandomness::new(seed);
        Self::over(crash::survivors(&self.tree.lock(), Some(&random)))
    }

    /// Makes everything durable, as an orderly unmount does.
    pub fn sync_everything(&self) {
        self.tree.lock().sync_everything();
    }

    /// Adds a symbolic link, durably, for tests of those who must not follow one.
    ///
    /// # Errors
    /// As [`FileSystem::create_dir`].
    pub fn add_symlink(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().add_symlink(path)
    }

    fn over(tree: Tree) -> Self {
        Self { tree: Arc::new(Mutex::new(tree)) }
    }

    fn handle(&self, node: NodeId) -> MemoryFile {
        MemoryFile { fs: self.clone(), node }
    }
}

impl FileSystem for MemoryFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let node = self.tree.lock().create_file(path)?;
        Ok(Box::new(self.handle(node)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let node = self.tree.lock().open(path)?;
        Ok(Box::new(self.handle(node)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let node = self.tree.lock().open(path)?;
        Ok(Box::new(self.handle(node)))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.tree.lock().metadata(path)
    }

    /// It has no clock.
    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>> {
        self.tree.lock().metadata(path).map(|_| None)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.tree.lock().list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.lock().rename(from, to, true)
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.lock().rename(from, to, false)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.tree.lock().link(original, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().remove_directory(path)
    }
}

#[derive(Debug)]
struct MemoryFile {
    fs: MemoryFs,
    node: NodeId,
}

impl io::Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fs.tree.lock().file_mut(self.node)?.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        self.fs.tree.lock().file_mut(self.node)?.sync();
        Ok(())
    }

    /// There is no cache; so that who writes past it does so here, too.
    fn bypass_cache(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

impl ReadFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.fs.tree.lock().file_mut(self.node)?.length())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.fs.tree.lock().file_mut(self.node)?.read_at(offset, buffer))
    }
}
