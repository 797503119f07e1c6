//! What a run did and found, as a line of counts.

use std::fmt;

use super::Budget;

/// The bad ones that are described; the others are only counted.
const MOST_DESCRIBED: usize = 20;

/// Counts, and what was bad.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Bytes that were hit one by one.
    pub points: usize,
    /// Faults of any kind.
    pub faults: usize,
    /// Those that changed one byte.
    pub flips: usize,
    /// Those that a restore refused.
    pub refused: usize,
    /// Those that changed nothing that counts.
    pub same: usize,
    /// Those that were neither.
    pub bad: usize,
    /// What the first of them did.
    pub described: Vec<String>,
    /// The most memory that was held, in bytes, where that was measured.
    pub peak: usize,
    /// Whether every byte was hit.
    pub every_byte: bool,
    /// Repeats the run.
    pub seed: u64,
}

impl Report {
    pub(super) fn new(seed: u64, every_byte: bool) -> Self {
        Self { every_byte, seed, ..Self::default() }
    }

    pub(super) fn bad(&mut self, text: impl FnOnce() -> String) {
        self.bad += 1;
        if self.described.len() < MOST_DESCRIBED {
            self.described.push(text());
        }
    }

    /// Prints the counts, and fails if anything was bad or too little was done.
    ///
    /// # Panics
    /// If so.
    #[track_caller]
    #[expect(clippy::print_stderr, reason = "the counts must be in the test's output")]
    pub fn assert_good(&self, budget: Budget) {
        eprintln!("corruption: {self}");
        assert!(self.bad == 0, "{} faults went wrong:\n{}", self.bad, self.described.join("\n"));
        assert!(self.every_byte || self.flips >= budget.flips, "too few flips: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { points, faults, flips, refused, same, bad, peak, seed, .. } = self;
        write!(
            f,
            "points={points} faults={faults} bad={bad} seed={seed} flips={flips} refused={refused} \
             same={same} peak={} KiB",
            peak >> 10
        )
    }
}
