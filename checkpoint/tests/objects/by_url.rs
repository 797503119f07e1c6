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

/// With entropy or without.
#[derive(Debug)]
struct ByUrl<const ENTROPY: bool>(Faulty);

impl<const ENTROPY: bool> Default for ByUrl<ENTROPY> {
    fn default() -> Self {
        Self(Faulty::over(Arc::new(InMemory::new()), 1, 0))
    }
}

fn key(pointer: &str) -> Path {
    Path::parse(pointer.strip_prefix(ROOT).unwrap()).unwrap()
}

impl<const ENTROPY: bool> ByUrl<ENTROPY> {
    /// Where the object is that is seen at `pointer`.
    fn find(&self, pointer: &str) -> Path {
        let plain = key(pointer);
        let entropy = plain.filename().and_then(|name| name.get(..2)).unwrap_or_default();
        let spread = Path::parse(format!("{entropy}/{plain}")).unwrap();
        if block_on(self.0.head(&spread)).is_ok() { spread } else { plain }
    }
}

fn settings(entropy: bool) -> Settings {
    if entropy {
        return Settings::from_pairs([
            ("state.checkpoints.dir", "s3://bucket/_entropy_/checkpoints"),
            ("s3.entropy.key", "_entropy_"),
            ("s3.entropy.length", "2"),
        ])
        .unwrap();
    }
    Settings::from_pairs([("state.checkpoints.dir", "s3a://bucket/checkpoints")]).unwrap()
}

impl<const ENTROPY: bool> StorageHarness for ByUrl<ENTROPY> {
    fn profile(&self) -> StorageProfile {
        PROFILE
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let mut settings = settings(ENTROPY);
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
        block_on(self.0.put(&self.find(pointer), bytes.to_vec().into())).unwrap();
    }

    fn remove(&self, pointer: &str) {
        block_on(self.0.delete(&self.find(pointer))).unwrap();
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("objects by url");

mod plain {
    use super::*;

    type Plain = ByUrl<false>;
    storage_suite!(Plain, PROFILE);
}

mod entropy {
    use super::*;

    type Entropy = ByUrl<true>;
    storage_suite!(Entropy, PROFILE);
}
