//! Where bytes lie in an arena.

/// A range of an arena's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    len: usize,
}

impl Span {
    /// The range with `more` bytes behind it.
    pub(crate) fn extended(self, more: usize) -> Self {
        Self { len: self.len.saturating_add(more), ..self }
    }

    /// The bytes, in the arena that they were appended to; nothing in any other.
    #[inline]
    pub(crate) fn of(self, arena: &[u8]) -> &[u8] {
        arena.get(self.start..).and_then(|rest| rest.get(..self.len)).unwrap_or_default()
    }
}

/// Appends `bytes` to an arena.
#[inline]
pub(crate) fn append(arena: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = arena.len();
    arena.extend_from_slice(bytes);
    Span { start, len: bytes.len() }
}
