//! The storages that jobs live over: a directory in memory, and object storage over a store that fails.

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs};

use crate::fake::{local, local_over};
use crate::sequences::{Ground, run};

/// A directory in memory: what is late there is late for ever.
struct Directory {
    memory: MemoryFs,
    /// What the present process sees of it, and the operations that fail.
    process: FaultyFs,
    planned: Vec<u64>,
    opened: u64,
    faults: u64,
}

impl Directory {
    fn count(&mut self) {
        let operations = self.process.operations();
        self.faults += self.planned.iter().filter(|at| **at < operations).count() as u64;
        self.planned.clear();
    }
}

impl Ground for Directory {
    fn new(_: u64) -> Self {
        let memory = MemoryFs::new();
        let process = FaultyFs::new(Arc::new(memory.clone()));
        Self { memory, process, planned: Vec::new(), opened: 0, faults: 0 }
    }

    fn open(&mut self) -> Arc<dyn CheckpointStorage> {
        self.count();
        self.opened += 1;
        self.process = FaultyFs::new(Arc::new(self.memory.clone()));
        local_over(Arc::new(self.process.clone()), 1_000 + self.opened)
    }

    fn look(&self) -> Arc<dyn CheckpointStorage> {
        local(&self.memory)
    }

    fn disturb(&mut self, random: u64) {
        let at = self.process.operations() + random % 50;
        let fault = [Fault::Fails(EIO), Fault::HappensButFails(EIO)][(random >> 32) as usize % 2];
        drop(self.process.clone().with_fault(at, fault));
        self.planned.push(at);
    }

    fn calm(&mut self) {
        self.count();
    }

    /// The directory itself may be left.
    fn is_empty(&self, pointer: &str) -> bool {
        self.memory.list(Path::new(pointer)).is_ok_and(|files| files.is_empty())
            || self.memory.metadata(Path::new(pointer)).is_err()
    }

    fn has_tombstone(&self, _pointer: &str) -> bool {
        false
    }

    fn faults(&self) -> u64 {
        self.faults
    }
}

#[test]
fn over_a_directory() {
    run::<Directory>("directory");
}

#[cfg(feature = "object-store")]
pub(crate) mod objects {
    use std::time::Duration;

    use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
    use alluvium_state_api::random::SeededRandomness;
    use alluvium_state_api::snapshot::FileName;
    use futures_executor::block_on;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::fake::INLINE;
    use crate::faulty::Faulty;

    pub(crate) const ROOT: &str = "memory-objects://bucket";

    /// A bucket. A process that dies leaves requests on their way.
    struct Bucket {
        store: Faulty,
        look: Arc<dyn CheckpointStorage>,
        seed: u64,
    }

    /// The storage of a job below `directory`, whose savepoints go where those of every job go.
    pub(crate) fn storage(
        store: Arc<dyn ObjectStore>,
        directory: &str,
        seed: u64,
    ) -> Arc<dyn CheckpointStorage> {
        let url = format!("{ROOT}/{directory}");
        let mut options = ObjectOptions::default().with_savepoints(format!("{ROOT}/savepoints"));
        options.inline_threshold_bytes = INLINE;
        options.retry_pause = Duration::ZERO;
        let random = Arc::new(SeededRandomness::new(seed));
        let job = FileName::new("job-1").unwrap();
        Arc::new(ObjectStorage::open(store, random, ROOT, &url, &job, options).unwrap())
    }

    fn metadata_of(pointer: &str) -> Path {
        let metadata = format!("{pointer}/_metadata");
        Path::parse(metadata.strip_prefix(ROOT).unwrap()).unwrap()
    }

    impl Ground for Bucket {
        fn new(seed: u64) -> Self {
            let memory = Arc::new(InMemory::new());
            let store = Faulty::over(Arc::<InMemory>::clone(&memory), seed, 0);
            Self { store, look: storage(memory, "checkpoints", 0), seed: seed << 20 }
        }

        fn open(&mut self) -> Arc<dyn CheckpointStorage> {
            self.store.set_percent(0);
            self.seed += 1;
            storage(Arc::new(self.store.clone()), "checkpoints", self.seed)
        }

        fn look(&self) -> Arc<dyn CheckpointStorage> {
            Arc::clone(&self.look)
        }

        fn disturb(&mut self, random: u64) {
            self.store.set_percent([0, 5, 20, 20, 50, 80][(random % 6) as usize]);
            block_on(self.store.land(false));
        }

        fn calm(&mut self) {
            self.store.set_percent(0);
            block_on(self.store.land(true));
        }

        /// Nobody collects what lands late in the place of a savepoint: only its metadata tells.
        fn is_empty(&self, pointer: &str) -> bool {
            let metadata = metadata_of(pointer);
            block_on(self.store.head(&metadata)).is_err()
        }

        fn has_tombstone(&self, pointer: &str) -> bool {
            let metadata = metadata_of(pointer);
            let found = block_on(async { self.store.get(&metadata).await?.bytes().await });
            found.is_ok_and(|bytes| bytes.starts_with(b"ALVTOMB1"))
        }

        fn faults(&self) -> u64 {
            self.store.counts().1
        }
    }

    #[test]
    fn over_an_object_store() {
        run::<Bucket>("objects");
    }
}
