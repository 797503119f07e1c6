//! Storages that fail: a wrapper around object stores that answers wrongly, late or not at all, with its
//! own tests, and random lives of a job over whatever storage there is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "helpers of tests, which should fail where something is amiss"
)]

#[cfg(feature = "object-store")]
mod bucket;
#[cfg(feature = "object-store")]
mod by_url;
#[cfg(feature = "object-store")]
mod claims;
#[cfg(feature = "object-store")]
mod entropy;
mod facts;
#[path = "../lifecycle/fake.rs"]
#[expect(dead_code, reason = "it is shared with the tests of the coordinator, which use all of it")]
mod fake;
#[cfg(feature = "object-store")]
mod faulty;
#[cfg(feature = "object-store")]
mod fifth;
mod grounds;
#[cfg(feature = "object-store")]
mod late;
#[cfg(feature = "object-store")]
mod limits;
#[cfg(feature = "object-store")]
mod orphans;
#[cfg(feature = "object-store")]
mod publications;
#[cfg(feature = "object-store")]
mod reading;
#[cfg(feature = "s3")]
mod secrets;
mod sequences;
#[cfg(feature = "s3")]
#[path = "../../src/storage/cloud/s3/server.rs"]
#[expect(dead_code, reason = "it is shared with the tests of the client, which use all of it")]
mod server;
#[cfg(feature = "object-store")]
mod suite;
