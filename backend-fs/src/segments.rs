//! [`Segments`]: the segments of a store, and what they say of an entry.
//!
//! # Invariants
//! G1. Segments are ordered: what a later one says of an entry overrides what earlier ones say.
//! G2. `levels` has for each key group the segments in which it is live, oldest first.

use std::ops::Range;
use std::sync::Arc;

use alluvium_state_api::format::BlockKind;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    EntryKey, Error, KeyGroup, KeyGroupRange, ListSize, Result, Slot, StateKey,
};

use crate::layer::map_of;
use crate::member::Member;
use crate::segment::{BlockCache, Place};

/// Where the newest word about an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Which segment.
    pub(crate) segment: usize,
    pub(crate) place: Place,
}

/// A piece of a list in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceSpot {
    pub(crate) spot: Spot,
    pub(crate) first: u64,
    pub(crate) size: ListSize,
}

/// What is needed of a state.
#[derive(Clone, Debug, Default)]
struct Known {
    name: Box<str>,
    /// Bytes of an element that are no payload.
    stamp_bytes: u64,
}

/// The segments of a store; see the module's page.
#[derive(Debug)]
pub(crate) struct Segments {
    range: KeyGroupRange,
    all: Vec<Arc<Member>>,
    levels: Vec<Vec<usize>>,
    /// By segment: the ids of the store's states, by slot.
    ids: Vec<Vec<Option<u16>>>,
    /// By slot.
    states: Vec<Known>,
}

impl Segments {
    /// None yet.
    pub(crate) fn new(range: KeyGroupRange) -> Self {
        let levels = vec![Vec::new(); usize::from(range.len())];
        Self { range, all: Vec::new(), levels, ids: Vec::new(), states: Vec::new() }
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[Arc<Member>] {
        &self.all
    }

    /// The segment at an index of [`all`](Self::all).
    pub(crate) fn at(&self, index: usize) -> Result<&Arc<Member>> {
        self.all.get(index).ok_or_else(|| Error::bug("a segment that is not there"))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Replaces all of them.
    pub(crate) fn set(&mut self, all: Vec<Arc<Member>>) {
        self.all = all;
        self.refresh();
    }

    /// Adds a newest one.
    pub(crate) fn push(&mut self, segment: Arc<Member>) {
        self.all.push(segment);
        self.refresh();
    }

    /// Takes up the store's next state.
    pub(crate) fn add_state(&mut self, slot: Slot, meta: &StateMeta) {
        if self.states.len() <= slot.index() {
            self.states.resize(slot.index() + 1, Known::default());
        }
        if let Some(known) = self.states.get_mut(slot.index()) {
            *known = Known { name: meta.name.clone(), stamp_bytes: meta.stamp_bytes() as u64 };
        }
        self.refresh();
    }

    /// Puts `joint` where the adjacent segments `inputs` are; without effect where they no longer are.
    pub(crate) fn replace(&mut self, inputs: &[u64], joint: Arc<Member>) {
        let ids: Vec<u64> = self.all.iter().map(|segment| segment.id()).collect();
        let at = ids.windows(inputs.len().max(1)).position(|window| window == inputs);
        if let Some(at) = at {
            self.all.splice(at..at + inputs.len(), [joint]);
            self.refresh();
        }
    }

    /// How many segments the deepest key group has.
    pub(crate) fn deepest(&self) -> usize {
        self.levels.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Which segments to merge, if a key group has `most` or more: the newest, and those before them
    /// as long as they are not more than twice as large as all that come after.
    pub(crate) fn worth_merging(&self, most: usize) -> Option<Range<usize>> {
        if self.deepest() < most {
            return None;
        }
        let mut sum = 0u64;
        let mut start = self.all.len();
        for (index, segment) in self.all.iter().enumerate().rev() {
            let bytes = segment.segment().bytes();
            let taken = self.all.len() - index;
            if taken > 2 && bytes > sum.saturating_mul(2) {
                break;
            }
            sum = sum.saturating_add(bytes);
            start = index;
        }
        (self.all.len() - start > 1).then_some(start..self.all.len())
    }

    fn refresh(&mut self) {
        let states = &self.states;
        let ids = |segment: &Arc<Member>| {
            states.iter().map(|state| segment.state_id(&state.name)).collect()
        };
        self.ids = self.all.iter().map(ids).collect();
        for (group, level) in self.range.iter().zip(&mut self.levels) {
            level.clear();
            let live = self.all.iter().enumerate().filter(|(_, segment)| segment.is_live(group));
            level.extend(live.map(|(index, _)| index));
        }
    }

    /// The segments in which a key group is live, oldest first, as indices of [`all`](Self::all).
    pub(crate) fn level(&self, group: KeyGroup) -> &[usize] {
        let at = group.index().checked_sub(self.range.start()).map(usize::from);
        at.and_then(|at| self.levels.get(at)).map_or(&[], Vec::as_slice)
    }

    /// The id of a state in a segment, if it has the state.
    #[inline]
    pub(crate) fn id(&self, segment: usize, slot: Slot) -> Option<u16> {
        *self.ids.get(segment)?.get(slot.index())?
    }

    /// The newest word about an entry below `upper` levels of its key group.
    fn newest(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
        upper: usize,
    ) -> Result<Option<(usize, Spot)>> {
        let (group, hash) = (key.key_group(), key.entry_hash());
        let levels = self.level(group);
        for (depth, index) in levels.iter().enumerate().take(upper).rev() {
            let Some(state) = self.id(*index, slot) else {
                continue;
            };
            let segment = self.at(*index)?;
            let holds = segment.segment();
            if let Some(place) = holds.find(cache, state, group, key.entry(), hash)? {
                return Ok(Some((depth, Spot { segment: *index, place })));
            }
            if segment.removes_maps(state) {
                let map = map_of(key)?;
                if holds.map_removed(cache, state, group, map.entry(), map.entry_hash())? {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Where the value of an entry of any state but a list is; `None` if there is none.
    pub(crate) fn find(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
    ) -> Result<Option<Spot>> {
        let found = self.newest(cache, slot, key, usize::MAX)?;
        Ok(found.map(|(_, spot)| spot).filter(|spot| spot.place.kind() == BlockKind::Entries))
    }

    /// Lends the value at a spot.
    #[inline]
    pub(crate) fn value<'s>(&'s self, cache: &'s mut BlockCache, spot: Spot) -> Result<&'s [u8]> {
        self.at(spot.segment)?.segment().value(cache, spot.place)
    }

    /// The pieces of a list, newest first, into `pieces`.
    ///
    /// # Errors
    /// `Corrupted` where a piece does not begin where the one before it ends.
    pub(crate) fn list(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
        pieces: &mut Vec<PieceSpot>,
    ) -> Result<()> {
        pieces.clear();
        let stamp_bytes = self.states.get(slot.index()).map_or(0, |state| state.stamp_bytes);
        let mut upper = usize::MAX;
        let mut follows: Option<u64> = None;
        while let Some((depth, spot)) = self.newest(cache, slot, key, upper)? {
            if spot.place.kind() == BlockKind::Tombstones {
                break;
            }
            let segment = self.at(spot.segment)?.segment();
            let (first, mut size) = segment.list_extent(cache, spot.place)?;
            size.bytes = size.bytes.saturating_sub(size.elements.saturating_mul(stamp_bytes));
            if follows.is_some_and(|follows| first.checked_add(size.elements) != Some(follows)) {
                return Err(torn(key));
            }
            pieces.push(PieceSpot { spot, first, size });
            if spot.place.kind() == BlockKind::Entries {
                return Ok(());
            }
            (upper, follows) = (depth, Some(first));
        }
        if pieces.is_empty() { Ok(()) } else { Err(torn(key)) }
    }

    /// Whether the map under key and namespace is removed by a segment above `depth` of its key group.
    pub(crate) fn map_removed_above(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        (group, map): (KeyGroup, EntryKey<'_>),
        depth: usize,
    ) -> Result<bool> {
        let hash = alluvium_state_api::entry_hash_of(map);
        for index in self.level(group).iter().skip(depth + 1) {
            let Some(state) = self.id(*index, slot) else {
                continue;
            };
            let segment = self.at(*index)?;
            if segment.removes_maps(state)
                && segment.segment().map_removed(cache, state, group, map, hash)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The sum of the sizes of pieces.
pub(crate) fn total(pieces: &[PieceSpot]) -> ListSize {
    let mut total = ListSize::default();
    for piece in pieces {
        total.elements = total.elements.saturating_add(piece.size.elements);
        total.bytes = total.bytes.saturating_add(piece.size.bytes);
    }
    total
}

#[cold]
fn torn(key: &StateKey<'_>) -> Error {
    Error::corrupted("the files of a list do not follow one another; restore another checkpoint")
        .with_key_group(key.key_group())
}
