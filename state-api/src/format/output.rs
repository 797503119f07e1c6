//! Where sealed blocks go: a buffer in memory, emptied into the file in large writes.
//!
//! # Role
//! The writers of whole files have a file behind it; a [`SectionEncoder`](super::SectionEncoder) has
//! none and keeps everything; several [`ScatterWriter`](super::ScatterWriter)s on threads of their own
//! have one output behind them all, to which each hands a block at a time.
//!
//! # Cost
//! Writes of at least 256 KiB, one copy per byte. Of shared ones: a lock per block, and blocks of
//! 32 KiB or more are written from where they were sealed.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::Result;
use crate::snapshot::StoredFile;
use crate::snapshot::{CancelToken, Progress};
use crate::storage::FileWriter;

/// Bytes that are gathered before they are written to the file.
const WRITE_BYTES: usize = 256 << 10;
/// Bytes that a shared output writes without gathering them first.
const WRITE_THROUGH_BYTES: usize = 32 << 10;

/// Gathers bytes in front of a file, or for good.
pub(crate) struct Output {
    file: Option<Box<dyn FileWriter>>,
    /// What is behind this one instead of a file, and behind others.
    shared: Option<Arc<Mutex<Output>>>,
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
        Self { file, shared: None, written: 0, buffer: Vec::new(), cancel, progress }
    }

    /// Another output in front of the same file, for another thread.
    pub(crate) fn share(&mut self) -> Self {
        let empty = || Self::new(None, self.cancel.clone(), self.progress.clone());
        let mut other = empty();
        let shared = if let Some(shared) = self.shared.take() {
            shared
        } else {
            let front = empty();
            Arc::new(Mutex::new(std::mem::replace(self, front)))
        };
        self.shared = Some(Arc::clone(&shared));
        other.shared = Some(shared);
        other
    }

    /// Has the file for itself again.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) unless all others are gone.
    pub(crate) fn unshare(&mut self) -> Result<()> {
        let Some(shared) = self.shared.take() else {
            return Ok(());
        };
        let alone = Arc::into_inner(shared);
        let alone = alone.ok_or_else(|| crate::Error::bug("the file is still shared"))?;
        *self = alone.into_inner();
        Ok(())
    }

    /// Lets go of the block of `length` bytes at the end of the buffer; returns where it begins in
    /// the file.
    pub(crate) fn place(&mut self, length: u64) -> Result<u64> {
        let Some(shared) = &self.shared else {
            let start = self.position() - length;
            self.settle()?;
            return Ok(start);
        };
        let mut behind = shared.lock();
        let start = behind.position();
        let placed = behind.append_from(&self.buffer, WRITE_THROUGH_BYTES);
        drop(behind);
        self.buffer.clear();
        placed.map(|()| start)
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
        self.append_from(bytes, WRITE_BYTES)
    }

    fn append_from(&mut self, bytes: &[u8], large: usize) -> Result<()> {
        if self.file.is_some() && bytes.len() >= large {
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
