//! Amazon S3 and what speaks its protocol.
//!
//! | what | from the first of these that is given |
//! |---|---|
//! | endpoint | `s3.endpoint`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile |
//! | region | `s3.endpoint.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, `us-east-1` |
//! | credentials | `AWS_ACCESS_KEY_ID` and those with it, a web identity, the profile, the container's role, the instance's role |

use std::sync::Arc;

use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::{Error, Result};
use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider, S3ConditionalPut,
};
use object_store::{ClientOptions, ObjectStore, StaticCredentialProvider};

use super::http::{Connector, retries, role_retries};
use super::profile::{self, Profile};
use super::role::Role;
use super::{malformed, printable, variable};
use crate::storage::location::ObjectUrl;
use crate::storage::{Environment, StorageEnv};

pub(super) fn open(
    url: &ObjectUrl,
    settings: &Settings,
    env: &StorageEnv,
) -> Result<Arc<dyn ObjectStore>> {
    let requests = settings.object_requests();
    let (environment, profile) = (&env.environment, profile::load(env)?);
    let endpoint = endpoint(settings, environment, &profile)?;
    let region = region(settings, environment, &profile)?;
    let connector = Connector::new(&requests, environment)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&url.bucket)
        .with_region(&region)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries(&requests));
    let in_path = settings.s3_path_style();
    let in_path = in_path.unwrap_or(endpoint.is_some() || url.bucket.contains('.'));
    builder = builder.with_virtual_hosted_style_request(!in_path);
    let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.plain);
    let client = ClientOptions::new().with_allow_http(plain);
    if let Some(endpoint) = endpoint {
        let bucket = if in_path { "" } else { &url.bucket };
        builder = builder.with_endpoint(endpoint.url(bucket));
    }
    let credentials = if let Some(fixed) = fixed_credentials(environment, profile)? {
        Arc::new(StaticCredentialProvider::new(fixed)) as AwsCredentialProvider
    } else {
        let role = AmazonS3Builder::new()
            .with_bucket_name(&url.bucket)
            .with_region(&region)
            .with_retry(role_retries(&requests))
            .with_http_connector(connector.for_role());
        role_credentials(role, environment)?
    };
    let store = builder
        .with_credentials(credentials)
        .with_client_options(client)
        .with_http_connector(connector)
        .build()
        .map_err(|_secret| malformed("s3://", "check s3.endpoint and s3.endpoint.region"))?;
    Ok(Arc::new(store))
}

/// A server of the protocol.
struct Endpoint {
    scheme: &'static str,
    /// Host, perhaps port, perhaps path.
    rest: String,
    plain: bool,
}

impl Endpoint {
    /// Parses what was given as `name`.
    fn parse(name: &str, text: &str) -> Result<Self> {
        let refused = || {
            Error::invalid_input(format!(
                "{name} is no URL of a server, such as https://host:9000 without user, query and \
                 fragment"
            ))
        };
        let (scheme, rest) = match text.split_once("://") {
            None => ("https", text),
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(_) => return Err(refused()),
        };
        let rest = rest.trim_end_matches('/').to_owned();
        let whole = format!("{scheme}://{rest}");
        let odd = rest.contains(['@', '?', '#', '\\', '%']);
        if odd || rest.is_empty() || reqwest::Url::parse(&whole).is_err() {
            return Err(refused());
        }
        let rest = printable(name, rest)?;
        Ok(Self { scheme, rest, plain: scheme == "http" })
    }

    /// The URL, with `bucket`, unless that is empty, in the host's name.
    fn url(&self, bucket: &str) -> String {
        let dot = if bucket.is_empty() { "" } else { "." };
        format!("{}://{bucket}{dot}{}", self.scheme, self.rest)
    }
}

fn endpoint(
    settings: &Settings,
    environment: &Environment,
    profile: &Profile,
) -> Result<Option<Endpoint>> {
    if let Some(text) = settings.s3_endpoint() {
        return Endpoint::parse(&format!("setting {}", keys::S3_ENDPOINT), text).map(Some);
    }
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
        if let Some(text) = environment.get(name) {
            return Endpoint::parse(name, &text).map(Some);
        }
    }
    let text = profile.endpoint_url.as_deref();
    text.map(|text| Endpoint::parse("endpoint_url of the profile", text)).transpose()
}

fn region(settings: &Settings, environment: &Environment, profile: &Profile) -> Result<String> {
    let variable =
        || environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    let named = settings.s3_region().map(str::to_owned).or_else(variable);
    let region = named.or_else(|| profile.region.clone()).unwrap_or_else(|| "us-east-1".to_owned());
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if region.len() > 64 || !region.chars().all(safe) {
        return Err(Error::invalid_input(format!(
            "the region is no name of one; check setting {}, AWS_REGION and the profile",
            keys::S3_REGION
        )));
    }
    Ok(region)
}

/// Credentials that are given as such.
fn fixed_credentials(environment: &Environment, profile: Profile) -> Result<Option<AwsCredential>> {
    let key = variable(environment, "AWS_ACCESS_KEY_ID")?;
    let secret = variable(environment, "AWS_SECRET_ACCESS_KEY")?;
    match (key, secret) {
        (Some(key_id), Some(secret_key)) => {
            let token = variable(environment, "AWS_SESSION_TOKEN")?;
            return Ok(Some(AwsCredential { key_id, secret_key, token }));
        }
        (None, None) => {}
        (key, _) => {
            let missing = if key.is_none() { "AWS_ACCESS_KEY_ID" } else { "AWS_SECRET_ACCESS_KEY" };
            return Err(Error::invalid_input(format!(
                "{missing} is not set, but its counterpart is; set both or neither"
            )));
        }
    }
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        return Ok(None);
    }
    if let Some(way) = profile.unsupported
        && (way == "role_arn" || profile.credentials.is_none())
    {
        return Err(Error::unsupported(format!(
            "the profile gets its credentials by {way}, which is not supported; put the keys that \
             `aws configure export-credentials --format env` prints into the environment"
        )));
    }
    profile
        .credentials
        .map(|found| {
            let checked = |name: &str, value| printable(&format!("{name} of the profile"), value);
            Ok(AwsCredential {
                key_id: checked("aws_access_key_id", found.key)?,
                secret_key: checked("aws_secret_access_key", found.secret)?,
                token: found.token.map(|token| checked("aws_session_token", token)).transpose()?,
            })
        })
        .transpose()
}

/// Variables that lead to the role of a workload, a container or a machine.
const ROLE: [(&str, AmazonS3ConfigKey); 7] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];

/// Refuses half of what leads to a role: the client would ask for another one.
fn check_whole_role(environment: &Environment) -> Result<()> {
    let set = |name| environment.get(name).is_some();
    let (web, full) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (given, needed) = if set(web) {
        (web, "AWS_ROLE_ARN")
    } else if set(full) && !set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        (full, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    } else {
        return Ok(());
    };
    if set(needed) {
        return Ok(());
    }
    Err(Error::invalid_input(format!("{given} is set, and needs {needed}, which is not; set both")))
}

fn role_credentials(
    mut role: AmazonS3Builder,
    environment: &Environment,
) -> Result<AwsCredentialProvider> {
    check_whole_role(environment)?;
    let mut elsewhere = false;
    for (name, key) in ROLE {
        if let Some(value) = variable(environment, name)? {
            elsewhere = true;
            role = role.with_config(key, value);
        }
    }
    if let Some(at) = variable(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT")? {
        role = role.with_metadata_endpoint(at.trim_end_matches('/'));
    }
    let disabled = environment.get("AWS_EC2_METADATA_DISABLED");
    if !elsewhere && disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(Error::invalid_input(
            "there are no credentials for s3://; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             a profile in ~/.aws/credentials",
        ));
    }
    let advice = "check the variables of the role, such as AWS_ROLE_ARN";
    let store = role.build().map_err(|_secret| malformed("s3://", advice))?;
    Ok(Arc::new(Role(Arc::clone(store.credentials()))))
}

#[cfg(test)]
mod requests;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod server;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
