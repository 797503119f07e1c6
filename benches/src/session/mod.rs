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
mod backend;
pub mod latency;
mod peer;
mod play;
pub mod report;
mod side;
mod source;

use std::io::Write as _;
use std::process::ExitCode;

use alluvium_state_api::BackendRegistry;

use crate::Outcome;
use crate::peers::{self, Peer};
use crate::workload;
use arguments::{Arguments, USAGE};
use report::Report;

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
        match Arguments::parse(self, words) {
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
                if self.play(&arguments) { ExitCode::SUCCESS } else { ExitCode::from(1) }
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
    fn play(&self, arguments: &Arguments) -> bool {
        let mut right = true;
        let mut backends = arguments.backends.clone();
        if backends.is_empty() {
            let built_in = |name: &&str| backend::is_built_in(self.registry, name, arguments);
            backends.extend(self.registry.names().into_iter().filter(built_in).map(str::to_owned));
        }
        if !arguments.json && arguments.record.is_none() {
            print(&Report::heading());
        }
        for source in &arguments.sources {
            if let Some(path) = &arguments.record {
                match source::record(source, arguments, path) {
                    Ok(accesses) => note(&format!("{accesses} accesses are in {}", path.display())),
                    Err(error) => {
                        note(&format!("workloads: {}: {error}", source.name()));
                        right = false;
                    }
                }
                continue;
            }
            for backend in &backends {
                match play::play(self, backend, source, arguments) {
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
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
