//! The conformance suite of storages over what [`open_storage`] makes of URLs, with a store in memory.

use std::sync::Arc;

use alluvium_checkpoint::{StorageEnv, open_storage};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::{Opening, StorageProfile};
use alluvium_state_api::{Result, storage_suite};
use futures_executor::block_on;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::bucket::{Bucket, Opener};
use super::faulty::Faulty;

/// With entropy or without, and with how many requests under way at most.
#[derive(Debug)]
struct ByUrl<const ENTROPY: bool, const REQUESTS: usize>;

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

impl<const ENTROPY: bool, const REQUESTS: usize> Opener for ByUrl<ENTROPY, REQUESTS> {
    const ROOT: &'static str = "s3://bucket";
    const PROFILE: StorageProfile = PROFILE;

    fn open(store: Faulty, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> {
        let mut settings = settings(ENTROPY);
        settings.set("object-store.max-requests", &REQUESTS.to_string())?;
        if let Some(savepoints) = opening.savepoints {
            settings.set("state.savepoints.dir", savepoints)?;
        }
        let env = StorageEnv::default().with_object_store(Self::ROOT, Arc::new(store));
        open_storage(&settings, opening.job, &env)
    }

    fn find(store: &Faulty, plain: Path) -> Path {
        let entropy = plain.filename().and_then(|name| name.get(..2)).unwrap_or_default();
        let spread = Path::parse(format!("{entropy}/{plain}")).unwrap();
        if block_on(store.head(&spread)).is_ok() { spread } else { plain }
    }
}

const PROFILE: StorageProfile = StorageProfile::in_places("objects by url").dying();

mod plain {
    use super::*;

    type Plain = Bucket<ByUrl<false, 64>>;
    storage_suite!(Plain, PROFILE);
}

mod entropy {
    use super::*;

    type Entropy = Bucket<ByUrl<true, 64>>;
    storage_suite!(Entropy, PROFILE);
}

/// A request within another one would wait for itself.
mod one_request_at_a_time {
    use super::*;

    type Plain = Bucket<ByUrl<false, 1>>;
    storage_suite!(Plain, PROFILE);
}

mod entropy_one_request_at_a_time {
    use super::*;

    type Entropy = Bucket<ByUrl<true, 1>>;
    storage_suite!(Entropy, PROFILE);
}
