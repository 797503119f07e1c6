//! Object storage under the conformance suite of storages, over a store in memory.

use std::sync::Arc;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageHarness, StorageProfile};
use alluvium_state_api::{Result, storage_suite};
use futures_executor::block_on;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::faulty::Faulty;

const ROOT: &str = "memory-objects://bucket";

#[derive(Debug)]
struct Objects(Faulty);

impl Default for Objects {
    fn default() -> Self {
        Self(Faulty::over(Arc::new(InMemory::new()), 1, 0))
    }
}

fn key(pointer: &str) -> Path {
    Path::parse(pointer.strip_prefix(ROOT).unwrap()).unwrap()
}

impl StorageHarness for Objects {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let mut options = ObjectOptions::default();
        if let Some(savepoints) = opening.savepoints {
            options = options.with_savepoints(savepoints);
        }
        let url = format!("{ROOT}/checkpoints");
        let store = Arc::new(self.0.clone());
        let random = Arc::new(OsRandomness);
        Ok(Arc::new(ObjectStorage::open(store, random, ROOT, &url, opening.job, options)?))
    }

    fn place(&self, name: &str) -> String {
        format!("{ROOT}/places/{name}")
    }

    fn everything(&self) -> Vec<String> {
        let objects = block_on(self.0.list(None).try_collect::<Vec<_>>()).unwrap();
        let uploads = (0..self.0.open_uploads()).map(|number| format!("upload {number}"));
        objects.into_iter().map(|object| object.location.to_string()).chain(uploads).collect()
    }

    fn put(&self, pointer: &str, bytes: &[u8]) {
        block_on(self.0.put(&key(pointer), bytes.to_vec().into())).unwrap();
    }

    fn remove(&self, pointer: &str) {
        block_on(self.0.delete(&key(pointer))).unwrap();
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("objects");
storage_suite!(Objects, PROFILE);
