//! Storage in HDFS against a real namenode and datanode, which `scripts/hdfs` starts.
//!
//! Not run by a plain `cargo test`: it needs `ALLUVIUM_HDFS_URL`, a directory of a cluster that is there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the tests say how much they tried")]

mod cluster;
mod lost;
mod orphans;
mod outages;
mod proxy;
mod races;
mod suite;
