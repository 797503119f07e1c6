//! Where sealed blocks go: a buffer in memory, emptied into the file in large writes.
//!
//! # Role
//! The writers of whole files have a file behind it; a [`SectionEncoder`](super::SectionEncoder) has
//! none and keeps everything.
//!
//! # Cost
//! Writes of at least 256 KiB, one copy per byte.

use crate::Result;
use crate::snapshot::StoredFile;
use crate::snapshot::{CancelToken, Progress};
use crate::storage::FileWriter;

/// Bytes that are gathered before they are written to the file.
const WRITE_BYTES: usize = 256 << 10;

/// Gathers bytes in front of a file, or for good.
pub(crate) struct Output {
    file: Option<Box<dyn FileWriter>>,
    /// Bytes that are in the file already.
    written: u64,
    pub(crate) buffer: Vec<u8>,
    pub(crate) cancel: CancelToken,
    pub(crate) progress: Progress,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output at {}", self.position())
    }
}

impl Output {
    pub(crate) fn new(
        file: Option<Box<dyn FileWriter>>,
        cancel: CancelToken,
        progress: Progress,
    ) -> Self {
        Self { file, written: 0, buffer: Vec::new(), cancel, progress }
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Hands the buffer to the file if it is full enough.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Appends bytes; large ones go to the file without another copy.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.file.is_some() && bytes.len() >= WRITE_BYTES {
            self.write()?;
            if let Some(file) = &mut self.file {
                file.write(bytes)?;
                self.written += bytes.len() as u64;
            }
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        self.settle()
    }

    fn write(&mut self) -> Result<()> {
        if let Some(file) = &mut self.file {
            if !self.buffer.is_empty() {
                file.write(&self.buffer)?;
            }
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
            self.buffer.shrink_to(4 * WRITE_BYTES);
        }
        Ok(())
    }

    /// Writes what is left and makes the file durable.
    pub(crate) fn finish(mut self) -> Result<StoredFile> {
        self.write()?;
        match self.file {
            Some(file) => file.finish(),
            None => Err(crate::Error::bug("a buffer in memory is no file")),
        }
    }
}
