//! A sorted run of map entries in one block of memory.
//!
//! # Layout
//! `data` holds records end to end: epoch of the last change `u32`, key length `u32`, value length
//! `u32`, key, value (native order: never written to a file). `index` holds the records' offsets in
//! the order of their keys. A value of the same length is overwritten in place; anything else appends
//! a record and leaves garbage, which a rebuild removes when it is more than half.
//!
//! # Invariants
//! F1. Offsets in `index` point at whole records, whose keys ascend strictly.
//! F2. `garbage` is the number of bytes in `data` that no offset reaches.

use crate::table::Epoch;
use crate::table::hints::prefetch;

const HEADER: usize = 12;
/// A line of the processor's cache.
const LINE_BYTES: usize = 64;
/// A leaf of at most so many bytes is loaded at once.
const FETCHED_BYTES: usize = 768;

/// One entry of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) touched: Epoch,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl Record<'_> {
    fn footprint(&self) -> usize {
        HEADER + self.key.len() + self.value.len()
    }
}

/// A sorted run of entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf {
    data: Vec<u8>,
    index: Vec<u32>,
    garbage: usize,
}

fn word(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The record at an offset.
fn record(data: &[u8], at: usize) -> Record<'_> {
    let (key_len, value_len) = (word(data, at + 4) as usize, word(data, at + 8) as usize);
    let rest = data.get(at + HEADER..).unwrap_or_default();
    let (key, rest) = rest.split_at_checked(key_len).unwrap_or_default();
    Record { touched: word(data, at), key, value: rest.get(..value_len).unwrap_or_default() }
}

/// Appends a record.
pub(crate) fn push_record(data: &mut Vec<u8>, record: Record<'_>) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    data.extend_from_slice(&record.touched.to_le_bytes());
    data.extend_from_slice(&length(record.key).to_le_bytes());
    data.extend_from_slice(&length(record.value).to_le_bytes());
    data.extend_from_slice(record.key);
    data.extend_from_slice(record.value);
}

/// The records that were pushed end to end.
pub(crate) fn records(data: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < data.len()).then(|| {
            let record = record(data, at);
            at += record.footprint();
            record
        })
    })
}

impl Leaf {
    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes that the entries take, without garbage.
    pub(crate) fn live_bytes(&self) -> usize {
        self.data.len() - self.garbage
    }

    /// Bytes allocated.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.data.capacity() + self.index.capacity() * 4
    }

    fn at(&self, position: usize) -> Option<Record<'_>> {
        self.index.get(position).map(|offset| record(&self.data, *offset as usize))
    }

    /// Has the processor load a small leaf at once: a search would wait for one line after the other.
    #[inline]
    fn fetch(&self) {
        if self.data.len() <= FETCHED_BYTES {
            prefetch(self.index.as_ptr().cast());
            for line in (0..self.data.len()).step_by(LINE_BYTES) {
                prefetch(self.data.as_ptr().wrapping_add(line));
            }
        }
    }

    /// Where a key is, or where it would go.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.fetch();
        self.index.binary_search_by(|offset| record(&self.data, *offset as usize).key.cmp(key))
    }

    /// The smallest key.
    pub(crate) fn first_key(&self) -> &[u8] {
        self.at(0).map(|record| record.key).unwrap_or_default()
    }

    /// The value at a position.
    #[inline]
    pub(crate) fn value(&self, position: usize) -> Option<&[u8]> {
        self.at(position).map(|record| record.value)
    }

    /// The entries from a position on, in order.
    pub(crate) fn iter_from(&self, position: usize) -> impl Iterator<Item = Record<'_>> {
        let offsets = self.index.get(position..).unwrap_or_default();
        offsets.iter().map(|offset| record(&self.data, *offset as usize))
    }

    /// Sets the value of a key; returns whether the key is new.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> bool {
        let found = self.search(key);
        if let Ok(position) = found {
            if self.overwrite(position, value, touched) {
                return false;
            }
            self.remove(position);
        }
        let (Ok(position) | Err(position)) = found;
        let offset = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        push_record(&mut self.data, Record { touched, key, value });
        self.index.insert(position, offset);
        found.is_err()
    }

    fn overwrite(&mut self, position: usize, value: &[u8], touched: Epoch) -> bool {
        let Some(offset) = self.index.get(position).map(|offset| *offset as usize) else {
            return false;
        };
        let (key_len, value_len) =
            (word(&self.data, offset + 4) as usize, word(&self.data, offset + 8));
        if value_len as usize != value.len() {
            return false;
        }
        let start = offset + HEADER + key_len;
        if let Some(place) = self.data.get_mut(start..start + value.len()) {
            place.copy_from_slice(value);
        }
        if let Some(place) = self.data.get_mut(offset..offset + 4) {
            place.copy_from_slice(&touched.to_le_bytes());
        }
        true
    }

    /// Removes the entry at a position.
    pub(crate) fn remove(&mut self, position: usize) {
        if let Some(record) = self.at(position) {
            self.garbage += record.footprint();
            self.index.remove(position);
            self.compact();
        }
    }

    fn compact(&mut self) {
        if self.garbage > 256 && self.garbage * 2 > self.data.len() {
            *self = self.rebuilt(0, self.len());
        }
    }

    /// A leaf of the entries `from..to`.
    fn rebuilt(&self, from: usize, to: usize) -> Self {
        let mut leaf = Self::default();
        for record in self.iter_from(from).take(to.saturating_sub(from)) {
            leaf.index.push(u32::try_from(leaf.data.len()).unwrap_or(u32::MAX));
            push_record(&mut leaf.data, record);
        }
        leaf
    }

    /// Splits off the upper half, by bytes; the leaf must have two entries or more.
    pub(crate) fn split(&mut self) -> Self {
        let (half, mut seen, mut middle) = (self.live_bytes() / 2, 0, 0);
        for record in self.iter_from(0) {
            if seen >= half && middle > 0 {
                break;
            }
            seen += record.footprint();
            middle += 1;
        }
        let middle = middle.clamp(1, self.len().saturating_sub(1).max(1));
        let upper = self.rebuilt(middle, self.len());
        *self = self.rebuilt(0, middle);
        upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(
            steps in proptest::collection::vec((0u8..20, proptest::option::of(0usize..90)), 1..200),
        ) {
            let (mut leaf, mut model) = (Leaf::default(), BTreeMap::new());
            for (step, (key, size)) in steps.into_iter().enumerate() {
                let key = vec![key; usize::from(key % 3)  + 1];
                let epoch = Epoch::try_from(step).unwrap();
                if let Some(size) = size {
                    let value = vec![key[0]; size];
                    let fresh = leaf.put(&key, &value, epoch);
                    prop_assert_eq!(fresh, model.insert(key, (value, epoch)).is_none());
                } else {
                    let found = leaf.search(&key);
                    prop_assert_eq!(found.is_ok(), model.remove(&key).is_some());
                    if let Ok(position) = found {
                        leaf.remove(position);
                    }
                }
                let found: Vec<_> =
                    leaf.iter_from(0).map(|r| (r.key.to_vec(), (r.value.to_vec(), r.touched))).collect();
                prop_assert_eq!(found, model.clone().into_iter().collect::<Vec<_>>());
            }
            if leaf.len() >= 2 {
                let upper = leaf.split();
                prop_assert!(leaf.len() > 0 && upper.len() > 0);
                prop_assert_eq!(leaf.len() + upper.len(), model.len());
                prop_assert!(leaf.iter_from(0).all(|record| record.key < upper.first_key()));
            }
        }
    }
}
