//! [`Admission`]: whether what is not in the table is worth a place in it.
//!
//! Where accesses are spread over more keys than the table holds, nearly none of them hits, and what comes and goes
//! costs more than it saves. Then only a sample of all addresses, by hash, is admitted, to a table that is smaller in
//! the same measure: it has the share of hits that the whole one would have, so that it tells when the pattern has
//! changed. (The sampling is that of "Efficient MRC Construction with SHARDS", Waldspurger et al., FAST 2015.)

/// Accesses after which the share of hits is looked at.
const WINDOW: u32 = 1 << 15;
/// One of so many addresses is in the sample.
const SAMPLE: u32 = 32;
/// The table is worth it from that part of hits on, in percent, and no longer below the second.
const WORTH: (u32, u32) = (15, 10);

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Admission {
    samples: bool,
    asked: u32,
    hits: u32,
    /// Whether something had to make room in this window: before, the table is just not filled yet.
    crowded: bool,
}

impl Admission {
    /// Whether an address with this hash is admitted.
    #[inline]
    pub(super) fn admits(&self, hash: u64) -> bool {
        !self.samples || in_sample(hash)
    }

    /// The part of the table that there is now, of so many bytes.
    #[inline]
    pub(super) fn part(&self, bytes: usize) -> usize {
        if self.samples { bytes / SAMPLE as usize } else { bytes }
    }

    /// Something made room.
    pub(super) fn crowd(&mut self) {
        self.crowded = true;
    }

    /// Takes note of an access.
    #[inline]
    pub(super) fn note(&mut self, hash: u64, hit: bool) {
        if self.samples && !in_sample(hash) {
            return;
        }
        self.asked += 1;
        self.hits += u32::from(hit);
        if self.asked >= if self.samples { WINDOW / SAMPLE } else { WINDOW } {
            self.decide();
        }
    }

    #[cold]
    fn decide(&mut self) {
        let percent = self.hits.saturating_mul(100) / self.asked.max(1);
        self.samples =
            if self.samples { percent < WORTH.0 } else { self.crowded && percent < WORTH.1 };
        (self.asked, self.hits, self.crowded) = (0, 0, false);
    }
}

/// The index uses the lowest bits of hashes and the highest.
#[inline]
const fn in_sample(hash: u64) -> bool {
    (hash >> 24).is_multiple_of(SAMPLE as u64)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn play(admission: &mut Admission, hits: u32, accesses: u64) {
        for access in 0..accesses {
            admission.note(xxh3_64(&access.to_le_bytes()), access % 100 < u64::from(hits));
        }
    }

    #[test]
    fn what_hits_rarely_is_sampled_until_it_hits_again() {
        let mut admission = Admission::default();
        play(&mut admission, 0, 200_000);
        assert_eq!(admission.part(3200), 3200, "a table with room is filled");
        admission.crowd();
        play(&mut admission, 50, 100_000);
        assert_eq!(admission.part(3200), 3200);
        admission.crowd();
        play(&mut admission, 2, 100_000);
        assert_eq!(admission.part(3200), 100);
        let admitted = (0..32_000u64).filter(|n| admission.admits(xxh3_64(&n.to_le_bytes())));
        assert!((900..1100).contains(&admitted.count()));
        play(&mut admission, 2, 100_000);
        assert_eq!(admission.part(3200), 100);
        play(&mut admission, 50, 100_000);
        assert_eq!(admission.part(3200), 3200);
    }
}
