//! A session: workloads played on backends by name, and what that cost.
//!
//! # Role
//! [`run`] is the whole of the program `workloads`; a program that has a backend of its own calls it with
//! that one registered, and benchmarks it beside ours (`examples/own_backend.rs`).
//!
//! # What is measured
//! Of each workload on each backend, one after the other, each time in a fresh store:
//!
//! 1. the state is filled: accesses per second;
//! 2. throughput: a number of accesses at full speed, without a look at the clock between them;
//! 3. latency ([`latency`]): single accesses that are due at regular times, at a quarter of that speed;
//! 4. the same while a full and an incremental snapshot are taken, with their times and bytes; between the
//!    increment and the one that it builds on lie a twentieth as many accesses as for throughput, and those that were
//!    made meanwhile.
//!
//! Then the plain computation plays the same accesses: digests must be equal (B1). What is not in it: the
//! time in which accesses are made, since they are made beforehand, some thousands at a time.

pub mod arguments;
pub mod latency;
mod play;
pub mod report;
mod snapshots;

use std::io::Write as _;
use std::process::ExitCode;

use alluvium_state_api::BackendRegistry;

use crate::workload;
use arguments::{Arguments, USAGE};
use report::Report;

/// Runs the program `workloads` with these backends and the words of its command line.
///
/// Exit status: 0 where every backend agreed with the plain computation, 1 where one did not or
/// failed, 2 for wrong usage.
pub fn run(registry: &BackendRegistry, words: impl Iterator<Item = String>) -> ExitCode {
    match Arguments::parse(registry, words) {
        Ok(None) => {
            print(USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(arguments)) => {
            if arguments.list {
                for workload in workload::all() {
                    print(workload.name());
                }
                return ExitCode::SUCCESS;
            }
            if session(registry, &arguments) { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            note(&format!("workloads: {error}; --help tells more"));
            ExitCode::from(2)
        }
    }
}

/// Plays everything that was asked for; returns whether all of it was right.
fn session(registry: &BackendRegistry, arguments: &Arguments) -> bool {
    let mut right = true;
    let mut backends = arguments.backends.clone();
    if backends.is_empty() {
        let built_in = |name: &&str| play::is_built_in(registry, name, arguments);
        backends.extend(registry.names().into_iter().filter(built_in).map(str::to_owned));
    }
    if !arguments.json && arguments.record.is_none() {
        print(&Report::heading());
    }
    for source in &arguments.sources {
        if let Some(path) = &arguments.record {
            match play::record(source, arguments, path) {
                Ok(accesses) => note(&format!("{accesses} accesses are in {}", path.display())),
                Err(error) => {
                    note(&format!("workloads: {}: {error}", source.name()));
                    right = false;
                }
            }
            continue;
        }
        for backend in &backends {
            match play::play(registry, backend, source, arguments) {
                Ok(report) => {
                    print(&if arguments.json { report.to_json() } else { report.to_string() });
                }
                Err(error) => {
                    note(&format!("workloads: {} on {backend}: {error}", source.name()));
                    right = false;
                }
            }
        }
    }
    right
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
