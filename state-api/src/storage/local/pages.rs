//! Memory that begins at a page, as writes past the page cache want it.

use crate::format::append_long;
use crate::vfs::BYPASS_ALIGNMENT;

/// A buffer of fixed capacity. It never moves.
#[derive(Debug)]
pub(super) struct Pages {
    memory: Vec<u8>,
    /// The first byte at a multiple of the alignment.
    start: usize,
    end: usize,
}

impl Pages {
    /// An empty one for so many bytes, rounded up to whole pages.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1).next_multiple_of(BYPASS_ALIGNMENT);
        let mut memory = Vec::<u8>::with_capacity(capacity + BYPASS_ALIGNMENT);
        let start = memory.as_ptr().addr().wrapping_neg() % BYPASS_ALIGNMENT;
        memory.resize(start, 0);
        Self { memory, start, end: start + capacity }
    }

    /// Takes as many bytes as there is room for; returns the others.
    pub(super) fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = self.end.saturating_sub(self.memory.len());
        let (fitting, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        append_long(&mut self.memory, fitting);
        rest
    }

    pub(super) fn is_full(&self) -> bool {
        self.memory.len() >= self.end
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.memory.truncate(self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_at_a_page_and_are_cut_at_the_capacity() {
        for capacity in [1, BYPASS_ALIGNMENT, 3 * BYPASS_ALIGNMENT - 1] {
            let mut pages = Pages::new(capacity);
            let whole = capacity.next_multiple_of(BYPASS_ALIGNMENT);
            let input: Vec<u8> = (0..=250).cycle().take(whole + 7).collect();
            for _ in 0..2 {
                assert_eq!(pages.fill(&input[..5]), b"");
                assert!(!pages.is_full());
                assert_eq!(pages.fill(&input[5..]), &input[whole..]);
                assert!(pages.is_full());
                assert_eq!(pages.bytes(), &input[..whole]);
                assert!(pages.bytes().as_ptr().addr().is_multiple_of(BYPASS_ALIGNMENT));
                pages.clear();
            }
        }
    }
}
