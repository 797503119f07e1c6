//! [`Linked`]: the files of a database under second names, as it was at one instant.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_state_api::storage::{FileReader, open_file};
use alluvium_state_api::{Error, Result};
use rocksdb::checkpoint::Checkpoint;

use super::Role;
use crate::database::Database;
use crate::failure::failed;

/// The files of a database as it was at one instant; the directory with them goes away with this.
#[derive(Debug)]
pub(crate) struct Linked {
    database: Arc<Database>,
    path: PathBuf,
}

impl Linked {
    /// Writes the write buffers out, and gives all files second names.
    ///
    /// # Errors
    /// Those of RocksDB.
    pub(crate) fn of(database: &Arc<Database>) -> Result<Self> {
        let path = database.directory().fresh_path();
        let linked = Self { database: Arc::clone(database), path };
        let checkpoint = Checkpoint::new(&database.db);
        checkpoint
            .and_then(|checkpoint| checkpoint.create_checkpoint(&linked.path))
            .map_err(|error| failed("checkpoint", error).with_path(&linked.path))?;
        Ok(linked)
    }

    /// The files that make up the database, with their lengths, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(super) fn files(&self) -> Result<Vec<(String, Role, u64)>> {
        let fs = self.database.directory().fs();
        let entries = fs.list(&self.path).map_err(|error| Error::io("list", &self.path, error))?;
        let file = |entry: alluvium_state_api::vfs::DirectoryEntry| {
            let name = entry.name.into_string().ok()?;
            let role = Role::of(&name)?;
            Some((name, role, entry.metadata.length))
        };
        let mut files: Vec<_> = entries.into_iter().filter_map(file).collect();
        files.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        Ok(files)
    }

    /// Where a file is.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(super) fn read(&self, name: &str, length: u64) -> Result<Box<dyn FileReader>> {
        open_file(&**self.database.directory().fs(), &self.path_of(name), length)
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the directory's next owner.
        drop(self.database.directory().remove_database(&self.path));
    }
}
