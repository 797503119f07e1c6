//! Faults and power cuts at every I/O operation of a whole job: coordinator, memory backend, local
//! storage.
//!
//! `scripts/faults` takes every operation, `scripts/power-cuts` cuts the power of real file systems;
//! a plain `cargo test` takes some operations of each script.
#![cfg(feature = "memory")]

mod canaries;
mod coordinated;
#[path = "../harness/mod.rs"]
mod harness;
mod power;
mod shutdown;

use alluvium::fault_suite;

use coordinated::Coordinated;
use harness::Memory;

fault_suite!(Memory, Coordinated);
