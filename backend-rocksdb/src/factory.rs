//! [`RocksBackend`]: the backend by name.

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{BackendFactory, KeyedStore, OpenEnv, Result};

use crate::options::{RocksOptions, keys};
use crate::store::RocksStore;

/// Opens [`RocksStore`]s. Registered as `rocksdb`; Flink's name `embedded-rocksdb` works too.
#[derive(Clone, Copy, Debug, Default)]
pub struct RocksBackend;

impl BackendFactory for RocksBackend {
    fn name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["embedded-rocksdb"]
    }

    fn setting_keys(&self) -> &'static [&'static str] {
        keys()
    }

    fn open(&self, env: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>> {
        Ok(Box::new(RocksStore::open_with(env, RocksOptions::from_settings(settings)?)?))
    }
}
