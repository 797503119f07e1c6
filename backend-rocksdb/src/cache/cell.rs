//! Cells: what is known of the entries of one map, as bytes.
//!
//! | bytes | meaning |
//! |---|---|
//! | for each entry, in the order of their keys: 1 | [`Mark`] |
//! | 2, 2 | lengths of map key and value, little endian |
//! | as many | map key, value; where there is none, no value |
//!
//! Most maps are small. In one piece of memory their entries cost a few bytes each besides themselves, are found in a few cache
//! lines, and are in the order in which a scan wants them.
//!
//! # Invariants
//! C1. Keys ascend, each is there once; the lengths fill the cell.
//! C2. What is not marked as unwritten is what the database has.

use super::Below;

/// A cell has at most so many bytes; of a larger map it has a part.
pub(super) const CELL_BYTES: usize = 1 << 10;
/// Bytes of an item besides map key and value.
const HEADER_BYTES: usize = 5;
const PRESENT: u8 = 1;
const UNWRITTEN: u8 = 2;
const BELOW_ABSENT: u8 = 4;
const BELOW_PRESENT: u8 = 8;

/// What is known of an entry besides its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Whether the map has it.
    pub(crate) is_present: bool,
    /// Whether the database may have something else.
    pub(super) is_unwritten: bool,
    /// What the database has.
    pub(crate) below: Below,
}

impl Mark {
    /// As the database has it.
    pub(super) const fn written(is_present: bool) -> Self {
        let below = if is_present { Below::Present } else { Below::Absent };
        Self { is_present, is_unwritten: false, below }
    }

    /// As the database may not have it.
    pub(super) fn unwritten(is_present: bool, below: Below) -> Self {
        Self { is_present, is_unwritten: is_present || below != Below::Absent, below }
    }

    const fn to_byte(self) -> u8 {
        let present = if self.is_present { PRESENT } else { 0 };
        let unwritten = if self.is_unwritten { UNWRITTEN } else { 0 };
        let below = match self.below {
            Below::Unknown => 0,
            Below::Absent => BELOW_ABSENT,
            Below::Present => BELOW_PRESENT,
        };
        present | unwritten | below
    }

    const fn of_byte(byte: u8) -> Self {
        let below = match byte & (BELOW_ABSENT | BELOW_PRESENT) {
            BELOW_ABSENT => Below::Absent,
            BELOW_PRESENT => Below::Present,
            _ => Below::Unknown,
        };
        Self { is_present: byte & PRESENT != 0, is_unwritten: byte & UNWRITTEN != 0, below }
    }
}

/// What is known of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) mark: Mark,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Item<'_> {
    /// Bytes in a cell.
    pub(super) const fn bytes(&self) -> usize {
        HEADER_BYTES + self.key.len() + self.value.len()
    }

    /// What stands before map key and value; both must be short enough for a cell.
    fn header(&self) -> [u8; HEADER_BYTES] {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        let ([a, b], [c, d]) = (length(self.key), length(self.value));
        [self.mark.to_byte(), a, b, c, d]
    }

    /// Appends it to a cell.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header());
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.value);
    }
}

/// The items of a cell in order.
#[derive(Clone, Debug)]
pub(super) struct Items<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let ([mark, a, b, c, d], rest) = self.0.split_first_chunk::<HEADER_BYTES>()?;
        let length = |bytes| usize::from(u16::from_le_bytes(bytes));
        let (key, rest) = rest.split_at_checked(length([*a, *b]))?;
        let (value, rest) = rest.split_at_checked(length([*c, *d]))?;
        self.0 = rest;
        Some(Item { mark: Mark::of_byte(*mark), key, value })
    }
}

/// Where an item is in a cell, or would be: its offset, and its bytes, 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) bytes: usize,
}

/// Looks a map key up.
#[inline]
pub(super) fn find(cell: &[u8], key: &[u8]) -> (Place, Option<Mark>) {
    let mut items = Items(cell);
    let mut at = 0;
    while let Some(item) = items.next() {
        match item.key.cmp(key) {
            std::cmp::Ordering::Less => at = cell.len() - items.0.len(),
            std::cmp::Ordering::Equal => {
                return (Place { at, bytes: item.bytes() }, Some(item.mark));
            }
            std::cmp::Ordering::Greater => break,
        }
    }
    (Place { at, bytes: 0 }, None)
}

/// The value of an item.
#[inline]
pub(super) fn value_at(cell: &[u8], place: Place) -> Option<&[u8]> {
    Items(cell.get(place.at..)?).next().map(|item| item.value)
}

/// Replaces what is at a place of the cell that begins at `start` of `bytes` by an item, or by nothing.
pub(super) fn replace(bytes: &mut Vec<u8>, start: usize, place: Place, item: Option<Item<'_>>) {
    let at = start + place.at;
    let (old, new) = (place.bytes, item.map_or(0, |item| item.bytes()));
    let end = bytes.len();
    if new > old {
        bytes.resize(end + (new - old), 0);
    }
    if new != old {
        bytes.copy_within(at + old..end, at + new);
    }
    if new < old {
        bytes.truncate(end - (old - new));
    }
    if let (Some(item), Some(room)) = (item, bytes.get_mut(at..at + new))
        && let Some((header, rest)) = room.split_first_chunk_mut::<HEADER_BYTES>()
    {
        *header = item.header();
        let (key, value) = rest.split_at_mut(item.key.len());
        key.copy_from_slice(item.key);
        value.copy_from_slice(item.value);
    }
}

/// Makes the items of the cell that begins at `start` of `bytes` what `change` makes of them, or removes them.
pub(super) fn retain(
    bytes: &mut Vec<u8>,
    start: usize,
    change: impl for<'a> Fn(Item<'a>) -> Option<Item<'a>>,
) {
    let mut kept = Vec::with_capacity(bytes.len().saturating_sub(start));
    for item in Items(bytes.get(start..).unwrap_or_default()).filter_map(change) {
        item.encode(&mut kept);
    }
    bytes.truncate(start);
    bytes.extend_from_slice(&kept);
}

/// Marks all items as the database has them.
pub(super) fn mark_written(mut cell: &mut [u8]) {
    while let Some(item) = Items(cell).next() {
        let (mark, bytes) = (Mark::written(item.mark.is_present), item.bytes());
        if let Some(byte) = cell.first_mut() {
            *byte = mark.to_byte();
        }
        cell = cell.get_mut(bytes..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn marks_come_back() {
        for is_present in [false, true] {
            for below in [Below::Unknown, Below::Absent, Below::Present] {
                for mark in [Mark::unwritten(is_present, below), Mark::written(is_present)] {
                    assert_eq!(Mark::of_byte(mark.to_byte()), mark);
                }
            }
        }
        assert!(!Mark::unwritten(false, Below::Absent).is_unwritten, "nothing over nothing");
    }

    #[test]
    fn items_are_found_replaced_and_removed() {
        let (mut bytes, mut model) = (b"before".to_vec(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
        let start = bytes.len();
        for step in 0u32..3_000 {
            let key = (step.wrapping_mul(2_654_435_761) % 41).to_be_bytes();
            let key = &key[usize::from(key[3] % 2 == 0)..];
            let value = vec![7; (step % 5) as usize];
            let (place, mark) = find(&bytes[start..], key);
            assert_eq!(mark.is_some(), model.contains_key(key));
            if let Some(known) = model.get(key) {
                assert_eq!(value_at(&bytes[start..], place), Some(&**known));
            }
            if step % 4 == 0 {
                model.remove(key);
                replace(&mut bytes, start, place, None);
            } else {
                model.insert(key.to_vec(), value.clone());
                let item = Item { mark: Mark::written(true), key, value: &value };
                replace(&mut bytes, start, place, Some(item));
            }
            let items = Items(&bytes[start..]).map(|item| (item.key, item.value));
            assert!(items.eq(model.iter().map(|(key, value)| (&**key, &**value))), "{step}");
        }
        let mark = Mark::unwritten(false, Below::Unknown);
        retain(&mut bytes, start, |item| (item.value.len() > 2).then_some(Item { mark, ..item }));
        model.retain(|_, value| value.len() > 2);
        assert_eq!(Items(&bytes[start..]).count(), model.len());
        assert!(Items(&bytes[start..]).all(|item| item.mark.is_unwritten));
        mark_written(&mut bytes[start..]);
        assert!(Items(&bytes[start..]).all(|item| item.mark == Mark::written(false)));
        assert_eq!(Items(&bytes[start..]).count(), model.len());
        assert_eq!(&bytes[..start], b"before");
    }
}
