//! The conformance suite of storages over `s3://`, opened by URL.

use std::sync::Arc;

use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageHarness, StorageProfile};
use alluvium_state_api::{Result, storage_suite};

use crate::bucket::Bucket;

#[derive(Debug)]
struct S3(Bucket);

impl Default for S3 {
    fn default() -> Self {
        Self(Bucket::new())
    }
}

impl S3 {
    fn key(&self, pointer: &str) -> String {
        let key = pointer.strip_prefix(&self.0.root()).unwrap();
        key.trim_start_matches('/').to_owned()
    }
}

impl StorageHarness for S3 {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        self.0.open(self.0.port(), opening.job, opening.savepoints)
    }

    fn place(&self, name: &str) -> String {
        format!("{}/places/{name}", self.0.root())
    }

    fn everything(&self) -> Vec<String> {
        let uploads = self.0.uploads().into_iter().map(|key| format!("upload {key}"));
        self.0.objects().into_iter().chain(uploads).collect()
    }

    fn put(&self, pointer: &str, bytes: &[u8]) {
        self.0.put(&self.key(pointer), bytes);
    }

    fn remove(&self, pointer: &str) {
        self.0.delete(&self.key(pointer));
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("s3");
storage_suite!(S3, PROFILE);
