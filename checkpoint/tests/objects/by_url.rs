//! The conformance suite of storages over what [`open_storage`] makes of URLs, with a store in memory.

use std::sync::Arc;

use alluvium_checkpoint::{StorageEnv, open_storage};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageHarness, StorageProfile};
use alluvium_state_api::{Result, storage_suite};
use futures_executor::block_on;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::faulty::Faulty;
use super::suite::everything;

const ROOT: &str = "s3://bucket";

#[derive(Debug)]
struct ByUrl(Faulty);

impl Default for ByUrl {
    fn default() -> Self {
        Self(Faulty::over(Arc::new(InMemory::new()), 1, 0))
    }
}

fn key(pointer: &str) -> Path {
    Path::parse(pointer.strip_prefix(ROOT).unwrap()).unwrap()
}

impl StorageHarness for ByUrl {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let mut settings =
            Settings::from_pairs([("state.checkpoints.dir", "s3a://bucket/checkpoints")])?;
        if let Some(savepoints) = opening.savepoints {
            settings.set("state.savepoints.dir", savepoints)?;
        }
        let env = StorageEnv::default().with_object_store(ROOT, Arc::new(self.0.clone()));
        open_storage(&settings, opening.job, &env)
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

const PROFILE: StorageProfile = StorageProfile::in_places("objects by url");
storage_suite!(ByUrl, PROFILE);
