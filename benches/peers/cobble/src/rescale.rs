//! Rescale beside Cobble's: `scripts/bench-cobble --rescale`.
//!
//! # What is measured
//! A job's state at one subtask becomes that of two, and the state of these two that of one and of three. A change is
//! measured by [`subtasks::restore`](alluvium_benches::subtasks::restore), for our backends and for Cobble by the same
//! loop, which also measures the rescales of `workloads`: the new subtasks are opened one after the other over what the
//! former ones left behind, and the slowest counts. Its time begins before it is opened, and ends with its first read that
//! is right and with its share of 20,000 reads spread over all keys. Each value that is read is compared with what was written,
//! byte by byte, on all sides. Sides take turns, forwards in one round and backwards in the next (B2), and a round that
//! is not counted comes first.
//!
//! Ours restore as at any start: [`OpenEnv::with_restore`](alluvium::OpenEnv::with_restore), from confirmed incremental
//! snapshots on a local disk. Cobble does what its documentation says about rescale, and its own Flink backend does: a new
//! database over the snapshot that shares most buckets with the new one (`open_new_with_manifest_path`), then `shrink_bucket` of
//! those that it does not own, then `expand_bucket` from the other snapshots. Of that there are two kinds of which
//! each is a side: files of other databases are read where they are for good (`ReferencePersistent`), or copied in
//! the background (`AdoptAsync`, its default). In the latter a third time is that until all copies are complete
//! (`wait_for_expand_adoption`, asked after the reads) in the slowest of the subtasks that copy. 1 to 2 takes from one
//! snapshot only and copies nothing in either.
//!
//! # What makes it fair
//! * As many buckets as key groups, 128, and a key lies in the bucket of its key group. Keys of 8 bytes in the same order,
//!   the same values, which do not compress.
//! * Cobble has the configuration of `store.rs`: its defaults, a block cache of 512 MiB, no log. Ours have their defaults.
//! * All write to the same file system, and both sync what a snapshot consists of. What is read is in the kernel's cache
//!   on all sides, since it has just been written.
//! * Both compute the key group of a key for each read, and the bytes that it must read.
//! * To close what was opened, to take the snapshots for the next change, and to remove the files of a round is in no time.
//!
//! # What is not the same
//! * Cobble publishes snapshots within `shrink_bucket` and `expand_bucket`, two for each call, and syncs them: afterwards
//!   the new database can be opened again from one of its own, which refers to files of the former ones until they are
//!   copied or compacted. Ours write no snapshot of their own before the
//!   next checkpoint; until then the old snapshots are what there is, as for Flink.
//! * After a change Cobble and `fs` read the files of the former snapshots, whole ones with the entries of others in them,
//!   until they are merged: Cobble where they are, or in its copies, `fs` by second names that it gives them. `memory`
//!   reads its entries into tables first, so that every read is fast from then on.
//! * Cobble could also hand buckets over between databases that go on running, in place of new ones; ours
//!   restart, as Flink's subtasks do. That is not measured.

mod arguments;
mod contents;
mod ours;
mod peer;
mod table;

use std::io::Write as _;
use std::process::ExitCode;

use alluvium::KeyGroup;
use alluvium_benches::Outcome;
use alluvium_benches::session::environment;
use alluvium_benches::subtasks::{Subtasks, Times, restore};
use cobble::ExpandStorageMode;

use arguments::{Plan, USAGE};
use contents::Probe;

/// Numbers of subtasks before and after.
const CHANGES: [(u32, u32); 3] = [(1, 2), (2, 1), (2, 3)];

/// Runs the measurement with the words that follow `--rescale`.
///
/// Exit status: 0, 1 where something is read that was not written or a side fails, 2 for wrong usage.
pub fn run(words: impl Iterator<Item = String>) -> ExitCode {
    match arguments::parse(words) {
        Ok(None) => {
            print(USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(plan)) => match measure(&plan) {
            Ok(sides) => {
                show(&plan, &sides);
                ExitCode::SUCCESS
            }
            Err(error) => {
                note(&error.to_string());
                ExitCode::from(1)
            }
        },
        Err(error) => {
            note(&format!("{error}; --rescale --help tells more"));
            ExitCode::from(2)
        }
    }
}

/// What a change took.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    times: Times,
    /// Milliseconds until copies were complete; none where nothing is copied.
    copied_ms: Option<f64>,
}

/// The changes of a round, in the order of [`CHANGES`].
type Round = [Figures; 3];

/// A side and what its rounds have shown.
struct Measured {
    name: &'static str,
    rounds: Vec<Round>,
}

/// What is measured: our backends and Cobble, in its two kinds.
trait Side: Subtasks<Probe = Probe> {
    /// Begins a round, and removes what the last one left behind.
    fn begin(&mut self) -> Outcome<()>;

    /// Milliseconds until copies of the slowest subtask were complete, of those restored since this was last asked.
    fn copied_ms(&mut self) -> Option<f64> {
        None
    }
}

/// A side with the snapshot of everything.
struct Filled<S: Side> {
    side: S,
    last: [S::Checkpoint; 1],
}

/// [`Filled`], whatever the side is.
trait Turn {
    /// All changes, one after the other.
    fn take(&mut self, probes: &[(KeyGroup, Probe)]) -> Outcome<Round>;
}

impl<S: Side> Turn for Filled<S> {
    fn take(&mut self, probes: &[(KeyGroup, Probe)]) -> Outcome<Round> {
        let Self { side, last } = self;
        side.begin()?;
        let mut round = Round::default();
        let mut halves = Vec::new();
        for (figures, (from, to)) in round.iter_mut().zip(CHANGES) {
            let former = if from == 1 { last.as_slice() } else { halves.as_slice() };
            let (times, left) = restore(side, former, to, probes)?;
            *figures = Figures { times, copied_ms: side.copied_ms() };
            if from == 1 {
                halves = left;
            }
        }
        Ok(round)
    }
}

/// Fills all sides, and plays the rounds.
fn measure(plan: &Plan) -> Outcome<Vec<Measured>> {
    let (contents, directory) = (&plan.contents, plan.directory.as_path());
    let by_reference = ExpandStorageMode::ReferencePersistent;
    let copying = ExpandStorageMode::AdoptAsync;
    let mut sides: Vec<(_, Box<dyn Turn>)> = vec![
        ("memory", Box::new(ours::filled("memory", contents, directory)?)),
        ("fs", Box::new(ours::filled("fs", contents, directory)?)),
        ("cobble, reference", Box::new(peer::filled(by_reference, contents, directory)?)),
        ("cobble, adopt", Box::new(peer::filled(copying, contents, directory)?)),
    ];
    let probes = contents.probes()?;
    let unmeasured = |(name, _): &(&'static str, _)| Measured { name, rounds: Vec::new() };
    let mut measured: Vec<_> = sides.iter().map(unmeasured).collect();
    for round in 0..=plan.rounds {
        let mut turns: Vec<_> = sides.iter_mut().zip(&mut measured).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for ((name, side), measured) in turns {
            let figures = side.take(&probes).map_err(|error| format!("{name}: {error}"))?;
            // The first round warms up.
            if round > 0 {
                measured.rounds.push(figures);
            }
        }
    }
    Ok(measured)
}

fn show(plan: &Plan, sides: &[Measured]) {
    if plan.json {
        print(&environment::line(&std::env::args().collect::<Vec<_>>()));
        table::json(plan, sides).iter().for_each(|line| print(line));
    } else {
        print(&table::text(plan, sides));
    }
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{}", line.trim_end()));
}

fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "bench-cobble: {line}"));
}

#[cfg(test)]
mod tests;
