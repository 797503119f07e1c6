//! The orderings of a shard's lock and of a ticket's marks, in every execution that C11 allows.
//!
//! # Role
//! `snapshots` tries interleavings of the whole backend as if memory were sequentially consistent. Here
//! Loom also tries what acquire, release and relaxed permit, for the three things by which writer and
//! snapshot hand entries to each other: the lock (`lock.rs`), the mark that says that a snapshot needs
//! the shard no more (`view.rs`, V2), after which the writer does without the lock, and the order in
//! which plain entries are changed and copied (`order.rs`, Z3). The sources are the backend's own,
//! compiled with Loom's atomics.
//!
//! # Use
//! `lock [PREEMPTIONS]`: how often a thread may be interrupted where it need not be, 3 by default.

// Not as a unit test: then the backend's own unit tests would be part of it, without a scheduler.
#![cfg(not(test))]

mod sync;
mod table;

use std::process::ExitCode;

use table::models;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "says what it tried")]
fn main() -> ExitCode {
    let bound = std::env::args().nth(1).map_or(Ok(3), |text| text.parse());
    let Ok(bound) = bound else {
        eprintln!("usage: lock [PREEMPTIONS]");
        return ExitCode::FAILURE;
    };
    let mut points = 0;
    for (name, model) in models::ALL {
        let executions = models::explore(bound, model);
        println!("{name}: {executions} executions");
        points += executions;
    }
    println!("points={points} faults=0 bad=0 seed=0");
    if points < models::FEWEST { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
