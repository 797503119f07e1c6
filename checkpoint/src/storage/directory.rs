//! Directories that are looked at, and no storage of a job yet.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::vfs::FileSystem;
use alluvium_state_api::{Error, Result};

use super::StorageEnv;
use super::location::Location;

/// A path and the file system that it is in. Shown as what it is opened by.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where it is.
    pub file_system: Arc<dyn FileSystem>,
    /// What it is called there.
    pub path: PathBuf,
}

impl Directory {
    /// The directory that `url` names, a path or the URL of a file system; nothing is asked of it yet.
    ///
    /// # Errors
    /// Those of [`open_storage`](crate::open_storage); `Unsupported` for what has no directories.
    pub fn open(url: &str, env: &StorageEnv) -> Result<Self> {
        match Location::parse(url, env)? {
            Location::Local(path) => {
                let file_system = Arc::clone(&env.file_system);
                Ok(Self { file_system, path: path.into() })
            }
            #[cfg(feature = "hdfs")]
            Location::Hdfs(address) => {
                let options = crate::hdfs::HdfsOptions::default();
                let file_system = crate::hdfs::HdfsFs::connect(&address.url, options)?;
                Ok(Self { file_system: Arc::new(file_system), path: address.path.into() })
            }
            _ => Err(Error::unsupported("there are no directories; give a path or file://")),
        }
    }

    /// Another one of the same file system.
    #[must_use]
    pub fn with_path(&self, path: impl AsRef<Path>) -> Self {
        Self { file_system: Arc::clone(&self.file_system), path: path.as_ref().to_owned() }
    }

    /// Whether both are in one file system.
    pub fn shares_file_system(&self, other: &Self) -> bool {
        self.file_system.url_prefix() == other.file_system.url_prefix()
    }

    /// Whether it is in a file system elsewhere.
    pub fn is_remote(&self) -> bool {
        !self.file_system.url_prefix().is_empty()
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.file_system.url_prefix(), self.path.display())
    }
}
