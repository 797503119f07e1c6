//! How keys lie in the slots.
//!
//! # Role
//! [`KeyRep`] is what a table needs of its keys. `[u8; N]` is a key of fixed width, compared as
//! an integer; [`VarKey`] is a key of any length: up to 22 bytes in the slot, longer ones on the
//! heap together with their hash, so that neither a mismatch nor growth touches the heap.
//!
//! # Invariants
//! K1. A key never changes while it is in a table, and `bytes` of what `store` made are the bytes
//!     of the probe it was made from.

use super::hash::Hash;
use super::span::{Span, append};

/// A key as a table stores it.
pub(crate) trait KeyRep: Sized + Send + Sync + 'static {
    /// A key as callers ask for it.
    type Probe<'a>: Copy;
    /// A copy for a snapshot; bytes too many to lie in it go to an arena.
    type Image: Send + 'static;

    /// The probe for encoded key bytes; `None` if they cannot be a key of this kind.
    fn probe(bytes: &[u8]) -> Option<Self::Probe<'_>>;
    /// The key to store.
    fn store(probe: Self::Probe<'_>, hash: Hash) -> Self;
    /// Is this the key asked for?
    fn is(&self, probe: Self::Probe<'_>, hash: Hash) -> bool;
    /// The encoded key bytes.
    fn bytes(&self) -> &[u8];
    /// The mixed hash, if it is kept with the key.
    fn hash(&self) -> Option<Hash>;
    /// Copies the key for a snapshot.
    fn image(&self, arena: &mut Vec<u8>) -> Self::Image;
    /// The encoded key bytes of a copy made into `arena`.
    fn image_bytes<'a>(image: &'a Self::Image, arena: &'a [u8]) -> &'a [u8];
    /// Bytes allocated outside the slot.
    fn heap_bytes(&self) -> usize;
}

impl<const N: usize> KeyRep for [u8; N] {
    type Probe<'a> = [u8; N];
    type Image = [u8; N];

    #[inline]
    fn probe(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }

    #[inline]
    fn store(probe: [u8; N], _hash: Hash) -> Self {
        probe
    }

    #[inline]
    fn is(&self, probe: [u8; N], _hash: Hash) -> bool {
        *self == probe
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn hash(&self) -> Option<Hash> {
        None
    }

    #[inline]
    fn image(&self, _arena: &mut Vec<u8>) -> [u8; N] {
        *self
    }

    #[inline]
    fn image_bytes<'a>(image: &'a [u8; N], _arena: &'a [u8]) -> &'a [u8] {
        image
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Longest key that lies in its slot.
const INLINE: usize = 22;

/// A key of any length, 24 bytes in the slot.
#[derive(Debug)]
pub(crate) enum VarKey {
    /// The first `len` bytes of `bytes`; the others are 0.
    Inline { len: u8, bytes: [u8; INLINE] },
    /// More than fits, behind its hash.
    Heap { hash: [u8; 7], bytes: Box<[u8]> },
}

impl KeyRep for VarKey {
    type Probe<'a> = &'a [u8];
    type Image = Span;

    #[inline]
    fn probe(bytes: &[u8]) -> Option<&[u8]> {
        Some(bytes)
    }

    fn store(probe: &[u8], hash: Hash) -> Self {
        let mut inline = [0; INLINE];
        match (inline.get_mut(..probe.len()), u8::try_from(probe.len())) {
            (Some(target), Ok(len)) => {
                target.copy_from_slice(probe);
                Self::Inline { len, bytes: inline }
            }
            _ => Self::Heap { hash: hash.to_bytes(), bytes: probe.into() },
        }
    }

    #[inline]
    fn is(&self, probe: &[u8], hash: Hash) -> bool {
        match self {
            Self::Inline { .. } => self.bytes() == probe,
            Self::Heap { hash: mine, bytes } => *mine == hash.to_bytes() && **bytes == *probe,
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Heap { bytes, .. } => bytes,
        }
    }

    #[inline]
    fn hash(&self) -> Option<Hash> {
        match self {
            Self::Inline { .. } => None,
            Self::Heap { hash, .. } => Some(Hash::from_bytes(*hash)),
        }
    }

    #[inline]
    fn image(&self, arena: &mut Vec<u8>) -> Span {
        append(arena, self.bytes())
    }

    #[inline]
    fn image_bytes<'a>(image: &'a Span, arena: &'a [u8]) -> &'a [u8] {
        image.of(arena)
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap { bytes, .. } => bytes.len(),
        }
    }
}
