//! Entries of one width, side by side in the order of their keys.
//!
//! # Layout
//! A row is the epoch of the last change `u32` (never written to a file), the key, the value.
//! There is neither an index nor garbage: a map from numbers to numbers takes 20 bytes an entry.
//!
//! # Cost
//! A search compares keys of 4, 8 and 16 bytes as numbers. Among few rows it compares with all of them: none waits for
//! the comparison before, so that their cache misses overlap. A new row moves those above it.

use super::records::HEADER;
use super::{Entries, Record, fetch};
use crate::table::Epoch;

/// What a row begins with, in bytes.
const EPOCH_BYTES: usize = 4;
/// Longest key and value together, in bytes: beyond, moving rows costs more than an index.
const MAX_PAYLOAD: usize = 256;
/// Rows that a search looks at one and all.
const FEW: usize = 16;
/// Bytes of a number.
const NUMBER: usize = 8;
/// Bytes of a row from a number to a number.
const NUMBERS: usize = EPOCH_BYTES + 2 * NUMBER;
/// Rows of numbers that are compared with a key at a time.
const ABREAST: usize = 4;
/// Rows that are made room for first.
const FIRST_ROWS: usize = 2;

/// A sorted run of entries of one width.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    data: Vec<u8>,
    /// Bytes of a key and of a value, both of the first entry.
    key: u16,
    value: u16,
}

/// The entry of a row.
#[inline]
pub(super) fn record(row: &[u8], key: usize) -> Option<Record<'_>> {
    let (touched, rest) = row.split_first_chunk::<EPOCH_BYTES>()?;
    let (key, value) = rest.split_at_checked(key)?;
    Some(Record { touched: Epoch::from_le_bytes(*touched), key, value })
}

/// The key of a row, of `N` bytes.
#[inline]
fn number<const N: usize>(row: &[u8]) -> Option<&[u8; N]> {
    row.get(EPOCH_BYTES..)?.first_chunk::<N>()
}

/// A key of 4, 8 or 16 bytes as a number: numbers have the order of their bytes, and are compared by one instruction.
#[inline]
fn ordinal<const N: usize>(key: &[u8; N]) -> u128 {
    let key = key.as_slice();
    let four = || key.as_array::<4>().map(|key| u32::from_be_bytes(*key).into());
    let eight = || key.as_array::<8>().map(|key| u64::from_be_bytes(*key).into());
    let sixteen = || key.as_array::<16>().map(|key| u128::from_be_bytes(*key));
    eight().or_else(four).or_else(sixteen).unwrap_or(0)
}

/// How many rows have a key below this one.
#[inline]
fn below<'r, const N: usize>(rows: impl IntoIterator<Item = &'r [u8]>, key: &[u8; N]) -> usize {
    let key = ordinal(key);
    let is_below = |row| number::<N>(row).is_some_and(|mine| ordinal(mine) < key);
    // Wrapping, which it never does: a check for each row costs as much as comparing it.
    rows.into_iter().fold(0, |rank, row| rank.wrapping_add(usize::from(is_below(row))))
}

/// [`below`] for rows from a number to a number: where a row begins is known when this is compiled.
#[inline]
fn numbers_below(data: &[u8], key: [u8; NUMBER]) -> usize {
    let key = u64::from_be_bytes(key);
    let is_below = |row: &[u8; NUMBERS]| {
        usize::from(number(row).is_some_and(|mine| u64::from_be_bytes(*mine) < key))
    };
    let (abreast, rest) = data.as_chunks::<{ ABREAST * NUMBERS }>();
    let mut rank = 0usize;
    for rows in abreast {
        for row in rows.as_chunks().0 {
            rank = rank.wrapping_add(is_below(row));
        }
    }
    for row in rest.as_chunks().0 {
        rank = rank.wrapping_add(is_below(row));
    }
    rank
}

/// Copies bytes to a place of as many; the most common number of them without a call.
#[inline]
fn write(place: &mut [u8], bytes: &[u8]) {
    if let (Some(place), Some(bytes)) = (place.as_mut_array::<8>(), bytes.as_array::<8>()) {
        *place = *bytes;
    } else if place.len() == bytes.len() {
        place.copy_from_slice(bytes);
    }
}

#[inline]
fn fill(row: &mut [u8], entry: Record<'_>) {
    if let Some((touched, rest)) = row.split_first_chunk_mut::<EPOCH_BYTES>()
        && let Some((key, value)) = rest.split_at_mut_checked(entry.key.len())
    {
        *touched = entry.touched.to_le_bytes();
        write(key, entry.key);
        write(value, entry.value);
    }
}

impl Rows {
    #[inline]
    fn stride(&self) -> usize {
        EPOCH_BYTES + usize::from(self.key) + usize::from(self.value)
    }

    /// Entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.data.len() / self.stride()
    }

    /// Bytes that the entries would take as records: what a snapshot copies.
    #[inline]
    pub(super) fn live_bytes(&self) -> usize {
        self.data.len() + self.len() * (HEADER - EPOCH_BYTES)
    }

    /// Bytes allocated.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        self.data.capacity()
    }

    /// Has the processor load them, if they are few.
    #[inline]
    pub(super) fn fetch(&self) {
        fetch(&self.data);
    }

    /// The entry at a position.
    #[inline]
    pub(super) fn at(&self, position: usize) -> Option<Record<'_>> {
        let row = self.data.get(position * self.stride()..)?.get(..self.stride())?;
        record(row, usize::from(self.key))
    }

    /// The entries from a position on, in order.
    #[inline]
    pub(super) fn iter_from(&self, position: usize) -> Entries<'_> {
        let rows = self.data.get(position * self.stride()..).unwrap_or_default();
        Entries::Rows(rows.chunks_exact(self.stride()), usize::from(self.key))
    }

    /// Where a key is, or where it would go.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.search_numbers(key).unwrap_or_else(|| self.search_any(key))
    }

    /// [`search`](Self::search) among few rows from a number to a number; `None` for any others.
    #[inline]
    fn search_numbers(&self, key: &[u8]) -> Option<Result<usize, usize>> {
        let key = <&[u8; NUMBER]>::try_from(key).ok()?;
        let are_numbers = [self.key, self.value].map(usize::from) == [NUMBER; 2];
        if !are_numbers || self.data.len() > FEW * NUMBERS {
            return None;
        }
        let place = numbers_below(&self.data, *key);
        let row = self.data.as_chunks::<NUMBERS>().0.get(place);
        let is_it = row.and_then(|row| number::<NUMBER>(row)) == Some(key);
        Some(if is_it { Ok(place) } else { Err(place) })
    }

    /// The value of a key.
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.search_numbers(key) {
            Some(found) => {
                let row = self.data.as_chunks::<NUMBERS>().0.get(found.ok()?)?;
                row.last_chunk::<NUMBER>().map(<[u8; _]>::as_slice)
            }
            None => self.at(self.search_any(key).ok()?).map(|entry| entry.value),
        }
    }

    #[inline(never)]
    fn search_any(&self, key: &[u8]) -> Result<usize, usize> {
        if key.len() == usize::from(self.key) {
            match key.len() {
                4 => return self.search_ordinal::<4>(key),
                8 => return self.search_ordinal::<8>(key),
                16 => return self.search_ordinal::<16>(key),
                _ => {}
            }
        }
        fetch(&self.data);
        let place = self.first_not(|mine| mine < key);
        if self.at(place).is_some_and(|entry| entry.key == key) { Ok(place) } else { Err(place) }
    }

    #[inline]
    fn search_ordinal<const N: usize>(&self, key: &[u8]) -> Result<usize, usize> {
        let Ok(key) = <&[u8; N]>::try_from(key) else {
            return Err(0);
        };
        let stride = self.stride();
        let place = if self.data.len() <= FEW * stride {
            below(self.data.chunks_exact(stride), key)
        } else {
            fetch(&self.data);
            self.first_not(|mine| mine.first_chunk::<N>().is_some_and(|mine| mine < key))
        };
        let row = self.data.get(place * stride..).unwrap_or_default();
        if number::<N>(row) == Some(key) { Ok(place) } else { Err(place) }
    }

    /// The first row whose key is not below, by halves; without a branch that depends on keys.
    #[inline]
    fn first_not(&self, below: impl Fn(&[u8]) -> bool) -> usize {
        let below = |place| self.at(place).is_some_and(|entry| below(entry.key));
        let (mut from, mut left) = (0, self.len());
        while left > 1 {
            let half = left / 2;
            from = if below(from + half - 1) { from + half } else { from };
            left -= half;
        }
        from + usize::from(below(from))
    }

    /// Sets the value of a key that is here, among few rows from a number to a number; returns whether it was.
    #[expect(
        clippy::inline_always,
        reason = "a call stores registers, and stores limit how many accesses overlap"
    )]
    #[inline(always)]
    pub(super) fn overwrite(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> bool {
        if let Some(Ok(place)) = self.search_numbers(key)
            && value.len() == NUMBER
            && let Some(row) = self.data.as_chunks_mut::<NUMBERS>().0.get_mut(place)
        {
            fill(row, Record { touched, key, value });
            return true;
        }
        false
    }

    /// Sets the value of a key; returns whether the key is new, and `None`, having done nothing, where its entry has
    /// another width than those that are here.
    #[inline]
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> Option<bool> {
        if self.data.is_empty() {
            if key.len() + value.len() > MAX_PAYLOAD {
                return None;
            }
            self.key = u16::try_from(key.len()).ok()?;
            self.value = u16::try_from(value.len()).ok()?;
        }
        if key.len() != usize::from(self.key) || value.len() != usize::from(self.value) {
            return None;
        }
        let found = self.search(key);
        let (Ok(position) | Err(position)) = found;
        if found.is_err() {
            self.make_room(position);
        }
        let (at, stride) = (position * self.stride(), self.stride());
        if let Some(row) = self.data.get_mut(at..at + stride) {
            fill(row, Record { touched, key, value });
        }
        Some(found.is_err())
    }

    /// Moves the rows from a position on one row up.
    fn make_room(&mut self, position: usize) {
        let (at, stride, end) = (position * self.stride(), self.stride(), self.data.len());
        if self.data.capacity() == 0 {
            self.data.reserve_exact(FIRST_ROWS * stride);
        }
        self.data.resize(end + stride, 0);
        self.data.copy_within(at..end, at + stride);
    }

    /// Removes the entry at a position.
    pub(super) fn remove(&mut self, position: usize) {
        let (at, stride) = (position * self.stride(), self.stride());
        if at + stride <= self.data.len() {
            self.data.drain(at..at + stride);
            if self.data.len() < self.data.capacity() / 4 {
                self.data.shrink_to(self.data.len() * 2);
            }
        }
    }

    /// Splits off the upper half.
    pub(super) fn split(&mut self) -> Self {
        let upper = self.data.split_off(self.len() / 2 * self.stride());
        self.data.shrink_to_fit();
        Self { data: upper, key: self.key, value: self.value }
    }
}
