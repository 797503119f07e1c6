//! [`Tail`]: what was appended to a list since the database had it last.

use alluvium_state_api::{Elements, ElementsBuffer, ListSize};

use crate::list::Head;

/// The end of a list, and where it begins.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// What the database has of the list.
    pub(crate) base: Option<Head>,
    added: ElementsBuffer,
}

impl Tail {
    /// A list of which the database has everything.
    pub(super) fn of(base: Option<Head>) -> Self {
        Self { base, ..Self::default() }
    }

    /// What the database lacks.
    #[inline]
    pub(crate) fn added(&self) -> Elements<'_> {
        self.added.as_elements()
    }

    /// Elements and size of the whole by the contract, of a state with stamps of so many bytes.
    pub(crate) fn size(&self, stamp_bytes: usize) -> ListSize {
        let base = self.base.map(|base| base.size(stamp_bytes)).unwrap_or_default();
        let added = self.added();
        let stamps = added.count().saturating_mul(stamp_bytes as u64);
        ListSize {
            elements: base.elements.saturating_add(added.count()),
            bytes: base.bytes.saturating_add(added.size().saturating_sub(stamps)),
        }
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
