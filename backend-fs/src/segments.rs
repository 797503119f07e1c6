//! [`Segments`]: the segments of a store, and what they say of an entry.
//!
//! # Invariants
//! G1. `joints` is about the segments as they are: it is replaced whenever these change.

use std::ops::Range;
use std::sync::Arc;

use alluvium_state_api::format::BlockKind;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{
    EntryKey, Error, KeyGroup, KeyGroupRange, ListSize, Result, Slot, StateKey,
};

use crate::joint::Joint;
use crate::joints::{JoinAhead, Joints};
use crate::layer::map_of;
use crate::levels::Levels;
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

/// Segments of a key group that are asked for ahead.
const MOST_ASKED: usize = 4;

/// What is needed of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: Box<str>,
    /// Bytes of an element that are no payload.
    stamp_bytes: u64,
}

/// The segments of a store; see the module's page.
#[derive(Debug)]
pub(crate) struct Segments {
    levels: Levels,
    /// By slot.
    states: Vec<Known>,
    joints: Arc<Joints>,
}

/// How much segments weigh where it is decided whether to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// All the same.
    Each,
    /// Those with small sections less, down to an eighth: they are looked up together.
    BySize,
}

/// What a segment weighs.
const WHOLE: u64 = 8;
/// Bytes of a section, on average, for each unit of that.
const UNIT_BYTES: u64 = 8 << 10;

impl Counting {
    fn weight(self, member: &Member) -> u64 {
        if self == Self::Each {
            return WHOLE;
        }
        let sections = member.segment().state_file().sections().len().max(1) as u64;
        (member.segment().bytes() / sections / UNIT_BYTES).clamp(1, WHOLE)
    }
}

/// What segments say of an entry.
#[derive(Clone, Copy, Debug)]
enum Word {
    Nothing,
    /// Its map was removed.
    MapRemoved,
    Here(Place),
}

impl Segments {
    /// None yet.
    pub(crate) fn new(range: KeyGroupRange) -> Self {
        Self { levels: Levels::new(range), states: Vec::new(), joints: Arc::default() }
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[Arc<Member>] {
        self.levels.all()
    }

    /// The segment at an index of [`all`](Self::all).
    pub(crate) fn at(&self, index: usize) -> Result<&Arc<Member>> {
        self.levels.at(index)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Replaces all of them.
    pub(crate) fn set(&mut self, all: Vec<Arc<Member>>) {
        self.levels.set(all, &self.states.iter().map(|state| &*state.name));
        let groups = usize::from(self.levels.range().len());
        self.joints = Arc::new(Joints::new(self.states.len(), groups));
    }

    /// Adds a newest one.
    pub(crate) fn push(&mut self, segment: Arc<Member>) {
        self.set(self.all().iter().cloned().chain([segment]).collect());
    }

    /// Takes up the store's next state.
    pub(crate) fn add_state(&mut self, slot: Slot, meta: &StateMeta) {
        if self.states.len() <= slot.index() {
            self.states.resize(slot.index() + 1, Known::default());
        }
        let new = Known { name: meta.name.clone(), stamp_bytes: meta.stamp_bytes() as u64 };
        if let Some(known) = self.states.get_mut(slot.index())
            && *known != new
        {
            *known = new;
            self.set(self.all().to_vec());
        }
    }

    /// What makes the joint lookups that readers will ask for, if there are any.
    pub(crate) fn join_ahead(&self) -> Option<JoinAhead> {
        JoinAhead::of(&self.levels, &self.joints)
    }

    /// Adds a newest one, which has all of the key groups in `folded`.
    pub(crate) fn put_above(&mut self, segment: Arc<Member>, folded: &[KeyGroupRange]) {
        let mut all = without(self.all(), folded);
        all.push(segment);
        self.set(all);
    }

    /// Puts `joint` where the adjacent segments `inputs` are, those of them that count for anything
    /// still; what does not count in them any more does not in `joint`.
    pub(crate) fn replace(&mut self, inputs: &[u64], joint: &Member) {
        let is_input = |segment: &Arc<Member>| inputs.contains(&segment.id());
        let Some(at) = self.all().iter().position(is_input) else {
            return;
        };
        let replaced: Vec<_> = self.all().iter().filter(|segment| is_input(segment)).collect();
        let gone = |group| !replaced.iter().any(|segment| segment.is_live(group));
        let joint = joint.without(gone).map(Arc::new);
        let others = self.all().iter().filter(|segment| !is_input(segment)).cloned();
        let mut all: Vec<_> = others.collect();
        all.splice(at..at, joint);
        self.set(all);
    }

    /// How many segments the deepest key group has.
    pub(crate) fn deepest(&self) -> usize {
        self.levels.deepest()
    }

    /// Which segments to merge, if a key group has `most` or more, as `counting` counts them: the newest,
    /// and those before them as long as they are not more than twice as large as all that come after.
    pub(crate) fn worth_merging(&self, most: usize, counting: Counting) -> Option<Range<usize>> {
        let all = self.all();
        let weights: Vec<u64> = all.iter().map(|member| counting.weight(member)).collect();
        let weight = |index: &usize| weights.get(*index).copied().unwrap_or(0);
        if self.levels.heaviest(weight) < (most as u64).saturating_mul(WHOLE) {
            return None;
        }
        let mut sum = 0u64;
        let mut start = all.len();
        for (index, segment) in all.iter().enumerate().rev() {
            let bytes = segment.live_bytes();
            let taken = all.len() - index;
            if taken > 2 && bytes > sum.saturating_mul(2) {
                break;
            }
            sum = sum.saturating_add(bytes);
            start = index;
        }
        (all.len() - start > 1).then_some(start..all.len())
    }

    /// Bytes of memory for what was read of small sections.
    pub(crate) fn joint_bytes(&self) -> u64 {
        self.joints.bytes()
    }

    /// The segments in which a key group is live, oldest first, as indices of [`all`](Self::all).
    pub(crate) fn level(&self, group: KeyGroup) -> &[usize] {
        self.levels.of(group)
    }

    /// The id of a state in a segment, if it has the state.
    #[inline]
    pub(crate) fn id(&self, segment: usize, slot: Slot) -> Option<u16> {
        self.levels.id(segment, slot)
    }

    /// The newest word about an entry below `upper` levels of its key group.
    fn newest(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
        upper: usize,
    ) -> Result<Option<(usize, Spot)>> {
        let levels = self.level(key.key_group());
        let Some(joint) = self.joints.of(&self.levels, cache, slot, key.key_group())? else {
            let depths = (0..levels.len().min(upper)).rev();
            return self.first(cache, slot, key, depths, (0, Word::Nothing));
        };
        let (group, hash) = (key.key_group(), key.entry_hash());
        joint.prefetch(hash);
        let rest = joint.rest().iter().copied().filter(|depth| *depth < upper);
        for (segment, state) in
            rest.clone().filter_map(|depth| self.levels.segment_at(levels, depth, slot))
        {
            segment.segment().ask_for_bucket(state, group, hash);
        }
        let noted = self.noted(cache, joint, slot, key, upper)?;
        self.first(cache, slot, key, rest, noted)
    }

    /// The first word of these depths, newest first, or the one that is known, if that is newer.
    #[inline]
    fn first(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
        depths: impl Iterator<Item = usize>,
        known: (usize, Word),
    ) -> Result<Option<(usize, Spot)>> {
        let (mut at, mut word) = known;
        let (group, levels) = (key.key_group(), self.level(key.key_group()));
        for depth in depths {
            if depth < at {
                break;
            }
            let Some((segment, state)) = self.levels.segment_at(levels, depth, slot) else {
                continue;
            };
            let holds = segment.segment();
            if let Some(place) = holds.find(cache, state, group, key.entry(), key.entry_hash())? {
                (at, word) = (depth, Word::Here(place));
                break;
            }
            if segment.removes_maps(state) {
                let map = map_of(key)?;
                if holds.map_removed(cache, state, group, map.entry(), map.entry_hash())? {
                    return Ok(None);
                }
            }
        }
        let Word::Here(place) = word else {
            return Ok(None);
        };
        Ok(levels.get(at).map(|segment| (at, Spot { segment: *segment, place })))
    }

    /// The newest word of the small sections, and at which depth it is.
    fn noted(
        &self,
        cache: &mut BlockCache,
        joint: &Joint,
        slot: Slot,
        key: &StateKey<'_>,
        upper: usize,
    ) -> Result<(usize, Word)> {
        let (group, levels) = (key.key_group(), self.level(key.key_group()));
        let mut find = |entry: EntryKey<'_>, hash, removal: bool| {
            joint.find(hash, upper, |depth, at| {
                let Some((segment, state)) = self.levels.segment_at(levels, depth, slot) else {
                    return Ok(None);
                };
                let (holds, of) = (segment.segment(), (state, group));
                match joint.plain(depth, at).filter(|_| !removal) {
                    Some(at) => holds.listed_at(at, of, entry),
                    None => holds.listed(cache, of, at, (entry, removal)),
                }
            })
        };
        let found = find(key.entry(), key.entry_hash(), false)?;
        if joint.removes_maps() {
            let map = map_of(key)?;
            if let Some((removed, _)) = find(map.entry(), map.entry_hash(), true)?
                && found.is_none_or(|(depth, _)| depth < removed)
            {
                return Ok((removed, Word::MapRemoved));
            }
        }
        Ok(found.map_or((0, Word::Nothing), |(depth, place)| (depth, Word::Here(place))))
    }

    /// The oldest segments of a key group, which have the most entries, each with its id of the state.
    fn asked(&self, slot: Slot, group: KeyGroup) -> impl Iterator<Item = (&Member, u16)> {
        let levels = self.level(group);
        let depths = 0..levels.len().min(MOST_ASKED);
        depths.filter_map(move |depth| self.levels.segment_at(levels, depth, slot))
    }

    /// Asks the processor to load where the search for an entry begins.
    pub(crate) fn ask_for_buckets(&self, slot: Slot, group: KeyGroup, hash: u64) {
        for (member, state) in self.asked(slot, group) {
            member.segment().ask_for_bucket(state, group, hash);
        }
    }

    /// Asks for where it goes on.
    pub(crate) fn ask_for_entries(&self, slot: Slot, group: KeyGroup, hash: u64) {
        for (member, state) in self.asked(slot, group) {
            member.segment().ask_for_entries(state, group, hash);
        }
    }

    /// Where the value of an entry of any state but a list is; `None` if there is none.
    pub(crate) fn find(
        &self,
        cache: &mut BlockCache,
        slot: Slot,
        key: &StateKey<'_>,
    ) -> Result<Option<Spot>> {
        let found = self.newest(cache, slot, key, usize::MAX)?.map(|(_, spot)| spot);
        Ok(found.filter(|spot| spot.place.kind() == BlockKind::Entries))
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

/// Segments that no longer count for the key groups in `folded`; those that count for none are left out.
pub(crate) fn without(all: &[Arc<Member>], folded: &[KeyGroupRange]) -> Vec<Arc<Member>> {
    if folded.is_empty() {
        return all.to_vec();
    }
    let gone = |group: KeyGroup| folded.iter().any(|range| range.contains(group));
    all.iter().filter_map(|member| member.without(gone)).map(Arc::new).collect()
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
