//! How values lie in the slots.
//!
//! # Role
//! [`Cell`] is what a table needs of its values. [`Fixed`] is a value of fixed width in the slot;
//! [`Blob`] is a value of any length. List and map cells live elsewhere and implement [`Cell`] too.
//!
//! # Invariants
//! C1. [`Cell::image`] is bounded: it copies at most a few KiB and shares what is larger. It runs
//!     under a shard's lock, once per entry, while the writer may be waiting.
//! C2. An image never changes: what it shares with the cell (an [`Arc`]) is replaced by the cell,
//!     never written, as long as it is shared.
//! C3. A cell without drop glue owns nothing but its own bytes: a bitwise copy of it is as good
//!     for reading as a clone. (Captures copy whole blocks of such cells at once.)

use super::span::{Span, append};
use std::sync::Arc;

/// A value as a table stores it.
pub(crate) trait Cell: Sized + Send + Sync + 'static {
    /// A copy for a snapshot: bounded, sharing what is large (C1, C2).
    type Image: Send + 'static;

    /// Copies the value for a snapshot; bytes that do not fit into the image go to `arena`.
    fn image(&self, arena: &mut Vec<u8>) -> Self::Image;

    /// Bytes allocated outside the slot.
    fn heap_bytes(&self) -> usize;
}

/// A value of exactly `N` bytes, in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Cell for Fixed<N> {
    type Image = Self;

    #[inline]
    fn image(&self, _arena: &mut Vec<u8>) -> Self {
        *self
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Longest value that lies in its slot.
const INLINE: usize = 22;

/// Shortest value that snapshots share instead of copying it.
pub(super) const SHARED: usize = 1024;

/// A value of any length, 24 bytes in the slot.
#[derive(Debug)]
pub(crate) enum Blob {
    /// The first `len` bytes of `bytes`.
    Inline { len: u8, bytes: [u8; INLINE] },
    /// More than fits into the slot.
    Owned(Box<[u8]>),
    /// At least [`SHARED`] bytes.
    Shared(Arc<[u8]>),
}

impl Blob {
    /// A value of these bytes.
    pub(crate) fn new(value: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        match (inline.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(target), Ok(len)) => {
                target.copy_from_slice(value);
                Self::Inline { len, bytes: inline }
            }
            _ if value.len() < SHARED => Self::Owned(value.into()),
            _ => Self::Shared(value.into()),
        }
    }

    /// The value.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// Overwrites the value, in the memory that it has if the length stays the same.
    pub(crate) fn assign(&mut self, value: &[u8]) {
        if !self.overwrite(value) {
            *self = Self::new(value);
        }
    }

    /// Overwrites the value in the memory that it has outside the slot; does nothing and returns `false` where it has
    /// none, has another length, or shares it with a snapshot.
    #[inline]
    pub(crate) fn overwrite(&mut self, value: &[u8]) -> bool {
        let place = match self {
            Self::Inline { .. } => None,
            Self::Owned(bytes) => Some(&mut **bytes),
            Self::Shared(bytes) => Arc::get_mut(bytes),
        };
        let place = place.filter(|bytes| bytes.len() == value.len());
        place.map(|bytes| bytes.copy_from_slice(value)).is_some()
    }
}

/// A [`Blob`] in a snapshot.
#[derive(Debug)]
pub(crate) enum BlobImage {
    /// Copied into the arena.
    Copied(Span),
    /// Shared with the table.
    Shared(Arc<[u8]>),
}

impl BlobImage {
    /// The value, given the arena that the image was made with.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, arena: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Copied(span) => span.of(arena),
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Cell for Blob {
    type Image = BlobImage;

    #[inline]
    fn image(&self, arena: &mut Vec<u8>) -> BlobImage {
        match self {
            Self::Shared(bytes) => BlobImage::Shared(Arc::clone(bytes)),
            _ => BlobImage::Copied(append(arena, self.bytes())),
        }
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Owned(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len().saturating_add(16),
        }
    }
}
