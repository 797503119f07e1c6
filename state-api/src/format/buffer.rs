//! State files in memory: the writer and the reader of inline files.
//!
//! # Cost
//! The writer holds the file once; the reader shares the bytes of the metadata.

use std::sync::Arc;

use super::checksum::file_checksum;
use crate::snapshot::{FileLocation, StoredFile};
use crate::storage::{FileReader, FileWriter};
use crate::{Error, Result};

/// Writes a file into memory; it ends up [`Inline`](FileLocation::Inline).
#[derive(Debug, Default)]
pub struct BufferWriter(Vec<u8>);

impl BufferWriter {
    /// An empty one, as writers take it.
    pub fn boxed() -> Box<dyn FileWriter> {
        Box::new(Self::default())
    }
}

impl FileWriter for BufferWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<StoredFile> {
        Ok(StoredFile {
            length: self.0.len() as u64,
            checksum: file_checksum(&self.0),
            location: FileLocation::Inline(self.0.into()),
        })
    }
}

/// Reads a file in memory.
#[derive(Clone)]
pub struct BufferReader(Arc<[u8]>);

impl std::fmt::Debug for BufferReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BufferReader({} bytes)", self.0.len())
    }
}

impl BufferReader {
    /// Reads `bytes`.
    pub fn over(bytes: impl Into<Arc<[u8]>>) -> Arc<dyn FileReader> {
        Arc::new(Self(bytes.into()))
    }

    /// Reads an inline file.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is not inline.
    pub fn of(file: &StoredFile) -> Result<Arc<dyn FileReader>> {
        match &file.location {
            FileLocation::Inline(bytes) => Ok(Arc::new(Self(Arc::clone(bytes)))),
            other => Err(Error::invalid_input(format!("{other:?} is not in memory"))),
        }
    }
}

impl FileReader for BufferReader {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok();
        let found = start
            .and_then(|start| self.0.get(start..start.checked_add(buffer.len())?))
            .ok_or_else(|| Error::corrupted("the file ends too early").with_offset(offset))?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}
