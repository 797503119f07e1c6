//! Object storage by URL against a server of S3's protocol: `scripts/s3` starts one and runs this.
//!
//! The server is real, so is the way to it: between them is, where a test wants it, a proxy that loses
//! requests and answers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests, which should fail where something is amiss"
)]

mod bucket;
mod faults;
mod http;
mod proxy;
#[path = "../objects/publications.rs"]
mod publications;
mod races;
mod signatures;
mod suite;
mod uploads;
