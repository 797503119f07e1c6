//! The file systems of this crate keep the contract of file systems.
#![cfg(feature = "testkit")]

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::testkit::file_systems::{FileSystemProfile, contract};
use alluvium_state_api::vfs::{FaultyFs, MemoryFs, RealFs};

#[test]
fn the_real_file_system_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&RealFs, dir.path(), FileSystemProfile::posix());
}

#[test]
fn memory_and_faulty_file_systems_keep_the_contract() {
    contract(&MemoryFs::new(), Path::new("/"), FileSystemProfile::posix());
    let faulty = FaultyFs::new(Arc::new(MemoryFs::new()));
    contract(&faulty, Path::new(""), FileSystemProfile::posix());
    assert!(faulty.retried().is_empty());
}
