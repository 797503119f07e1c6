//! A directory of a file system as the place of a harness.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{EntryKind, FileSystem, ensure_directory};

/// What [`StorageHarness`](super::StorageHarness) asks of a storage in a directory that exists.
#[derive(Debug)]
pub struct Directory<F> {
    /// Where it is.
    pub fs: F,
    /// Below which everything is.
    pub root: PathBuf,
}

impl<F: FileSystem + Clone + 'static> Directory<F> {
    /// The file system as storages take it.
    pub fn shared(&self) -> Arc<dyn FileSystem> {
        Arc::new(self.fs.clone())
    }

    /// See [`StorageHarness::place`](super::StorageHarness::place).
    pub fn place(&self, name: &str) -> String {
        format!("{}{}", self.fs.url_prefix(), self.root.join(name).to_str().unwrap())
    }

    /// See [`StorageHarness::put`](super::StorageHarness::put).
    pub fn put(&self, pointer: &str, bytes: &[u8]) {
        let path = self.path(pointer);
        ensure_directory(&self.fs, path.parent().unwrap()).unwrap();
        drop(self.fs.remove_file(path));
        let mut file = self.fs.create_new(path).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    }

    /// Removes a file, and the directories above it that it leaves empty.
    pub fn remove(&self, pointer: &str) {
        let path = self.path(pointer);
        self.fs.remove_file(path).unwrap();
        let above = path.ancestors().skip(1);
        for directory in above.take_while(|directory| *directory != self.root) {
            drop(self.fs.remove_dir(directory));
        }
    }

    /// Every file below the root, by its path.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(&self.root, &mut found);
        found.sort_unstable();
        found
    }

    fn path<'p>(&self, pointer: &'p str) -> &'p Path {
        Path::new(pointer.strip_prefix(self.fs.url_prefix()).unwrap())
    }

    fn collect(&self, directory: &Path, found: &mut Vec<String>) {
        for entry in self.fs.list(directory).unwrap() {
            let path = directory.join(entry.name);
            match entry.metadata.kind {
                EntryKind::Directory => self.collect(&path, found),
                _ => found.push(path.to_str().unwrap().to_owned()),
            }
        }
    }
}
