//! [`Tail`]: what was appended to a long list since the database had it last.

use alluvium_state_api::{Elements, ElementsBuffer};

use super::Below;
use crate::list::{Head, Parts};

/// The end of a long list, and where it begins.
#[derive(Debug)]
pub(super) struct Tail {
    /// What is in chunks.
    head: Option<Head>,
    /// What the database has at the address where there are no chunks.
    below: Below,
    added: ElementsBuffer,
}

impl Tail {
    /// A list of which the database has everything.
    pub(super) fn of(head: Head) -> Self {
        Self { head: Some(head), below: Below::Present, added: ElementsBuffer::default() }
    }

    /// A list that has become long.
    pub(super) fn grown(below: Below, pieces: [Elements<'_>; 2]) -> Self {
        let mut added = ElementsBuffer::default();
        for piece in pieces {
            added.extend(piece);
        }
        Self { head: None, below, added }
    }

    /// What there is.
    #[inline]
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { head: self.head, loose: self.added.as_elements() }
    }

    /// What the database has at the address once the chunks are removed, with their head.
    pub(super) const fn below(&self) -> Below {
        if self.head.is_some() { Below::Absent } else { self.below }
    }

    /// Appends elements.
    #[inline]
    pub(super) fn append(&mut self, elements: Elements<'_>) {
        self.added.extend(elements);
    }

    /// Bytes that it has allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.added.capacity()
    }
}
