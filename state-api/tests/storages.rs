//! The storages of this crate under the conformance suite of storages.
#![cfg(feature = "testkit")]
#![expect(clippy::unwrap_used, reason = "harnesses of tests fail by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_state_api::random::{OsRandomness, SeededRandomness};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalSavepoints, LocalStorage};
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::testkit::storages::{Directory, Opening, StorageHarness, StorageProfile};
use alluvium_state_api::vfs::faulty::Fault;
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs, RealFs};
use alluvium_state_api::{Result, storage_suite};
use parking_lot::Mutex;

fn open<F>(
    directory: &Directory<F>,
    fs: Arc<dyn FileSystem>,
    opening: &Opening<'_>,
) -> Result<Arc<dyn CheckpointStorage>> {
    let (directory, random) = (directory.root.join("checkpoints"), Arc::new(OsRandomness));
    let storage = LocalStorage::open(fs, random, &directory, opening.job, options(opening))?;
    Ok(Arc::new(storage))
}

fn options(opening: &Opening<'_>) -> LocalOptions {
    match opening.savepoints {
        Some(directory) => LocalOptions::default().with_savepoint_directory(directory),
        None => LocalOptions::default(),
    }
}

macro_rules! local_harness {
    ($profile:expr) => {
        impl StorageHarness for Local {
            fn profile(&self) -> StorageProfile {
                $profile
            }

            fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
                open(&self.directory, self.directory.shared(), opening)
            }

            fn open_dying(
                &self,
                opening: &Opening<'_>,
                operations: u64,
            ) -> Result<Option<Arc<dyn CheckpointStorage>>> {
                let fs = FaultyFs::new(self.directory.shared());
                let fs = fs.with_fault(operations + 1, Fault::PowerCut);
                open(&self.directory, Arc::new(fs), opening).map(Some)
            }

            fn place(&self, name: &str) -> String {
                self.directory.place(name)
            }

            fn everything(&self) -> Vec<String> {
                self.directory.files()
            }

            fn put(&self, pointer: &str, bytes: &[u8]) {
                self.directory.put(pointer, bytes);
            }

            fn remove(&self, pointer: &str) {
                self.directory.remove(pointer);
            }
        }
    };
}

mod real_files {
    use super::*;

    #[derive(Debug)]
    struct Local {
        directory: Directory<RealFs>,
        _removed_at_the_end: tempfile::TempDir,
    }

    impl Default for Local {
        fn default() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let directory = Directory { fs: RealFs, root: dir.path().to_path_buf() };
            Self { directory, _removed_at_the_end: dir }
        }
    }

    const PROFILE: StorageProfile = StorageProfile::in_places("local").dying();
    local_harness!(PROFILE);
    storage_suite!(Local, PROFILE);
}

mod files_in_memory {
    use super::*;

    #[derive(Debug)]
    struct Local {
        directory: Directory<MemoryFs>,
    }

    impl Default for Local {
        fn default() -> Self {
            Self { directory: Directory { fs: MemoryFs::new(), root: PathBuf::from("/") } }
        }
    }

    /// This file system has no time.
    const PROFILE: StorageProfile =
        StorageProfile { ages: false, ..StorageProfile::in_places("local in memory").dying() };
    local_harness!(PROFILE);
    storage_suite!(Local, PROFILE);
}

mod in_the_process {
    use super::*;

    /// Checkpoints by job, and directories for savepoints.
    #[derive(Debug)]
    struct Process {
        jobs: Mutex<BTreeMap<String, MemoryStorage>>,
        directory: Directory<MemoryFs>,
    }

    impl Default for Process {
        fn default() -> Self {
            let directory = Directory { fs: MemoryFs::new(), root: PathBuf::from("/") };
            Self { jobs: Mutex::default(), directory }
        }
    }

    impl StorageHarness for Process {
        fn profile(&self) -> StorageProfile {
            StorageProfile::in_process("memory")
        }

        fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
            let new = |job: &FileName| {
                MemoryStorage::new(job.clone(), Arc::new(SeededRandomness::new(1)))
            };
            let mut jobs = self.jobs.lock();
            let name = opening.job.as_str().to_owned();
            let storage = jobs.entry(name).or_insert_with(|| new(opening.job)).clone();
            if opening.savepoints.is_none() {
                return Ok(Arc::new(storage));
            }
            let (fs, random) = (self.directory.shared(), Arc::new(OsRandomness));
            let savepoints = LocalSavepoints::new(fs, random, opening.job, options(opening))?;
            Ok(Arc::new(storage.with_savepoints(savepoints)))
        }

        fn place(&self, name: &str) -> String {
            self.directory.place(name)
        }

        fn everything(&self) -> Vec<String> {
            let jobs = self.jobs.lock();
            let published = jobs.iter().flat_map(|(job, storage)| {
                let ids = storage.list().unwrap().into_iter();
                ids.map(move |id| format!("memory://{job}/chk-{id}"))
            });
            published.chain(self.directory.files()).collect()
        }

        fn put(&self, pointer: &str, bytes: &[u8]) {
            self.directory.put(pointer, bytes);
        }

        fn remove(&self, pointer: &str) {
            self.directory.remove(pointer);
        }
    }

    storage_suite!(Process, StorageProfile::in_process("memory"));
}
