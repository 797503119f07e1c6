//! Object storage under the conformance suite of storages, over a store in memory.

use std::sync::Arc;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageProfile};
use alluvium_state_api::{Result, storage_suite};

use super::bucket::{Bucket, Opener};
use super::faulty::Faulty;

#[derive(Debug)]
struct Direct;

impl Opener for Direct {
    const ROOT: &'static str = "memory-objects://bucket";
    const PROFILE: StorageProfile = PROFILE;

    fn open(store: Faulty, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let mut options = ObjectOptions::default();
        if let Some(savepoints) = opening.savepoints {
            options = options.with_savepoints(savepoints);
        }
        let (store, random) = (Arc::new(store), Arc::new(OsRandomness));
        let url = format!("{}/checkpoints", Self::ROOT);
        Ok(Arc::new(ObjectStorage::open(store, random, Self::ROOT, &url, opening.job, options)?))
    }
}

type Objects = Bucket<Direct>;

const PROFILE: StorageProfile = StorageProfile::in_places("objects").dying();
storage_suite!(Objects, PROFILE);
