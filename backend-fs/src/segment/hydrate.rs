//! Reads and verifies all that is live, ahead of those who will ask for it.
//!
//! Beside them, on another thread: bits of what was verified are all that it leaves in a mapped segment, and the
//! pages of the map. Of a file that is read, its bytes get into the page cache of the system.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_state_api::Result;
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::vfs::Mapping;

use super::Segment;

/// Bytes that are asked for, or read, at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// Blocks between two looks whether to go on.
const LOOK_EVERY: u32 = 256;

impl Segment {
    /// Reads all sections that are live, one after the other, and counts their bytes in `done`.
    ///
    /// # Errors
    /// As [`find`](Self::find); `Cancelled`.
    pub(crate) fn hydrate(&self, cancel: &CancelToken, done: &AtomicU64) -> Result<()> {
        let live = self.sections.iter().enumerate().filter(|(_, slot)| slot.live);
        for (index, slot) in live {
            cancel.check()?;
            match &self.map {
                Some(map) => self.verify_all(map, index, cancel)?,
                None => self.pass_over(index, &slot.range, cancel)?,
            }
            done.fetch_add(slot.range.end.saturating_sub(slot.range.start), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Verifies pages and data blocks of a mapped section.
    fn verify_all(&self, map: &Mapping, index: usize, cancel: &CancelToken) -> Result<()> {
        let open = self.opened(index)?;
        for page in 0..open.directory.pages() {
            self.mapped_page(map, index, open, page)?;
        }
        let mut asked = 0;
        for number in 0..open.directory.blocks() {
            if number % LOOK_EVERY == 0 {
                cancel.check()?;
            }
            let block = self.data_block(index, open, number)?.range();
            if block.end > asked {
                asked = block.end.max(block.start.saturating_add(PIECE_BYTES));
                map.will_need(block.start..asked);
            }
            self.mapped_block(map, index, open, number)?;
        }
        Ok(())
    }

    /// Reads a section, and keeps nothing of it.
    fn pass_over(&self, index: usize, range: &Range<u64>, cancel: &CancelToken) -> Result<()> {
        let (mut at, mut piece) = (range.start, Vec::new());
        while at < range.end {
            cancel.check()?;
            let length = (range.end - at).min(PIECE_BYTES);
            piece.resize(usize::try_from(length).unwrap_or_default(), 0);
            self.read(index, at, &mut piece)?;
            at += length;
        }
        Ok(())
    }
}
