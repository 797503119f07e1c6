//! A window of a file in memory, moved forward in large reads.
//!
//! # Invariants
//! * I1 The window never holds more than 1 MiB, unless a single block is longer.
//! * I2 What is loaded lies within the extents of the index, hence within the file.

use crate::Result;
use crate::storage::FileReader;

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Bytes `start .. start + buffer.len()` of a file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start: u64,
    buffer: Vec<u8>,
}

impl Window {
    /// Makes `length` bytes from `offset` available, and reads ahead up to `run_end`.
    pub(crate) fn load(
        &mut self,
        reader: &dyn FileReader,
        offset: u64,
        length: usize,
        run_end: u64,
    ) -> Result<()> {
        let end = offset.saturating_add(length as u64);
        let loaded_end = self.start + self.buffer.len() as u64;
        if self.start <= offset && end <= loaded_end {
            return Ok(());
        }
        let ahead = offset.saturating_add(WINDOW_BYTES as u64).min(run_end);
        let target = usize::try_from(end.max(ahead).saturating_sub(offset)).unwrap_or(length);
        let kept = self.keep_from(offset, loaded_end);
        self.start = offset;
        self.buffer.resize(target.max(kept), 0);
        if self.buffer.capacity() > 2 * WINDOW_BYTES.max(target) {
            self.buffer.shrink_to(target);
        }
        let fresh = self.buffer.get_mut(kept..).unwrap_or_default();
        let read = reader.read_exact_at(offset + kept as u64, fresh);
        if read.is_err() {
            self.buffer.clear();
        }
        read
    }

    /// Moves what is loaded from `offset` on to the front; says how many bytes that are.
    fn keep_from(&mut self, offset: u64, loaded_end: u64) -> usize {
        let skip = offset.checked_sub(self.start).filter(|_| offset < loaded_end);
        let Some(skip) = skip.and_then(|skip| usize::try_from(skip).ok()) else {
            return 0;
        };
        let kept = self.buffer.len() - skip;
        self.buffer.copy_within(skip.., 0);
        self.buffer.truncate(kept);
        kept
    }

    /// Bytes that were loaded.
    pub(crate) fn get(&self, offset: u64, length: usize) -> &[u8] {
        let start = offset.checked_sub(self.start).and_then(|start| usize::try_from(start).ok());
        start
            .and_then(|start| self.buffer.get(start..start.checked_add(length)?))
            .unwrap_or_default()
    }
}
