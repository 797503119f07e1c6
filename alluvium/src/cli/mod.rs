//! The command line `alluvium`.
//!
//! | command | does |
//! |---|---|
//! | `alluvium run` | a keyed job over real records with checkpoints, a crash, a recovery and a rescale; verifies all state |
//! | `alluvium verify POINTER` | checks every checksum, count and digest of a checkpoint or savepoint |
//! | `alluvium checkpoints [list] DIR` | lists the checkpoints of jobs and what they cost |
//! | `alluvium checkpoints copy POINTER TARGET` | copies one out, self-contained |
//! | `alluvium savepoint rehash POINTER TARGET` | rewrites one for another number of key groups |
//! | `alluvium gc DIR` | finds and removes what crashes left behind in a job's directory |
//! | `alluvium dispose POINTER...` | removes savepoints |
//!
//! # Invariants
//!
//! 1. Exit status 0: done, and nothing was wrong. 1: something failed or did not verify. 2: the
//!    request was wrong (options, settings, columns), and nothing was done. 130 and 143: `run` was
//!    interrupted (Ctrl-C, a request to terminate) and has cleared away; a second time ends it at once.
//! 2. An error is one line on standard error: what is wrong, where, what to do.
//! 3. Results go to standard output, everything else to standard error. With `--json` the last line
//!    of standard output is one object.
//! 4. Only `print` writes to either of them.

mod args;
mod checkpoints;
mod directory;
mod failure;
mod operate;
mod print;
mod progress;
mod report;
mod run;
mod table;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, CheckpointsCommand, Command, SavepointCommand};
use failure::Failure;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => finish(match &args.command {
            Command::Run(run) => run::run(run),
            Command::Verify(verify) => verify::verify(verify),
            Command::Checkpoints(checkpoints) => match (&checkpoints.command, &checkpoints.list) {
                (Some(CheckpointsCommand::Copy(copy)), _) => operate::copy(copy),
                (Some(CheckpointsCommand::List(list)), _) | (None, Some(list)) => {
                    checkpoints::list(list)
                }
                (None, None) => Err(Failure::usage("`checkpoints` needs a directory")),
            },
            Command::Savepoint(SavepointCommand::Rehash(rehash)) => operate::rehash(rehash),
            Command::Gc(gc) => operate::gc(gc),
            Command::Dispose(dispose) => operate::dispose(dispose),
        }),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                finish(print::text(&error.render().to_string()))
            }
            _ => finish(Err(misread(&error))),
        },
    }
}

/// What the parser refuses, with the command that was meant.
fn misread(error: &clap::Error) -> Failure {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    Failure::from_clap(error, Args::meant(words.iter().map(String::as_str)))
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
