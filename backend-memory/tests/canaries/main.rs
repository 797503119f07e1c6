//! Canaries: stores with one thing wrong, each of which a case of the conformance kit must catch.
//!
//! # Role
//! A kit that passes everything is worth nothing, and looks the same as one that is good. So each
//! [`Flaw`] here breaks one rule of the contract in a wrapper around the memory backend, and the table
//! [`CANARIES`] names the case that is there for this rule. The same wrapper without a flaw must pass
//! all of these cases. What a wrapper cannot reach is a build variant: see `scripts/canaries`.
//!
//! # Invariants
//! 1. A canary counts as caught only if the recorded case fails. If it does not, all other cases are
//!    tried, and the test fails with what caught the canary instead, if anything did.
//! 2. A flaw breaks one thing: it does what the backend does wherever it can.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod flaw;
#[path = "../harness/mod.rs"]
mod harness;
mod operations;
mod restores;
mod snapshots;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use alluvium_state_api::testkit::{self, CASES, Harness, Kit, Profile};
use alluvium_state_api::{OpenEnv, Result, alluvium_cases};

use flaw::{Flaw, Flawed, NoFlaw};
use harness::Memory;

/// Makes the flaw of one store.
type Make = fn() -> Box<dyn Flaw>;

thread_local! {
    /// The flaw of the stores that are opened on this thread: harnesses are made by the kit.
    static FLAW: Cell<Make> = const { Cell::new(|| Box::new(NoFlaw)) };
    /// Whether a panic on this thread is a case that fails as it should.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug)]
struct Canary(Make);

impl Default for Canary {
    fn default() -> Self {
        Self(FLAW.get())
    }
}

impl Harness for Canary {
    type Store = Flawed;

    fn profile(&self) -> Profile {
        Memory.profile()
    }

    fn open(&self, env: OpenEnv) -> Result<Flawed> {
        Flawed::open((self.0)(), env)
    }
}

macro_rules! by_name {
    (() $($topic:ident { $($case:ident)* })*) => {
        /// Runs the case of this name.
        fn run(name: &str) {
            $($(
                if name == concat!(stringify!($topic), "::", stringify!($case)) {
                    return testkit::$topic::$case(&Kit::<Canary>::new());
                }
            )*)*
            panic!("there is no case {name}");
        }
    };
}

alluvium_cases! { [by_name] }

/// Whether a case fails for stores with this flaw. The panic is expected, so nothing is printed of it.
fn fails(make: Make, case: &str) -> bool {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !EXPECTED.get() {
                loud(info);
            }
        }));
    });
    FLAW.set(make);
    EXPECTED.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(case)));
    EXPECTED.set(false);
    outcome.is_err()
}

macro_rules! canaries {
    ($($module:ident::$flaw:ident caught by $case:literal)*) => {
        /// Each flaw, and the case that is there to catch it.
        const CANARIES: &[(&str, Make, &str)] = &[
            $((stringify!($flaw), || Box::<$module::$flaw>::default(), $case),)*
        ];
    };
}

canaries! {
    operations::AppendsInReverse caught by "list::adds_updates_and_clears"
    operations::KeepsFailedChange caught by "value::failed_update_changes_nothing"
    operations::ScanLosesLast caught by "keys::enumerates_exactly_its_keys"
    operations::ScanCrossesPrefix caught by "map::clear_spares_neighbours"
    operations::ScanBeginsAfterBound caught by "map::scans_from_a_lower_bound"
    operations::RemovePrefixStopsEarly caught by "map::clear_spares_neighbours"
    operations::LimitNotChecked caught by "limits::of_a_value"
    operations::MergeDropsSource caught by "namespaces::lists_merge_target_first"
    operations::MergeKeepsSources caught by "namespaces::reducing_merges_sources_first"
    operations::BatchSkipsRepeated caught by "batch::updates_in_order"
    operations::CountsOneMore caught by "keys::entries_are_counted"
    snapshots::ForgetsChange caught by "increments::long_chains_restore_from_any_point"
    snapshots::ForgetsRemoval caught by "increments::removals_are_recorded"
    snapshots::BuildsOnUnconfirmed caught by "increments::unconfirmed_checkpoints_are_not_built_on"
    snapshots::AbortConfirms caught by "increments::aborted_checkpoints_lose_nothing"
    snapshots::SummaryCountsOneMore caught by "canonical::counts_are_of_the_content"
    snapshots::CancelUnheard caught by "isolation::cancelled_snapshots_lose_nothing"
    snapshots::LosesListOrder caught by "increments::list_appends_are_recorded"
    restores::ClipsOneGroupMore caught by "rescale::with_ten_groups"
    restores::LosesNewestFile caught by "increments::long_chains_restore_from_any_point"
    restores::ClaimsForeignFiles caught by "increments::foreign_files_are_not_referenced"
    restores::ForgetsSchema caught by "migration::every_kind_migrates"
}

#[test]
fn without_a_flaw_the_cases_pass() {
    for (_, _, case) in CANARIES {
        assert!(!fails(|| Box::new(NoFlaw), case), "{case} fails without a flaw");
    }
}

/// Says what caught a canary that its recorded case let through.
fn caught_instead(make: Make) -> String {
    let names = CASES.iter().map(|(topic, case)| format!("{topic}::{case}"));
    let caught: Vec<String> = names.filter(|case| fails(make, case)).collect();
    if caught.is_empty() { "nothing".to_owned() } else { caught.join(" ") }
}

#[test]
#[expect(clippy::print_stdout, reason = "says what caught what, and how many")]
fn every_canary_is_caught_by_its_case() {
    let mut bad = Vec::new();
    for (name, make, case) in CANARIES {
        if fails(*make, case) {
            println!("canary {name}: caught by {case}");
        } else {
            bad.push(format!("{name}: not caught by {case}, but by {}", caught_instead(*make)));
        }
    }
    let (points, faults) = (CANARIES.len(), CANARIES.len() - bad.len());
    println!("points={points} faults={faults} bad={} seed=0", bad.len());
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(points >= 20, "only {points} canaries");
}
