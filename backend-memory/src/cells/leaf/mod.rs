//! A sorted run of map entries in one block of memory.
//!
//! * [`rows`]: entries of one width, side by side in order;
//! * [`records`]: entries of any widths, behind an index.
//!
//! A leaf has rows for as long as all its entries are as wide as the first one.

mod records;
mod rows;

use std::slice::{ChunksExact, Iter};

use crate::table::Epoch;
use crate::table::hints::prefetch;

use records::{Records, record};
pub(crate) use records::{push_record, records};
use rows::Rows;

/// A line of the processor's cache.
const LINE_BYTES: usize = 64;
/// A run of at most so many bytes is loaded at once.
const FETCHED_BYTES: usize = 768;

/// Has the processor load a small run at once: a search would wait for one line after the other.
#[inline]
fn fetch(data: &[u8]) {
    if data.len() <= FETCHED_BYTES {
        for line in (0..data.len()).step_by(LINE_BYTES) {
            prefetch(data.as_ptr().wrapping_add(line));
        }
    }
}

/// One entry of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) touched: Epoch,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// A sorted run of entries.
#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    Rows(Rows),
    /// On the heap, so that a map of rows is the smaller: most maps are.
    Records(Box<Records>),
}

impl Default for Leaf {
    fn default() -> Self {
        Self::Rows(Rows::default())
    }
}

impl Leaf {
    /// Entries.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Records(records) => records.len(),
        }
    }

    /// Bytes that the entries take as records, without garbage.
    #[inline]
    pub(crate) fn live_bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.live_bytes(),
            Self::Records(records) => records.live_bytes(),
        }
    }

    /// Bytes allocated.
    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.heap_bytes(),
            Self::Records(records) => records.heap_bytes() + size_of::<Records>(),
        }
    }

    /// Whether the entries take more than so many bytes as records.
    #[inline]
    pub(crate) fn is_longer_than(&self, bytes: usize) -> bool {
        // no entry takes three times as many bytes as a record, and most leaves are far below
        self.heap_bytes() > bytes / 3 && self.live_bytes() > bytes
    }

    /// Has the processor load a small leaf at once.
    #[inline]
    pub(crate) fn fetch(&self) {
        match self {
            Self::Rows(rows) => rows.fetch(),
            Self::Records(records) => records.fetch(),
        }
    }

    /// Where a key is, or where it would go.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        match self {
            Self::Rows(rows) => rows.search(key),
            Self::Records(records) => records.search(key),
        }
    }

    /// The smallest key.
    pub(crate) fn first_key(&self) -> &[u8] {
        self.iter_from(0).next().map(|record| record.key).unwrap_or_default()
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Rows(rows) => rows.get(key),
            Self::Records(records) => records.get(key),
        }
    }

    /// The entries from a position on, in order.
    #[inline]
    pub(crate) fn iter_from(&self, position: usize) -> Entries<'_> {
        match self {
            Self::Rows(rows) => rows.iter_from(position),
            Self::Records(records) => records.iter_from(position),
        }
    }

    /// Sets the value of a key that is here, where that is quickly done; returns whether it was.
    #[expect(
        clippy::inline_always,
        reason = "a call stores registers, and stores limit how many accesses overlap"
    )]
    #[inline(always)]
    pub(crate) fn overwrite(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> bool {
        match self {
            Self::Rows(rows) => rows.overwrite(key, value, touched),
            Self::Records(_) => false,
        }
    }

    /// Sets the value of a key; returns whether the key is new.
    #[inline]
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], touched: Epoch) -> bool {
        match self {
            Self::Rows(rows) => match rows.put(key, value, touched) {
                Some(fresh) => fresh,
                None => self.put_record(Record { touched, key, value }),
            },
            Self::Records(records) => records.put(key, value, touched),
        }
    }

    /// Sets the value of a key of another width than the entries before.
    #[cold]
    fn put_record(&mut self, record: Record<'_>) -> bool {
        let mut records = Records::of(self.iter_from(0));
        let fresh = records.put(record.key, record.value, record.touched);
        *self = Self::Records(Box::new(records));
        fresh
    }

    /// Removes the entry at a position.
    pub(crate) fn remove(&mut self, position: usize) {
        match self {
            Self::Rows(rows) => rows.remove(position),
            Self::Records(records) => records.remove(position),
        }
    }

    /// Splits off the upper half, by bytes; the leaf must have two entries or more.
    pub(crate) fn split(&mut self) -> Self {
        match self {
            Self::Rows(rows) => Self::Rows(rows.split()),
            Self::Records(records) => Self::Records(Box::new(records.split())),
        }
    }
}

/// Entries of a leaf in order.
#[derive(Clone, Debug)]
pub(crate) enum Entries<'a> {
    /// Rows, and the width of their keys.
    Rows(ChunksExact<'a, u8>, usize),
    /// Records at these offsets.
    Records(&'a [u8], Iter<'a, u32>),
}

impl<'a> Iterator for Entries<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        match self {
            Self::Rows(rows, key) => rows::record(rows.next()?, *key),
            Self::Records(data, offsets) => Some(record(data, *offsets.next()? as usize)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A leaf does what a sorted map does; values have these sizes, keys so many bytes more than one.
    fn behaves(steps: Vec<(u8, Option<usize>)>, longer: u8) -> Result<(), TestCaseError> {
        let (mut leaf, mut model) = (Leaf::default(), BTreeMap::new());
        for (step, (key, size)) in steps.into_iter().enumerate() {
            let key = vec![key; usize::from(key % 3 * longer) + 8];
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
            let found: Vec<_> = leaf
                .iter_from(0)
                .map(|r| (r.key.to_vec(), (r.value.to_vec(), r.touched)))
                .collect();
            prop_assert_eq!(found, model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(leaf.len(), model.len());
            for absent in [&[][..], &[3; 5], &[9; 8], &[4; 13]] {
                let below = model.range(..absent.to_vec()).count();
                let expected = if model.contains_key(absent) { Ok(below) } else { Err(below) };
                prop_assert_eq!(leaf.search(absent), expected);
            }
        }
        if leaf.len() >= 2 {
            let upper = leaf.split();
            prop_assert!(leaf.len() > 0 && upper.len() > 0);
            prop_assert_eq!(leaf.len() + upper.len(), model.len());
            prop_assert!(leaf.iter_from(0).all(|record| record.key < upper.first_key()));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn entries_of_any_width_behave_like_a_sorted_map(
            steps in proptest::collection::vec((0u8..20, proptest::option::of(0usize..90)), 1..200),
        ) {
            behaves(steps, 1)?;
        }

        #[test]
        fn entries_of_one_width_behave_like_a_sorted_map(
            steps in proptest::collection::vec((0u8..60, proptest::option::of(9usize..10)), 1..200),
        ) {
            behaves(steps, 0)?;
        }

        #[test]
        fn keys_of_one_width_that_is_no_number_behave_like_a_sorted_map(
            steps in proptest::collection::vec((0u8..20, proptest::option::of(9usize..10)), 1..200),
        ) {
            let steps = steps.into_iter().map(|(key, size)| (key * 3 + 1, size)).collect();
            behaves(steps, 3)?;
        }
    }
}
