//! Writes one file of the private directory.

use std::io::Write;
use std::path::PathBuf;

use alluvium_state_api::snapshot::{FileLocation, FileName, StoredFile};
use alluvium_state_api::storage::FileWriter;
use alluvium_state_api::vfs::WriteFile;
use alluvium_state_api::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

use super::failed;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Segment,
    /// It is read again at once.
    Scratch,
}

/// Appends, counts and hashes. A failed write loses the file.
pub(super) struct LocalWriter {
    file: Box<dyn WriteFile>,
    path: PathBuf,
    name: FileName,
    hasher: Xxh3,
    length: u64,
    lost: bool,
    purpose: Purpose,
}

impl LocalWriter {
    pub(super) fn new(
        file: Box<dyn WriteFile>,
        path: PathBuf,
        name: FileName,
        purpose: Purpose,
    ) -> Self {
        Self { file, path, name, hasher: Xxh3::new(), length: 0, lost: false, purpose }
    }

    fn check(&self) -> Result<()> {
        if self.lost {
            let error = Error::unavailable("the file was lost with an earlier failed write");
            return Err(error.with_path(&self.path));
        }
        Ok(())
    }
}

impl FileWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check()?;
        let written = self.file.write_all(bytes);
        self.lost = written.is_err();
        written.map_err(|error| failed("write", &self.path, error))?;
        self.hasher.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<StoredFile> {
        self.check()?;
        // Not for durability (L4): an error of the disk must be seen now, not when the bytes are read back.
        let location = if self.purpose == Purpose::Segment {
            self.file.sync().map_err(|error| failed("fsync", &self.path, error))?;
            FileLocation::Own(self.name)
        } else {
            FileLocation::Shared(self.name)
        };
        Ok(StoredFile { location, length: self.length, checksum: self.hasher.digest128() })
    }
}
