//! Storage by URL: what the settings name, opened.
//!
//! | URL | where that is |
//! |---|---|
//! | a path, `file://` and a path | a directory |
//! | `memory://` | this process |
//!
//! # Role
//! [`open_storage`] opens what `state.checkpoints.dir` names for a job. Savepoints and pointers may be
//! elsewhere: each goes to the storage of its own URL, whatever the job's own is.
//! [`open_pointer`] opens a checkpoint or savepoint without a job.
//!
//! # Invariants
//! 1. A URL never carries credentials: one that does is refused, and the message does not repeat it.
//! 2. What this build cannot open is refused by name, with what to use instead.

mod location;
mod routed;

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::local::{LocalOptions, LocalSavepoints, LocalStorage};
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::storage::{CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{Error, Result};

use location::Location;
use routed::{Place, Routed};

/// What storages are opened with. `Default` is the real thing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StorageEnv {
    /// For directories.
    pub file_system: Arc<dyn FileSystem>,
    /// Names files.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for StorageEnv {
    fn default() -> Self {
        Self { file_system: Arc::new(RealFs), randomness: Arc::new(OsRandomness) }
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
/// `Unsupported` for the scheme of an object store or of HDFS; `Unavailable`.
pub fn open_storage(
    settings: &Settings,
    job: &FileName,
    env: &StorageEnv,
) -> Result<Arc<dyn CheckpointStorage>> {
    let at = parse_setting(keys::CHECKPOINT_DIR, settings.checkpoint_dir().unwrap_or("memory://"))?;
    let savepoints = settings.savepoint_dir();
    let savepoints = savepoints.map(|url| parse_setting(keys::SAVEPOINT_DIR, url)).transpose()?;
    if let Some(Location::Memory(_)) = savepoints {
        return Err(Error::invalid_input(format!(
            "setting {} must name a place outside this process",
            keys::SAVEPOINT_DIR
        )));
    }
    let stores = Stores { settings: settings.clone(), job: job.clone(), env: env.clone() };
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
    let stores = Stores { settings: settings.clone(), job, env: env.clone() };
    let location = Location::parse(pointer)?;
    stores.place(&location)?.open_pointer(location.text())
}

fn parse_setting(key: &str, url: &str) -> Result<Location> {
    Location::parse(url).map_err(|error| {
        Error::new(error.kind(), format!("setting {key}: {}", error.message())).with_source(error)
    })
}

/// Opens storages of one job.
#[derive(Debug)]
struct Stores {
    settings: Settings,
    job: FileName,
    env: StorageEnv,
}

impl Stores {
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
                let StorageEnv { file_system, randomness } = self.env.clone();
                let path = Path::new(path);
                let storage =
                    LocalStorage::open(file_system, randomness, path, &self.job, options)?;
                Ok(Arc::new(storage))
            }
        }
    }

    /// Where savepoints at `location` go, and where pointers to it lead.
    fn place(&self, location: &Location) -> Result<Arc<dyn Place>> {
        match location {
            Location::Memory(_) => Err(Error::invalid_input(
                "memory:// is the memory of the process that wrote the checkpoint, and is reached \
                 only through the storage that wrote it",
            )),
            Location::Local(_) => {
                let StorageEnv { file_system, randomness } = self.env.clone();
                let options = self.local_options();
                Ok(Arc::new(LocalSavepoints::new(file_system, randomness, &self.job, options)?))
            }
        }
    }

    fn local_options(&self) -> LocalOptions {
        let threshold = self.settings.inline_threshold_bytes();
        LocalOptions::default().with_inline_threshold_bytes(threshold)
    }
}

#[cfg(test)]
mod tests;
