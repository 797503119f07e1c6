//! Chooses the backend by name at run time, with settings; the operator does not know which it gets.
//!
//!     cargo run --example backend_by_name -- state.backend=memory
//!     cargo run --example backend_by_name -- state.backend=rocksdb     # says which feature is missing

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use std::process::ExitCode;

use alluvium::settings::Settings;
use alluvium::{
    KeyedBackend, KeyedStore, ListDescriptor, ListState, MaxParallelism, OpenEnv, Result,
};

const VISITS: ListDescriptor<String> = ListDescriptor::new("visits");

/// The operator, for any store: the concrete type of one, or `Box<dyn KeyedStore>`.
fn visits<S: KeyedStore>(store: S) -> Result<Vec<String>> {
    let mut backend = KeyedBackend::<u64, S>::new(store)?;
    let visits = backend.open(VISITS)?;
    for (user, page) in [(1, "start"), (2, "start"), (1, "prices")] {
        backend.at(&user)?.list(visits).add(&page.to_owned())?;
    }
    backend.at(&1)?.list(visits).get()
}

fn run(assignments: impl Iterator<Item = String>) -> Result<()> {
    let settings = Settings::from_assignments(assignments)?;
    let groups = MaxParallelism::new(128)?;
    let keys = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let store = alluvium::registry().open(OpenEnv::new(keys), &settings)?;
    println!("backend {}: user 1 saw {:?}", store.backend_name(), visits(store)?);
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
