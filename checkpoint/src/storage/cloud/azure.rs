//! Azure Blob Storage.
//!
//! The account is that of the URL (`abfss://container@account.dfs.core.windows.net`) or
//! `AZURE_STORAGE_ACCOUNT_NAME`; where both name one it must be the same, since the environment's
//! credentials are that account's and go to no other. Credentials: `AZURE_STORAGE_ACCOUNT_KEY`; `AZURE_STORAGE_SAS_TOKEN`;
//! `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` with `AZURE_CLIENT_SECRET` or `AZURE_FEDERATED_TOKEN_FILE`; the
//! machine's managed identity.

use std::sync::Arc;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{Error, Result};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::{ClientOptions, ObjectStore};

use super::http::{Connector, retries, role_retries};
use super::role::Role;
use super::{malformed, variable};
use crate::storage::StorageEnv;
use crate::storage::location::ObjectUrl;

const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"];

/// What leads to credentials, and whether it is they themselves.
const CREDENTIALS: [(&str, AzureConfigKey); 11] = [
    ("AZURE_STORAGE_ACCOUNT_KEY", AzureConfigKey::AccessKey),
    ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", AzureConfigKey::SasKey),
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
    ("AZURE_STORAGE_ENDPOINT", AzureConfigKey::Endpoint),
    ("AZURE_STORAGE_USE_EMULATOR", AzureConfigKey::UseEmulator),
];

pub(super) fn open(
    url: &ObjectUrl,
    settings: &Settings,
    env: &StorageEnv,
) -> Result<Arc<dyn ObjectStore>> {
    let requests = settings.object_requests();
    let environment = &env.environment;
    let connector = Connector::new(&requests, environment)?;
    let emulator = environment.get("AZURE_STORAGE_USE_EMULATOR").is_some();
    let mut account = None;
    for name in ACCOUNT {
        account = account.or(variable(environment, name)?);
    }
    let mut base = match (&url.host, account) {
        (Some(host), Some(account)) if host.split('.').next() != Some(account.as_str()) => {
            return Err(Error::invalid_input(
                "the URL names another account than AZURE_STORAGE_ACCOUNT_NAME, whose credentials must \
                 not be sent there; make them agree",
            ));
        }
        (Some(_), _) => MicrosoftAzureBuilder::new().with_url(&url.root),
        (None, Some(account)) => container(&url.bucket).with_account(account),
        (None, None) if emulator => container(&url.bucket),
        (None, None) => {
            return Err(Error::invalid_input(
                "the account of the container is not known; set AZURE_STORAGE_ACCOUNT_NAME or write \
                 abfss://container@account.dfs.core.windows.net/path",
            ));
        }
    };
    let endpoint = environment.get("AZURE_STORAGE_ENDPOINT");
    let plain = emulator || endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    base = base.with_client_options(ClientOptions::new().with_allow_http(plain));
    let mut named = false;
    for (name, key) in CREDENTIALS {
        if let Some(value) = variable(environment, name)? {
            named = true;
            base = base.with_config(key, value);
        }
    }
    let refused = |_secret| {
        let advice =
            "check the URL, AZURE_STORAGE_ACCOUNT_NAME and the variables of the credentials";
        malformed("az://", advice)
    };
    if !named {
        let role = base
            .clone()
            .with_retry(role_retries(&requests))
            .with_http_connector(connector.for_role())
            .build()
            .map_err(refused)?;
        base = base.with_credentials(Arc::new(Role(Arc::clone(role.credentials()))));
    }
    let store = base.with_retry(retries(&requests)).with_http_connector(connector).build();
    Ok(Arc::new(store.map_err(refused)?))
}

fn container(name: &str) -> MicrosoftAzureBuilder {
    MicrosoftAzureBuilder::new().with_container_name(name)
}
