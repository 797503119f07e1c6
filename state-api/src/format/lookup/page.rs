//! A lookup page: buckets of a cache line, and the search in them.
//!
//! | offset in a bucket | type | field |
//! |---|---|---|
//! | 0 | 10 x `u8` | tags; 0 where the slot is free |
//! | 10 | 10 x 5 bytes | slots: number of the data block `<< 12`, offset in its raw bytes |
//! | 60 | `u8` | 1 if the search goes on in the next bucket |
//! | 61 | `u8` | of the first bucket: 1 if entries found no room in the page |
//! | 62 | 2 bytes | reserved |

use super::{
    BUCKET_BYTES, HEADER_BYTES, MOST_BLOCKS, MOST_BUCKETS, OFFSET_BITS, SLOTS, Shape, home_of,
    tag_of,
};

/// Where the slots begin in a bucket.
const SLOTS_AT: usize = SLOTS;
const SLOT_BYTES: usize = 5;
const SLOT_MASK: u64 = (1 << (8 * SLOT_BYTES)) - 1;
const WENT_ON_AT: usize = 60;
const FULL_AT: usize = 61;

pub(super) type Bucket = [u8; BUCKET_BYTES];

/// Where an entry is: what a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of its data block; see [`Directory::block`](super::Directory::block).
    pub block: u32,
    /// Where it begins in the block's raw bytes.
    pub offset: u32,
}

impl Place {
    pub(super) fn packed(self) -> u64 {
        debug_assert!((self.block as usize) < MOST_BLOCKS && self.offset < 1 << OFFSET_BITS);
        (u64::from(self.block) << OFFSET_BITS) | u64::from(self.offset)
    }

    #[inline]
    pub(super) const fn unpacked(slot: u64) -> Self {
        let offset = slot & ((1 << OFFSET_BITS) - 1);
        Self { block: ((slot & SLOT_MASK) >> OFFSET_BITS) as u32, offset: offset as u32 }
    }
}

/// The slot at `index`. Eight bytes are read, the last of which are none of its own.
#[inline]
fn slot(bucket: &Bucket, index: usize) -> u64 {
    let bytes = bucket.get(SLOTS_AT + SLOT_BYTES * index..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes) & SLOT_MASK)
}

/// A bit for each slot whose tag is `tag`: eight tags at a time are compared in a word.
#[inline]
fn matching(bucket: &Bucket, tag: u8) -> u64 {
    const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // The highest bit of each byte that is equal.
    let equal = |word: u64| {
        let differs = word ^ u64::from(tag).wrapping_mul(0x0101_0101_0101_0101);
        !(((differs & SEVEN) + SEVEN) | differs | SEVEN)
    };
    let ([first, second, ..], _) = bucket.as_chunks() else { return 0 };
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    // The product has the eight bits side by side in its highest byte.
    let first = (equal(first) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let second = equal(second);
    first | (second & 0x80) << 1 | (second & 0x8000) >> 6
}

/// The bucket in which the search for an entry begins, and mostly ends; of a verified page.
#[derive(Clone, Debug)]
pub struct HomeBucket<'a> {
    bucket: &'a [u8; BUCKET_BYTES],
    /// Slots that were not told yet.
    found: u64,
}

impl<'a> HomeBucket<'a> {
    /// The home of `hash`, whose bytes are where [`Directory::home_of`](super::Directory::home_of) says.
    #[inline]
    pub fn new(bucket: &'a [u8; BUCKET_BYTES], hash: u64) -> Self {
        Self { bucket, found: matching(bucket, tag_of(hash)) }
    }

    /// Whether an entry that is at none of the places does not exist; if not, the search in the
    /// [page](LookupPage::beyond_home) tells.
    #[inline]
    pub const fn is_all(&self) -> bool {
        let [.., went_on, _, _, _] = self.bucket;
        *went_on == 0
    }
}

/// Where the entry may be.
impl Iterator for HomeBucket<'_> {
    type Item = Place;

    #[inline]
    fn next(&mut self) -> Option<Place> {
        if self.found == 0 {
            return None;
        }
        let index = self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(Place::unpacked(slot(self.bucket, index)))
    }
}

/// The buckets of a verified lookup page.
#[derive(Clone, Copy, Debug)]
pub struct LookupPage<'a> {
    buckets: &'a [Bucket],
}

impl<'a> LookupPage<'a> {
    /// The page with these buckets, which [`StateFile::verify_page`](crate::format::StateFile::verify_page)
    /// found to be right before; they are where [`Directory::buckets`](super::Directory::buckets) says.
    /// Other bytes lead to places that make no sense, and to nothing worse.
    #[inline]
    pub const fn new(buckets: &'a [u8]) -> Self {
        Self { buckets: buckets.as_chunks().0 }
    }

    /// Where the entry with this hash may be: at each place is an entry with a hash like it.
    #[inline]
    pub fn candidates(&self, hash: u64) -> Candidates<'a> {
        let mut candidates = self.beyond_home(hash);
        let home = self.buckets.get(candidates.home);
        candidates.found = home.map_or(0, |bucket| matching(bucket, candidates.tag));
        candidates
    }

    /// The same without those in the [home bucket](HomeBucket), for who has seen them.
    #[inline]
    pub fn beyond_home(&self, hash: u64) -> Candidates<'a> {
        #[expect(clippy::cast_possible_truncation, reason = "a page has at most 512")]
        let home = home_of(hash, self.buckets.len() as u32) as usize;
        let tag = tag_of(hash);
        Candidates { buckets: self.buckets, tag, at: home, home, found: 0, complete: true }
    }

    /// Decodes the stored bytes of a page's block, whose header is at `at` and says `count`.
    pub(crate) fn decode(stored: &'a [u8], count: u32, at: u64) -> Result<Self, &'static str> {
        let padding = usize::try_from(Shape::lead(at) - HEADER_BYTES).unwrap_or_default();
        let (zeros, buckets) =
            stored.split_at_checked(padding).ok_or("a lookup page is cut off")?;
        let (buckets, left) = buckets.as_chunks();
        if !(1..=MOST_BUCKETS as usize).contains(&buckets.len()) || !left.is_empty() {
            return Err("a lookup page has an impossible length");
        }
        let page = Self { buckets };
        let used = page.places().count();
        if !page.is_well_formed() || used != count as usize || zeros.iter().any(|byte| *byte != 0) {
            return Err("a lookup page contradicts itself");
        }
        Ok(page)
    }

    /// The number of buckets.
    pub(crate) const fn buckets(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a page has at most 512")]
        let buckets = self.buckets.len() as u32;
        buckets
    }

    /// Whether entries found no room.
    pub(super) fn is_full(&self) -> bool {
        self.buckets.first().is_some_and(|bucket| bucket.get(FULL_AT) == Some(&1))
    }

    /// All places with their tags.
    pub(super) fn places(&self) -> impl Iterator<Item = (u8, Place)> + use<'a> {
        self.buckets.iter().flat_map(|bucket| {
            let tags = bucket.iter().take(SLOTS).enumerate().filter(|(_, tag)| **tag != 0);
            tags.map(|(index, tag)| (*tag, Place::unpacked(slot(bucket, index))))
        })
    }

    /// Whether free slots and what is reserved are 0, and flags are 0 or 1.
    fn is_well_formed(&self) -> bool {
        self.buckets.iter().enumerate().all(|(at, bucket)| {
            let free = |index: usize| bucket.get(index) == Some(&0);
            let slots = (0..SLOTS).all(|index| !free(index) || slot(bucket, index) == 0);
            let [.., went_on, full, reserved, also_reserved] = bucket;
            let most_full = u8::from(at == 0);
            slots && *went_on <= 1 && *full <= most_full && (*reserved, *also_reserved) == (0, 0)
        })
    }
}

/// Where an entry may be, found by its hash.
#[derive(Clone, Debug)]
pub struct Candidates<'a> {
    buckets: &'a [Bucket],
    tag: u8,
    at: usize,
    home: usize,
    /// Slots of the bucket that were not told yet.
    found: u64,
    complete: bool,
}

impl Candidates<'_> {
    /// After the last place: whether there is no other. If not, the page could not take all its entries,
    /// and only the ordered blocks tell whether the section has the entry.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Goes on to the next bucket; `false` if the search is over.
    #[inline]
    fn go_on(&mut self) -> bool {
        let bucket = self.buckets.get(self.at);
        if bucket.is_none_or(|bucket| bucket.get(WENT_ON_AT) != Some(&1)) {
            return false;
        }
        self.next_bucket()
    }

    #[cold]
    fn next_bucket(&mut self) -> bool {
        let next = self.at + 1;
        self.at = if next < self.buckets.len() { next } else { 0 };
        if self.at == self.home {
            // L2: every bucket was seen.
            self.complete = !LookupPage { buckets: self.buckets }.is_full();
            self.buckets = &[];
            return false;
        }
        self.found = self.buckets.get(self.at).map_or(0, |bucket| matching(bucket, self.tag));
        true
    }
}

impl Iterator for Candidates<'_> {
    type Item = Place;

    #[inline]
    fn next(&mut self) -> Option<Place> {
        while self.found == 0 {
            if !self.go_on() {
                return None;
            }
        }
        let index = self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        self.buckets.get(self.at).map(|bucket| Place::unpacked(slot(bucket, index)))
    }
}

/// Fills a slot.
fn put(bucket: &mut Bucket, index: usize, tag: u8, place: Place) {
    if let Some(slot) = bucket.get_mut(index) {
        *slot = tag;
    }
    let slot = bucket.get_mut(SLOTS_AT + SLOT_BYTES * index..);
    let slot = slot.and_then(|slot| slot.first_chunk_mut::<SLOT_BYTES>());
    if let (Some(slot), Some(bytes)) = (slot, place.packed().to_le_bytes().first_chunk()) {
        *slot = *bytes;
    }
}

/// Puts an entry into the page; `false` if it has no room.
pub(super) fn insert(buckets: &mut [Bucket], hash: u64, place: Place) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "a page has at most 512")]
    let home = home_of(hash, buckets.len() as u32) as usize;
    let (before, from) = buckets.split_at_mut_checked(home).unwrap_or_default();
    for bucket in from.iter_mut().chain(before) {
        let free = matching(bucket, 0).trailing_zeros() as usize;
        if free < SLOTS {
            put(bucket, free, tag_of(hash), place);
            return true;
        }
        if let Some(went_on) = bucket.get_mut(WENT_ON_AT) {
            *went_on = 1;
        }
    }
    if let Some(full) = buckets.first_mut().and_then(|bucket| bucket.get_mut(FULL_AT)) {
        *full = 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_exactly() {
        let mut bucket: Bucket = std::array::from_fn(|at| u8::try_from(at * 37 % 256).unwrap());
        for round in 0..=255_u8 {
            bucket[usize::from(round) % SLOTS] = round ^ 0x81;
            bucket[usize::from(round) * 7 % SLOTS] = round;
            for tag in 0..=255 {
                let found = matching(&bucket, tag);
                let expected = (0..SLOTS).filter(|slot| bucket[*slot] == tag);
                let expected = expected.fold(0, |bits, slot| bits | 1 << slot);
                assert_eq!(found, expected, "{bucket:?} {tag}");
            }
        }
    }
}
