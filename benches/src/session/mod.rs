//! A session: workloads played on backends by name, and what that cost.
//!
//! # Role
//! [`run`] is the whole of the program `workloads`; a program that has a backend of its own calls it with
//! that one registered, and benchmarks it beside ours (`examples/own_backend.rs`). What is played on is a `side`:
//! a `backend`, or a `peer` that has no key groups, namespaces or restores of ours.
//!
//! # What is measured
//! Of each workload on each side, one after the other, each time in a fresh store:
//!
//! 1. the state is filled: accesses per second, and the memory that entries take ([`Memory`]);
//! 2. throughput: a number of accesses at full speed, without a look at the clock between them;
//! 3. latency ([`latency`]): single accesses that are due at regular times, at a quarter of that speed;
//! 4. the same while a full and an incremental snapshot are taken, with their times and bytes; between the
//!    increment and the one that it builds on lie a twentieth as many accesses as for throughput, and those that were
//!    made meanwhile. [`timeline`] has the latencies of 3 and 4 by time. Further increments on request, each after a
//!    share of the keys has changed;
//! 5. restore: from opening a fresh store over the last snapshot to the first read that is right, and to a read of each
//!    key, or of some hundred thousand spread over all. What is restored is in the kernel's cache;
//! 6. rescale: two subtasks restored from that snapshot, and one and three from increments of these two. They
//!    are restored one after the other, and the slowest counts, as each would have a machine of its own.
//!
//! Before 5 the plain computation plays the same accesses: digests must be equal (B1), it tells what restored
//! stores must read, and which part of the keys an increment had to save. What is not in any figure: the time in
//! which accesses are made, since they are made beforehand. Each workload on each side is played in a process of its
//! own, so that memory is that of one store.

pub mod arguments;
mod backend;
mod check;
mod child;
pub mod environment;
pub mod latency;
mod memory;
mod peer;
mod play;
pub mod report;
mod side;
mod source;
pub mod timeline;

use std::io::Write as _;
use std::process::ExitCode;

use alluvium_state_api::BackendRegistry;

use crate::Outcome;
use crate::peers::{self, Peer};
use crate::workload::{self, Shape};
use arguments::{Arguments, USAGE};
use child::Part;
pub use memory::Memory;
use play::Run;
use report::Report;
use source::Source;

/// Before the name of a peer.
const PEER: &str = "peer:";
/// All peers that are built in.
const PEERS: &str = "peers";

/// What there is to be played on.
#[derive(Debug)]
pub struct Session<'a> {
    registry: &'a BackendRegistry,
    peers: Vec<Peer>,
}

/// Runs the program `workloads` with these backends, the peers of this build, and the words of its command line.
///
/// Exit status: 0 where every backend agreed with the plain computation, 1 where one did not or
/// failed, 2 for wrong usage.
pub fn run(registry: &BackendRegistry, words: impl Iterator<Item = String>) -> ExitCode {
    Session::new(registry).run(words)
}

impl<'a> Session<'a> {
    /// These backends, and the peers of this build.
    pub fn new(registry: &'a BackendRegistry) -> Self {
        Self { registry, peers: peers::all() }
    }

    /// One more peer, from outside. One with the same name replaces the earlier one.
    #[must_use]
    pub fn with_peer(mut self, peer: Peer) -> Self {
        self.peers.retain(|known| known.name != peer.name);
        self.peers.push(peer);
        self
    }

    /// Runs the program: see [`run`].
    pub fn run(&self, words: impl Iterator<Item = String>) -> ExitCode {
        let parsed = Part::of_this_process()
            .and_then(|part| Ok(Arguments::parse(self, words)?.map(|arguments| (arguments, part))));
        match parsed {
            Ok(None) => {
                print(USAGE);
                ExitCode::SUCCESS
            }
            Ok(Some((arguments, part))) => {
                if arguments.list {
                    for workload in workload::all() {
                        print(workload.name());
                    }
                    return ExitCode::SUCCESS;
                }
                if self.play(&arguments, part) { ExitCode::SUCCESS } else { ExitCode::from(1) }
            }
            Err(error) => {
                note(&format!("workloads: {error}; --help tells more"));
                ExitCode::from(2)
            }
        }
    }

    /// The peer with this name behind `peer:`; none where the name is a backend's.
    fn peer(&self, name: &str) -> Option<Outcome<Peer>> {
        let name = name.strip_prefix(PEER)?;
        let found = self.peers.iter().find(|peer| peer.name == name);
        Some(found.copied().ok_or_else(|| {
            let names: Vec<_> = self.peers.iter().map(|peer| peer.name).collect();
            format!("unknown peer {name:?}; choose one of {}", names.join(", ")).into()
        }))
    }

    /// The names that a name on the command line stands for.
    fn find(&self, name: &str) -> Outcome<Vec<String>> {
        if name == PEERS {
            let built_in = self.peers.iter().filter(|peer| peer.is_built_in());
            return Ok(built_in.map(|peer| format!("{PEER}{}", peer.name)).collect());
        }
        match self.peer(name) {
            Some(peer) => peer.map(|peer| vec![format!("{PEER}{}", peer.name)]),
            None => Ok(vec![self.registry.find(name)?.name().to_owned()]),
        }
    }

    /// Plays everything that was asked for; returns whether all of it was right.
    fn play(&self, arguments: &Arguments, part: Option<Part>) -> bool {
        let mut sides = arguments.backends.clone();
        if sides.is_empty() {
            let built_in = |name: &&str| backend::is_built_in(self.registry, name, arguments);
            sides.extend(self.registry.names().into_iter().filter(built_in).map(str::to_owned));
        }
        if let Some(part) = part {
            return self.play_part(arguments, &sides, part);
        }
        if arguments.record.is_some() {
            return arguments.sources.iter().all(|source| record(source, arguments));
        }
        if arguments.json {
            print(&environment::line(&std::env::args().collect::<Vec<_>>()));
        } else {
            print(&Report::heading());
        }
        let mut right = true;
        for (source, size, side) in
            indices(&[arguments.sources.len(), arguments.sizes.len(), sides.len()])
        {
            let part = Part { source, size, side };
            right &= part.play().unwrap_or_else(|error| {
                let names = (arguments.sources.get(source), sides.get(side));
                let (source, side) = (names.0.map_or("", Source::name), names.1);
                note(&format!("workloads: {source} on {}: {error}", side.map_or("", |side| side)));
                false
            });
        }
        right
    }

    /// Plays one of them in this process.
    fn play_part(&self, arguments: &Arguments, sides: &[String], part: Part) -> bool {
        let shape = arguments.sizes.get(part.size);
        let shape = shape.map(|keys| Shape { keys: *keys, ..arguments.shape.clone() });
        let (Some(source), Some(shape), Some(name)) =
            (arguments.sources.get(part.source), shape, sides.get(part.side))
        else {
            note("workloads: there is no such part");
            return false;
        };
        match play::play(self, Run { name, source, shape: &shape, arguments }) {
            Ok(report) => {
                print(&if arguments.json { report.to_json() } else { report.to_string() });
                true
            }
            Err(error) => {
                note(&format!("workloads: {} on {name}: {error}", source.name()));
                false
            }
        }
    }
}

fn record(source: &Source, arguments: &Arguments) -> bool {
    let path = arguments.record.as_deref().unwrap_or_else(|| "".as_ref());
    match source::record(source, arguments, path) {
        Ok(accesses) => {
            note(&format!("{accesses} accesses are in {}", path.display()));
            true
        }
        Err(error) => {
            note(&format!("workloads: {}: {error}", source.name()));
            false
        }
    }
}

/// All triples of numbers below these, the last one changing first.
fn indices(&[a, b, c]: &[usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |a| (0..b).flat_map(move |b| (0..c).map(move |c| (a, b, c))))
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
