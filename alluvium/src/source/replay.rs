//! Bytes that can be read again: the embedded table, a file, or a spooled pipe.
//!
//! # Invariants
//!
//! 1. A [`Replay`] holds its file open and reads at offsets, so a file that is replaced or unlinked
//!    meanwhile is still read as it was, and readers do not disturb each other.
//! 2. It reads exactly the bytes that were there when it was opened: bytes appended later are not
//!    seen, and missing ones are an error.
//! 3. A spooled input is copied through a bounded buffer into an unnamed file, which the system
//!    removes even when the process is killed.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use xxhash_rust::xxh3::Xxh3;

use super::error::{Result, SourceError, SourceErrorKind};

const COPY_BUFFER_BYTES: usize = 64 * 1024;

/// Marks the I/O error of a file that lost bytes after it was opened.
#[derive(Debug)]
pub(super) struct Shrunk;

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("file became shorter")
    }
}

impl std::error::Error for Shrunk {}

/// A sequence of bytes that any number of readers can read from the start.
#[derive(Clone, Debug)]
pub(super) enum Replay {
    Memory(&'static [u8]),
    File(Arc<Held>),
}

/// An open file, with its length and time of change when it was opened.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
    length: u64,
    modified: Option<SystemTime>,
}

impl Replay {
    /// Opens a file; a pipe is spooled.
    pub(super) fn open(path: &Path, place: &str) -> Result<Self> {
        let refuse = |message: &str| SourceError::new(SourceErrorKind::Unreadable, place, message);
        let describe = |error: io::Error| {
            match error.kind() {
                io::ErrorKind::NotFound => refuse("no such file; check the path"),
                io::ErrorKind::PermissionDenied => {
                    refuse("permission denied; make it readable for this user")
                }
                _ => refuse("cannot be opened; check the path"),
            }
            .with_source(error)
        };
        let metadata = std::fs::metadata(path).map_err(describe)?;
        if metadata.is_dir() {
            return Err(refuse("is a directory; give a file"));
        }
        if is_device(&metadata) {
            return Err(refuse("is a device; give a file, or - for standard input"));
        }
        let file = File::open(path).map_err(describe)?;
        if metadata.is_file() { Self::hold(file, place) } else { Self::spool(file, place) }
    }

    /// Copies what can be read only once to a temporary file.
    pub(super) fn spool(mut input: impl Read, place: &str) -> Result<Self> {
        let no_space = |error: io::Error| {
            let directory = std::env::temp_dir();
            SourceError::new(
                SourceErrorKind::Unreadable,
                place,
                format!(
                    "cannot be spooled to {}; free space there, or set TMPDIR",
                    directory.display()
                ),
            )
            .with_source(error)
        };
        let mut spool = tempfile::tempfile().map_err(no_space)?;
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(SourceError::from_read(place, error)),
            };
            spool.write_all(buffer.get(..read).unwrap_or_default()).map_err(no_space)?;
        }
        Self::hold(spool, place)
    }

    fn hold(file: File, place: &str) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| SourceError::from_read(place, error))?;
        let (length, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Self::File(Arc::new(Held { file, length, modified })))
    }

    /// The length in bytes, as stored.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(held) => held.length,
        }
    }

    /// Refuses a file that was changed in place since it was opened.
    pub(super) fn check_unchanged(&self, place: &str) -> Result<()> {
        let Self::File(held) = self else {
            return Ok(());
        };
        let now = held.file.metadata().map_err(|error| SourceError::from_read(place, error))?;
        if now.len() == held.length && now.modified().ok() == held.modified {
            return Ok(());
        }
        Err(SourceError::new(
            SourceErrorKind::Changed,
            place,
            "was changed since the job started and cannot be replayed; run again on a copy",
        ))
    }

    /// Adds all bytes to a digest.
    pub(super) fn digest(&self, place: &str, hasher: &mut Xxh3) -> Result<()> {
        hasher.update(&self.len().to_le_bytes());
        let mut reader = self.reader();
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::from_read(place, error)),
            }
        }
    }

    /// A new reader from the start.
    pub(super) fn reader(&self) -> ReplayReader {
        ReplayReader { replay: self.clone(), position: 0, shared: Arc::default() }
    }
}

#[cfg(unix)]
fn is_device(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_char_device() || metadata.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_device(_metadata: &Metadata) -> bool {
    false
}

/// Reads a [`Replay`] from the start, and tells how far it came.
#[derive(Debug)]
pub(super) struct ReplayReader {
    replay: Replay,
    position: u64,
    shared: Arc<AtomicU64>,
}

impl ReplayReader {
    /// The number of stored bytes read so far, for a progress bar.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared)
    }
}

impl Read for ReplayReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.replay.len().saturating_sub(self.position);
        let wanted = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(target) = buf.get_mut(..wanted).filter(|target| !target.is_empty()) else {
            return Ok(0);
        };
        let read = match &self.replay {
            Replay::Memory(bytes) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX);
                bytes.get(start..).unwrap_or_default().read(target)?
            }
            Replay::File(held) => read_at(&held.file, target, self.position)?,
        };
        if read == 0 {
            return Err(io::Error::other(Shrunk));
        }
        self.position = self.position.saturating_add(read as u64);
        self.shared.store(self.position, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}
