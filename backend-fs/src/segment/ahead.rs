//! Hints for batches: the lines that a search will look at are asked for before, so that the searches of
//! several keys wait for them together.

use alluvium_backend_memory::prefetch;
use alluvium_state_api::KeyGroup;
use alluvium_state_api::format::HomeBucket;

use super::Segment;
use super::pages::OpenSection;

impl Segment {
    /// A mapped section that was used before.
    #[inline]
    fn known(&self, state: u16, group: KeyGroup) -> Option<(&[u8], &OpenSection)> {
        let (index, _) = self.section_of(state, group)?;
        Some((self.map.as_deref()?, self.opened.get(index)?.get()?))
    }

    /// Asks for a section, but for what is more than a page of it, as it is about to be [listed](Self::list).
    pub(crate) fn ask_for_section(&self, state: u16, group: KeyGroup) {
        const MOST_LINES: usize = 64;
        if let (Some((_, slot)), Some(map)) = (self.section_of(state, group), self.map.as_deref()) {
            let start = usize::try_from(slot.range.start).unwrap_or_default();
            let line = |line: usize| map.as_ptr().wrapping_add(start + line * 64);
            let bytes = usize::try_from(slot.range.end - slot.range.start).unwrap_or_default();
            let lines = (bytes / 64).min(MOST_LINES);
            (0..lines).for_each(|at| prefetch(line(at)));
        }
    }

    /// Asks for the bucket in which the search for an entry with this hash begins.
    pub(crate) fn ask_for_bucket(&self, state: u16, group: KeyGroup, hash: u64) {
        if let Some((map, open)) = self.known(state, group) {
            let at = usize::try_from(open.directory.home_of(hash)).unwrap_or_default();
            prefetch(map.as_ptr().wrapping_add(at));
        }
    }

    /// Asks for what the bucket names, which [`ask_for_bucket`](Self::ask_for_bucket) asked for. Bytes that were
    /// not verified yet lead to another hint, and to nothing else.
    pub(crate) fn ask_for_entries(&self, state: u16, group: KeyGroup, hash: u64) {
        let Some((map, open)) = self.known(state, group) else {
            return;
        };
        let at = usize::try_from(open.directory.home_of(hash)).unwrap_or(usize::MAX);
        let Some(bucket) = map.get(at..).and_then(|rest| rest.first_chunk()) else {
            return;
        };
        for candidate in HomeBucket::new(bucket, hash) {
            if let Some(block) = self.block_of(open, candidate.block) {
                let raw = usize::try_from(block.raw_range().start).unwrap_or_default();
                prefetch(map.as_ptr().wrapping_add(raw).wrapping_add(candidate.offset as usize));
            }
        }
    }
}
