//! [`Tier`]: a table of sets that grows up to its share of memory, and is left alone where it does not pay.
//!
//! # How
//! It begins small and starts over twice as large when so many entries had to go that memory is what is
//! missing: more than it has sets, and one for each few look-ups. What is read again within that memory is
//! then there; a table that is no larger has more of its lines in the processor's caches. Where that is little, as in uniform
//! reads of far more state, most of what is added only drives out what nobody asks for: the tier then
//! uses one set in 16 and goes by the others, until those show that it would pay again.

use super::buffer::{Buffer, Found};

/// Bytes of a tier that was used for the first time.
const FIRST_BYTES: usize = 64 << 10;
/// How many times as large it becomes.
const GROWTH: usize = 2;
/// Look-ups for each entry that had to go, where memory is not what is missing.
const RARELY: u64 = 64;
/// One set of so many goes on being used where the tier does not pay.
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
}

/// Entries in sets of `N` bytes.
pub(super) trait Table<const N: usize> {
    /// The sets.
    fn sets(&self) -> &Buffer<N>;

    /// The sets, to be resized or emptied.
    fn sets_mut(&mut self) -> &mut Buffer<N>;

    /// The value of an entry that belongs in a set.
    fn find(&self, set: usize, mark: Mark, key: &[u8]) -> Option<Found>;

    /// Adds an entry that is not there; returns how many others had to go, or none where it has no room at all.
    fn add(&mut self, set: usize, mark: Mark, key: &[u8], value: &[u8]) -> Option<usize>;
}

/// A table with its policy; see the module's page.
#[derive(Debug)]
pub(super) struct Tier<T, const N: usize> {
    table: T,
    /// Sets at most.
    most: usize,
    /// Entries that had to go since the table has this size.
    gone: usize,
    /// Look-ups until then.
    before: u64,
    pays: bool,
    /// Since the store was opened.
    hits: u64,
    misses: u64,
    /// Misses after which entries were added that cost no other its place.
    gained: u64,
    /// What the three were at the last judgement.
    judged: [u64; 3],
}

impl<T: Table<N>, const N: usize> Tier<T, N> {
    /// An empty tier.
    pub(super) const fn new(table: T) -> Self {
        Self {
            table,
            most: 0,
            gone: 0,
            before: 0,
            pays: true,
            hits: 0,
            misses: 0,
            gained: 0,
            judged: [0; 3],
        }
    }

    /// From now on it takes at most so many bytes.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.most = bytes / N;
        if self.table.sets().sets() > self.most {
            self.table.sets_mut().resize(0);
        }
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.table.sets_mut().clear();
        (self.gone, self.before) = (0, self.looked_up());
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> u64 {
        self.table.sets().held_bytes() as u64
    }

    /// Hits and misses.
    pub(super) const fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    const fn looked_up(&self) -> u64 {
        self.hits.wrapping_add(self.misses)
    }

    /// The set of a hash, which is asked for, so that it is there soon; none where it is not used.
    #[inline]
    pub(super) fn set_of(&self, hash: u64) -> Option<usize> {
        let sets = self.table.sets();
        let set = sets.set_of(hash);
        if !self.pays && !set.is_multiple_of(SAMPLE) {
            return None;
        }
        sets.prefetch(set);
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
        self.table.sets().lend(found)
    }

    /// Adds an entry that is not there. Each miss of a reader leads here, so that judgement is passed here, too.
    pub(super) fn add(&mut self, hash: u64, mark: Mark, key: &[u8], value: &[u8]) {
        if self.table.sets().sets() == 0 {
            self.table.sets_mut().resize(self.most.min(FIRST_BYTES / N));
        }
        let [hits, misses, _] = self.judged;
        let since = self.hits.wrapping_sub(hits).wrapping_add(self.misses.wrapping_sub(misses));
        if since >= WINDOW {
            self.judge();
        }
        let Some(set) = self.set_of(hash) else {
            return;
        };
        let sets = self.table.sets().sets();
        if let Some(gone) = self.table.add(set, mark, key, value) {
            self.gone += gone;
            self.gained += u64::from(gone == 0 || sets < self.most);
        }
        let since = self.looked_up().wrapping_sub(self.before);
        let often = (self.gone as u64).saturating_mul(RARELY) > since;
        if sets < self.most && self.gone > sets && often {
            self.table.sets_mut().resize(self.most.min(sets.saturating_mul(GROWTH)));
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
        self.pays = hits.saturating_mul(WORTH) >= misses.saturating_sub(gained);
        self.judged = now;
    }
}
