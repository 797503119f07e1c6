//! What a URL means, before anything is opened.

use alluvium_state_api::{Error, Result};

use super::{StorageEnv, given_root};
#[cfg(feature = "hdfs")]
use crate::hdfs::Address;

/// The URL of the memory of this process.
pub(super) const MEMORY: &str = "memory://";

/// Kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Gcs,
    Azure,
    /// A store that the environment was given.
    Custom,
}

/// Schemes of object stores: how each is spelled, and which it is.
const CLOUDS: [(&str, &str, Cloud); 8] = [
    ("s3", "s3", Cloud::S3),
    ("s3a", "s3", Cloud::S3),
    ("s3n", "s3", Cloud::S3),
    ("gs", "gs", Cloud::Gcs),
    ("az", "az", Cloud::Azure),
    ("azure", "az", Cloud::Azure),
    ("abfs", "az", Cloud::Azure),
    ("abfss", "az", Cloud::Azure),
];

/// Where in an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectUrl {
    pub(super) cloud: Cloud,
    /// The URL of the bucket, without a slash at its end.
    pub(super) root: String,
    /// The whole URL, in the spelling of `root`.
    pub(super) text: String,
    /// The bucket or container.
    pub(super) bucket: String,
    /// The server that the URL names beside the container: that of an Azure account.
    pub(super) host: Option<String>,
}

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// The memory of this process: the whole URL.
    Memory(String),
    /// A path.
    Local(String),
    /// An object store.
    Object(ObjectUrl),
    /// A path in a cluster of HDFS.
    #[cfg(feature = "hdfs")]
    Hdfs(Address),
}

impl Location {
    /// # Errors
    /// `InvalidInput`, `Unsupported`. The message repeats the scheme at most: the rest may hold what
    /// was meant to be secret.
    pub(super) fn parse(url: &str, env: &StorageEnv) -> Result<Self> {
        if let Some(root) = given_root(env, url) {
            return Ok(Self::Object(ObjectUrl {
                cloud: Cloud::Custom,
                root: root.to_owned(),
                text: plain(url)?.to_owned(),
                bucket: String::new(),
                host: None,
            }));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            // The short form that Java prints.
            let path = url.strip_prefix("file:").filter(|path| path.starts_with('/'));
            return Ok(Self::Local(path.unwrap_or(url).to_owned()));
        };
        match scheme {
            "file" => return Ok(Self::Local(rest.to_owned())),
            "memory" => return Ok(Self::Memory(url.to_owned())),
            #[cfg(feature = "hdfs")]
            "hdfs" => return Address::parse(url).map(Self::Hdfs),
            #[cfg(not(feature = "hdfs"))]
            "hdfs" => {
                return Err(Error::unsupported(
                    "storage for hdfs:// is not in this build; build it with the feature hdfs",
                ));
            }
            _ => {}
        }
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || scheme.len() > 12 || !scheme.chars().all(is_scheme) {
            return Err(Error::invalid_input("this is neither a path nor a URL"));
        }
        if let Some((_, scheme, cloud)) = CLOUDS.iter().find(|known| known.0 == scheme) {
            let mut url = object(scheme, *cloud, plain(rest)?)?;
            if let Some(root) = given_root(env, &url.text) {
                (url.cloud, url.root) = (Cloud::Custom, root.to_owned());
            }
            return Ok(Self::Object(url));
        }
        Err(Error::invalid_input(format!(
            "there is no storage for {scheme}://; use a path, file://, memory://, hdfs:// or the \
             URL of an object store"
        )))
    }

    /// What the location's storage takes.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Memory(text) | Self::Local(text) => text,
            Self::Object(url) => &url.text,
            #[cfg(feature = "hdfs")]
            Self::Hdfs(address) => &address.url,
        }
    }

    /// Whether one storage serves both.
    pub(super) fn shares_store(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(_), Self::Memory(_)) | (Self::Local(_), Self::Local(_)) => true,
            (Self::Object(one), Self::Object(other)) => one.root == other.root,
            #[cfg(feature = "hdfs")]
            (Self::Hdfs(one), Self::Hdfs(other)) => one.cluster == other.cluster,
            _ => false,
        }
    }
}

/// Refuses what keys of objects do not have, and what may be secret.
fn plain(rest: &str) -> Result<&str> {
    if rest.contains(['?', '#']) {
        return Err(Error::invalid_input("a URL of an object store has no query and no fragment"));
    }
    if rest.chars().any(char::is_control) {
        return Err(Error::invalid_input("a URL of an object store has no control characters"));
    }
    Ok(rest)
}

fn object(scheme: &str, cloud: Cloud, rest: &str) -> Result<ObjectUrl> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |name: &str| {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (1..=255).contains(&name.len()) && name.chars().all(safe)
    };
    let (bucket, host) = match authority.split_once('@') {
        // Of Azure, container@account.dfs.core.windows.net.
        Some((container, host)) if cloud == Cloud::Azure && is_name(host) && host.contains('.') => {
            (container, Some(host))
        }
        Some(_) => {
            return Err(Error::invalid_input(
                "a URL has no user and no password; credentials come from the environment, a \
                 profile or the role of the machine",
            ));
        }
        None => (authority, None),
    };
    if !is_name(bucket) {
        return Err(Error::invalid_input(format!(
            "what follows {scheme}:// must be the name of a bucket or container: letters, digits, \
             dots and dashes"
        )));
    }
    let root = match host {
        Some(host) => format!("abfss://{bucket}@{host}"),
        None => format!("{scheme}://{bucket}"),
    };
    let text = if path.is_empty() { root.clone() } else { format!("{root}/{path}") };
    let (bucket, host) = (bucket.to_owned(), host.map(str::to_owned));
    Ok(ObjectUrl { cloud, root, text, bucket, host })
}
