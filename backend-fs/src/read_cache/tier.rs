//! [`Tier`]: a table of sets that grows up to its share of memory, and is left alone where it does not pay.
//!
//! # How
//! It begins small and starts over twice as large when so many entries had to go that memory is what is
//! missing: one for each few sets, and for each few look-ups. What is read again within that memory is
//! then there; a table that is no larger has more of its lines in the processor's caches. Where that is little, as in uniform
//! reads of far more state, most of what is added only drives out what nobody asks for: the tier then
//! uses one set in 16 and goes by the others, until those show that it would pay again.

use super::buffer::Found;
use super::copies::Counts;
use super::slots::Slots;

/// Bytes of a tier that was used for the first time.
const FIRST_BYTES: usize = 64 << 10;
/// How many times as large it becomes.
const GROWTH: usize = 2;
/// One entry that had to go for so many sets says that it is too small.
const FEW: usize = 8;
/// Look-ups for each entry that had to go, where memory is not what is missing.
const RARELY: u64 = 64;
/// One set of so many, a power of two, goes on being used where the tier does not pay.
const SAMPLE: usize = 16;
/// Look-ups between two judgements.
const WINDOW: u64 = 1 << 14;
/// A hit is worth so many entries that drove out others.
const WORTH: u64 = 8;

/// What an entry is told by besides its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The number of the state.
    pub(super) state: u8,
    /// A byte of the key's hash, combined with the number of the state: no key has the same in two states.
    pub(super) tag: u8,
    /// Other bits of the hash: where in its set the entry had best be.
    pub(super) rest: u32,
}

/// Entries in sets.
pub(super) trait Table {
    /// Bytes of a set.
    fn set_bytes(&self) -> usize;

    /// How many sets there are.
    fn sets(&self) -> usize;

    /// Starts over with so many sets, all empty.
    fn resize(&mut self, sets: usize);

    /// Empties all sets.
    fn clear(&mut self);

    /// Bytes of memory.
    fn held_bytes(&self) -> usize;

    /// The set in which an entry with this hash belongs.
    fn set_of(&self, hash: u64) -> usize;

    /// Asks the processor to load what a look for an entry begins with.
    fn prefetch(&self, set: usize, mark: Mark);

    /// The value of an entry that belongs in a set.
    fn find(&self, set: usize, mark: Mark, key: &[u8]) -> Option<Found>;

    /// The value that was found.
    fn lend(&self, found: Found) -> &[u8];

    /// Adds an entry that is not there; returns how many others had to go, or none where it has no room at all.
    fn add(&mut self, set: usize, mark: Mark, key: &[u8], value: &[u8]) -> Option<usize>;
}

/// A table with its policy; see the module's page.
#[derive(Debug)]
pub(super) struct Tier<T> {
    table: T,
    /// Sets at most.
    most: usize,
    /// Entries that had to go since the table has this size.
    gone: usize,
    /// Look-ups until then.
    before: u64,
    /// Sets with one of these bits in their number are not used: [`SAMPLE`] - 1, or none where it pays.
    skipped: usize,
    /// Since the store was opened.
    hits: u64,
    misses: u64,
    /// Misses after which entries were added that cost no other its place.
    gained: u64,
    /// Entries that had to go although the table is as large as it may be.
    driven_out: u64,
    /// What the first three were at the last judgement.
    judged: [u64; 3],
}

impl<T: Table> Tier<T> {
    /// An empty tier.
    pub(super) const fn new(table: T) -> Self {
        Self {
            table,
            most: 0,
            gone: 0,
            before: 0,
            skipped: 0,
            hits: 0,
            misses: 0,
            gained: 0,
            driven_out: 0,
            judged: [0; 3],
        }
    }

    /// From now on it takes at most so many bytes.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.most = bytes / self.table.set_bytes();
        if self.table.sets() > self.most {
            self.table.resize(0);
        }
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        (self.gone, self.before) = (0, self.looked_up());
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> u64 {
        self.table.held_bytes() as u64
    }

    /// Hits and misses.
    pub(super) const fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    const fn looked_up(&self) -> u64 {
        self.hits.wrapping_add(self.misses)
    }

    /// The set of a hash; none where it is not used.
    #[inline]
    fn used_set(&self, hash: u64) -> Option<usize> {
        let set = self.table.set_of(hash);
        (set & self.skipped == 0).then_some(set)
    }

    /// The same; what a look for an entry begins with is asked for, so that it is there soon.
    #[inline]
    pub(super) fn set_of(&self, hash: u64, mark: Mark) -> Option<usize> {
        let set = self.used_set(hash)?;
        self.table.prefetch(set, mark);
        Some(set)
    }

    /// The value of an entry.
    #[inline]
    pub(super) fn find(&mut self, set: usize, mark: Mark, key: &[u8]) -> Option<Found> {
        let found = self.table.find(set, mark, key);
        let count = if found.is_some() { &mut self.hits } else { &mut self.misses };
        *count = count.wrapping_add(1);
        found
    }

    /// Whether an entry is there; counts nothing.
    #[inline]
    pub(super) fn holds(&self, set: usize, mark: Mark, key: &[u8]) -> bool {
        self.table.find(set, mark, key).is_some()
    }

    /// The value that was found.
    #[inline]
    pub(super) fn lend(&self, found: Found) -> &[u8] {
        self.table.lend(found)
    }

    /// Adds an entry that is not there. Each miss of a reader leads here, so that judgement is passed here, too.
    pub(super) fn add(&mut self, hash: u64, mark: Mark, key: &[u8], value: &[u8]) {
        if self.table.sets() == 0 {
            self.table.resize(self.most.min(FIRST_BYTES / self.table.set_bytes()));
        }
        let [hits, misses, _] = self.judged;
        let since = self.hits.wrapping_sub(hits).wrapping_add(self.misses.wrapping_sub(misses));
        if since >= WINDOW {
            self.judge();
        }
        let Some(set) = self.used_set(hash) else {
            return;
        };
        let sets = self.table.sets();
        if let Some(gone) = self.table.add(set, mark, key, value) {
            self.gone += gone;
            self.gained += u64::from(gone == 0 || sets < self.most);
            self.driven_out += if sets < self.most { 0 } else { gone as u64 };
        }
        let since = self.looked_up().wrapping_sub(self.before);
        let often = (self.gone as u64).saturating_mul(RARELY) > since;
        if sets < self.most && self.gone > sets / FEW && often {
            self.table.resize(self.most.min(sets.saturating_mul(GROWTH)));
            (self.gone, self.before) = (0, self.looked_up());
        }
    }

    #[cold]
    fn judge(&mut self) {
        let now = [self.hits, self.misses, self.gained];
        let [hits, misses, gained] = std::array::from_fn(|at| {
            let value = |of: &[u64; 3]| of.get(at).copied().unwrap_or_default();
            value(&now).wrapping_sub(value(&self.judged))
        });
        let pays = hits.saturating_mul(WORTH) >= misses.saturating_sub(gained);
        self.skipped = if pays { 0 } else { SAMPLE - 1 };
        self.judged = now;
    }
}

impl Tier<Slots> {
    /// The value of a key, both of 8 bytes, unless a closer look is needed; counts if it is there.
    #[expect(clippy::inline_always, reason = "so that it travels in a register")]
    #[inline(always)]
    pub(super) fn eight(&mut self, hash: u64, mark: Mark, key: [u8; 8]) -> Option<u64> {
        let value = self.table.eight(self.used_set(hash)?, mark, key)?;
        self.hits = self.hits.wrapping_add(1);
        Some(value)
    }

    /// Asks the processor to load what a look for an entry begins with.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64, mark: Mark) {
        self.table.prefetch(self.table.set_of(hash), mark);
    }

    /// What became of look-ups.
    pub(super) const fn counts(&self) -> Counts {
        Counts { hits: self.hits, misses: self.misses, driven_out: self.driven_out }
    }

    /// Gives an entry another value, if it is there; counts nothing.
    #[inline]
    pub(super) fn overwrite(&mut self, hash: u64, mark: Mark, key: [u8; 8], value: [u8; 8]) {
        // Also where sets are not used for the time being: they will be again.
        self.table.overwrite(self.table.set_of(hash), mark, key, value);
    }

    /// Whether an entry is there, or none can be, since its set is not used; counts nothing.
    pub(super) fn has(&self, hash: u64, mark: Mark, key: &[u8]) -> bool {
        self.used_set(hash).is_none_or(|set| self.holds(set, mark, key))
    }

    /// Takes away an entry, if it is there.
    #[inline]
    pub(super) fn forget(&mut self, hash: u64, mark: Mark, key: &[u8]) {
        // Also where sets are not used for the time being: they will be again.
        self.table.forget(self.table.set_of(hash), mark, key);
    }

    /// Asks the processor to load the slot where an entry seems to be; the head of its set should have come.
    #[inline]
    pub(super) fn prefetch_slot(&self, hash: u64, mark: Mark) {
        self.table.prefetch_slot(self.table.set_of(hash), mark);
    }
}
