//! HTTP with TLS, for the clients of object stores.
//!
//! Trusted are the certificates that the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are looked
//! at), or those of the file that `AWS_CA_BUNDLE` names. A machine without any, such as a container
//! without the package `ca-certificates`, trusts those of Mozilla's list that are built in.
//!
//! Redirects are not followed: they would take a signed request, and perhaps a session's token, elsewhere.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::settings::ObjectRequests;
use alluvium_state_api::{Error, Result};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};
use rustls::{ClientConfig, RootCertStore};

use crate::storage::Environment;

/// How long the services that hand out credentials of a machine may take to be reached: where there
/// are none, nothing answers.
const ROLE_RETRIES: (usize, Duration) = (1, Duration::from_secs(10));

/// Makes HTTP clients.
#[derive(Clone)]
pub(super) struct Connector {
    tls: ClientConfig,
    request_timeout: Duration,
    connect_timeout: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    pub(super) fn new(requests: &ObjectRequests, environment: &Environment) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let bundle = environment.get("AWS_CA_BUNDLE");
        let found = match &bundle {
            Some(path) => rustls_native_certs::load_certs_from_paths(Some(Path::new(path)), None),
            None => rustls_native_certs::load_native_certs(),
        };
        let (accepted, _refused) = roots.add_parsable_certificates(found.certs);
        if accepted == 0 && bundle.is_some() {
            return Err(Error::invalid_input(
                "there is no certificate in the file that AWS_CA_BUNDLE names; it must be PEM",
            ));
        }
        if accepted == 0 {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::bug("there is no version of TLS").with_source(error))?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Self {
            tls,
            request_timeout: requests.request_timeout,
            connect_timeout: requests.connect_timeout,
        })
    }

    /// The same for the services that hand out credentials of a machine.
    pub(super) fn for_role(&self) -> Self {
        let most = ROLE_RETRIES.1;
        let connect_timeout = self.connect_timeout.min(Duration::from_secs(1));
        let request_timeout = self.request_timeout.min(most);
        Self { tls: self.tls.clone(), request_timeout, connect_timeout }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .user_agent(concat!("alluvium/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(plain.as_deref() != Some("true"))
            .http1_only()
            .timeout(self.request_timeout)
            .connect_timeout(self.connect_timeout)
            .build()
            .map_err(|error| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(error.without_url()),
            })?;
        Ok(HttpClient::new(client))
    }
}

/// How requests are made again.
pub(super) fn retries(requests: &ObjectRequests) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: requests.retry_interval,
            max_backoff: requests.max_retry_interval.max(requests.retry_interval),
            base: 2.0,
        },
        max_retries: requests.retry_limit,
        retry_timeout: requests.retry_timeout,
    }
}

/// How requests for credentials of a machine are made again.
pub(super) fn role_retries(requests: &ObjectRequests) -> RetryConfig {
    let (max_retries, retry_timeout) = ROLE_RETRIES;
    RetryConfig { max_retries, retry_timeout, ..retries(requests) }
}
