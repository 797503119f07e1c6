//! Random sequences of everything against a plain model.
//!
//! A sequence is at least a hundred [`Step`]s: operations on every kind of state, in namespaces and in
//! batches; snapshots of every kind that run at once, later or never, are cancelled or fail;
//! notifications that come late, twice or not at all; restores of any completed snapshot at the same or
//! another parallelism. Several stores run in lockstep and together hold what the [`Content`] model
//! holds. Keys and values come from tiny domains, so that entries collide, go and come back all the
//! time. After each restore and at the end everything is compared: point reads, scans, enumeration,
//! list sizes, counts.
//!
//! [`model_suite!`](crate::model_suite) makes it a test. `ALLUVIUM_SEQUENCES` sets the number of
//! sequences (256), `ALLUVIUM_SEED` repeats a run; the seed is printed. A failing sequence is shrunk to
//! a minimal one, which is printed and kept in a file of regressions beside the test.

mod content;
mod states;
mod step;
mod world;

use std::env;

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};

pub use content::Content;
pub(super) use states::{States, key_at};
pub(super) use step::KEYS;
pub use step::{Fate, Mergeable, Step};
pub use world::World;
pub(super) use world::key_of;

use super::harness::Harness;
use crate::random::{OsRandomness, Randomness};

/// Sequences that are run unless `ALLUVIUM_SEQUENCES` says otherwise.
pub const DEFAULT_SEQUENCES: u32 = 256;

/// Why a sequence failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

/// Runs one sequence from an empty store.
///
/// # Errors
/// The first difference between stores and model, with the step at which it was found.
pub fn run_sequence<H: Harness>(steps: &[Step]) -> Result<(), Failure> {
    let mut world = World::<H>::new()?;
    for (index, step) in steps.iter().enumerate() {
        let done = world.step(step);
        done.map_err(|Failure(text)| Failure(format!("step {index}, {step:?}: {text}")))?;
    }
    world.compare().map_err(|Failure(text)| Failure(format!("at the end: {text}")))
}

/// The random steps that a seed stands for.
///
/// # Panics
/// Never: any seed stands for some steps.
pub fn random_steps(seed: u64, count: usize) -> Vec<Step> {
    let mut runner = TestRunner::new_with_rng(Config::default(), rng(seed));
    let tree = vec(step::any_step(), count).new_tree(&mut runner);
    tree.expect("nothing is filtered out").current()
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

pub(super) fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    let Ok(number) = text.parse() else {
        panic!("{name}={text} is no number");
    };
    Some(number)
}

/// Runs as many random sequences as `ALLUVIUM_SEQUENCES` says, or `default`. `source` is the file of
/// the test, beside which regressions are kept.
///
/// # Panics
/// If stores and model differ; prints the minimal sequence and the seed.
#[expect(clippy::print_stderr, reason = "the seed must be in the test's output")]
pub fn run<H: Harness>(source: &'static str, default: u32) {
    let sequences = number("ALLUVIUM_SEQUENCES").unwrap_or(default);
    let seed: u64 = number("ALLUVIUM_SEED").unwrap_or_else(|| OsRandomness.next_u64());
    eprintln!("model: sequences={sequences} seed={seed}");
    let config = Config {
        cases: sequences,
        source_file: Some(source),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let outcome = runner.run(&vec(step::any_step(), 100..=140), |steps| {
        run_sequence::<H>(&steps).map_err(|Failure(text)| TestCaseError::fail(text))
    });
    if let Err(error) = outcome {
        panic!("ALLUVIUM_SEED={seed} finds a difference between store and model: {error}");
    }
    eprintln!("model: points={sequences} faults=0 bad=0 seed={seed}");
}

/// Makes the model a test for a backend: `model_suite!(Harness)` or `model_suite!(Harness, sequences)`.
#[macro_export]
macro_rules! model_suite {
    ($harness:ty) => {
        $crate::model_suite!($harness, $crate::testkit::model::DEFAULT_SEQUENCES);
    };
    ($harness:ty, $sequences:expr) => {
        #[test]
        fn agrees_with_the_model() {
            $crate::testkit::model::run::<$harness>(file!(), $sequences);
        }
    };
}
