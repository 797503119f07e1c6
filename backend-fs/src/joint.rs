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
//! J3. Each note is in the first bucket from its home on that was not full; of one key, the newest is first.
//!
//! # Cost
//! Up to [`SECTION_BYTES`] of a section and [`JOINT_BYTES`] of a key group are read, some 10 ns an
//! entry; 8 bytes of memory each. A search looks at the tags of its home, 2 bytes of these, which mostly are in
//! a cache; and of one search in 50 for what is not there, at a note and an entry: two lines of memory. Bits of
//! the hash in the notes, too, spared these the second one, and made all others dearer by half.

use alluvium_state_api::format::BlockKind;
use alluvium_state_api::{KeyGroup, Result};

use crate::segment::{BlockCache, KINDS, Listed, Segment};
use crate::word::matching;

/// The largest section that is noted.
const SECTION_BYTES: u64 = 128 << 10;
/// Bytes of the sections that are noted together.
const JOINT_BYTES: u64 = 512 << 10;
/// Fewer small sections than these are asked one after the other.
const FEWEST: usize = 2;

const OFFSET_BITS: u32 = 17;
const KIND_BITS: u32 = 2;
const DEPTH_BITS: u32 = 12;
const MOST_DEPTHS: usize = 1 << DEPTH_BITS;
const _: () = assert!(SECTION_BYTES <= 1 << OFFSET_BITS, "offsets fit");
const _: () = assert!(DEPTH_BITS + KIND_BITS + OFFSET_BITS <= u32::BITS, "all of it fits");

/// Notes of a bucket: half a cache line of them.
const BUCKET: usize = 8;
/// Notes of a cache line.
const LINE: usize = 2 * BUCKET;
/// Notes of a bucket on average, at most.
const AVERAGE: usize = 5;

/// Depth, kind and offset of what a section says, from the highest bits to the lowest.
#[derive(Clone, Copy, Debug, Default)]
struct Note(u32);

impl Note {
    /// The notes of a depth below [`MOST_DEPTHS`].
    #[inline]
    fn at(depth: usize) -> Self {
        let depth = u32::try_from(depth & (MOST_DEPTHS - 1)).unwrap_or_default();
        Self(depth << (KIND_BITS + OFFSET_BITS))
    }

    /// The note of what was listed at this depth, in a section of at most [`SECTION_BYTES`].
    #[inline]
    fn of(self, listed: Listed) -> Self {
        let kind = match listed.kind {
            BlockKind::Entries => 0,
            BlockKind::Tombstones => 1,
            BlockKind::ListAppends => 2,
            BlockKind::MapRemovals => 3,
        };
        Self(self.0 | kind << OFFSET_BITS | listed.offset)
    }

    #[inline]
    const fn depth(self) -> usize {
        (self.0 >> (KIND_BITS + OFFSET_BITS)) as usize
    }

    #[inline]
    fn listed(self) -> Listed {
        let kind = (self.0 >> OFFSET_BITS) as usize & ((1 << KIND_BITS) - 1);
        let [entries, ..] = KINDS;
        let offset = self.0 & ((1 << OFFSET_BITS) - 1);
        Listed { kind: KINDS.get(kind).copied().unwrap_or(entries), offset }
    }
}

/// The tags of the notes of a bucket, from the lowest byte on; 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Tags(u64);

impl Tags {
    /// The tag of a hash, never 0: its lowest bits, which decide upon nothing else.
    #[inline]
    const fn tag(hash: u64) -> u8 {
        let [tag, ..] = hash.to_le_bytes();
        if tag == 0 { 1 } else { tag }
    }

    /// How many there are.
    #[inline]
    const fn count(self) -> usize {
        (u64::BITS - self.0.leading_zeros()).div_ceil(u8::BITS) as usize
    }

    /// Adds that of a hash behind the others, so many, which are fewer than [`BUCKET`].
    #[inline]
    const fn with(self, count: usize, hash: u64) -> Self {
        Self(self.0 | (Self::tag(hash) as u64) << (count * u8::BITS as usize))
    }

    /// A bit, the highest, of each byte that is the tag of a hash.
    #[inline]
    const fn like(self, hash: u64) -> u64 {
        matching(self.0, Self::tag(hash))
    }
}

/// What one key group has of a state in its small sections; see the module's page.
#[derive(Debug)]
pub(crate) struct Joint {
    /// Of each bucket.
    tags: Box<[Tags]>,
    /// The buckets, from `start` on, which is the beginning of a cache line.
    notes: Box<[Note]>,
    start: usize,
    /// Notes that find room, so that not all buckets are full and every search ends.
    room: usize,
    /// Depths that are not covered, newest first.
    rest: Box<[usize]>,
    removes_maps: bool,
}

/// A segment in which a state has a section: the state's id there, and whether it may remove maps.
pub(crate) type Level<'s> = (&'s Segment, u16, bool);

impl Joint {
    fn with_room(room: usize) -> Self {
        let buckets = room / AVERAGE + 1;
        let notes = vec![Note::default(); buckets * BUCKET + LINE - 1].into_boxed_slice();
        let start = notes.as_ptr().align_offset(LINE * size_of::<Note>()).min(LINE - 1);
        Self {
            tags: vec![Tags::default(); buckets].into(),
            notes,
            start,
            room,
            rest: Box::default(),
            removes_maps: false,
        }
    }

    /// Where the search for a hash begins.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((hash & 0xFFFF_FFFF) as usize).wrapping_mul(self.tags.len()) >> 32
    }

    /// Where the notes of a bucket begin.
    #[inline]
    fn first_of(&self, bucket: usize) -> usize {
        bucket.wrapping_mul(BUCKET).wrapping_add(self.start)
    }

    /// The bucket behind one that is full.
    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 < self.tags.len() { bucket + 1 } else { 0 }
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
            let covered = (1..MOST_DEPTHS).contains(&depth);
            if covered && bytes <= SECTION_BYTES && sum + bytes <= JOINT_BYTES {
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
            let (mut complete, notes) = (true, Note::at(depth));
            segment.list(cache, *state, group, &mut |hash, listed| {
                complete &= joint.insert(hash, notes.of(listed));
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
    #[inline]
    fn insert(&mut self, hash: u64, note: Note) -> bool {
        let Some(room) = self.room.checked_sub(1) else {
            return false;
        };
        self.room = room;
        let mut bucket = self.home(hash);
        loop {
            let Some(tags) = self.tags.get_mut(bucket) else {
                return false;
            };
            let count = tags.count();
            if count < BUCKET {
                *tags = tags.with(count, hash);
                let at = self.first_of(bucket).wrapping_add(count);
                if let Some(slot) = self.notes.get_mut(at) {
                    *slot = note;
                }
                return true;
            }
            bucket = self.after(bucket);
        }
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
        size_of_val(&*self.tags) + size_of_val(&*self.notes) + size_of_val(&*self.rest)
    }

    /// The newest of the entries that may have this hash, below depth `upper`, for which `compare` has something.
    ///
    /// # Errors
    /// What `compare` returns.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        hash: u64,
        upper: usize,
        mut compare: impl FnMut(usize, Listed) -> Result<Option<T>>,
    ) -> Result<Option<(usize, T)>> {
        let mut bucket = self.home(hash);
        loop {
            let tags = self.tags.get(bucket).copied().unwrap_or_default();
            let mut like = tags.like(hash);
            while like != 0 {
                let at = self.first_of(bucket).wrapping_add(like.trailing_zeros() as usize / 8);
                let note = self.notes.get(at).copied().unwrap_or_default();
                if note.depth() < upper
                    && let Some(found) = compare(note.depth(), note.listed())?
                {
                    return Ok(Some((note.depth(), found)));
                }
                like &= like - 1;
            }
            if tags.count() < BUCKET {
                return Ok(None);
            }
            bucket = self.after(bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: usize) -> Listed {
        Listed { kind: BlockKind::Entries, offset: u32::try_from(offset).unwrap() }
    }

    #[test]
    fn notes_keep_what_they_were_made_of() {
        for kind in KINDS {
            for offset in [0, (1 << OFFSET_BITS) - 1] {
                let listed = Listed { kind, offset };
                for depth in [0, MOST_DEPTHS - 1] {
                    let note = Note::at(depth).of(listed);
                    assert_eq!((note.depth(), note.listed()), (depth, listed));
                }
            }
        }
    }

    #[test]
    fn tags_tell_how_many_there_are_and_which_are_alike() {
        let mut tags = Tags::default();
        for count in 0..BUCKET {
            let hash = 0xABCD_EF00 + count as u64 * 37;
            assert_eq!((tags.count(), tags.like(hash)), (count, 0));
            tags = tags.with(count, hash);
            assert_eq!(tags.like(hash), 0x80 << (count * 8));
        }
        assert_eq!(tags.count(), BUCKET);
    }

    #[test]
    fn the_newest_below_a_depth_is_found_however_often_a_hash_occurs() {
        let mut joint = Joint::with_room(78);
        for depth in (1..40_usize).rev() {
            assert!(joint.insert(42, Note::at(depth).of(entry(depth))));
            let other = u64::MAX - depth as u64;
            assert!(joint.insert(other, Note::at(depth).of(entry(depth + 100))));
        }
        assert!(!joint.insert(7, Note::at(1).of(entry(1))), "there is no room");
        for upper in 2..50_usize {
            let found = joint.find(42, upper, |_, at| Ok((at.offset < 100).then_some(at)));
            let newest = (upper - 1).min(39);
            assert_eq!(found.unwrap(), Some((newest, entry(newest))));
        }
        assert_eq!(joint.find(42, 1, |_, at| Ok(Some(at))).unwrap(), None);
        assert_eq!(joint.find(7 << 36, usize::MAX, |_, at| Ok(Some(at))).unwrap(), None);
        let empty = Joint::with_room(0);
        assert_eq!(empty.find(42, usize::MAX, |_, at| Ok(Some(at))).unwrap(), None);
    }

    #[test]
    fn buckets_are_lines_and_one_that_is_full_goes_on_in_the_next() {
        for room in [0, 1, 4, 5, 6, 100, 1_000] {
            let mut joint = Joint::with_room(room);
            let first = joint.notes.get(joint.start..).unwrap().as_ptr();
            assert_eq!(first.addr() % 64, 0);
            // The last bucket is everybody's home.
            let hash = |number: usize| u64::MAX << 32 ^ (number as u64) << 40 | 0xFFFF_FFFF;
            for number in 0..room {
                assert!(joint.insert(hash(number), Note::at(1).of(entry(number))));
            }
            for number in 0..room {
                let found =
                    joint.find(hash(number), 2, |_, at| Ok((at == entry(number)).then_some(())));
                assert_eq!(found.unwrap(), Some((1, ())), "{number} of {room}");
            }
        }
    }
}
