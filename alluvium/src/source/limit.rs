//! The cap on the size of one record, as a reader that refuses to go on.
//!
//! The CSV parser grows its buffer until a record ends, and a quote that is never closed makes the
//! rest of the file one record. [`Limited`] stops the flow instead: before each record its owner
//! grants it one record's worth of bytes, and past that it fails with [`OverLimit`].

use std::fmt;
use std::io::{self, Read};

/// The longest record that is accepted, in bytes: 16 MiB.
pub const MAX_RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// What a parser may have read ahead of the record that it returns.
pub(super) const READ_AHEAD: usize = 64 * 1024;

/// Marks the I/O error of a record that passes the cap.
#[derive(Debug)]
pub(super) struct OverLimit;

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record passes {MAX_RECORD_BYTES} bytes")
    }
}

impl std::error::Error for OverLimit {}

/// Passes bytes through as long as there is a grant for them.
#[derive(Debug)]
pub(super) struct Limited<R> {
    inner: R,
    grant: u64,
}

impl<R: Read> Limited<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, grant: MAX_RECORD_BYTES }
    }

    /// Grants the bytes of one more record.
    pub(super) fn renew(&mut self) {
        self.grant = MAX_RECORD_BYTES;
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.grant == 0 {
            return Err(io::Error::other(OverLimit));
        }
        let read = self.inner.read(buf)?;
        self.grant = self.grant.saturating_sub(read as u64);
        Ok(read)
    }
}
