//! The command line `alluvium`.
//!
//! | command | does |
//! |---|---|
//! | `alluvium run` | a keyed job over real records with checkpoints, a crash, a recovery and a rescale; verifies all state |
//! | `alluvium verify PATH` | checks every checksum, count and digest of a checkpoint or savepoint |
//! | `alluvium checkpoints DIR` | lists the checkpoints of jobs and what they cost |
//!
//! # Invariants
//!
//! 1. Exit status 0: done, and nothing was wrong. 1: something failed or did not verify. 2: the
//!    request was wrong (options, settings, columns), and nothing was done.
//! 2. An error is one line on standard error: what is wrong, where, what to do.
//! 3. Results go to standard output, everything else to standard error. With `--json` the last line
//!    of standard output is one object.
//! 4. Only `print` writes to either of them.

mod args;
mod checkpoints;
mod failure;
mod print;
mod progress;
mod report;
mod run;
mod table;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, Command};
use failure::Failure;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => finish(match &args.command {
            Command::Run(run) => run::run(run),
            Command::Verify(verify) => verify::verify(verify),
            Command::Checkpoints(list) => checkpoints::list(list),
        }),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                finish(print::text(&error.render().to_string()))
            }
            _ => finish(Err(Failure::from_clap(&error))),
        },
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                print::error(&line);
            }
            ExitCode::from(failure.status())
        }
    }
}
