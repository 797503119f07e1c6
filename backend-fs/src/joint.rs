//! [`Joint`]: one lookup for all small sections that a key group has of a state.
//!
//! # Role
//! A chain of checkpoints consists of many small segments. To ask one after the other costs a cold line
//! of memory for each, and a page fault; mostly to learn that it has nothing. So the first access to a
//! key group after the segments have changed reads the small sections, and notes where each of their
//! entries is.
//!
//! # Invariants
//! J1. A depth is covered, and then all of its section is noted, or it is in `rest`.
//! J2. What is noted is a hint: the entry's key is compared where it lies.
//!
//! # Cost
//! Up to [`SECTION_BYTES`] of a section and [`JOINT_BYTES`] of a key group are read, some 20 ns an
//! entry; 14 bytes of memory each. What is not there costs a line of the filter, which has 2 of these
//! and mostly is in a cache; the rest are asked for one search in 50 besides.

use alluvium_state_api::format::Place as At;
use alluvium_state_api::{KeyGroup, Result};

use crate::segment::{BlockCache, Segment};

/// The largest section that is noted.
const SECTION_BYTES: u64 = 128 << 10;
/// Bytes of the sections that are noted together.
const JOINT_BYTES: u64 = 512 << 10;
/// Fewer small sections than these are asked one after the other.
const FEWEST: usize = 2;

const OFFSET_BITS: u32 = 12;
const BLOCK_BITS: u32 = 12;
const DEPTH_BITS: u32 = 12;
const TAG_BITS: u32 = 28;
const MOST_DEPTHS: usize = (1 << DEPTH_BITS) - 1;

/// Depth and place of an entry, and some bits of its hash; 0 is free.
#[derive(Clone, Copy, Debug, Default)]
struct Note(u64);

impl Note {
    fn new(hash: u64, depth: usize, at: At) -> Option<Self> {
        let fits =
            depth < MOST_DEPTHS && at.block < 1 << BLOCK_BITS && at.offset < 1 << OFFSET_BITS;
        let depth = depth as u64 + 1;
        let place = u64::from(at.block) << OFFSET_BITS | u64::from(at.offset);
        let note = (tag(hash) << DEPTH_BITS | depth) << (BLOCK_BITS + OFFSET_BITS) | place;
        fits.then_some(Self(note))
    }

    fn is_tagged(self, tag: u64) -> bool {
        self.0 >> (DEPTH_BITS + BLOCK_BITS + OFFSET_BITS) == tag
    }

    fn depth(self) -> usize {
        let depth = self.0 >> (BLOCK_BITS + OFFSET_BITS) & ((1 << DEPTH_BITS) - 1);
        (depth as usize).saturating_sub(1)
    }

    fn at(self) -> At {
        #[expect(clippy::cast_possible_truncation, reason = "24 bits of it are the place")]
        let place = self.0 as u32;
        At {
            block: place >> OFFSET_BITS & ((1 << BLOCK_BITS) - 1),
            offset: place & ((1 << OFFSET_BITS) - 1),
        }
    }
}

/// The upper half of a hash placed the key in its group, so that its lowest bits differ least.
const fn tag(hash: u64) -> u64 {
    hash >> (64 - TAG_BITS)
}

/// Entries for each word of the filter.
const ENTRIES_PER_WORD: usize = 4;

/// The bits of a filter's word that a hash has.
const fn bits(hash: u64) -> u64 {
    1 << (hash >> 58) | 1 << (hash >> 52 & 63)
}

/// Where the search for a hash begins.
fn home(hash: u64, slots: usize) -> usize {
    ((hash & 0xFFFF_FFFF) as usize * slots) >> 32
}

/// What one key group has of a state in its small sections; see the module's page.
#[derive(Debug)]
pub(crate) struct Joint {
    /// Two bits of a word for each entry: where one is missing, there is no such entry.
    filter: Box<[u64]>,
    /// Each entry is in the first slot from its home on that was free; of one key, the newest is first.
    slots: Box<[Note]>,
    /// Entries that find a slot: at least a third stays free, so that every search ends.
    room: usize,
    /// Depths that are not covered, newest first.
    rest: Box<[usize]>,
    removes_maps: bool,
}

/// A segment in which a state has a section: the state's id there, and whether it may remove maps.
pub(crate) type Level<'s> = (&'s Segment, u16, bool);

impl Joint {
    fn with_room(room: usize) -> Self {
        Self {
            filter: vec![0; room / ENTRIES_PER_WORD + 1].into(),
            slots: vec![Note::default(); room + room / 2 + 1].into(),
            room,
            rest: Box::default(),
            removes_maps: false,
        }
    }

    /// Reads the small sections of a key group; `levels` has the segments by depth, oldest first. `None`
    /// where there are too few.
    ///
    /// # Errors
    /// As [`Segment::find`].
    pub(crate) fn read(
        levels: &[Option<Level<'_>>],
        group: KeyGroup,
        cache: &mut BlockCache,
    ) -> Result<Option<Self>> {
        let (mut small, mut rest, mut sum, mut room) = (Vec::new(), Vec::new(), 0u64, 0u64);
        for (depth, level) in levels.iter().enumerate().rev() {
            let Some(level) = level else { continue };
            let Some((bytes, entries)) = level.0.section_size(level.1, group) else { continue };
            // The oldest has most entries, and lookups for them.
            if depth > 0 && bytes <= SECTION_BYTES && sum + bytes <= JOINT_BYTES {
                small.push((depth, level));
                (sum, room) = (sum + bytes, room.saturating_add(entries));
            } else {
                rest.push(depth);
            }
        }
        if small.len() < FEWEST {
            return Ok(None);
        }
        // No entry takes less than a byte, whatever an index says.
        let mut joint = Self::with_room(usize::try_from(room.min(sum)).unwrap_or_default());
        for (depth, (segment, state, removes_maps)) in small {
            let mut complete = true;
            segment.list(cache, *state, group, &mut |hash, at| {
                complete &= Note::new(hash, depth, at).is_some_and(|note| joint.insert(hash, note));
            })?;
            joint.removes_maps |= removes_maps;
            if !complete {
                rest.push(depth);
            }
        }
        rest.sort_unstable_by(|one, other| other.cmp(one));
        joint.rest = rest.into();
        Ok(Some(joint))
    }

    /// Notes an entry that is not newer than any before; `false` if there is no room.
    fn insert(&mut self, hash: u64, note: Note) -> bool {
        let Some(room) = self.room.checked_sub(1) else {
            return false;
        };
        let mut at = home(hash, self.slots.len());
        while self.slots.get(at).is_some_and(|slot| slot.0 != 0) {
            at = if at + 1 < self.slots.len() { at + 1 } else { 0 };
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = note;
        }
        let at = home(hash, self.filter.len());
        if let Some(word) = self.filter.get_mut(at) {
            *word |= bits(hash);
        }
        self.room = room;
        true
    }

    /// Depths that are not covered, newest first.
    pub(crate) fn rest(&self) -> &[usize] {
        &self.rest
    }

    /// Whether a section that is covered may have removed maps.
    pub(crate) fn removes_maps(&self) -> bool {
        self.removes_maps
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.filter) + size_of_val(&*self.slots) + size_of_val(&*self.rest)
    }

    /// The newest of the entries with this hash, below depth `upper`, for which `compare` has something.
    ///
    /// # Errors
    /// What `compare` returns.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        hash: u64,
        upper: usize,
        compare: impl FnMut(usize, At) -> Result<Option<T>>,
    ) -> Result<Option<(usize, T)>> {
        let word = self.filter.get(home(hash, self.filter.len())).copied().unwrap_or_default();
        if word & bits(hash) == bits(hash) { self.search(hash, upper, compare) } else { Ok(None) }
    }

    fn search<T>(
        &self,
        hash: u64,
        upper: usize,
        mut compare: impl FnMut(usize, At) -> Result<Option<T>>,
    ) -> Result<Option<(usize, T)>> {
        let (mut at, tag) = (home(hash, self.slots.len()), tag(hash));
        while let Some(note) = self.slots.get(at).filter(|note| note.0 != 0) {
            if note.is_tagged(tag)
                && note.depth() < upper
                && let Some(found) = compare(note.depth(), note.at())?
            {
                return Ok(Some((note.depth(), found)));
            }
            at = if at + 1 < self.slots.len() { at + 1 } else { 0 };
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_keep_what_they_were_made_of() {
        let at = At { block: 4095, offset: 4095 };
        let note = Note::new(u64::MAX, MOST_DEPTHS - 1, at).unwrap();
        assert_eq!((note.depth(), note.at()), (MOST_DEPTHS - 1, at));
        assert!(note.is_tagged(tag(u64::MAX)) && !note.is_tagged(tag(0)));
        let note = Note::new(0, 0, At { block: 0, offset: 0 }).unwrap();
        assert_ne!(note.0, 0, "it is not a free slot");
        assert!(Note::new(0, MOST_DEPTHS, at).is_none());
        assert!(Note::new(0, 0, At { block: 4096, offset: 0 }).is_none());
        assert!(Note::new(0, 0, At { block: 0, offset: 4096 }).is_none());
    }

    #[test]
    fn the_newest_below_a_depth_is_found_however_often_a_hash_occurs() {
        let place = |number| At { block: number, offset: 7 };
        let mut joint = Joint::with_room(78);
        for depth in (1..40_usize).rev() {
            let number = u32::try_from(depth).unwrap();
            assert!(joint.insert(42, Note::new(42, depth, place(number)).unwrap()));
            let other = u64::MAX - depth as u64;
            assert!(joint.insert(other, Note::new(other, depth, place(number + 100)).unwrap()));
        }
        assert!(!joint.insert(7, Note::new(7, 1, place(1)).unwrap()), "there is no room");
        for upper in 2..50_usize {
            let found = joint.find(42, upper, |_, at| Ok((at.block < 100).then_some(at))).unwrap();
            let newest = (upper - 1).min(39);
            assert_eq!(found, Some((newest, place(u32::try_from(newest).unwrap()))));
        }
        assert_eq!(joint.find(42, 1, |_, at| Ok(Some(at))).unwrap(), None);
        assert_eq!(joint.find(7 << 36, usize::MAX, |_, at| Ok(Some(at))).unwrap(), None);
        let empty = Joint::with_room(0);
        assert_eq!(empty.find(42, usize::MAX, |_, at| Ok(Some(at))).unwrap(), None);
    }
}
