//! A backend from outside is benchmarked like ours: register it, and hand the command line on.
//!
//! `cargo run --release -p alluvium-benches --example own_backend -- --keys 100000 list.append`

use std::process::ExitCode;

use alluvium_state_api::{KeyedStore, OpenBackend};

#[expect(unreachable_pub, dead_code, reason = "an example is a crate of its own")]
#[path = "../../alluvium/examples/own_backend.rs"]
mod own_backend;

fn main() -> ExitCode {
    let own = OpenBackend::new("own", |env| {
        Ok(Box::new(own_backend::OwnStore::open(&env)?) as Box<dyn KeyedStore>)
    });
    alluvium_benches::session::run(&alluvium::registry().with(own), std::env::args().skip(1))
}
