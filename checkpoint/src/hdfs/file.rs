//! Files of HDFS, written and read.
//!
//! # Invariants
//! 1. A sync is `hsync` on every datanode of the pipeline, and then closes the file, so that its length
//!    is what it says; more written after that appends.
//! 2. `hsync` covers the current block only, so a block that is full is synced, and the next one is
//!    appended to a closed file. Closing waits until the namenode has heard of the block from a datanode;
//!    without that the namenode refuses to give out a further one under load, which the client takes
//!    for a failure.
//! 3. After a failed or unanswered request a file is lost: nothing is asked of its writer any more.

use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;

use alluvium_state_api::vfs::{ReadFile, WriteFile};
use bytes::Bytes;
use hdfs_native::file::{FileReader, FileWriter};

use super::Connection;

/// The most that one request reads.
const MAX_READ_BYTES: usize = 8 << 20;

pub(super) struct HdfsWriter {
    connection: Arc<Connection>,
    path: String,
    state: State,
    block_bytes: u64,
    /// How full the block is that is being written.
    in_block: u64,
}

enum State {
    Open(Box<FileWriter>),
    Closed,
    Lost,
}

impl HdfsWriter {
    pub(super) fn new(
        connection: Arc<Connection>,
        path: String,
        writer: FileWriter,
        block_bytes: u64,
        length: u64,
    ) -> Self {
        let in_block = length % block_bytes.max(1);
        Self { connection, path, state: State::Open(Box::new(writer)), block_bytes, in_block }
    }

    /// Runs `request` on the open writer, which is lost if that fails.
    fn ask<F>(&mut self, request: impl FnOnce(Box<FileWriter>) -> F) -> io::Result<()>
    where
        F: Future<Output = hdfs_native::Result<State>> + Send + 'static,
    {
        let writer = match mem::replace(&mut self.state, State::Lost) {
            State::Open(writer) => writer,
            State::Closed => {
                let (client, path) = (self.connection.client.clone(), self.path.clone());
                Box::new(self.connection.ask(async move { client.append(&path).await })?)
            }
            State::Lost => {
                return Err(io::Error::other("the file was lost with an earlier failed request"));
            }
        };
        self.state = self.connection.ask(request(writer))?;
        Ok(())
    }
}

impl fmt::Debug for HdfsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl io::Write for HdfsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.block_bytes.saturating_sub(self.in_block));
        let now = bytes.get(..room.unwrap_or(usize::MAX).min(bytes.len())).unwrap_or_default();
        if now.is_empty() {
            return Ok(0);
        }
        let piece = Bytes::copy_from_slice(now);
        self.ask(|mut writer| async move {
            Box::pin(writer.write_bytes(piece)).await?;
            Ok(State::Open(writer))
        })?;
        self.in_block = self.in_block.saturating_add(now.len() as u64);
        if self.in_block >= self.block_bytes {
            self.sync()?;
            self.in_block = 0;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for HdfsWriter {
    fn sync(&mut self) -> io::Result<()> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        self.ask(|mut writer| async move {
            writer.hsync().await?;
            Box::pin(writer.close()).await?;
            Ok(State::Closed)
        })
    }
}

impl Drop for HdfsWriter {
    fn drop(&mut self) {
        // A file that nobody closes stays under construction for an hour. What was not synced is not
        // promised, so a failure is nobody's.
        if matches!(self.state, State::Open(_)) {
            drop(self.ask(|mut writer| async move {
                Box::pin(writer.close()).await?;
                Ok(State::Closed)
            }));
        }
    }
}

pub(super) struct HdfsReader {
    connection: Arc<Connection>,
    reader: Arc<FileReader>,
}

impl HdfsReader {
    pub(super) fn new(connection: Arc<Connection>, reader: FileReader) -> Self {
        Self { connection, reader: Arc::new(reader) }
    }
}

impl fmt::Debug for HdfsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HdfsReader")
    }
}

impl ReadFile for HdfsReader {
    fn length(&self) -> io::Result<u64> {
        Ok(self.reader.file_length() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let left = self.reader.file_length().saturating_sub(start);
        let length = left.min(buffer.len()).min(MAX_READ_BYTES);
        if length == 0 {
            return Ok(0);
        }
        let reader = Arc::clone(&self.reader);
        let read = self.connection.ask(async move { reader.read_range(start, length).await })?;
        let Some(target) = buffer.get_mut(..read.len()).filter(|_| read.len() == length) else {
            let message = format!("HDFS: {} bytes came instead of {length}", read.len());
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        };
        target.copy_from_slice(&read);
        Ok(length)
    }
}
