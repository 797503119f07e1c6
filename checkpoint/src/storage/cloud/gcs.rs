//! Google Cloud Storage.
//!
//! Credentials: the key of a service account in `GOOGLE_SERVICE_ACCOUNT_KEY` or in the file that
//! `GOOGLE_SERVICE_ACCOUNT` names; what `GOOGLE_APPLICATION_CREDENTIALS` names, or `gcloud auth
//! application-default login` has left; the machine's service account. `STORAGE_EMULATOR_HOST` leads to
//! an emulator, without any.

use std::sync::Arc;

use alluvium_state_api::Result;
use alluvium_state_api::settings::Settings;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientOptions, ObjectStore};

use super::http::{Connector, retries, role_retries};
use super::malformed;
use super::role::Role;
use crate::storage::StorageEnv;
use crate::storage::location::ObjectUrl;

const VARIABLES: [(&str, GoogleConfigKey); 4] = [
    ("GOOGLE_SERVICE_ACCOUNT", GoogleConfigKey::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_PATH", GoogleConfigKey::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", GoogleConfigKey::ServiceAccountKey),
    ("GOOGLE_APPLICATION_CREDENTIALS", GoogleConfigKey::ApplicationCredentials),
];

pub(super) fn open(
    url: &ObjectUrl,
    settings: &Settings,
    env: &StorageEnv,
) -> Result<Arc<dyn ObjectStore>> {
    let requests = settings.object_requests();
    let connector = Connector::new(&requests, &env.environment)?;
    let new = || GoogleCloudStorageBuilder::new().with_bucket_name(&url.bucket);
    let refused = |_secret| {
        malformed(
            "gs://",
            "check the files that GOOGLE_SERVICE_ACCOUNT and GOOGLE_APPLICATION_CREDENTIALS name, and \
             give one of them",
        )
    };
    if let Some(host) = env.environment.get("STORAGE_EMULATOR_HOST") {
        let server = if host.contains("://") { host } else { format!("http://{host}") };
        let store = new()
            .with_config(GoogleConfigKey::BaseUrl, server)
            .with_config(GoogleConfigKey::SkipSignature, "true")
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retries(&requests))
            .with_http_connector(connector)
            .build()
            .map_err(refused)?;
        return Ok(Arc::new(store));
    }
    let mut role = new();
    let mut named = false;
    for (name, key) in VARIABLES {
        if let Some(value) = env.environment.get(name) {
            named = true;
            role = role.with_config(key, value);
        }
    }
    role = if named {
        role.with_retry(retries(&requests)).with_http_connector(connector.clone())
    } else {
        role.with_retry(role_retries(&requests)).with_http_connector(connector.for_role())
    };
    let role = role.build().map_err(refused)?;
    let store = new()
        .with_credentials(Arc::new(Role(Arc::clone(role.credentials()))))
        .with_retry(retries(&requests))
        .with_http_connector(connector)
        .build()
        .map_err(refused)?;
    Ok(Arc::new(store))
}
