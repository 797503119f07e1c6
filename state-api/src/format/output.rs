//! Where sealed blocks go: a buffer in memory, emptied into the file in large writes.
//!
//! # Role
//! The writers of whole files have a file behind it; a [`SectionEncoder`](super::SectionEncoder) has
//! none and keeps everything; several [`ScatterWriter`](super::ScatterWriter)s on threads of their own
//! have one output behind them all, to which each hands its buffer when that is full.
//!
//! # Invariants
//! * O1 Buffers go to the file in the order in which they were handed over, which gives each its place.
//! * O2 Until then blocks have places of their thread's own, which [`Output::in_file`] translates.
//!   Those of blocks in different buffers never touch.
//!
//! # Cost
//! Writes of at least 256 KiB, one copy per byte. A thread that finds the file busy leaves its buffer
//! to the thread that is writing, and goes on; it waits only if several are left already.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Result;
use crate::snapshot::StoredFile;
use crate::snapshot::{CancelToken, Progress};
use crate::storage::FileWriter;

/// Bytes that are gathered before they are written to the file.
const WRITE_BYTES: usize = 256 << 10;
/// Buffers that may wait for the file.
const MOST_WAITING: usize = 8;

/// Gathers bytes in front of a file, or for good.
pub(crate) struct Output {
    file: Option<Box<dyn FileWriter>>,
    /// What is behind this one instead of a file, and behind others.
    shared: Option<Arc<Shared>>,
    /// Bytes that are in the file already; of a shared one: where the buffer begins (O2).
    written: u64,
    pub(crate) buffer: Vec<u8>,
    /// Where buffers began here and begin in the file.
    handed_over: Vec<(u64, u64)>,
    pub(crate) cancel: CancelToken,
    pub(crate) progress: Progress,
}

/// The output behind several others.
struct Shared {
    queue: Mutex<Queue>,
    file: Mutex<Output>,
}

/// Buffers on the way to the file.
struct Queue {
    /// Where the next one begins in the file.
    position: u64,
    full: VecDeque<Vec<u8>>,
    empty: Vec<Vec<u8>>,
}

impl Shared {
    /// Takes a full buffer; returns where it begins in the file, an empty one, and whether too many wait.
    fn enqueue(&self, buffer: Vec<u8>) -> (u64, Vec<u8>, bool) {
        let mut queue = self.queue.lock();
        let start = queue.position;
        queue.position += buffer.len() as u64;
        queue.full.push_back(buffer);
        (start, queue.empty.pop().unwrap_or_default(), queue.full.len() > MOST_WAITING)
    }

    /// Writes what waits, unless another thread does, which is waited for only if `wait`.
    fn write(&self, wait: bool) -> Result<()> {
        let file = if wait { Some(self.file.lock()) } else { self.file.try_lock() };
        let Some(mut file) = file else {
            return Ok(());
        };
        loop {
            // Only who has the file takes from the queue (O1).
            let next = self.queue.lock().full.pop_front();
            let Some(mut buffer) = next else {
                return Ok(());
            };
            file.append(&buffer)?;
            buffer.clear();
            self.queue.lock().empty.push(buffer);
        }
    }
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
        let (buffer, handed_over) = (Vec::new(), Vec::new());
        Self { file, shared: None, written: 0, buffer, handed_over, cancel, progress }
    }

    /// Tells the file, unless that is shared, how many bytes are still to come.
    pub(crate) fn expect(&mut self, bytes: u64) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.expect(bytes))
    }

    /// Another output in front of the same file, for another thread.
    pub(crate) fn share(&mut self) -> Self {
        let empty = || Self::new(None, self.cancel.clone(), self.progress.clone());
        let mut other = empty();
        let shared = if let Some(shared) = self.shared.take() {
            shared
        } else {
            let mut front = empty();
            // What has its place in the file already, keeps it (O2).
            front.written = self.position() + 1;
            let file = std::mem::replace(self, front);
            let (full, empty) = (VecDeque::new(), Vec::new());
            let queue = Queue { position: file.position(), full, empty };
            Arc::new(Shared { queue: Mutex::new(queue), file: Mutex::new(file) })
        };
        self.shared = Some(Arc::clone(&shared));
        other.shared = Some(shared);
        other
    }

    /// Has the file for itself again.
    ///
    /// # Errors
    /// [`Bug`](crate::ErrorKind::Bug) unless all others are gone; those of the file.
    pub(crate) fn unshare(&mut self) -> Result<()> {
        self.hand_over()?;
        let Some(shared) = self.shared.take() else {
            return Ok(());
        };
        shared.write(true)?;
        let alone = Arc::into_inner(shared);
        let alone = alone.ok_or_else(|| crate::Error::bug("the file is still shared"))?;
        *self = alone.file.into_inner();
        Ok(())
    }

    /// Lets go of the block of `length` bytes at the end of the buffer; returns where it begins in
    /// the file, or if that is shared, among what went through this output.
    pub(crate) fn place(&mut self, length: u64) -> Result<u64> {
        let start = self.position().saturating_sub(length);
        if self.shared.is_some() && self.buffer.len() >= WRITE_BYTES {
            self.hand_over()?;
        } else {
            self.settle()?;
        }
        Ok(start)
    }

    /// Leaves what is buffered to the shared file, if there is one.
    pub(crate) fn hand_over(&mut self) -> Result<()> {
        let Some(shared) = self.shared.as_ref().filter(|_| !self.buffer.is_empty()) else {
            return Ok(());
        };
        let length = self.buffer.len() as u64;
        let (start, empty, too_many) = shared.enqueue(std::mem::take(&mut self.buffer));
        self.buffer = empty;
        self.handed_over.push((self.written, start));
        // One more, so that places do not touch (O2).
        self.written += length + 1;
        shared.write(too_many)
    }

    /// Where in the file a block is that was given the place `start`, and was handed over if the file
    /// is shared.
    pub(crate) fn in_file(&self, start: u64) -> u64 {
        let at = self.handed_over.partition_point(|(from, _)| *from <= start);
        let buffer = at.checked_sub(1).and_then(|at| self.handed_over.get(at));
        buffer.map_or(start, |(from, to)| to + (start - from))
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
