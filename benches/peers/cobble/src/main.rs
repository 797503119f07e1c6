//! `workloads` with Cobble as one more peer: `--backend memory,fs,peer:cobble`; with `--rescale` before all other words, its
//! rescale beside ours.
//!
//! A crate outside the workspace, so that nobody compiles Cobble who does not ask for it; this is also how a peer of
//! one's own is played. `scripts/bench-cobble` builds and starts it.

mod rescale;
mod store;

use std::process::ExitCode;

use alluvium_benches::peers::Peer;
use alluvium_benches::session::Session;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == "--rescale").is_some() {
        return rescale::run(words);
    }
    let cobble = Peer::new("cobble", store::open);
    Session::new(&alluvium::registry()).with_peer(cobble).run(words)
}
