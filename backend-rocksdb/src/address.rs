//! Where an entry lies in the database, and how its value is wrapped.
//!
//! | key | value |
//! |---|---|
//! | key group (2 bytes), state (2 bytes), key, namespace, map key | bounds, value |
//! | of a list: key group, state, key, namespace | bounds, elements of a short one or head ([`crate::list`]) |
//! | of a chunk of a list: key of its head, number (8 bytes) | framed elements |
//!
//! Numbers in keys are big endian, so that entries of a state within a key group ascend by their bytes, and a
//! key group is one range of the database whatever states there are. *Bounds* are the lengths of key and
//! namespace that follow neither from the codecs' widths nor from the length of the whole, as LEB128: most states
//! have none, and their value is stored as it is.
//!
//! # Invariants
//! A1. Keys and namespaces are prefix-free, so that what begins with the key of a list's head is the head itself or
//!     one of its chunks.
//! A2. The first two bytes of an entry's key are a key group, at most 32,767; so every prefix has a successor.

use alluvium_state_api::schema::{KeyIdentity, StateKind, StateMeta};
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result, StateKey};

/// Bytes in front of an entry's key: key group and state.
pub(crate) const PREFIX_BYTES: usize = 4;

/// Above all key groups (A2).
pub(crate) const END_OF_GROUPS: u16 = 0x8000;

/// The number of a state in the keys of the database.
pub(crate) type StateId = u16;

/// What the keys of a state begin with in a key group.
pub(crate) fn prefix(group: KeyGroup, state: StateId) -> [u8; PREFIX_BYTES] {
    let ([a, b], [c, d]) = (group.index().to_be_bytes(), state.to_be_bytes());
    [a, b, c, d]
}

/// Writes the address of an entry over `out`.
#[inline]
pub(crate) fn set_address(out: &mut Vec<u8>, state: StateId, key: &StateKey<'_>) {
    out.clear();
    out.extend_from_slice(&prefix(key.key_group(), state));
    out.extend_from_slice(key.bytes());
}

/// The same, of an entry whose key group is known.
pub(crate) fn set_entry_address(
    out: &mut Vec<u8>,
    state: StateId,
    group: KeyGroup,
    entry: EntryKey<'_>,
) {
    out.clear();
    out.extend_from_slice(&prefix(group, state));
    out.extend_from_slice(entry.bytes());
}

/// The least key above all keys that begin with `prefix` (A2).
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(above) = last.checked_add(1) {
            next.push(above);
            break;
        }
    }
    next
}

/// What is known of the lengths of a state's keys and namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    key: Option<usize>,
    namespace: Option<usize>,
    is_map: bool,
}

impl Shape {
    /// The shape of a state.
    pub(crate) fn new(identity: &KeyIdentity, meta: &StateMeta) -> Self {
        let width = |width: Option<u32>| width.and_then(|width| usize::try_from(width).ok());
        let namespace = meta.namespace.as_ref();
        Self {
            key: width(identity.codec.width),
            namespace: namespace.map_or(Some(0), |codec| width(codec.width)),
            is_map: meta.kind == StateKind::Map,
        }
    }

    /// Which lengths are stored: of the key, of the namespace.
    const fn stored(self) -> (bool, bool) {
        match (self.is_map, self.key, self.namespace) {
            (_, Some(_), Some(_)) | (false, Some(_), None) | (false, None, Some(_)) => {
                (false, false)
            }
            (false, None, None) | (true, None, Some(_)) => (true, false),
            (true, Some(_), None) => (false, true),
            (true, None, None) => (true, true),
        }
    }

    /// Appends the bounds of an entry.
    ///
    /// # Errors
    /// `InvalidInput` where key or namespace have another width than their codecs say.
    #[inline]
    pub(crate) fn wrap(self, entry: EntryKey<'_>, out: &mut Vec<u8>) -> Result<()> {
        let (key, namespace) = (entry.key_end(), entry.namespace_end() - entry.key_end());
        let fits = self.key.is_none_or(|width| width == key)
            && self.namespace.is_none_or(|width| width == namespace)
            && (self.is_map || entry.namespace_end() == entry.bytes().len());
        if !fits {
            return Err(misfit(entry));
        }
        let (stores_key, stores_namespace) = self.stored();
        if stores_key {
            push_varint(out, key as u64);
        }
        if stores_namespace {
            push_varint(out, namespace as u64);
        }
        Ok(())
    }

    /// The entry of `bytes` (key, namespace, map key) and what was wrapped.
    ///
    /// # Errors
    /// `Corrupted` where the stored value does not begin with the bounds of such an entry.
    pub(crate) fn unwrap<'a, 'v>(
        self,
        bytes: &'a [u8],
        stored: &'v [u8],
    ) -> Result<(EntryKey<'a>, &'v [u8])> {
        let (stores_key, stores_namespace) = self.stored();
        let mut rest = stored;
        let key = if stores_key { Some(take_length(&mut rest)?) } else { self.key };
        let namespace =
            if stores_namespace { Some(take_length(&mut rest)?) } else { self.namespace };
        let whole = bytes.len();
        let ends = match (key, namespace) {
            (Some(key), _) if !self.is_map => Some((key, whole)),
            (Some(key), Some(namespace)) => key.checked_add(namespace).map(|end| (key, end)),
            (None, Some(namespace)) => whole.checked_sub(namespace).map(|key| (key, whole)),
            _ => None,
        };
        let (key_end, namespace_end) = ends.ok_or_else(bad_bounds)?;
        let entry = EntryKey::new(bytes, key_end, namespace_end).map_err(|_bounds| bad_bounds())?;
        Ok((entry, rest))
    }

    /// What was wrapped, where the entry is known.
    #[inline]
    pub(crate) fn value(self, stored: &[u8]) -> Result<&[u8]> {
        let (stores_key, stores_namespace) = self.stored();
        let mut rest = stored;
        for _ in 0..usize::from(stores_key) + usize::from(stores_namespace) {
            take_length(&mut rest)?;
        }
        Ok(rest)
    }
}

/// Appends a number as LEB128.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while let Some(low) = u8::try_from(number & 0x7f).ok().filter(|_| number > 0x7f) {
        out.push(low | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Splits a number off the front.
///
/// # Errors
/// `Corrupted` where there is none of at most 64 bits in its shortest form.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Result<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, after)) = rest.split_first() else {
            return Err(Error::corrupted("a stored number ends too early"));
        };
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if (shift == 63 && bits > 1) || (shift > 0 && *byte == 0) {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Error::corrupted("a stored number has more than 64 bits, or more bytes than it needs"))
}

fn take_length(rest: &mut &[u8]) -> Result<usize> {
    usize::try_from(take_varint(rest)?).map_err(|_long| bad_bounds())
}

#[cold]
fn bad_bounds() -> Error {
    Error::corrupted("an entry's key is shorter than its stored bounds")
}

#[cold]
fn misfit(entry: EntryKey<'_>) -> Error {
    Error::invalid_input(format!(
        "an entry key of {} bytes, whose key and namespace end at {} and {}, does not fit the state's codecs",
        entry.bytes().len(),
        entry.key_end(),
        entry.namespace_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> Vec<Shape> {
        let mut shapes = Vec::new();
        for key in [None, Some(3)] {
            for namespace in [None, Some(0), Some(2)] {
                for is_map in [false, true] {
                    shapes.push(Shape { key, namespace, is_map });
                }
            }
        }
        shapes
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        for shape in shapes() {
            let namespace = shape.namespace.unwrap_or(2);
            let map_key = if shape.is_map { 4 } else { 0 };
            let bytes = vec![7; 3 + namespace + map_key];
            let entry = EntryKey::new(&bytes, 3, 3 + namespace).unwrap();
            let mut stored = Vec::new();
            shape.wrap(entry, &mut stored).unwrap();
            stored.extend_from_slice(b"value");
            assert_eq!(shape.unwrap(&bytes, &stored).unwrap(), (entry, &b"value"[..]));
            assert_eq!(shape.value(&stored).unwrap(), b"value");
        }
    }

    #[test]
    fn an_entry_of_another_width_is_refused() {
        let shape = Shape { key: Some(3), namespace: Some(0), is_map: false };
        let entry = EntryKey::new(b"four", 4, 4).unwrap();
        assert!(shape.wrap(entry, &mut Vec::new()).is_err());
        let entry = EntryKey::new(b"key+", 3, 3).unwrap();
        assert!(shape.wrap(entry, &mut Vec::new()).is_err(), "only maps have map keys");
    }

    #[test]
    fn damaged_bounds_are_refused() {
        let shape = Shape { key: None, namespace: None, is_map: true };
        for stored in [&b""[..], &[0x80], &[9, 0], &[1, 9], &[0xff; 12]] {
            let error = shape.unwrap(b"entry", stored).unwrap_err();
            assert_eq!(error.kind(), alluvium_state_api::ErrorKind::Corrupted, "{stored:?}");
        }
    }

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, number);
            assert_eq!(take_varint(&mut &bytes[..]).unwrap(), number);
        }
        assert!(take_varint(&mut &[0x80, 0][..]).is_err(), "a longer form");
    }

    #[test]
    fn a_successor_is_above_all_that_begin_with_the_prefix() {
        assert_eq!(successor(&[0, 1, 2]), [0, 1, 3]);
        assert_eq!(successor(&[0, 1, 0xff, 0xff]), [0, 2]);
        let group = KeyGroup::new(0x7f_ff);
        assert_eq!(successor(&prefix(group, u16::MAX)), [0x80]);
    }
}
