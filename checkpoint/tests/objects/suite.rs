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

/// What is there besides tombstones, which are left on purpose, for a while; tests of their own look for
/// them.
pub(crate) fn everything(store: &dyn ObjectStore) -> Vec<String> {
    let mut objects = block_on(store.list(None).try_collect::<Vec<_>>()).unwrap();
    objects.retain(|object| object.size != 32 || !is_tombstone(store, &object.location));
    objects.into_iter().map(|object| object.location.to_string()).collect()
}

fn is_tombstone(store: &dyn ObjectStore, at: &Path) -> bool {
    let bytes = block_on(async { store.get(at).await.unwrap().bytes().await });
    bytes.unwrap().starts_with(b"ALVTOMB1")
}

fn key(pointer: &str) -> Path {
    Path::parse(pointer.strip_prefix(ROOT).unwrap()).unwrap()
}

fn open(store: Faulty, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
    let mut options = ObjectOptions::default();
    if let Some(savepoints) = opening.savepoints {
        options = options.with_savepoints(savepoints);
    }
    let url = format!("{ROOT}/checkpoints");
    let store = Arc::new(store);
    let random = Arc::new(OsRandomness);
    Ok(Arc::new(ObjectStorage::open(store, random, ROOT, &url, opening.job, options)?))
}

impl StorageHarness for Objects {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        open(self.0.clone(), opening)
    }

    fn open_dying(
        &self,
        opening: &Opening<'_>,
        operations: u64,
    ) -> Result<Option<Arc<dyn CheckpointStorage>>> {
        open(Faulty::dying(Arc::new(self.0.clone()), operations), opening).map(Some)
    }

    fn place(&self, name: &str) -> String {
        format!("{ROOT}/places/{name}")
    }
    fn everything(&self) -> Vec<String> {
        let uploads = (0..self.0.open_uploads()).map(|number| format!("upload {number}"));
        everything(&self.0).into_iter().chain(uploads).collect()
    }

    fn put(&self, pointer: &str, bytes: &[u8]) {
        block_on(self.0.put(&key(pointer), bytes.to_vec().into())).unwrap();
    }

    fn remove(&self, pointer: &str) {
        block_on(self.0.delete(&key(pointer))).unwrap();
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("objects").dying();
storage_suite!(Objects, PROFILE);
