//! Entries of any widths, in the order of their keys by an index.
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

use std::cmp::Ordering;

use super::{Entries, Record, fetch};
use crate::table::Epoch;
use crate::table::hints::prefetch;

/// What a record begins with, in bytes.
pub(super) const HEADER: usize = 12;

impl Record<'_> {
    fn footprint(&self) -> usize {
        HEADER + self.key.len() + self.value.len()
    }
}

/// A sorted run of entries of any widths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    data: Vec<u8>,
    index: Vec<u32>,
    garbage: usize,
}

fn word(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The record at an offset.
#[inline]
pub(super) fn record(data: &[u8], at: usize) -> Record<'_> {
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

/// How a key compares with another one: by their first 8 bytes, which seldom are the same, without a call.
#[inline]
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    match (one.first_chunk::<8>(), other.first_chunk::<8>()) {
        (Some(first), Some(second)) if first != second => first.cmp(second),
        _ => one.cmp(other),
    }
}

impl Records {
    /// Entries, in order.
    pub(super) fn of<'a>(entries: impl Iterator<Item = Record<'a>>) -> Self {
        let mut made = Self::default();
        for record in entries {
            made.index.push(u32::try_from(made.data.len()).unwrap_or(u32::MAX));
            push_record(&mut made.data, record);
        }
        made
    }

    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes that the entries take, without garbage.
    pub(super) fn live_bytes(&self) -> usize {
        self.data.len() - self.garbage
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.data.capacity() + self.index.capacity() * 4
    }

    /// Has the processor load them, if they are few.
    #[inline]
    pub(super) fn fetch(&self) {
        prefetch(self.index.as_ptr().cast());
        fetch(&self.data);
    }

    /// The entry at a position.
    #[inline]
    pub(super) fn at(&self, position: usize) -> Option<Record<'_>> {
        self.index.get(position).map(|offset| record(&self.data, *offset as usize))
    }

    /// The value of a key.
    #[inline(never)]
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.at(self.search(key).ok()?).map(|entry| entry.value)
    }

    /// Where a key is, or where it would go.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.fetch();
        self.index.binary_search_by(|offset| compare(record(&self.data, *offset as usize).key, key))
    }

    /// The entries from a position on, in order.
    #[inline]
    pub(super) fn iter_from(&self, position: usize) -> Entries<'_> {
        Entries::Records(&self.data, self.index.get(position..).unwrap_or_default().iter())
    }

    /// Sets the value of a key; returns whether the key is new.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> bool {
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
    pub(super) fn remove(&mut self, position: usize) {
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
        Self::of(self.iter_from(from).take(to.saturating_sub(from)))
    }

    /// Splits off the upper half, by bytes; the leaf must have two entries or more.
    pub(super) fn split(&mut self) -> Self {
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
