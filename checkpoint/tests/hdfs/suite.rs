//! The contract of file systems, and the suite of storages by URL.

use std::sync::Arc;

use alluvium_checkpoint::hdfs::{HdfsFs, HdfsOptions};
use alluvium_checkpoint::{StorageEnv, open_storage};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::testkit::file_systems::{FileSystemProfile, contract};
use alluvium_state_api::testkit::storages::{Directory, Opening, StorageHarness, StorageProfile};
use alluvium_state_api::vfs::faulty::Fault;
use alluvium_state_api::vfs::{FaultyFs, FileSystem};
use alluvium_state_api::{Result, storage_suite};

use crate::cluster::fresh;

#[test]
fn hdfs_keeps_the_contract_of_file_systems() {
    let place = fresh();
    let profile = FileSystemProfile { hard_links: false, shows_unsynced: false };
    contract(&place.fs, &place.root, profile);
}

#[test]
fn files_of_many_blocks_are_read_as_they_were_written() {
    let place = fresh();
    // The servers have blocks of 1 MiB; neither pieces nor reads are aligned to them.
    let bytes = alluvium_state_api::testkit::storages::content::content(7, (3 << 20) + 12_345);
    for piece in [1 << 20, (1 << 20) - 1, 300_000, 5 << 20] {
        let path = place.root.join(format!("{piece}"));
        let mut file = place.fs.create_new(&path).unwrap();
        for piece in bytes.chunks(piece) {
            file.write_all(piece).unwrap();
        }
        file.sync().unwrap();
        // Appended to in the middle of a block, and at the edge of one.
        file.write_all(&bytes[..(1 << 20) - 12_345]).unwrap();
        file.sync().unwrap();
        file.write_all(b"end").unwrap();
        file.sync().unwrap();
        let reader = place.fs.open(&path).unwrap();
        assert_eq!(reader.length().unwrap(), (4 << 20) + 3);
        let mut read = vec![0; bytes.len()];
        reader.read_exact_at(0, &mut read).unwrap();
        assert!(read == bytes, "{piece}");
        let mut edge = [0; 10];
        reader.read_exact_at((1 << 20) - 5, &mut edge).unwrap();
        assert_eq!(edge, bytes[(1 << 20) - 5..(1 << 20) + 5]);
        reader.read_exact_at((4 << 20) - 7, &mut edge).unwrap();
        assert_eq!(&edge[7..], b"end");
    }
}

#[test]
fn a_file_of_a_killed_writer_can_be_read_and_removed() {
    let place = fresh();
    let path = place.root.join("left");
    let mut file = place.fs.create_new(&path).unwrap();
    file.write_all(&vec![7; 100_000]).unwrap();
    // As a killed process: nothing is closed, and the lease is kept.
    let _kept = std::mem::ManuallyDrop::new(file);
    let other = HdfsFs::connect(&crate::cluster::cluster(), HdfsOptions::default()).unwrap();
    assert_eq!(other.metadata(&path).unwrap().length, 0);
    let reader = other.open(&path).unwrap();
    assert_eq!(reader.read_at(0, &mut [0; 10]).unwrap(), 0);
    assert!(other.create_new(&path).is_err());
    other.remove_file(&path).unwrap();
    assert!(other.list(&place.root).unwrap().is_empty());
    let mut again = other.create_new(&path).unwrap();
    again.write_all(b"new").unwrap();
    again.sync().unwrap();
    assert_eq!(other.metadata(&path).unwrap().length, 3);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let place = fresh();
    for name in ["a:b", &"x".repeat(300)] {
        let path = place.root.join(name);
        let error = place.fs.create_new(&path).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        let kinds = [std::io::ErrorKind::InvalidFilename, std::io::ErrorKind::Other];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    assert!(place.fs.list(&place.root).unwrap().is_empty());
}

#[derive(Debug)]
struct Cluster(Directory<HdfsFs>);

impl Default for Cluster {
    fn default() -> Self {
        Self(fresh())
    }
}

impl StorageHarness for Cluster {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let directory = self.0.place("checkpoints");
        let mut pairs = vec![("state.checkpoints.dir", &*directory)];
        pairs.extend(opening.savepoints.map(|place| ("state.savepoints.dir", place)));
        open_storage(&Settings::from_pairs(pairs)?, opening.job, &StorageEnv::default())
    }

    fn open_dying(
        &self,
        opening: &Opening<'_>,
        operations: u64,
    ) -> Result<Option<Arc<dyn CheckpointStorage>>> {
        let fs = FaultyFs::new(self.0.shared()).with_fault(operations + 1, Fault::PowerCut);
        let (directory, random) = (self.0.root.join("checkpoints"), Arc::new(OsRandomness));
        let options = LocalOptions::default();
        let storage = LocalStorage::open(Arc::new(fs), random, &directory, opening.job, options)?;
        Ok(Some(Arc::new(storage)))
    }

    fn place(&self, name: &str) -> String {
        self.0.place(name)
    }

    fn everything(&self) -> Vec<String> {
        self.0.files()
    }

    fn put(&self, pointer: &str, bytes: &[u8]) {
        self.0.put(pointer, bytes);
    }

    fn remove(&self, pointer: &str) {
        self.0.remove(pointer);
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("hdfs").dying();
storage_suite!(Cluster, PROFILE);
