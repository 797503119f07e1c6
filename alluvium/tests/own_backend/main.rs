//! The conformance kit and the model, run on the example backend; the backends run against each other.

#[cfg(feature = "memory")]
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(feature = "memory")]
mod mirror;
#[expect(unreachable_pub, reason = "an example is a crate of its own")]
#[path = "../../examples/own_backend.rs"]
mod own_backend;
#[cfg(feature = "memory")]
mod wrong;

use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{OpenEnv, Result, conformance_suite, fault_suite, model_suite};

#[derive(Debug, Default)]
struct Own;

impl Harness for Own {
    type Store = own_backend::OwnStore;

    fn profile(&self) -> Profile {
        PROFILE
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        own_backend::OwnStore::open(&env)
    }
}

const PROFILE: Profile = Profile {
    name: "own",
    increments: Increments::WrittenAsFull,
    exact_counts: true,
    digests: true,
    local_directory: false,
    buffer_bytes: 0,
};

conformance_suite!(Own, PROFILE);
model_suite!(Own);
fault_suite!(Own);

#[test]
fn the_demonstration_runs() {
    own_backend::main().unwrap();
}
