//! A map, ordered by the bytes of its keys.
//!
//! # Layout
//! A map is a row of sorted leaves of at most [`LEAF_BYTES`] (unless one entry alone is longer). The
//! one leaf of a small map belongs to the cell; those of larger maps are [`Many`].
//!
//! # Cost
//! A point access is two searches. An image is one reference per leaf (a copy of at most
//! [`LEAF_BYTES`] for a small map): below 0.1 ms for maps of a million entries.
//!
//! # Invariants
//! M2. `removed` holds the map keys removed since the horizon with the epoch of their removal, except
//!     those removed in the epoch in which the map was made (`born`): no snapshot has seen them. An
//!     increment on a base before `born` carries the map whole; one on a later base, which need not be
//!     confirmed yet when a key is removed, needs the removals since.
//! M3. Where `removed` outgrows the entries, the owner removes the map and puts it back made anew.

use std::ops::ControlFlow;
use std::sync::Arc;

use alluvium_state_api::Result;

use super::Now;
use super::leaf::{Leaf, Record, push_record, records};
use super::many::Many;
use crate::table::{Cell, Epoch, Span, append};

/// The longest leaf with more than one entry, in bytes.
pub(crate) const LEAF_BYTES: usize = 4096;

/// Removals that a map remembers however few entries it has.
const LOG_FLOOR: u64 = 16;

#[derive(Debug)]
enum Leaves {
    One(Leaf),
    Many(Box<Many>),
}

/// A map of any size.
#[derive(Debug)]
pub(crate) struct MapCell {
    leaves: Leaves,
    born: Epoch,
    removed: Option<Box<Removed>>,
}

/// The keys that were removed, and the bytes that remembering them takes.
#[derive(Debug, Default)]
struct Removed {
    log: Vec<(Epoch, Arc<[u8]>)>,
    heap: usize,
}

/// What remembering a removal takes besides the key, in bytes.
const REMOVAL_BYTES: usize = 40;

impl Removed {
    fn push(&mut self, epoch: Epoch, key: &[u8]) {
        self.log.push((epoch, key.into()));
        self.heap += key.len() + REMOVAL_BYTES;
    }

    /// Forgets what no increment upon `horizon` or later needs.
    fn forget(&mut self, horizon: Epoch) {
        self.log.retain(|(epoch, _)| *epoch > horizon);
        self.heap = self.log.iter().map(|(_, key)| key.len() + REMOVAL_BYTES).sum();
    }
}

impl MapCell {
    /// An empty map, made in the epoch `now`.
    pub(crate) fn new(now: Now) -> Self {
        Self { leaves: Leaves::One(Leaf::default()), born: now.epoch, removed: None }
    }

    /// Entries.
    pub(crate) fn len(&self) -> u64 {
        match &self.leaves {
            Leaves::One(leaf) => leaf.len() as u64,
            Leaves::Many(many) => many.len(),
        }
    }

    /// The value of a map key.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match &self.leaves {
            Leaves::One(leaf) => leaf.get(key),
            Leaves::Many(many) => many.get(key),
        }
    }

    /// Sets the value of a map key that is here, where that is quickly done; returns whether it was.
    #[expect(
        clippy::inline_always,
        reason = "a call stores registers, and stores limit how many accesses overlap"
    )]
    #[inline(always)]
    pub(crate) fn overwrite(&mut self, key: &[u8], value: &[u8], now: Now) -> bool {
        match &mut self.leaves {
            Leaves::One(leaf) => leaf.overwrite(key, value, now.epoch),
            Leaves::Many(_) => false,
        }
    }

    /// Sets the value of a map key; returns whether the key is new.
    #[inline]
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], now: Now) -> bool {
        match &mut self.leaves {
            Leaves::One(leaf) => {
                let fresh = leaf.put(key, value, now.epoch);
                if leaf.is_longer_than(LEAF_BYTES) {
                    self.divide();
                }
                fresh
            }
            Leaves::Many(many) => many.put(Record { touched: now.epoch, key, value }, LEAF_BYTES),
        }
    }

    /// Makes leaves of the one that is too long, unless it has but one entry.
    #[cold]
    fn divide(&mut self) {
        if let Leaves::One(leaf) = &mut self.leaves
            && leaf.len() > 1
        {
            let mut many = Many::new(std::mem::take(leaf));
            many.split(0, LEAF_BYTES);
            self.leaves = Leaves::Many(Box::new(many));
        }
    }

    /// Removes a map key; returns whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8], now: Now) -> bool {
        let removed = match &mut self.leaves {
            Leaves::One(leaf) => leaf.search(key).map(|at| leaf.remove(at)).is_ok(),
            Leaves::Many(many) => {
                let removed = many.remove(key);
                if let Some(last) = many.last() {
                    self.leaves = Leaves::One(last);
                }
                removed
            }
        };
        if removed {
            self.remember(key, now);
        }
        removed
    }

    #[inline(never)]
    fn heap_bytes_of_more(&self) -> usize {
        let leaves = match &self.leaves {
            Leaves::One(leaf) => leaf.heap_bytes(),
            Leaves::Many(many) => many.heap_bytes() + size_of::<Many>(),
        };
        leaves + self.removed.as_ref().map_or(0, |removed| removed.heap)
    }

    fn remember(&mut self, key: &[u8], now: Now) {
        let Some(horizon) = now.horizon.filter(|_| self.born < now.epoch) else {
            self.removed = None;
            return;
        };
        let entries = self.len();
        let removed = self.removed.get_or_insert_default();
        if removed.log.len() as u64 > entries.max(LOG_FLOOR) {
            removed.forget(horizon);
        }
        removed.push(now.epoch, key);
    }

    /// Whether more removals are remembered than entries are left: the map should be made anew.
    pub(crate) fn is_outgrown(&self) -> bool {
        let removed = self.removed.as_ref().map_or(0, |removed| removed.log.len() as u64);
        removed > self.len().max(LOG_FLOOR) + 1
    }

    /// The same entries as a map that is made now, which remembers no removals.
    pub(crate) fn made_anew(mut self, now: Now) -> Self {
        self.born = now.epoch;
        self.removed = None;
        self
    }

    /// Visits entries from a key on, in order; breaking stops.
    #[inline]
    pub(crate) fn for_each_from(
        &self,
        from: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut run = |leaf: &Leaf, from: &[u8]| -> Result<ControlFlow<()>> {
            let place = if from.is_empty() {
                leaf.fetch();
                0
            } else {
                leaf.search(from).unwrap_or_else(|place| place)
            };
            for record in leaf.iter_from(place) {
                if visit(record.key, record.value)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        match &self.leaves {
            Leaves::One(leaf) => run(leaf, from),
            Leaves::Many(many) => {
                for leaf in many.leaves_from(from) {
                    if run(leaf, from)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }
}

#[derive(Debug)]
enum ImageLeaves {
    One(Span),
    Many(Vec<Arc<Leaf>>),
}

/// A map in a snapshot.
#[derive(Debug)]
pub(crate) struct MapImage {
    leaves: ImageLeaves,
    born: Epoch,
    removed: Vec<(Epoch, Arc<[u8]>)>,
}

impl MapImage {
    /// Whether an increment on `base` must carry the map whole, because it is new since then.
    pub(crate) fn is_new_since(&self, base: Epoch) -> bool {
        self.born > base
    }

    /// The map keys removed after `base`; some may be there again.
    pub(crate) fn removed_since(&self, base: Epoch) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().filter(move |(epoch, _)| *epoch > base).map(|(_, key)| &**key)
    }

    /// All entries in order.
    pub(crate) fn records<'a>(&'a self, arena: &'a [u8]) -> impl Iterator<Item = Record<'a>> {
        let (one, many) = match &self.leaves {
            ImageLeaves::One(span) => (span.of(arena), [].as_slice()),
            ImageLeaves::Many(leaves) => ([].as_slice(), leaves.as_slice()),
        };
        records(one).chain(many.iter().flat_map(|leaf| leaf.iter_from(0)))
    }
}

impl Cell for MapCell {
    type Image = MapImage;

    fn image(&self, arena: &mut Vec<u8>) -> MapImage {
        let leaves = match &self.leaves {
            Leaves::Many(many) => ImageLeaves::Many(many.shared()),
            Leaves::One(leaf) => {
                let mut copied = Vec::with_capacity(leaf.live_bytes());
                leaf.iter_from(0).for_each(|record| push_record(&mut copied, record));
                ImageLeaves::One(append(arena, &copied))
            }
        };
        let removed = self.removed.as_ref().map_or_else(Vec::new, |removed| removed.log.clone());
        MapImage { leaves, born: self.born, removed }
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        // most maps by far; asked twice for every change
        match (&self.leaves, &self.removed) {
            (Leaves::One(leaf), None) => leaf.heap_bytes(),
            _ => self.heap_bytes_of_more(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn contents(cell: &MapCell, from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let _ended = cell
            .for_each_from(from, |key, value| {
                found.push((key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        found
    }

    fn imaged(cell: &MapCell) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut arena = Vec::new();
        let image = cell.image(&mut arena);
        image.records(&arena).map(|r| (r.key.to_vec(), r.value.to_vec())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_like_a_sorted_map(
            steps in proptest::collection::vec((0u16..300, proptest::option::of(0usize..200)), 1..900),
        ) {
            let now = Now { epoch: 5, horizon: Some(3) };
            let (mut cell, mut model) = (MapCell::new(now), BTreeMap::new());
            let mut held = Vec::new();
            for (step, (key, size)) in steps.into_iter().enumerate() {
                let key = key.to_be_bytes().to_vec();
                match size {
                    Some(size) => {
                        let fresh = cell.put(&key, &vec![7; size], now);
                        prop_assert_eq!(fresh, model.insert(key.clone(), vec![7; size]).is_none());
                    }
                    None => {
                        prop_assert_eq!(cell.remove(&key, now), model.remove(&key).is_some());
                    }
                }
                prop_assert_eq!(cell.get(&key), model.get(&key).map(Vec::as_slice));
                if step % 97 == 0 {
                    let mut arena = Vec::new();
                    held.push((cell.image(&mut arena), arena, model.clone()));
                }
            }
            let expected: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(contents(&cell, &[]), expected.clone());
            prop_assert_eq!(imaged(&cell), expected);
            prop_assert_eq!(cell.len(), model.len() as u64);
            let from = 150u16.to_be_bytes();
            let above: Vec<_> = model.range(from.to_vec()..).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(contents(&cell, &from), above);
            for (image, arena, model) in held {
                let found: Vec<_> =
                    image.records(&arena).map(|r| (r.key.to_vec(), r.value.to_vec())).collect();
                prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_map_of_rows_is_small() {
        assert_eq!(size_of::<MapCell>(), 48);
    }

    #[test]
    fn removals_are_remembered_for_a_base_that_is_not_confirmed_yet() {
        let at = |epoch| Now { epoch, horizon: Some(3) };
        let mut cell = MapCell::new(at(5));
        cell.put(&[1], &[1], at(5));
        cell.put(&[2], &[2], at(5));
        cell.remove(&[1], at(7));
        let image = cell.image(&mut Vec::new());
        assert!(image.is_new_since(4) && !image.is_new_since(6));
        assert_eq!(image.removed_since(6).collect::<Vec<_>>(), [&[1]]);
    }

    #[test]
    fn removals_are_remembered_while_an_increment_may_need_them() {
        let at = |epoch, horizon| Now { epoch, horizon };
        let mut cell = MapCell::new(at(1, None));
        for key in 0..40u8 {
            cell.put(&[key], &[key], at(1, None));
        }
        cell.remove(&[1], at(1, None));
        cell.remove(&[2], at(2, Some(1)));
        cell.remove(&[3], at(3, Some(1)));
        let image = cell.image(&mut Vec::new());
        assert!(!image.is_new_since(1));
        assert_eq!(image.removed_since(1).collect::<Vec<_>>(), [&[2], &[3]]);
        assert_eq!(image.removed_since(2).collect::<Vec<_>>(), [&[3]]);
        for key in 4..40u8 {
            cell.remove(&[key], at(4, Some(1)));
        }
        assert!(cell.is_outgrown());
        let cell = cell.made_anew(at(4, Some(1)));
        assert!(cell.image(&mut Vec::new()).is_new_since(3) && !cell.is_outgrown());
    }
}
