//! Alluvium's file-system state backend: a write layer in memory over immutable, mapped segment files.

pub mod local;
pub mod segment;
