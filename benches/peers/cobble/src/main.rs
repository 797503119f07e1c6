//! `workloads` with Cobble as one more peer: `--backend memory,fs,peer:cobble`.
//!
//! A crate outside the workspace, so that nobody compiles Cobble who does not ask for it; this is also how a peer of
//! one's own is played. `scripts/bench-cobble` builds and starts it.

mod store;

use std::process::ExitCode;

use alluvium_benches::peers::Peer;
use alluvium_benches::session::Session;

fn main() -> ExitCode {
    let cobble = Peer::new("cobble", store::open);
    Session::new(&alluvium::registry()).with_peer(cobble).run(std::env::args().skip(1))
}
