//! Clients of the object stores that are reached over HTTP.
//!
//! # Invariants
//! 1. Credentials come from the [`Environment`], from profile files or from the services that give them to
//!    a machine; never from settings or URLs.
//! 2. No error of this module repeats a value that it read: neither its own message nor a source.
//! 3. Plain HTTP is spoken only with an endpoint that was given as `http://`.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcs")]
mod gcs;
mod http;
#[cfg(feature = "s3")]
mod profile;
mod role;
#[cfg(feature = "s3")]
mod s3;

use std::sync::Arc;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{Error, Result};
use object_store::ObjectStore;

#[cfg(any(feature = "s3", feature = "azure"))]
use super::Environment;
use super::StorageEnv;
use super::location::{Cloud, ObjectUrl};

/// Makes the client of the bucket that `url` names. Nothing is asked of it yet.
///
/// # Errors
/// `Unsupported` for what this build lacks; `InvalidInput` for settings and credentials that are
/// incomplete or malformed.
pub(super) fn open(
    url: &ObjectUrl,
    settings: &Settings,
    env: &StorageEnv,
) -> Result<Arc<dyn ObjectStore>> {
    match url.cloud {
        #[cfg(feature = "s3")]
        Cloud::S3 => s3::open(url, settings, env),
        #[cfg(feature = "gcs")]
        Cloud::Gcs => gcs::open(url, settings, env),
        #[cfg(feature = "azure")]
        Cloud::Azure => azure::open(url, settings, env),
        other => Err(super::lacking(other)),
    }
}

/// The error of a client that cannot be made. Its cause may repeat credentials, and is not told.
#[cold]
fn malformed(what: &str, advice: &str) -> Error {
    Error::invalid_input(format!("the client for {what} cannot be made; {advice}"))
}

/// Refuses what would not fit into a header, which also finds what was cut from a file carelessly.
#[cfg(any(feature = "s3", feature = "azure"))]
fn printable(name: &str, value: String) -> Result<String> {
    if value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(value);
    }
    Err(Error::invalid_input(format!(
        "{name} has blanks, line ends or other characters that it cannot have"
    )))
}

/// The variable `name`, fit for a header.
#[cfg(any(feature = "s3", feature = "azure"))]
fn variable(environment: &Environment, name: &str) -> Result<Option<String>> {
    environment.get(name).map(|value| printable(name, value)).transpose()
}
