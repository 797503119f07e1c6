//! [`Levels`]: which segments say something about a key group, from the oldest to the newest.
//!
//! # Invariants
//! V1. Segments are ordered: what a later one says of an entry overrides what earlier ones say.
//! V2. `groups` has for each key group the segments in which it is live, oldest first.

use std::sync::Arc;

use alluvium_state_api::{Error, KeyGroup, KeyGroupRange, Result, Slot};

use crate::joint::Joint;
use crate::member::Member;
use crate::segment::BlockCache;

/// Segments by key group; see the module's page.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    range: KeyGroupRange,
    all: Vec<Arc<Member>>,
    groups: Vec<Vec<usize>>,
    /// By segment, then by slot: the ids of the store's states, of which there are so many.
    ids: Vec<Option<u16>>,
    states: usize,
}

impl Levels {
    /// No segments.
    pub(crate) fn new(range: KeyGroupRange) -> Self {
        let groups = vec![Vec::new(); usize::from(range.len())];
        Self { range, all: Vec::new(), groups, ids: Vec::new(), states: 0 }
    }

    /// All segments, oldest first.
    pub(crate) fn all(&self) -> &[Arc<Member>] {
        &self.all
    }

    /// The segment at an index of [`all`](Self::all).
    pub(crate) fn at(&self, index: usize) -> Result<&Arc<Member>> {
        self.all.get(index).ok_or_else(|| Error::bug("a segment that is not there"))
    }

    /// The key groups.
    pub(crate) const fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Where a key group is among them.
    #[inline]
    pub(crate) fn index_of(&self, group: KeyGroup) -> usize {
        usize::from(group.index().wrapping_sub(self.range.start()))
    }

    /// Replaces all segments, or takes up the names of states, by slot, for those that there are.
    pub(crate) fn set<'a>(
        &mut self,
        all: Vec<Arc<Member>>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        let of = |segment: &Arc<Member>| {
            let ids = names.clone().map(|name| segment.state_id(name));
            ids.collect::<Vec<_>>()
        };
        self.ids = all.iter().flat_map(of).collect();
        self.states = names.clone().count();
        for (group, level) in self.range.iter().zip(&mut self.groups) {
            level.clear();
            let live = all.iter().enumerate().filter(|(_, segment)| segment.is_live(group));
            level.extend(live.map(|(index, _)| index));
        }
        self.all = all;
    }

    /// How many segments the deepest key group has.
    pub(crate) fn deepest(&self) -> usize {
        self.groups.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The largest sum of what `of` says of the segments of a key group, by their indices.
    pub(crate) fn heaviest(&self, of: impl Fn(&usize) -> u64) -> u64 {
        let sum = |level: &Vec<usize>| level.iter().map(&of).fold(0, u64::saturating_add);
        self.groups.iter().map(sum).max().unwrap_or(0)
    }

    /// The segments in which a key group is live, oldest first, as indices of [`all`](Self::all).
    #[inline]
    pub(crate) fn of(&self, group: KeyGroup) -> &[usize] {
        self.groups.get(self.index_of(group)).map_or(&[], Vec::as_slice)
    }

    /// The id of a state in a segment, if it has the state.
    #[inline]
    pub(crate) fn id(&self, segment: usize, slot: Slot) -> Option<u16> {
        let at = segment.wrapping_mul(self.states).wrapping_add(slot.index());
        *self.ids.get(at).filter(|_| slot.index() < self.states)?
    }

    /// The segment at a depth of a key group, and the id that a state has there.
    #[inline]
    pub(crate) fn segment_at(
        &self,
        levels: &[usize],
        depth: usize,
        slot: Slot,
    ) -> Option<(&Member, u16)> {
        let index = *levels.get(depth)?;
        Some((self.all.get(index)?, self.id(index, slot)?))
    }

    /// Reads what the small sections of a key group have of a state.
    ///
    /// # Errors
    /// As [`Joint::read`].
    pub(crate) fn join(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        group: KeyGroup,
    ) -> Result<Option<Joint>> {
        let levels = self.of(group);
        let of = |depth| {
            let (segment, state) = self.segment_at(levels, depth, slot)?;
            Some((segment.segment(), state, segment.removes_maps(state)))
        };
        let sections: Vec<_> = (0..levels.len()).map(of).collect();
        Joint::read(&sections, group, cache)
    }
}
