//! A bucket in memory for the conformance suite of storages: only how a storage is opened over it, and
//! where objects are in it, is different from suite to suite.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use alluvium_state_api::Result;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageHarness, StorageProfile};
use futures_executor::block_on;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::faulty::Faulty;

/// How storages are opened over a bucket.
pub(crate) trait Opener: Debug + Sync {
    /// The URL of the bucket.
    const ROOT: &'static str;
    const PROFILE: StorageProfile;

    fn open(store: Faulty, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>>;

    /// Where the object is that pointers call `plain`.
    fn find(store: &Faulty, plain: Path) -> Path {
        let _ = store;
        plain
    }
}

#[derive(Debug)]
pub(crate) struct Bucket<O>(Faulty, PhantomData<O>);

impl<O> Default for Bucket<O> {
    fn default() -> Self {
        Self(Faulty::over(Arc::new(InMemory::new()), 1, 0), PhantomData)
    }
}

impl<O: Opener> Bucket<O> {
    fn find(&self, pointer: &str) -> Path {
        let plain = Path::parse(pointer.strip_prefix(O::ROOT).unwrap()).unwrap();
        O::find(&self.0, plain)
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

impl<O: Opener> StorageHarness for Bucket<O> {
    fn profile(&self) -> StorageProfile {
        O::PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        O::open(self.0.clone(), opening)
    }

    fn open_dying(
        &self,
        opening: &Opening<'_>,
        operations: u64,
    ) -> Result<Option<Arc<dyn CheckpointStorage>>> {
        O::open(Faulty::dying(Arc::new(self.0.clone()), operations), opening).map(Some)
    }

    fn place(&self, name: &str) -> String {
        format!("{}/places/{name}", O::ROOT)
    }

    fn everything(&self) -> Vec<String> {
        let uploads = (0..self.0.open_uploads()).map(|number| format!("upload {number}"));
        everything(&self.0).into_iter().chain(uploads).collect()
    }

    fn put(&self, pointer: &str, bytes: &[u8]) {
        block_on(self.0.put(&self.find(pointer), bytes.to_vec().into())).unwrap();
    }

    fn remove(&self, pointer: &str) {
        block_on(self.0.delete(&self.find(pointer))).unwrap();
    }
}
