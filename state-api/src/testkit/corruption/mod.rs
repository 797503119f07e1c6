//! Corruption: whatever happens to the bytes of a checkpoint, a restore yields the same content or an
//! error.
//!
//! # What is done
//! Small checkpoints of every kind ([`specimen`]: own form, chain of increments, canonical, inline; each
//! compression; two subtasks; every kind of state, namespaces, bytes of the application) are damaged
//! ([`fault`]): each byte of each file and of the metadata gets a random mask and is set to 0x00 and to
//! 0xff; each is cut at each length, extended, replaced by each other one of its kind (of another
//! subtask, of an older checkpoint, of a checkpoint of the same shape and other content), and removed.
//!
//! # What is judged
//! 1. A restore through the backend fails with an error that says so, or the content is the model's.
//! 2. What the verifier calls good can be restored, and has the same content.
//! 3. Neither panics, takes more than a second of processor time, or more memory than 16 MiB and 32
//!    times the checkpoint.
//!
//! # Use
//! A test binary of its own, `tests/corruption.rs`, beside a backend's `tests/conformance.rs`:
//!
//! ```ignore
//! use alluvium_state_api::corruption_suite;
//!
//! corruption_suite!(Mine);
//! ```
//!
//! `ALLUVIUM_FLIPS` sets how many bytes are flipped at least (4000), `all` for every one;
//! `ALLUVIUM_SEED` repeats a run. What was done is printed as one line.

pub mod fault;
pub mod judge;
pub mod memory;
mod report;
pub mod specimen;
mod watchdog;

pub use judge::{Stored, Verify, verify_files};
pub use memory::Counting;
pub use report::Report;

use std::env;

use super::harness::{Harness, Kit};
use crate::random::{OsRandomness, Randomness};
use fault::Fault;
use judge::Judge;
use specimen::Specimen;
use watchdog::Watchdog;

/// Bytes that are flipped at least unless `ALLUVIUM_FLIPS` says otherwise.
pub const DEFAULT_FLIPS: usize = 4_000;

/// How much a run does.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Flips at least; every byte where there are fewer.
    pub flips: usize,
    /// Repeats a run.
    pub seed: u64,
    /// Whether memory is measured, for which [`Counting`] must be the global allocator.
    pub memory: bool,
}

impl Budget {
    /// What the environment says.
    ///
    /// # Panics
    /// If it says something else than numbers.
    pub fn from_env() -> Self {
        let flips = match env::var("ALLUVIUM_FLIPS") {
            Ok(text) if text == "all" => usize::MAX,
            Ok(text) => text.parse().expect("ALLUVIUM_FLIPS is a number, or all"),
            Err(_) => DEFAULT_FLIPS,
        };
        let seed = match env::var("ALLUVIUM_SEED") {
            Ok(text) => text.parse().expect("ALLUVIUM_SEED is a number"),
            Err(_) => OsRandomness.next_u64(),
        };
        Self { flips, seed, memory: true }
    }
}

/// Damages specimens as much as the budget says and judges what comes of it.
///
/// # Panics
/// If memory is to be measured and [`Counting`] is not the global allocator; if an undamaged specimen
/// cannot be restored and verified.
pub fn examine<H: Harness>(kit: &Kit<H>, budget: Budget, verify: Verify) -> Report {
    assert!(!budget.memory || Counting::is_installed(), "install the allocator `Counting`");
    let specimens = Specimen::all(kit);
    let bytes: usize = specimens.iter().map(Specimen::bytes).sum();
    // Each chosen byte is flipped three times, or twice where it is 0x00 or 0xff already.
    let step = (bytes * 2 / budget.flips.max(1)).max(1);
    let mut report = Report::new(budget.seed, step == 1);
    let watchdog = Watchdog::default();
    for specimen in &specimens {
        let mut judge = Judge::new(kit, specimen, verify, budget, &watchdog);
        judge.undamaged();
        for target in specimen.targets() {
            let length = specimen.bytes_of(target).len();
            let first = usize::try_from(budget.seed % step as u64).unwrap_or(0);
            for at in (first..length).step_by(step) {
                report.points += 1;
                for fault in Fault::of_byte(at, budget.seed) {
                    judge.judge(target, fault, &mut report);
                }
            }
            for fault in Fault::of_file(specimen, target) {
                judge.judge(target, fault, &mut report);
            }
        }
    }
    report
}

/// Makes corruption a test for a backend, in a test binary of its own: `corruption_suite!(Harness)`, or
/// with another verifier than [`verify_files`], `corruption_suite!(Harness, verify)`.
#[macro_export]
macro_rules! corruption_suite {
    ($harness:ty) => {
        $crate::corruption_suite!($harness, $crate::testkit::corruption::verify_files);
    };
    ($harness:ty, $verify:expr) => {
        #[global_allocator]
        static ALLOCATOR: $crate::testkit::corruption::Counting =
            $crate::testkit::corruption::Counting;

        #[test]
        fn damage_is_an_error_or_changes_nothing() {
            let budget = $crate::testkit::corruption::Budget::from_env();
            let kit = $crate::testkit::Kit::<$harness>::new();
            let report = $crate::testkit::corruption::examine(&kit, budget, $verify);
            report.assert_good(budget);
        }
    };
}
