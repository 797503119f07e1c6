//! [`MemoryBackend`]: the backend by name.

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{BackendFactory, KeyedStore, OpenEnv, Result};

use crate::MemoryStore;

/// Opens [`MemoryStore`]s. Registered as `memory`; Flink's names `hashmap` and `jobmanager` work too.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryBackend;

impl BackendFactory for MemoryBackend {
    fn name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["hashmap", "jobmanager"]
    }

    fn open(&self, env: OpenEnv, _: &Settings) -> Result<Box<dyn KeyedStore>> {
        Ok(Box::new(MemoryStore::open(env)?))
    }
}
