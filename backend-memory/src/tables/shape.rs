//! How a state's keys lie in its table.
//!
//! A table's key is an entry's key and namespace, as bytes. To give them back as two parts the store
//! must know where the first ends: that follows from the state's codecs where one of the two has a
//! fixed width, and is appended to the table's key where neither has.

use alluvium_state_api::schema::{KeyIdentity, StateMeta};
use alluvium_state_api::{EntryKey, Result, StateKey, hash_bytes};

/// Where the key ends in a table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundary {
    /// There is no namespace.
    End,
    /// The key has this width.
    KeyWidth(usize),
    /// The namespace has this width.
    NamespaceWidth(usize),
    /// The last four bytes say it.
    Trailer,
}

/// The shape of a table's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    boundary: Boundary,
    /// The width of a table's key in bytes, where it is fixed.
    pub(crate) width: Option<usize>,
}

const TRAILER_BYTES: usize = 4;

/// The hash of a table's key of 8 bytes: the bytes themselves. A table mixes a secret into every hash
/// with a folded multiplication, which is all that so short a key needs.
#[inline]
pub(crate) fn hash_of_8(key: &[u8]) -> u64 {
    key.try_into().map_or_else(|_longer| hash_bytes(key), u64::from_le_bytes)
}

/// A table's key of 8 bytes, and its hash.
#[inline]
pub(crate) fn eight(key: &StateKey<'_>) -> Option<(u64, [u8; 8])> {
    let bytes = key.bytes().get(..key.entry().namespace_end())?.try_into().ok()?;
    Some((u64::from_le_bytes(bytes), bytes))
}

impl Shape {
    /// The shape that a state's codecs ask for.
    pub(crate) fn of(key: &KeyIdentity, meta: &StateMeta) -> Self {
        let width = |width: Option<u32>| width.and_then(|width| usize::try_from(width).ok());
        let key = width(key.codec.width);
        let Some(namespace) = &meta.namespace else {
            return Self { boundary: Boundary::End, width: key };
        };
        let namespace = width(namespace.width);
        let boundary = match (key, namespace) {
            (Some(key), _) => Boundary::KeyWidth(key),
            (None, Some(namespace)) => Boundary::NamespaceWidth(namespace),
            (None, None) => Boundary::Trailer,
        };
        let both = key.zip(namespace);
        Self { boundary, width: both.and_then(|(key, namespace)| key.checked_add(namespace)) }
    }

    /// The hash under which a table of this shape keeps a key.
    #[inline]
    pub(crate) fn hash(&self, table_key: &[u8]) -> u64 {
        if self.width == Some(8) { hash_of_8(table_key) } else { hash_bytes(table_key) }
    }

    /// The width of an entry's key in a table's key of `width` bytes; `None` where it differs.
    pub(crate) fn key_width(&self, width: usize) -> Option<usize> {
        match self.boundary {
            Boundary::End => Some(width),
            Boundary::KeyWidth(key) => Some(key),
            Boundary::NamespaceWidth(namespace) => width.checked_sub(namespace),
            Boundary::Trailer => None,
        }
    }

    /// Whether a table's key is the entry's key, without a namespace.
    pub(crate) fn is_key_alone(&self) -> bool {
        self.boundary == Boundary::End
    }

    /// The table's key and its hash for an entry; `scratch` holds it where it must be put together.
    /// The hash is that of the table's key, so that the table can compute it again.
    #[expect(clippy::inline_always, reason = "what a call costs is more than the usual case does")]
    #[inline(always)]
    pub(crate) fn address<'a>(
        &self,
        key: &StateKey<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> (u64, &'a [u8]) {
        if self.boundary == Boundary::End {
            let bytes = key.entry().key();
            let hash = if self.width == Some(8) { hash_of_8(bytes) } else { key.key_hash() };
            return (hash, bytes);
        }
        self.joined_address(key, scratch)
    }

    #[inline(never)]
    fn joined_address<'a>(&self, key: &StateKey<'a>, scratch: &'a mut Vec<u8>) -> (u64, &'a [u8]) {
        match self.boundary {
            Boundary::End => (self.hash(key.entry().key()), key.entry().key()),
            Boundary::Trailer => Self::joined(key.entry(), scratch),
            Boundary::KeyWidth(_) | Boundary::NamespaceWidth(_) => {
                let entry = key.entry();
                let bytes = entry.bytes().get(..entry.namespace_end()).unwrap_or_default();
                (self.hash(bytes), bytes)
            }
        }
    }

    fn joined<'a>(entry: EntryKey<'_>, scratch: &'a mut Vec<u8>) -> (u64, &'a [u8]) {
        scratch.clear();
        scratch.extend_from_slice(entry.key());
        scratch.extend_from_slice(entry.namespace());
        let key_end = u32::try_from(entry.key_end()).unwrap_or(u32::MAX);
        scratch.extend_from_slice(&key_end.to_le_bytes());
        (hash_bytes(scratch), scratch)
    }

    /// [`address`](Self::address) for an entry that comes from a file.
    pub(crate) fn address_of<'a>(
        &self,
        entry: EntryKey<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> (u64, &'a [u8]) {
        if self.boundary == Boundary::Trailer {
            return Self::joined(entry, scratch);
        }
        let bytes = entry.bytes().get(..entry.namespace_end()).unwrap_or_default();
        (self.hash(bytes), bytes)
    }

    /// Key and namespace of a table's key.
    ///
    /// # Errors
    /// `InvalidInput` if the bytes were not made by [`address`](Self::address).
    #[inline]
    pub(crate) fn parts<'a>(&self, table_key: &'a [u8]) -> Result<EntryKey<'a>> {
        let len = table_key.len();
        match self.boundary {
            Boundary::End => EntryKey::new(table_key, len, len),
            Boundary::KeyWidth(width) => EntryKey::new(table_key, width, len),
            Boundary::NamespaceWidth(width) => {
                EntryKey::new(table_key, len.saturating_sub(width), len)
            }
            Boundary::Trailer => {
                let (bytes, trailer) =
                    table_key.split_last_chunk::<TRAILER_BYTES>().unwrap_or((table_key, &[0; 4]));
                let key_end = usize::try_from(u32::from_le_bytes(*trailer)).unwrap_or(usize::MAX);
                EntryKey::new(bytes, key_end, bytes.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_state_api::codec::Native;
    use alluvium_state_api::{
        Descriptor, InNamespace, KeyedBackend, MaxParallelism, ValueDescriptor,
    };

    fn identity<K>() -> KeyIdentity
    where
        Native: alluvium_state_api::codec::KeyCodec<K>,
    {
        let groups = MaxParallelism::new(8).unwrap();
        KeyedBackend::<K>::key_space(groups, groups.all()).unwrap().identity().clone()
    }

    #[test]
    fn every_shape_gives_key_and_namespace_back() {
        let fixed: ValueDescriptor<u8, Native, InNamespace<u32>> =
            ValueDescriptor::new("a").in_namespace();
        let text: ValueDescriptor<u8, Native, InNamespace<String>> =
            ValueDescriptor::new("b").in_namespace();
        let none = ValueDescriptor::<u8>::new("c").meta();
        let groups = MaxParallelism::new(8).unwrap();
        for (identity, meta, key, namespace, width) in [
            (identity::<u64>(), none.clone(), &b"12345678"[..], &b""[..], Some(8)),
            (identity::<String>(), none, b"any\0\0", b"", None),
            (identity::<u64>(), fixed.meta(), b"12345678", b"abcd", Some(12)),
            (identity::<String>(), fixed.meta(), b"k\0\0", b"abcd", None),
            (identity::<u64>(), text.meta(), b"12345678", b"w\0\0", None),
            (identity::<String>(), text.meta(), b"k\0\0", b"w\0\0", None),
        ] {
            let shape = Shape::of(&identity, &meta);
            assert_eq!(shape.width, width);
            let bytes = [key, namespace].concat();
            let entry = EntryKey::new(&bytes, key.len(), bytes.len()).unwrap();
            let state_key = StateKey::new(entry, hash_bytes(key), 0, groups);
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let (hash, table_key) = shape.address(&state_key, &mut one);
            assert_eq!(hash, shape.hash(table_key));
            assert_eq!((hash, table_key), shape.address_of(entry, &mut two));
            let parts = shape.parts(table_key).unwrap();
            assert_eq!((parts.key(), parts.namespace()), (key, namespace));
        }
    }
}
