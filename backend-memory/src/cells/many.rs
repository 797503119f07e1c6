//! The leaves of a large map, each shared with snapshots and copied when it is written while one still needs it.
//!
//! # Invariants
//! M1. Leaves are not empty, and their keys ascend from leaf to leaf.
//! M4. `entries` and `heap` are the sums over all leaves: a change looks at one of them.
//! M5. `fronts` has the number that each leaf's first key begins with ([`front`]), in the same order, so that a search
//!     looks into leaves only where several begin alike.

use std::sync::Arc;

use super::leaf::{Leaf, Record};

/// What a leaf costs besides what it has allocated, in bytes.
const LEAF_OVERHEAD: usize = size_of::<Leaf>() + 3 * size_of::<usize>();

/// Two leaves or more.
#[derive(Debug)]
pub(super) struct Many {
    leaves: Vec<Arc<Leaf>>,
    fronts: Vec<u64>,
    entries: u64,
    heap: usize,
}

/// The first 8 bytes of a key, and zeros where it has fewer, as a number: it ascends where keys do.
fn front(key: &[u8]) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    bytes.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    u64::from_be_bytes(bytes)
}

impl Many {
    /// The leaf of a map that has become too large for it.
    pub(super) fn new(leaf: Leaf) -> Self {
        let (entries, heap) = (leaf.len() as u64, leaf.heap_bytes() + LEAF_OVERHEAD);
        let fronts = vec![front(leaf.first_key())];
        Self { leaves: vec![Arc::new(leaf)], fronts, entries, heap }
    }

    /// Entries.
    pub(super) fn len(&self) -> u64 {
        self.entries
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heap + self.fronts.capacity() * size_of::<u64>()
    }

    /// The last leaf whose first key is not above `key`, or the first one.
    fn position_of(&self, key: &[u8]) -> usize {
        let front = front(key);
        let begin = self.fronts.partition_point(|mine| *mine < front);
        let alike = self.fronts.get(begin..).unwrap_or_default();
        let alike = alike.partition_point(|mine| *mine == front);
        let leaves = self.leaves.get(begin..begin + alike).unwrap_or_default();
        (begin + leaves.partition_point(|leaf| leaf.first_key() <= key)).saturating_sub(1)
    }

    /// The value of a key.
    #[inline(never)]
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.leaves.get(self.position_of(key))?.get(key)
    }

    /// The leaves from that of a key on.
    pub(super) fn leaves_from(&self, key: &[u8]) -> impl Iterator<Item = &Leaf> {
        self.leaves.get(self.position_of(key)..).unwrap_or_default().iter().map(|leaf| &**leaf)
    }

    /// References to all leaves.
    pub(super) fn shared(&self) -> Vec<Arc<Leaf>> {
        self.leaves.clone()
    }

    /// Sets the value of a key; returns whether the key is new. A leaf that grows beyond `longest` bytes is split.
    pub(super) fn put(&mut self, record: Record<'_>, longest: usize) -> bool {
        let position = self.position_of(record.key);
        let Some(leaf) = self.leaves.get_mut(position) else {
            return false;
        };
        let before = leaf.heap_bytes();
        let leaf = Arc::make_mut(leaf);
        let fresh = leaf.put(record.key, record.value, record.touched);
        self.heap = (self.heap + leaf.heap_bytes()).saturating_sub(before);
        self.entries += u64::from(fresh);
        if fresh {
            self.note_first(position);
        }
        self.split(position, longest);
        fresh
    }

    /// Sets what the first key of a leaf begins with.
    fn note_first(&mut self, position: usize) {
        if let (Some(place), Some(leaf)) =
            (self.fronts.get_mut(position), self.leaves.get(position))
        {
            *place = front(leaf.first_key());
        }
    }

    /// Splits a leaf that is longer than that, in bytes.
    pub(super) fn split(&mut self, position: usize, longest: usize) {
        let Some(leaf) = self.leaves.get_mut(position) else {
            return;
        };
        if leaf.is_longer_than(longest) && leaf.len() > 1 {
            let before = leaf.heap_bytes();
            let leaf = Arc::make_mut(leaf);
            let upper = leaf.split();
            let after = leaf.heap_bytes() + upper.heap_bytes() + LEAF_OVERHEAD;
            self.heap = (self.heap + after).saturating_sub(before);
            self.fronts.insert(position + 1, front(upper.first_key()));
            self.leaves.insert(position + 1, Arc::new(upper));
        }
    }

    /// Removes a key; returns whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let position = self.position_of(key);
        let Some(leaf) = self.leaves.get_mut(position) else {
            return false;
        };
        let Ok(at) = leaf.search(key) else {
            return false;
        };
        let before = leaf.heap_bytes();
        let leaf = Arc::make_mut(leaf);
        leaf.remove(at);
        self.heap = (self.heap + leaf.heap_bytes()).saturating_sub(before);
        self.entries -= 1;
        if leaf.len() == 0 {
            self.heap = self.heap.saturating_sub(leaf.heap_bytes() + LEAF_OVERHEAD);
            self.leaves.remove(position);
            self.fronts.remove(position);
        } else {
            self.note_first(position);
        }
        true
    }

    /// The one leaf that is left, once others are empty.
    pub(super) fn last(&mut self) -> Option<Leaf> {
        if self.leaves.len() > 1 {
            return None;
        }
        self.fronts.clear();
        Some(self.leaves.pop().map(Arc::unwrap_or_clone).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Epoch;
    use std::collections::BTreeSet;

    /// Puts and removes keys that `key` makes of numbers, and looks at what the leaves hold.
    fn filled(key: impl Fn(u32) -> Vec<u8>) {
        let (mut many, mut model) = (Many::new(Leaf::default()), BTreeSet::new());
        let mut shared = Vec::new();
        for number in 0..3000u32 {
            let key = key(number * 7 % 1000);
            let value = vec![1; usize::from(number.is_multiple_of(5)) * 30 + 9];
            if number % 4 == 3 {
                assert_eq!(many.remove(&key), model.remove(&key));
            } else {
                let record = Record { touched: Epoch::MAX, key: &key, value: &value };
                assert_eq!(many.put(record, 512), model.insert(key));
            }
            if number % 100 == 0 {
                shared = many.shared();
            }
            let leaves = || many.leaves.iter();
            let fronts: Vec<u64> = leaves().map(|leaf| front(leaf.first_key())).collect();
            assert_eq!(many.fronts, fronts);
            assert_eq!(many.len(), leaves().map(|leaf| leaf.len() as u64).sum::<u64>());
            let heap: usize = leaves().map(|leaf| leaf.heap_bytes() + LEAF_OVERHEAD).sum();
            assert_eq!(many.heap, heap);
        }
        assert!(many.leaves.len() > 10 && !shared.is_empty());
        let held = many.leaves_from(&[]).flat_map(|leaf| leaf.iter_from(0));
        assert!(held.map(|record| record.key.to_vec()).eq(model));
    }

    #[test]
    fn leaves_hold_what_was_put() {
        filled(|number| number.to_be_bytes().to_vec());
    }

    #[test]
    fn leaves_whose_keys_begin_alike_hold_what_was_put() {
        filled(|number| format!("customer-{number}").into_bytes());
        filled(|number| [&[number.to_be_bytes()[3] % 2; 9][..], &number.to_be_bytes()].concat());
    }
}
