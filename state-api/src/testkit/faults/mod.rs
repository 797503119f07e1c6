//! Faults and power cuts at every I/O operation of a job with a backend's real stores.
//!
//! # Role
//! Small [`Script`]s take, publish, confirm, restore and discard snapshots of all kinds through
//! [`LocalStorage`](crate::storage::local::LocalStorage), over a [`FaultyFs`](crate::vfs::FaultyFs)
//! around a [`MemoryFs`](crate::vfs::MemoryFs). Each operation of a script fails once in each of the
//! [`FAULTS`]; and at each of them the power is cut, and some of the states are examined that may be
//! left. Afterwards the invariants I1 to I4 and I8 hold (their list is at the top of `check.rs`), the
//! job goes on, and its next checkpoint is right. A panic counts as bad.
//!
//! A backend's author writes one line beside [`conformance_suite!`](crate::conformance_suite); whoever
//! writes a coordinator implements [`Master`]:
//!
//! ```ignore
//! fault_suite!(Mine);                // with the testkit's own master
//! fault_suite!(Mine, MyMaster);
//! ```
//!
//! # How much
//! Every script is a test, which prints what it did: `points=N faults=M cuts=C states=S restores=R
//! bad=0 seed=S`. By default it takes every [`Budget::DEFAULT_STRIDE`]-th operation.
//!
//! | variable | meaning |
//! |---|---|
//! | `ALLUVIUM_FAULT_STRIDE` | 1 takes every operation |
//! | `ALLUVIUM_CRASH_STATES` | states that are looked at after each power cut |
//! | `ALLUVIUM_SEED` | repeats a run |

mod check;
mod content;
mod job;
mod master;
mod plain;
mod script;
mod sweep;

use super::harness::Harness;
use super::model::number;
use crate::random::{OsRandomness, Randomness};

pub use check::Checker;
pub use content::{Image, Row};
pub use job::Ledger;
pub use master::{GROUPS, JOB, Master, Place, Plan, RETAINED, Started, Subtask, Told, key_groups};
pub use plain::PlainMaster;
pub use script::{
    Action, Ask, Course, FULL_ASYNC, FULL_SYNC, INCREMENTAL, Origin, RESTARTS, RETENTION,
    SAVEPOINT, SCRIPTS, Script, Timing,
};
pub use sweep::{
    FAULTS, Outcome, Wrap, cut_everywhere, fail_everywhere, goes_on, live_until, operations,
};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Every so many operations.
    pub stride: u64,
    /// States that are looked at after a power cut: the least that survives, and random ones.
    pub crash_states: u64,
    /// The seed of everything.
    pub seed: u64,
}

impl Budget {
    /// The stride unless the environment says otherwise.
    pub const DEFAULT_STRIDE: u64 = 31;

    /// What the environment says.
    pub fn from_env() -> Self {
        Self {
            stride: number("ALLUVIUM_FAULT_STRIDE").unwrap_or(Self::DEFAULT_STRIDE).max(1),
            crash_states: number("ALLUVIUM_CRASH_STATES").unwrap_or(3).max(1),
            seed: number("ALLUVIUM_SEED").unwrap_or_else(|| OsRandomness.next_u64()),
        }
    }

    /// The operations that are taken, of so many.
    pub fn points(self, operations: u64) -> impl Iterator<Item = u64> + use<> {
        let stride = usize::try_from(self.stride).unwrap_or(usize::MAX);
        (1 + self.seed % self.stride..=operations).step_by(stride)
    }
}

/// Sweeps one script as the environment says.
///
/// # Panics
/// If something does not hold; prints the seed.
#[expect(clippy::print_stderr, reason = "counts and seed must be in the test's output")]
pub fn run<H: Harness, M: Master>(script: &Script) {
    let budget = Budget::from_env();
    let mut outcome = Outcome::default();
    fail_everywhere::<H, M>(script, budget, &|fs| fs, &mut outcome);
    cut_everywhere::<H, M>(script, budget, &|fs| fs, &mut outcome);
    let Outcome { points, faults, cuts, states, restores, bad } = &outcome;
    eprintln!(
        "faults: backend={} script={} points={points} faults={faults} cuts={cuts} states={states} \
         restores={restores} bad={} seed={}",
        H::default().profile().name,
        script.name,
        bad.len(),
        budget.seed,
    );
    assert!(
        bad.is_empty(),
        "ALLUVIUM_SEED={} ALLUVIUM_FAULT_STRIDE={}: {}",
        budget.seed,
        budget.stride,
        bad[..bad.len().min(5)].join("\n")
    );
    assert!(*faults >= 6 && *cuts > 0 && *states > *cuts && *restores > 1, "too little was done");
}

/// Makes the sweeps tests for a backend: `fault_suite!(Harness)` or `fault_suite!(Harness, Master)`.
#[macro_export]
macro_rules! fault_suite {
    ($harness:ty) => {
        $crate::fault_suite!($harness, $crate::testkit::faults::PlainMaster);
    };
    ($harness:ty, $master:ty) => {
        mod faults {
            #[allow(unused_imports, reason = "the harness may be named by an absolute path")]
            use super::*;
            use $crate::testkit::faults::{
                FULL_ASYNC, FULL_SYNC, INCREMENTAL, RESTARTS, RETENTION, SAVEPOINT, run,
            };

            #[test]
            fn full_snapshots_while_the_job_waits() {
                run::<$harness, $master>(&FULL_SYNC);
            }

            #[test]
            fn full_snapshots_while_the_job_goes_on() {
                run::<$harness, $master>(&FULL_ASYNC);
            }

            #[test]
            fn a_chain_of_increments() {
                run::<$harness, $master>(&INCREMENTAL);
            }

            #[test]
            fn savepoints() {
                run::<$harness, $master>(&SAVEPOINT);
            }

            #[test]
            fn subsumption() {
                run::<$harness, $master>(&RETENTION);
            }

            #[test]
            fn restarts() {
                run::<$harness, $master>(&RESTARTS);
            }
        }
    };
}
