//! What a URL means, before anything is opened.

use alluvium_state_api::{Error, Result};

/// The URL of the memory of this process.
pub(super) const MEMORY: &str = "memory://";

/// Schemes that a feature of this crate brings, and which.
const BY_FEATURE: [(&str, &str); 9] = [
    ("s3", "s3"),
    ("s3a", "s3"),
    ("s3n", "s3"),
    ("gs", "gcs"),
    ("az", "azure"),
    ("azure", "azure"),
    ("abfs", "azure"),
    ("abfss", "azure"),
    ("hdfs", "hdfs"),
];

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
        let brought = BY_FEATURE.iter().find(|(name, _)| *name == scheme);
        let (_, feature) = brought.ok_or_else(|| {
            Error::invalid_input(format!(
                "there is no storage for {scheme}://; use a path, file://, memory://, s3://, gs://, \
                 az:// or hdfs://"
            ))
        })?;
        Err(Error::unsupported(format!(
            "storage for {scheme}:// was not built in; build with --features {feature}"
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
