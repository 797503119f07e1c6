//! [`Copies`]: whether the read cache holds entries of the layer, too.
//!
//! # Why
//! Where reads find some entries in the layer and others in the cache, nobody can foretell which of the two has the next
//! one: one branch in three goes wrong, just when the processor waits for memory, and both tables are asked. A cache
//! that has copies of the layer's entries is the only one that is asked. They cost memory, within its bound, and
//! each write of an entry that is copied a second one, so that they are made only where reads show that it pays.
//!
//! # Invariants
//! C1. While there are copies, whoever changes an entry of the layer tells the cache.

/// Reads between two judgements.
const WINDOW: u64 = 4 << 10;
/// One read of so many has to find its entry in the layer, and one in the cache.
const MIXED: u64 = 8;
/// One read of so many may drive out another's entry.
const CROWDED: u64 = 8;
/// One read of so many may find its entry in the layer only, where the layer is not asked before the cache was.
const RARE: u64 = 16;

/// Reads, and what became of them, since the store was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Found in the cache.
    pub(super) hits: u64,
    /// Not found there.
    pub(super) misses: u64,
    /// Entries that drove out others although the cache is as large as it may be.
    pub(super) driven_out: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    NotYet,
    /// Many entries have none yet.
    Coming,
    There,
    /// There is not enough room.
    GivenUp,
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Copies {
    stage: Stage,
    /// Reads that found their entry in the layer.
    above: u64,
    /// What the counts were at the last judgement, and `above`.
    judged: (Counts, u64),
}

impl Copies {
    /// Whether copies are made.
    #[inline]
    pub(super) fn are_made(&self) -> bool {
        matches!(self.stage, Stage::Coming | Stage::There)
    }

    /// Whether most entries that are read have one.
    #[inline]
    pub(super) fn are_there(&self) -> bool {
        self.stage == Stage::There
    }

    /// Counts a read that found its entry in the layer.
    #[inline]
    pub(super) fn found_above(&mut self) {
        self.above = self.above.wrapping_add(1);
    }

    /// The cache is empty, and the layer another one.
    pub(super) fn start_over(&mut self) {
        self.stage = Stage::NotYet;
    }

    /// Looks at what became of reads; says whether the copies have to go, and with them everything.
    pub(super) fn judge(&mut self, now: Counts) -> bool {
        let (before, above) = self.judged;
        let hits = now.hits.wrapping_sub(before.hits);
        let above = self.above.wrapping_sub(above);
        let misses = now.misses.wrapping_sub(before.misses);
        let reads = hits.saturating_add(above).saturating_add(misses);
        if reads < WINDOW {
            return false;
        }
        self.judged = (now, self.above);
        let driven_out = now.driven_out.wrapping_sub(before.driven_out);
        let is_one_of = |count: u64, so_many: u64| count.saturating_mul(so_many) >= reads;
        let next = match self.stage {
            Stage::NotYet if is_one_of(hits.min(above), MIXED) => Stage::Coming,
            Stage::Coming | Stage::There if is_one_of(driven_out, CROWDED) => Stage::GivenUp,
            Stage::Coming if !is_one_of(above, RARE) => Stage::There,
            Stage::There if is_one_of(above, RARE / 2) => Stage::Coming,
            as_before => as_before,
        };
        let is_over = self.are_made() && next == Stage::GivenUp;
        self.stage = next;
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Counts = Counts { hits: 0, misses: 0, driven_out: 0 };

    fn reading(above: u64, hits: u64) -> Copies {
        let mut copies = Copies::default();
        (0..above).for_each(|_| copies.found_above());
        assert!(!copies.judge(Counts { hits, ..NOTHING }));
        copies
    }

    #[test]
    fn copies_are_made_where_both_are_read() {
        assert!(reading(WINDOW / 2, WINDOW / 2).are_made());
        assert!(!reading(WINDOW, 0).are_made());
        assert!(!reading(0, WINDOW).are_made());
        assert!(!reading(WINDOW / 2, WINDOW / 2 - 1).are_made(), "too few reads say nothing");
    }

    #[test]
    fn the_layer_is_asked_first_again_where_many_have_none() {
        let mut copies = reading(WINDOW, WINDOW);
        for (hits, above, there) in
            [(3, 0, true), (5, 1, false), (6, 1, false), (8, 0, true), (40, 2, true)]
        {
            (0..above * WINDOW).for_each(|_| copies.found_above());
            assert!(!copies.judge(Counts { hits: hits * WINDOW, ..NOTHING }));
            assert_eq!(copies.are_there(), there, "{hits} {above}");
            assert!(copies.are_made());
        }
    }

    #[test]
    fn they_go_where_there_is_no_room_and_come_again_with_another_layer() {
        let mut copies = reading(WINDOW, WINDOW);
        assert!(copies.are_made() && !copies.are_there());
        let enough = Counts { hits: 3 * WINDOW, misses: 9, driven_out: 9 };
        assert!(!copies.judge(enough));
        assert!(copies.are_made() && copies.are_there());
        assert!(copies.judge(Counts { hits: 4 * WINDOW, driven_out: WINDOW, ..enough }));
        assert!(!copies.are_made() && !copies.are_there());
        for more in 5..9 {
            (0..WINDOW).for_each(|_| copies.found_above());
            assert!(!copies.judge(Counts { hits: more * WINDOW, driven_out: WINDOW, ..enough }));
            assert!(!copies.are_made(), "once is enough");
        }
        copies.start_over();
        (0..WINDOW).for_each(|_| copies.found_above());
        assert!(!copies.judge(Counts { hits: 9 * WINDOW, driven_out: WINDOW, ..enough }));
        assert!(copies.are_made());
    }
}
