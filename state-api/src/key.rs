//! The address of an entry: what a store gets to see of key, namespace and map key.
//!
//! Bytes are `key | namespace | map key`. Key and namespace encodings are prefix-free, so that
//! concatenation is unambiguous and no prefix scan sees a neighbour. The typed layer encodes, hashes
//! and places the key once per record; all accesses of that record reuse the result.
//!
//! * [`EntryKey`]: bytes with their two inner boundaries; what scans and snapshots yield.
//! * [`StateKey`]: an `EntryKey` with the key's hash and placement; what point operations take.
//! * [`KeyBatch`]: many `StateKey`s in one buffer; what batched operations take.

use std::fmt;

use crate::{
    Error, KeyGroup, MaxParallelism, Result, hash_bytes, hash_with_suffix, stable_placement,
};

/// The longest entry key, in bytes: offsets take four.
const MAX_ENTRY_KEY_BYTES: usize = u32::MAX as usize;

/// The bytes of an entry's key, namespace and map key, with their boundaries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey<'a> {
    bytes: &'a [u8],
    key_end: u32,
    namespace_end: u32,
}

impl<'a> EntryKey<'a> {
    /// An entry key from its three parts laid end to end; the first ends at `key_end`, the second at
    /// `namespace_end`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) unless `key_end <= namespace_end <= len` and
    /// the whole is shorter than 4 GiB.
    #[inline]
    pub fn new(bytes: &'a [u8], key_end: usize, namespace_end: usize) -> Result<Self> {
        let ends = (u32::try_from(key_end), u32::try_from(namespace_end));
        let (Ok(key_end_32), Ok(namespace_end_32)) = ends else {
            return Err(too_long(bytes.len()));
        };
        check_length(bytes.len())?;
        if key_end > namespace_end || namespace_end > bytes.len() {
            return Err(bad_bounds(key_end, namespace_end, bytes.len()));
        }
        Ok(Self { bytes, key_end: key_end_32, namespace_end: namespace_end_32 })
    }

    /// Key and namespace of a context, whose length passed [`check_length`].
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the length was checked")]
    pub(crate) fn trusted(bytes: &'a [u8], key_end: usize) -> Self {
        debug_assert!(key_end <= bytes.len() && check_length(bytes.len()).is_ok());
        Self { bytes, key_end: key_end as u32, namespace_end: bytes.len() as u32 }
    }

    /// All bytes: key, namespace, map key.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The key's bytes.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.bytes.get(..self.key_end()).unwrap_or(self.bytes)
    }

    /// The namespace's bytes; empty for states without one.
    #[inline]
    pub fn namespace(&self) -> &'a [u8] {
        self.bytes.get(self.key_end()..self.namespace_end()).unwrap_or_default()
    }

    /// The map key's bytes; empty for other kinds of state.
    #[inline]
    pub fn map_key(&self) -> &'a [u8] {
        self.bytes.get(self.namespace_end()..).unwrap_or_default()
    }

    /// What follows the key: namespace and map key.
    #[inline]
    pub fn suffix(&self) -> &'a [u8] {
        self.bytes.get(self.key_end()..).unwrap_or_default()
    }

    /// Where the key ends, in bytes.
    #[inline]
    pub const fn key_end(&self) -> usize {
        self.key_end as usize
    }

    /// Where the namespace ends and the map key begins, in bytes.
    #[inline]
    pub const fn namespace_end(&self) -> usize {
        self.namespace_end as usize
    }
}

impl fmt::Debug for EntryKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}|{:02x?}|{:02x?}", self.key(), self.namespace(), self.map_key())
    }
}

/// Refuses entry keys of 4 GiB and more.
#[inline]
pub(crate) fn check_length(len: usize) -> Result<()> {
    if len > MAX_ENTRY_KEY_BYTES { Err(too_long(len)) } else { Ok(()) }
}

#[cold]
fn too_long(len: usize) -> Error {
    Error::invalid_input(format!("a key of {len} bytes is above the limit of 4 GiB - 1"))
}

#[cold]
fn bad_bounds(key_end: usize, namespace_end: usize, len: usize) -> Error {
    Error::invalid_input(format!(
        "key and namespace end at {key_end} and {namespace_end} in an entry key of {len} bytes"
    ))
}

#[cold]
fn bad_commit(key_len: usize, end: usize, pending: usize) -> Error {
    if end > MAX_ENTRY_KEY_BYTES { too_long(end) } else { bad_bounds(key_len, key_len, pending) }
}

/// Hash and placement of a key among the key groups, if they were computed; short keys that are placed
/// by their hash are hashed when a store asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    hash: u64,
    placement: u32,
    groups: MaxParallelism,
    known: bool,
}

impl Placed {
    /// Not computed: the key is placed by [`StableHash`](crate::StableHash).
    #[inline]
    pub(crate) const fn later(groups: MaxParallelism) -> Self {
        Self { hash: 0, placement: 0, groups, known: false }
    }

    #[inline]
    pub(crate) const fn known(hash: u64, placement: u32, groups: MaxParallelism) -> Self {
        Self { hash, placement, groups, known: true }
    }

    /// The number of key groups.
    #[inline]
    pub(crate) const fn groups(&self) -> MaxParallelism {
        self.groups
    }

    /// Whether they were computed.
    #[inline]
    pub(crate) const fn is_known(&self) -> bool {
        self.known
    }

    /// Hash and placement of `key`, whose they are.
    #[inline]
    pub(crate) fn of(&self, key: &[u8]) -> (u64, u32) {
        if self.known {
            return (self.hash, self.placement);
        }
        let hash = hash_bytes(key);
        (hash, stable_placement(hash))
    }

    /// The group of `key`, whose placement it is.
    #[inline]
    pub(crate) fn group_of(&self, key: &[u8]) -> KeyGroup {
        self.groups.group_of(self.of(key).1)
    }
}

/// A [`Placed`] with a key, or where the backend has it: what an access does not need, and most need
/// nothing of it, then takes no instruction to pass on.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    Here(Placed),
    There(&'a Placed),
}

impl Place<'_> {
    #[inline]
    const fn get(&self) -> &Placed {
        match self {
            Self::Here(placed) => placed,
            Self::There(placed) => placed,
        }
    }
}

/// The address of an entry with what the typed layer computed once per record.
#[derive(Clone, Copy, Debug)]
pub struct StateKey<'a> {
    entry: EntryKey<'a>,
    place: Place<'a>,
}

impl<'a> StateKey<'a> {
    /// The address of `entry`, whose key hashes to `hash` ([`hash_bytes`]) and is placed by
    /// `placement` among `groups`.
    #[inline]
    pub const fn new(
        entry: EntryKey<'a>,
        hash: u64,
        placement: u32,
        groups: MaxParallelism,
    ) -> Self {
        Self { entry, place: Place::Here(Placed::known(hash, placement, groups)) }
    }

    #[inline]
    pub(crate) const fn placed(entry: EntryKey<'a>, placed: &'a Placed) -> Self {
        Self { entry, place: Place::There(placed) }
    }

    /// The entry key.
    #[inline]
    pub const fn entry(&self) -> EntryKey<'a> {
        self.entry
    }

    /// All bytes: key, namespace, map key.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.entry.bytes()
    }

    /// [`hash_bytes`] of the key alone, the same for all states, namespaces and map keys of a
    /// record. Not secret: a store that must resist chosen keys mixes a seed of its own into it.
    #[inline]
    pub fn key_hash(&self) -> u64 {
        self.place.get().of(self.entry.key()).0
    }

    /// The hash of the whole entry: the key's, with namespace and map key mixed in.
    #[inline]
    pub fn entry_hash(&self) -> u64 {
        let suffix = self.entry.suffix();
        let hash = self.key_hash();
        if suffix.is_empty() { hash } else { hash_with_suffix(hash, suffix) }
    }

    /// The placement value of the key.
    #[inline]
    pub fn placement(&self) -> u32 {
        self.place.get().of(self.entry.key()).1
    }

    /// The key group. Computed on demand: one remainder.
    #[inline]
    pub fn key_group(&self) -> KeyGroup {
        self.place.get().group_of(self.entry.key())
    }

    /// The same key, whose hash is not computed again each time it is asked for.
    #[inline]
    #[must_use]
    pub fn hashed(&self) -> Self {
        let placed = self.place.get();
        let (hash, placement) = placed.of(self.entry.key());
        Self::new(self.entry, hash, placement, placed.groups)
    }

    /// The same key with other bytes behind it.
    #[inline]
    #[must_use]
    pub const fn with_entry<'b>(&self, entry: EntryKey<'b>) -> StateKey<'b> {
        StateKey { entry, place: Place::Here(*self.place.get()) }
    }
}

/// The hash of an entry as [`StateKey::entry_hash`] yields it, from its bytes alone.
pub fn entry_hash_of(entry: EntryKey<'_>) -> u64 {
    let hash = hash_bytes(entry.key());
    if entry.suffix().is_empty() { hash } else { hash_with_suffix(hash, entry.suffix()) }
}

#[derive(Clone, Copy, Debug)]
struct BatchEntry {
    start: u32,
    key_end: u32,
    end: u32,
    placement: u32,
    hash: u64,
}

/// The owned buffer behind a [`KeyBatch`]; reused from batch to batch, so that it does not allocate
/// after warm-up.
#[derive(Debug, Default)]
pub struct KeyBatchBuffer {
    bytes: Vec<u8>,
    entries: Vec<BatchEntry>,
    widths: Widths,
    unhashed: bool,
}

/// Whether all keys of a batch have the same width and no namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Widths {
    #[default]
    Unknown,
    All(u32),
    Mixed,
}

impl KeyBatchBuffer {
    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.widths = Widths::Unknown;
        self.unhashed = false;
    }

    /// The buffer's bytes: append a key's encoding and then call [`commit`](Self::commit).
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Where the next key begins.
    #[inline]
    pub fn next_start(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.end as usize)
    }

    /// The bytes appended since the last commit.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.next_start()..).unwrap_or_default()
    }

    /// Completes a key: the bytes appended since the last commit, of which the first `key_len` are the
    /// key and the rest the namespace.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the batch passes 4 GiB or `key_len` is
    /// longer than what was appended.
    #[inline]
    pub fn commit(&mut self, key_len: usize, hash: u64, placement: u32) -> Result<()> {
        let (start, end) = (self.next_start(), self.bytes.len());
        let key_end = start.saturating_add(key_len);
        if key_end > end || end > MAX_ENTRY_KEY_BYTES {
            return Err(bad_commit(key_len, end, end.saturating_sub(start)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "all three are at most `end`")]
        let (start, key_end, end) = (start as u32, key_end as u32, end as u32);
        let width = Widths::All(end - start);
        if self.widths != width || key_end != end {
            let first = self.widths == Widths::Unknown && key_end == end;
            self.widths = if first { width } else { Widths::Mixed };
        }
        self.entries.push(BatchEntry { start, key_end, end, placement, hash });
        Ok(())
    }

    /// [`commit`](Self::commit) of a key without namespace that is placed by
    /// [`StableHash`](crate::StableHash): it is hashed when a store asks for it. All keys of a batch are
    /// committed in the same way.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    #[inline]
    pub fn commit_unhashed(&mut self) -> Result<()> {
        self.unhashed = true;
        self.commit(self.bytes.len() - self.next_start(), 0, 0)
    }

    /// The batch as stores take it.
    #[inline]
    pub fn as_batch(&self, groups: MaxParallelism) -> KeyBatch<'_> {
        let Self { bytes, entries, widths, unhashed } = self;
        KeyBatch { bytes, entries, widths: *widths, unhashed: *unhashed, groups }
    }
}

/// Many keys in one buffer, in the caller's order; a key may occur more than once.
#[derive(Clone, Copy, Debug)]
pub struct KeyBatch<'a> {
    bytes: &'a [u8],
    entries: &'a [BatchEntry],
    widths: Widths,
    unhashed: bool,
    groups: MaxParallelism,
}

impl<'a> KeyBatch<'a> {
    /// How many keys it holds.
    #[inline]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys' bytes, if each has `N` and no namespace.
    #[inline]
    pub fn fixed<const N: usize>(&self) -> Option<&'a [[u8; N]]> {
        let wanted = u32::try_from(N).map(Widths::All);
        if wanted == Ok(self.widths) { Some(self.bytes.as_chunks().0) } else { None }
    }

    /// The key at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<StateKey<'a>> {
        self.entries.get(index).map(|entry| self.key_of(entry))
    }

    #[inline]
    fn key_of(&self, entry: &BatchEntry) -> StateKey<'a> {
        let bytes = self.bytes.get(entry.start as usize..entry.end as usize).unwrap_or_default();
        let (key_end, namespace_end) = (entry.key_end - entry.start, entry.end - entry.start);
        let key = EntryKey { bytes, key_end, namespace_end };
        let known = Placed::known(entry.hash, entry.placement, self.groups);
        let placed = if self.unhashed { Placed::later(self.groups) } else { known };
        StateKey { entry: key, place: Place::Here(placed) }
    }

    /// The keys in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = StateKey<'a>> + use<'a> {
        let batch = *self;
        self.entries.iter().map(move |entry| batch.key_of(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_where_the_boundaries_say() {
        let entry = EntryKey::new(b"keynsmap", 3, 5).unwrap();
        assert_eq!(
            (entry.key(), entry.namespace(), entry.map_key()),
            (&b"key"[..], &b"ns"[..], &b"map"[..])
        );
        assert!(EntryKey::new(b"key", 2, 4).is_err());
        assert!(EntryKey::new(b"key", 3, 2).is_err());
    }

    #[test]
    fn a_batch_returns_what_was_committed() {
        let groups = MaxParallelism::new(16).unwrap();
        let mut buffer = KeyBatchBuffer::default();
        for key in [&b"one"[..], b"", b"three"] {
            buffer.bytes_mut().extend_from_slice(key);
            buffer.bytes_mut().extend_from_slice(b"NS");
            buffer.commit(key.len(), hash_bytes(key), 7).unwrap();
        }
        let batch = buffer.as_batch(groups);
        let keys: Vec<_> = batch.iter().map(|key| key.entry().key().to_vec()).collect();
        assert_eq!(keys, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        assert_eq!(batch.get(2).unwrap().entry().namespace(), b"NS");
        assert_eq!(
            batch.get(2).unwrap().entry_hash(),
            entry_hash_of(batch.get(2).unwrap().entry())
        );
        assert!(batch.get(3).is_none() && batch.fixed::<5>().is_none());
        assert!(buffer.commit(1, 0, 0).is_err());
    }

    #[test]
    fn keys_of_one_width_are_found_as_such_and_hashed_when_asked() {
        let groups = MaxParallelism::new(16).unwrap();
        let mut buffer = KeyBatchBuffer::default();
        for key in [*b"8 bytes!", *b"8 others"] {
            buffer.bytes_mut().extend_from_slice(&key);
            buffer.commit_unhashed().unwrap();
        }
        let batch = buffer.as_batch(groups);
        assert_eq!(batch.fixed::<8>().unwrap(), [*b"8 bytes!", *b"8 others"]);
        assert!(batch.fixed::<4>().is_none());
        let key = batch.get(1).unwrap();
        assert_eq!(key.key_hash(), hash_bytes(b"8 others"));
        assert_eq!(key.placement(), stable_placement(key.key_hash()));
        buffer.bytes_mut().push(1);
        buffer.commit_unhashed().unwrap();
        assert!(buffer.as_batch(groups).fixed::<8>().is_none());
    }
}
