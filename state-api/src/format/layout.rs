//! How the entries of one state are laid out in a raw block.
//!
//! | kind of block | kind of state | lengths (varint, omitted where fixed or absent) | bytes |
//! |---|---|---|---|
//! | entries | all but list | key, namespace, map key, value | key, namespace, map key, value |
//! | entries, appends | list | key, namespace, then always: first index, elements, framed bytes | key, namespace, framed elements |
//! | tombstones | map | key, namespace, map key | key, namespace, map key |
//! | tombstones | others | key, namespace | key, namespace |
//!
//! # Invariants
//! * I1 `key | namespace | map key` lie side by side, so that an [`EntryKey`] borrows from the block.
//! * I2 Each part has fewer than 2^32 - 1 bytes (that number marks tombstones in the digest).

use super::wire::{put_varint, take, take_varint, varint_len};
use crate::schema::{KeyIdentity, StateKind, StateMeta};
use crate::{Elements, EntryKey, Error, Result};

/// The longest key, namespace, map key or value, in bytes.
pub(crate) const MOST_PART_BYTES: usize = (u32::MAX - 1) as usize;

/// Widths of a state whose entries all have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedLayout {
    /// Bytes of the key.
    pub key: usize,
    /// Bytes of the namespace, 0 if there is none.
    pub namespace: usize,
    /// Bytes of the map key, 0 if there is none.
    pub map_key: usize,
    /// Bytes of the value, with its stamp.
    pub value: usize,
}

impl FixedLayout {
    /// Bytes of key, namespace and map key.
    #[inline]
    pub const fn key_bytes(&self) -> usize {
        self.key + self.namespace + self.map_key
    }

    /// Bytes of an entry.
    #[inline]
    pub const fn entry_bytes(&self) -> usize {
        self.key_bytes() + self.value
    }

    /// The entry key with which these bytes begin; `None` if they are too few.
    #[inline]
    pub(crate) fn entry_key<'a>(&self, entry: &'a [u8]) -> Option<EntryKey<'a>> {
        let bytes = entry.get(..self.key_bytes())?;
        EntryKey::new(bytes, self.key, self.key + self.namespace).ok()
    }
}

/// How entries of one state are laid out: what it takes to decode a single one.
#[derive(Clone, Copy, Debug)]
pub struct EntryLayout {
    key: Option<usize>,
    namespace: Option<usize>,
    map_key: Option<usize>,
    value: Option<usize>,
    pub(crate) is_list: bool,
    pub(crate) is_map: bool,
    pub(crate) fixed: Option<FixedLayout>,
}

/// One segment of a list or of a run of appended elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListSegment<'a> {
    /// Key and namespace of the list.
    pub key: EntryKey<'a>,
    /// The index of the first element in the list.
    pub first: u64,
    /// The elements.
    pub elements: Elements<'a>,
}

impl EntryLayout {
    /// The layout before a state was chosen.
    pub(crate) const UNSET: Self = Self {
        key: None,
        namespace: None,
        map_key: None,
        value: None,
        is_list: false,
        is_map: false,
        fixed: None,
    };

    /// The layout of `state` under keys of `key`.
    pub(crate) fn new(key: &KeyIdentity, state: &StateMeta) -> Result<Self> {
        let width = |width: Option<u32>| width.map(|width| width as usize);
        let absent = Some(0);
        let mut layout = Self {
            key: width(key.codec.width),
            namespace: state.namespace.as_ref().map_or(absent, |codec| width(codec.width)),
            map_key: state.map_key.as_ref().map_or(absent, |codec| width(codec.width)),
            value: width(state.value.width).map(|width| width.saturating_add(state.stamp_bytes())),
            is_list: state.kind == StateKind::List,
            is_map: state.kind == StateKind::Map,
            fixed: None,
        };
        let parts = [layout.key, layout.namespace, layout.map_key, layout.value];
        let total = parts.iter().flatten().try_fold(0usize, |sum, part| sum.checked_add(*part));
        if total.is_none_or(|total| total > MOST_PART_BYTES) {
            return Err(Error::invalid_input("fixed widths add up to 4 GiB or more")
                .with_state(state.name.clone()));
        }
        if let ([Some(key), Some(namespace), Some(map_key), Some(value)], false) =
            (parts, layout.is_list)
        {
            layout.fixed = Some(FixedLayout { key, namespace, map_key, value });
        }
        Ok(layout)
    }

    /// How whole maps are addressed: by key and namespace alone.
    pub(crate) fn of_maps(&self) -> Self {
        Self { map_key: Some(0), ..*self }
    }

    /// The fewest bytes that an entry of this kind can have in a block.
    pub(crate) fn least_bytes(&self, tombstone: bool) -> usize {
        let part = |width: Option<usize>| width.unwrap_or(1);
        let keys = part(self.key) + part(self.namespace) + part(self.map_key);
        match (tombstone, self.is_list) {
            (true, _) => keys,
            (false, true) => keys + 3 + 4,
            (false, false) => keys + part(self.value),
        }
    }

    /// Whether key and value have exactly the widths of a fixed layout.
    #[inline]
    pub(crate) fn fits_fixed(&self, key: EntryKey<'_>, value: &[u8]) -> bool {
        self.fixed.is_some_and(|fixed| {
            key.key_end() == fixed.key
                && key.namespace_end() == fixed.key + fixed.namespace
                && key.bytes().len() == fixed.key_bytes()
                && value.len() == fixed.value
        })
    }

    /// Fails unless the parts of `key` have the widths of the layout.
    pub(crate) fn check_key(&self, key: EntryKey<'_>) -> Result<()> {
        let fits = |width: Option<usize>, part: &[u8]| {
            width.map_or(part.len() <= MOST_PART_BYTES, |width| width == part.len())
        };
        if fits(self.key, key.key())
            && fits(self.namespace, key.namespace())
            && fits(self.map_key, key.map_key())
        {
            return Ok(());
        }
        Err(misfit("key, namespace or map key", key.bytes().len()))
    }

    /// Fails unless `value` has the width of the layout.
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        let fits = self.value.map_or(value.len() <= MOST_PART_BYTES, |width| width == value.len());
        if fits && !self.is_list {
            return Ok(());
        }
        Err(misfit("value", value.len()))
    }

    /// Fails unless the state is a list.
    pub(crate) fn check_list(&self) -> Result<()> {
        if self.is_list {
            Ok(())
        } else {
            Err(Error::bug("elements were given to a state that is no list"))
        }
    }

    fn key_lengths(&self, key: EntryKey<'_>, mut put: impl FnMut(u64)) {
        let parts = [
            (self.key, key.key()),
            (self.namespace, key.namespace()),
            (self.map_key, key.map_key()),
        ];
        for (width, part) in parts {
            if width.is_none() {
                put(part.len() as u64);
            }
        }
    }

    /// Bytes that an entry takes in a block.
    pub(crate) fn entry_bytes(&self, key: EntryKey<'_>, value: &[u8]) -> usize {
        if let Some(fixed) = &self.fixed {
            return fixed.entry_bytes();
        }
        let length = if self.value.is_none() { varint_len(value.len() as u64) } else { 0 };
        self.tombstone_bytes(key) + length + value.len()
    }

    /// Bytes that a tombstone takes in a block.
    pub(crate) fn tombstone_bytes(&self, key: EntryKey<'_>) -> usize {
        let mut total = key.bytes().len();
        self.key_lengths(key, |length| total += varint_len(length));
        total
    }

    /// Bytes that a segment with `framed` bytes of elements takes in a block.
    pub(crate) fn segment_bytes(
        &self,
        key: EntryKey<'_>,
        first: u64,
        count: u64,
        framed: usize,
    ) -> usize {
        let numbers = varint_len(first) + varint_len(count) + varint_len(framed as u64);
        self.tombstone_bytes(key) + numbers + framed
    }

    /// Appends an entry whose parts were checked.
    pub(crate) fn put_entry(&self, out: &mut Vec<u8>, key: EntryKey<'_>, value: &[u8]) {
        self.key_lengths(key, |length| put_varint(out, length));
        if self.value.is_none() {
            put_varint(out, value.len() as u64);
        }
        out.extend_from_slice(key.bytes());
        out.extend_from_slice(value);
    }

    /// Appends a tombstone.
    pub(crate) fn put_tombstone(&self, out: &mut Vec<u8>, key: EntryKey<'_>) {
        self.key_lengths(key, |length| put_varint(out, length));
        out.extend_from_slice(key.bytes());
    }

    /// Appends a segment.
    pub(crate) fn put_segment(&self, out: &mut Vec<u8>, segment: &ListSegment<'_>) {
        self.key_lengths(segment.key, |length| put_varint(out, length));
        put_varint(out, segment.first);
        put_varint(out, segment.elements.count());
        put_varint(out, segment.elements.size());
        out.extend_from_slice(segment.key.bytes());
        out.extend_from_slice(segment.elements.framed());
    }

    fn take_lengths(&self, rest: &mut &[u8]) -> Option<[usize; 3]> {
        let mut lengths = [0; 3];
        let widths = [self.key, self.namespace, self.map_key];
        for (length, width) in lengths.iter_mut().zip(widths) {
            *length = take_length(rest, width)?;
        }
        Some(lengths)
    }

    /// Splits an entry off the front.
    #[inline]
    pub(crate) fn take_entry<'a>(&self, rest: &mut &'a [u8]) -> Option<(EntryKey<'a>, &'a [u8])> {
        let [key, namespace, map_key] = self.take_lengths(rest)?;
        let value = take_length(rest, self.value)?;
        let key = take_key(rest, key, namespace, map_key)?;
        Some((key, take(rest, value)?))
    }

    /// Splits a tombstone off the front.
    pub(crate) fn take_tombstone<'a>(&self, rest: &mut &'a [u8]) -> Option<EntryKey<'a>> {
        let [key, namespace, map_key] = self.take_lengths(rest)?;
        take_key(rest, key, namespace, map_key)
    }

    /// Splits a segment off the front; its elements are checked against their number.
    pub(crate) fn take_segment<'a>(&self, rest: &mut &'a [u8]) -> Option<ListSegment<'a>> {
        let [key, namespace, map_key] = self.take_lengths(rest)?;
        let first = take_varint(rest)?;
        let count = take_varint(rest)?;
        let framed = usize::try_from(take_varint(rest)?).ok()?;
        let key = take_key(rest, key, namespace, map_key)?;
        let elements = Elements::parse(take(rest, framed)?).ok()?;
        let holds = elements.count() == count && count > 0 && first.checked_add(count).is_some();
        holds.then_some(ListSegment { key, first, elements })
    }
}

/// Appends an entry of fixed layout, whose widths were checked.
#[inline]
pub(crate) fn put_fixed(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The commonest widths by constant size: a copy of a few instructions instead of a call.
    if let ([k0, k1, k2, k3, k4, k5, k6, k7], [v0, v1, v2, v3, v4, v5, v6, v7]) = (key, value) {
        out.extend_from_slice(&[
            *k0, *k1, *k2, *k3, *k4, *k5, *k6, *k7, *v0, *v1, *v2, *v3, *v4, *v5, *v6, *v7,
        ]);
        return;
    }
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

#[inline]
fn take_length(rest: &mut &[u8], width: Option<usize>) -> Option<usize> {
    match width {
        Some(width) => Some(width),
        None => usize::try_from(take_varint(rest)?).ok().filter(|n| *n <= MOST_PART_BYTES),
    }
}

#[inline]
fn take_key<'a>(
    rest: &mut &'a [u8],
    key: usize,
    namespace: usize,
    map_key: usize,
) -> Option<EntryKey<'a>> {
    let namespace_end = key.checked_add(namespace)?;
    let bytes = take(rest, namespace_end.checked_add(map_key)?)?;
    EntryKey::new(bytes, key, namespace_end).ok()
}

#[cold]
fn misfit(what: &str, length: usize) -> Error {
    Error::bug(format!("a {what} of {length} bytes does not fit the state's codecs"))
}
