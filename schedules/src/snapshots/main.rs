//! The memory backend's asynchronous snapshots under a scheduler that tries interleavings.
//!
//! # Role
//! A writer updates, inserts, removes, grows and shrinks while snapshots copy, are cancelled or are
//! dropped, up to two at a time, and may outlive what they were taken of. Each must see its moment, and
//! nothing else. The sources are the backend's own, compiled with another `sync`; whoever runs next is
//! chosen by Shuttle at every atomic, lock and wait, at random or by PCT (few, well placed switches).
//!
//! # Use
//! `snapshots [SCHEDULES [SEED]]`; a failure prints the schedule that led to it, and the seed repeats
//! the run. Orderings weaker than sequential consistency are what the binary `lock` tries.

// Not as a unit test: then the backend's own unit tests would be part of it, without a scheduler.
#![cfg(not(test))]
#![expect(
    dead_code,
    unreachable_pub,
    reason = "modules of a library that the schedules need a part of"
)]

#[path = "../../../backend-memory/src/cells/mod.rs"]
mod cells;
#[path = "../../../backend-memory/src/chain.rs"]
mod chain;
#[path = "../../../backend-memory/src/fold.rs"]
mod fold;
#[path = "../../../backend-memory/src/load.rs"]
mod load;
#[path = "../../../backend-memory/src/ops/mod.rs"]
mod ops;
#[path = "../../../backend-memory/src/point.rs"]
mod point;
#[path = "../../../backend-memory/src/restore.rs"]
mod restore;
#[path = "../../../backend-memory/src/rewrite.rs"]
mod rewrite;
#[path = "../../../backend-memory/src/snapshot/mod.rs"]
mod snapshot;
#[path = "../../../backend-memory/src/sorted.rs"]
mod sorted;
#[path = "../../../backend-memory/src/store.rs"]
mod store;
mod sync;
#[path = "../../../backend-memory/src/table/mod.rs"]
mod table;
#[path = "../../../backend-memory/src/tables/mod.rs"]
mod tables;

mod of_stores;
mod of_tables;

use std::process::ExitCode;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use table::{Blob, Cell, Epoch, Fixed, KeyRep, Seed, ShardImage, Table, TableView, VarKey};

/// The backend's name in settings and snapshots.
const BACKEND_NAME: &str = "memory";

/// Schedules that are tried unless the first argument says otherwise.
const SCHEDULES: usize = 20_000;

/// Points at which PCT changes priorities.
const DEPTH: usize = 3;

/// A scenario with its share of the schedules, in percent.
const SCENARIOS: [(&str, usize, fn()); 4] = [
    ("tables of fixed entries", 40, of_tables::of_fixed_entries),
    ("tables of variable entries", 25, of_tables::of_variable_entries),
    ("tables that split", 15, of_tables::that_split),
    ("stores", 20, of_stores::of_all_kinds),
];

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true; // about orderings, see the module's page
    Runner::new(scheduler, config).run(scenario)
}

fn number<T: std::str::FromStr>(at: usize, default: T) -> Option<T> {
    std::env::args().nth(at).map_or(Some(default), |text| text.parse().ok())
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "says what it tried")]
fn main() -> ExitCode {
    let (Some(schedules), Some(seed)) = (number(1, SCHEDULES), number(2, 1_u64)) else {
        eprintln!("usage: snapshots [SCHEDULES [SEED]]");
        return ExitCode::FAILURE;
    };
    let mut points = 0;
    for (name, percent, scenario) in SCENARIOS {
        let each = (schedules * percent).div_ceil(200);
        let random = run(RandomScheduler::new_from_seed(seed, each), scenario);
        let pct = run(PctScheduler::new_from_seed(seed, DEPTH, each), scenario);
        println!("{name}: {random} schedules at random, {pct} by PCT");
        points += random + pct;
    }
    println!("points={points} faults=0 bad=0 seed={seed}");
    if points < schedules { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
