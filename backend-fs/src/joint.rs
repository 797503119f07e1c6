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
//! entry; 8 bytes of memory each. A search looks at one line of memory, its home; of one search in 33 for what is
//! not there, also at an entry. Bits of the hash in the notes, too, spared these the second one, and made all others
//! dearer by half; tags apart from the notes, 2 bytes of the 8, made a second line of each search that finds something.

use alluvium_backend_memory::{matching_bytes, prefetch};
use alluvium_state_api::format::BlockKind;
use alluvium_state_api::{KeyGroup, Result};

use crate::segment::{BlockCache, KINDS, Listed, Segment, Widths};

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

/// Notes of a bucket, which fill a cache line with their tags.
const BUCKET: usize = 12;
/// Notes of a bucket on average, at most.
const AVERAGE: usize = 8;
/// How many sections ahead of the one that is listed are asked for.
const AHEAD: usize = 2;

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

/// Notes with the same home or homes nearby.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// The tags of the notes, and behind them, how many there are.
    head: [u8; BUCKET + 4],
    notes: [Note; BUCKET],
}

const _: () = assert!(size_of::<Bucket>() == 64, "a cache line");

impl Bucket {
    const EMPTY: Self = Self { head: [0; BUCKET + 4], notes: [Note(0); BUCKET] };

    /// The tag of a hash, never 0: its lowest bits, which decide upon nothing else.
    #[inline]
    const fn tag(hash: u64) -> u8 {
        let [tag, ..] = hash.to_le_bytes();
        if tag == 0 { 1 } else { tag }
    }

    /// How many notes there are.
    #[inline]
    const fn count(&self) -> usize {
        let [.., count, _, _, _] = self.head;
        count as usize
    }

    /// Adds a note of this hash behind the others; `false` where there are [`BUCKET`] of them.
    #[inline]
    fn push(&mut self, hash: u64, note: Note) -> bool {
        let count = self.count();
        let Some(place) = self.notes.get_mut(count) else {
            return false;
        };
        *place = note;
        if let Some(tag) = self.head.get_mut(count) {
            *tag = Self::tag(hash);
        }
        let [.., of_head, _, _, _] = &mut self.head;
        *of_head = of_head.wrapping_add(1);
        true
    }

    /// A bit for each note that has the tag of a hash.
    #[inline]
    fn like(&self, hash: u64) -> u32 {
        matching_bytes(&self.head, Self::tag(hash)) & ((1 << BUCKET) - 1)
    }
}

/// What one key group has of a state in its small sections; see the module's page.
#[derive(Debug)]
pub(crate) struct Joint {
    buckets: Box<[Bucket]>,
    /// By depth: where sections begin that are covered.
    starts: Box<[u64]>,
    /// Bytes of each key and each entry, where all values that are noted lie in maps and have the same.
    widths: Option<Widths>,
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
        Self {
            buckets: vec![Bucket::EMPTY; room / AVERAGE + 1].into(),
            starts: Box::default(),
            widths: None,
            room,
            rest: Box::default(),
            removes_maps: false,
        }
    }

    /// Where the search for a hash begins.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((hash & 0xFFFF_FFFF) as usize).wrapping_mul(self.buckets.len()) >> 32
    }

    /// The bucket behind one that is full.
    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 < self.buckets.len() { bucket + 1 } else { 0 }
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
            let Some((range, entries)) = level.0.extent_of(level.1, group) else { continue };
            let bytes = range.end.saturating_sub(range.start);
            // The oldest has most entries, and lookups for them.
            let covered = (1..MOST_DEPTHS).contains(&depth);
            if covered && bytes <= SECTION_BYTES && sum + bytes <= JOINT_BYTES {
                small.push((depth, level, range.start));
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
        joint.starts = vec![0; levels.len()].into();
        let mut widths = small.iter().map(|(_, (segment, state, _), _)| segment.widths(*state));
        joint.widths =
            widths.next().flatten().filter(|first| widths.all(|other| other == Some(*first)));
        for (index, (depth, (segment, state, removes_maps), start)) in small.iter().enumerate() {
            if let Some((_, (later, state, _), _)) = small.get(index + AHEAD) {
                later.ask_for_section(*state, group);
            }
            let (mut complete, notes, depth) = (true, Note::at(*depth), *depth);
            if let Some(of_depth) = joint.starts.get_mut(depth) {
                *of_depth = *start;
            }
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
        let mut at = self.home(hash);
        loop {
            let Some(bucket) = self.buckets.get_mut(at) else {
                return false;
            };
            if bucket.push(hash, note) {
                return true;
            }
            at = self.after(at);
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
        size_of_val(&*self.buckets) + size_of_val(&*self.starts) + size_of_val(&*self.rest)
    }

    /// Asks the processor to load where the search for a hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(self.buckets.as_ptr().wrapping_add(self.home(hash)).cast());
    }

    /// Where the entry of fixed widths is that was noted, if all are such, and lie in maps.
    #[inline]
    pub(crate) fn plain(&self, depth: usize, listed: Listed) -> Option<(u64, Widths)> {
        let widths = self.widths.filter(|_| listed.kind == BlockKind::Entries)?;
        Some((self.starts.get(depth)?.wrapping_add(u64::from(listed.offset)), widths))
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
        let mut at = self.home(hash);
        loop {
            let Some(bucket) = self.buckets.get(at) else {
                return Ok(None);
            };
            let mut like = bucket.like(hash);
            while like != 0 {
                let note = bucket.notes.get(like.trailing_zeros() as usize).copied();
                let note = note.unwrap_or_default();
                if note.depth() < upper
                    && let Some(found) = compare(note.depth(), note.listed())?
                {
                    return Ok(Some((note.depth(), found)));
                }
                like &= like - 1;
            }
            if bucket.count() < BUCKET {
                return Ok(None);
            }
            at = self.after(at);
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
    fn buckets_tell_how_many_there_are_and_which_are_alike() {
        let mut bucket = Bucket::EMPTY;
        for count in 0..BUCKET {
            // The first one's tag is 0; no other's is the number of notes.
            let hash = 0xABCD_EF00 + count as u64 * 37;
            assert_eq!((bucket.count(), bucket.like(hash)), (count, 0));
            assert!(bucket.push(hash, Note::at(count)));
            assert_eq!(bucket.like(hash), 1 << count);
            assert_eq!(bucket.notes[count].depth(), count);
        }
        assert_eq!(bucket.count(), BUCKET);
        assert!(!bucket.push(1, Note::at(1)), "it is full");
        assert_eq!(bucket.like(BUCKET as u64), 0, "the number is no tag");
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
    fn a_bucket_that_is_full_goes_on_in_the_next() {
        for room in [0, 1, 7, 8, 9, 100, 1_000] {
            let mut joint = Joint::with_room(room);
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
