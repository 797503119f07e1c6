//! Storage by URL: what the settings name, opened.
//!
//! | URL | where that is |
//! |---|---|
//! | a path, `file://` and a path | a directory |
//! | `memory://` | this process |
//! | `s3://`, `s3a://`, `s3n://` and a bucket | Amazon S3, or what speaks its protocol (feature `s3`) |
//! | `gs://` and a bucket | Google Cloud Storage (feature `gcs`) |
//! | `az://`, `azure://`, `abfs://`, `abfss://` and a container | Azure Blob Storage (feature `azure`) |
//! | what was given to `StorageEnv::with_object_store` | that store (feature `object-store`) |
//! | `hdfs://host:port/` or `hdfs://nameservice/` and a path | HDFS, with the feature `hdfs` |
//!
//! # Role
//! [`open_storage`] opens what `state.checkpoints.dir` names for a job. Savepoints and pointers may be
//! elsewhere: each goes to the storage of its own URL, whatever the job's own is.
//! [`open_pointer`] opens a checkpoint or savepoint without a job.
//!
//! # Invariants
//! 1. A URL never carries credentials: one that does is refused, and the message does not repeat it. Nor do
//!    settings. Both come from the [`Environment`].
//! 2. What this build cannot open is refused by name, with the feature that brings it.

#[cfg(feature = "cloud")]
mod cloud;
mod directory;
mod environment;
#[cfg(feature = "hdfs")]
mod hdfs;
mod location;
#[cfg(feature = "object-store")]
mod objects;
mod routed;
#[cfg(feature = "object-store")]
mod scattered;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::local::{LocalOptions, LocalSavepoints, LocalStorage};
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::storage::{CheckpointStorage, SavepointPlaces, StoredCheckpoint};
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{Error, Result};

pub use directory::Directory;
pub use environment::Environment;
use location::{Cloud, Location};
use routed::Routed;

/// What storages are opened with. `Default` is the real thing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StorageEnv {
    /// For directories.
    pub file_system: Arc<dyn FileSystem>,
    /// Names files.
    pub randomness: Arc<dyn Randomness>,
    /// Where credentials come from, and what the tools of the stores read from there.
    pub environment: Environment,
    #[cfg(feature = "object-store")]
    object_stores: Vec<objects::CustomStore>,
}

impl Default for StorageEnv {
    fn default() -> Self {
        Self {
            file_system: Arc::new(RealFs),
            randomness: Arc::new(OsRandomness),
            environment: Environment::default(),
            #[cfg(feature = "object-store")]
            object_stores: Vec::new(),
        }
    }
}

impl StorageEnv {
    /// The same with another file system.
    #[must_use]
    pub fn with_file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }

    /// The same with other randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = randomness;
        self
    }

    /// The same with other variables of the environment.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The same with an object store for all URLs that are `root` or below it, such as
    /// `my-store://bucket`; also for `root`s of the schemes that are built in.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use alluvium_checkpoint::{StorageEnv, open_storage};
    /// use alluvium_state_api::settings::Settings;
    /// use alluvium_state_api::snapshot::FileName;
    /// use object_store::memory::InMemory;
    ///
    /// # fn main() -> alluvium_state_api::Result<()> {
    /// let env = StorageEnv::default().with_object_store("s3://bucket", Arc::new(InMemory::new()));
    /// let settings = Settings::from_pairs([("state.checkpoints.dir", "s3://bucket/checkpoints")])?;
    /// let storage = open_storage(&settings, &FileName::new("word-count")?, &env)?;
    /// assert_eq!(storage.list()?, []);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "object-store")]
    #[must_use]
    pub fn with_object_store(
        mut self,
        root: impl Into<String>,
        store: Arc<dyn object_store::ObjectStore>,
    ) -> Self {
        let root = root.into().trim_end_matches('/').to_owned();
        self.object_stores.push(objects::CustomStore { root, store });
        self
    }
}

/// The root of the store that was given for `url`: the longest that fits.
#[cfg(feature = "object-store")]
fn given_root<'a>(env: &'a StorageEnv, url: &str) -> Option<&'a str> {
    let roots = env.object_stores.iter().map(|given| given.root.as_str());
    let fits = |root: &&str| {
        url.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    roots.filter(fits).max_by_key(|root| root.len())
}

#[cfg(not(feature = "object-store"))]
const fn given_root<'a>(_env: &'a StorageEnv, _url: &str) -> Option<&'a str> {
    None
}

/// Opens the storage of `job` that `state.checkpoints.dir` names; without it, and for `memory://`,
/// checkpoints live in the memory of this process for as long as what is returned does. Savepoints
/// without a target go to `state.savepoints.dir`.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_checkpoint::{StorageEnv, open_storage};
/// use alluvium_state_api::CheckpointId;
/// use alluvium_state_api::settings::Settings;
/// use alluvium_state_api::snapshot::FileName;
/// use alluvium_state_api::vfs::MemoryFs;
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let env = StorageEnv::default().with_file_system(Arc::new(MemoryFs::new()));
/// let settings = Settings::from_pairs([("state.checkpoints.dir", "file:///checkpoints")])?;
/// let storage = open_storage(&settings, &FileName::new("word-count")?, &env)?;
/// storage.begin(CheckpointId::new(1))?.publish(b"metadata")?;
/// assert_eq!(storage.load(CheckpointId::new(1))?.pointer, "/checkpoints/word-count/chk-1");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `InvalidInput` for a URL that is none, has credentials in it or a place that cannot be written;
/// `Unsupported` for the scheme of an object store, and of HDFS without its feature; `Unavailable`.
pub fn open_storage(
    settings: &Settings,
    job: &FileName,
    env: &StorageEnv,
) -> Result<Arc<dyn CheckpointStorage>> {
    if !settings.create_subdir() {
        return Err(Error::invalid_input(format!(
            "setting {} must be true: a job tells its checkpoints from those of others by their \
             directory, and deletes what it finds in its own",
            keys::CREATE_SUBDIR
        )));
    }
    let stores = Stores::new(settings, job, env);
    let at = settings.checkpoint_dir().unwrap_or("memory://");
    let at = parse_setting(keys::CHECKPOINT_DIR, at, &stores)?;
    let savepoints = settings.savepoint_dir();
    let savepoints =
        savepoints.map(|url| parse_setting(keys::SAVEPOINT_DIR, url, &stores)).transpose()?;
    if let Some(Location::Memory(_)) = savepoints {
        return Err(Error::invalid_input(format!(
            "setting {} must name a place outside this process",
            keys::SAVEPOINT_DIR
        )));
    }
    let home = stores.home(&at, savepoints.as_ref())?;
    Ok(Arc::new(Routed::new(home, at, savepoints, stores)))
}

/// Opens a checkpoint or savepoint of any job by where it is: its directory, or the `_metadata` in it,
/// as a path or URL. It is only read.
///
/// # Errors
/// As [`CheckpointStorage::open_pointer`] and [`open_storage`].
pub fn open_pointer(
    settings: &Settings,
    pointer: &str,
    env: &StorageEnv,
) -> Result<StoredCheckpoint> {
    let job = FileName::new("none")?;
    let stores = Stores::new(settings, &job, env);
    let location = stores.locate(pointer)?;
    stores.place(&location)?.open_pointer(location.text())
}

/// The directory on this machine that a path or URL means; `None` where it means anything else, such as
/// the memory of this process or an object store. Nothing is opened.
///
/// ```
/// use std::path::Path;
/// use alluvium_checkpoint::{StorageEnv, local_path};
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let env = StorageEnv::default();
/// assert_eq!(local_path("file:///checkpoints", &env)?.as_deref(), Some(Path::new("/checkpoints")));
/// assert_eq!(local_path("memory://", &env)?, None);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `InvalidInput` for a URL that is none or has a scheme that nobody knows.
pub fn local_path(url: &str, env: &StorageEnv) -> Result<Option<PathBuf>> {
    Ok(match Location::parse(url, env)? {
        Location::Local(path) => Some(PathBuf::from(path)),
        Location::Memory(_) | Location::Object(_) => None,
        #[cfg(feature = "hdfs")]
        Location::Hdfs(_) => None,
    })
}

fn parse_setting(key: &str, url: &str, stores: &Stores) -> Result<Location> {
    stores.locate(url).map_err(|error| {
        Error::new(error.kind(), format!("setting {key}: {}", error.message())).with_source(error)
    })
}

/// Opens storages of one job.
#[derive(Debug)]
struct Stores {
    settings: Settings,
    job: FileName,
    env: StorageEnv,
    /// The object stores that are open, by their roots.
    #[cfg(feature = "object-store")]
    grounds: parking_lot::Mutex<std::collections::BTreeMap<String, Arc<crate::object::Ground>>>,
    #[cfg(feature = "hdfs")]
    clusters: hdfs::Clusters,
}

impl Stores {
    fn new(settings: &Settings, job: &FileName, env: &StorageEnv) -> Self {
        Self {
            settings: settings.clone(),
            job: job.clone(),
            env: env.clone(),
            #[cfg(feature = "object-store")]
            grounds: parking_lot::Mutex::default(),
            #[cfg(feature = "hdfs")]
            clusters: hdfs::Clusters::default(),
        }
    }

    fn locate(&self, url: &str) -> Result<Location> {
        let location = Location::parse(url, &self.env)?;
        #[cfg(feature = "object-store")]
        if let Location::Object(url) = location {
            return Self::unmarked(&self.settings, url).map(|(url, _)| Location::Object(url));
        }
        Ok(location)
    }

    /// The job's own storage.
    fn home(
        &self,
        at: &Location,
        savepoints: Option<&Location>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        match at {
            Location::Memory(url) if url == location::MEMORY => {
                let storage =
                    MemoryStorage::new(self.job.clone(), Arc::clone(&self.env.randomness));
                let limit = self.settings.max_inline_state_bytes();
                Ok(Arc::new(storage.with_limit_bytes(limit)))
            }
            Location::Memory(_) => Err(Error::invalid_input(format!(
                "setting {}: memory:// takes no path",
                keys::CHECKPOINT_DIR
            ))),
            Location::Local(path) => {
                let mut options = self.local_options();
                if let Some(Location::Local(path)) = savepoints {
                    options = options.with_savepoint_directory(path);
                }
                let StorageEnv { file_system, randomness, .. } = self.env.clone();
                let path = Path::new(path);
                let storage =
                    LocalStorage::open(file_system, randomness, path, &self.job, options)?;
                Ok(Arc::new(storage))
            }
            #[cfg(feature = "object-store")]
            Location::Object(url) => self.object_home(url, savepoints),
            #[cfg(not(feature = "object-store"))]
            Location::Object(url) => Err(lacking(url.cloud)),
            #[cfg(feature = "hdfs")]
            Location::Hdfs(address) => self.hdfs_home(address, savepoints),
        }
    }

    /// Where savepoints at `location` go, and where pointers to it lead.
    fn place(&self, location: &Location) -> Result<Arc<dyn SavepointPlaces>> {
        match location {
            Location::Memory(_) => Err(Error::invalid_input(
                "memory:// is the memory of the process that wrote the checkpoint, and is reached \
                 only through the storage that wrote it",
            )),
            Location::Local(_) => {
                let StorageEnv { file_system, randomness, .. } = self.env.clone();
                let options = self.local_options();
                Ok(Arc::new(LocalSavepoints::new(file_system, randomness, &self.job, options)?))
            }
            #[cfg(feature = "object-store")]
            Location::Object(url) => self.object_place(url),
            #[cfg(not(feature = "object-store"))]
            Location::Object(url) => Err(lacking(url.cloud)),
            #[cfg(feature = "hdfs")]
            Location::Hdfs(address) => self.hdfs_place(address),
        }
    }

    fn local_options(&self) -> LocalOptions {
        let threshold = self.settings.inline_threshold_bytes();
        LocalOptions::default().with_inline_threshold_bytes(threshold)
    }
}

/// The error of a store that this build cannot open.
#[cold]
fn lacking(cloud: Cloud) -> Error {
    let (scheme, feature) = match cloud {
        Cloud::S3 => ("s3", "s3"),
        Cloud::Gcs => ("gs", "gcs"),
        Cloud::Azure => ("az", "azure"),
        Cloud::Custom => ("this", "object-store"),
    };
    Error::unsupported(format!(
        "this build has no storage for {scheme}://; build it with the feature {feature}, or use a path"
    ))
}

#[cfg(test)]
mod tests;
