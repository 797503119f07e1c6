//! What a URL means, before anything is opened.

use alluvium_state_api::{Error, Result};

/// The URL of the memory of this process.
pub(super) const MEMORY: &str = "memory://";

/// Schemes of object stores and HDFS.
const REMOTE: [&str; 9] = ["s3", "s3a", "s3n", "gs", "az", "azure", "abfs", "abfss", "hdfs"];

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// The memory of this process: the whole URL.
    Memory(String),
    /// A path.
    Local(String),
}

impl Location {
    /// # Errors
    /// `InvalidInput`, `Unsupported`. The message repeats the scheme at most: the rest may hold what
    /// was meant to be secret.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            // The short form that Java prints.
            let path = url.strip_prefix("file:").filter(|path| path.starts_with('/'));
            return Ok(Self::Local(path.unwrap_or(url).to_owned()));
        };
        match scheme {
            "file" => return Ok(Self::Local(rest.to_owned())),
            "memory" => return Ok(Self::Memory(url.to_owned())),
            _ => {}
        }
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || scheme.len() > 12 || !scheme.chars().all(is_scheme) {
            return Err(Error::invalid_input("this is neither a path nor a URL"));
        }
        if REMOTE.contains(&scheme) {
            return Err(Error::unsupported(format!(
                "storage for {scheme}:// cannot be opened by a URL; give object::ObjectStorage \
                 (feature object-store) a store that you have opened, or use a path"
            )));
        }
        Err(Error::invalid_input(format!(
            "there is no storage for {scheme}://; use a path, file:// or memory://"
        )))
    }

    /// What the location's storage takes.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Memory(text) | Self::Local(text) => text,
        }
    }

    /// Whether one storage serves both.
    pub(super) fn shares_store(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Memory(_), Self::Memory(_)) | (Self::Local(_), Self::Local(_))
        )
    }
}
