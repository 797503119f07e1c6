//! [`FsBackend`]: the backend by name.

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{BackendFactory, KeyedStore, OpenEnv, Result};

use crate::options::{FsOptions, KEYS};
use crate::store::FsStore;

/// Opens [`FsStore`]s. Registered as `fs`; Flink's name `filesystem` works too.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsBackend;

impl BackendFactory for FsBackend {
    fn name(&self) -> &'static str {
        crate::BACKEND_NAME
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["filesystem"]
    }

    fn setting_keys(&self) -> &'static [&'static str] {
        &KEYS
    }

    fn open(&self, env: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>> {
        Ok(Box::new(FsStore::open_with(env, FsOptions::from_settings(settings)?)?))
    }
}
