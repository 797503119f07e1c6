//! Where the checkpoints of a run go, by its settings.
//!
//! | `state.checkpoints.dir` | checkpoints and savepoint |
//! |---|---|
//! | a path, or `file://` and a path | below `<path>/<job>`, the savepoint beside it |
//! | `memory://` | in this process, inline, so that the limit of inline state applies |
//!
//! Other jobs may have theirs in the same directory; they are neither taken up nor touched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{Error, Result};

use super::error;
use super::lock::Lock;

/// The checkpoints of one job, opened as often as the job is started.
#[derive(Debug)]
pub(super) struct Site {
    job: FileName,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory { path: PathBuf, options: LocalOptions },
    Memory(Arc<MemoryStorage>),
}

impl Site {
    /// The place that the settings name, for this job.
    ///
    /// # Errors
    /// `InvalidInput` for a scheme that there is no storage for, or where no place is named.
    pub(super) fn of(settings: &Settings, job: FileName) -> Result<Self> {
        let named = settings.checkpoint_dir().unwrap_or_default();
        let place = match named.split_once("://") {
            Some(("memory", "")) => {
                let limit = settings.max_inline_state_bytes();
                let storage = MemoryStorage::new(job.clone(), Arc::new(OsRandomness));
                Place::Memory(Arc::new(storage.with_limit_bytes(limit)))
            }
            Some(("file", path)) => Place::directory(path, settings)?,
            Some((scheme, _)) => {
                return Err(Error::invalid_input(format!(
                    "setting {}: there is no storage for {scheme}:// in this build; use a path, \
                     file:// or memory://",
                    keys::CHECKPOINT_DIR
                )));
            }
            None => Place::directory(named, settings)?,
        };
        Ok(Self { job, place })
    }

    /// The job's id.
    pub(super) fn job(&self) -> FileName {
        self.job.clone()
    }

    /// Keeps other processes from the job, where the storage is a directory; open it before.
    ///
    /// # Errors
    /// Where another process has the job.
    pub(super) fn lock(&self) -> error::Result<Option<Lock>> {
        match &self.place {
            Place::Memory(_) => Ok(None),
            Place::Directory { path, .. } => Lock::take(&RealFs, &path.join(self.job.as_str())),
        }
    }

    /// Opens the storage: anew where it is a directory.
    ///
    /// # Errors
    /// `InvalidInput` for a directory that cannot be created or written; `Unavailable`.
    pub(super) fn open(&self) -> Result<Arc<dyn CheckpointStorage>> {
        match &self.place {
            Place::Memory(storage) => Ok(Arc::clone(storage) as Arc<dyn CheckpointStorage>),
            Place::Directory { path, options } => {
                let (files, random) = (Arc::new(RealFs), Arc::new(OsRandomness));
                let storage = LocalStorage::open(files, random, path, &self.job, options.clone())?;
                Ok(Arc::new(storage))
            }
        }
    }
}

impl Place {
    fn directory(path: &str, settings: &Settings) -> Result<Self> {
        let savepoints = settings.savepoint_dir().unwrap_or(path);
        let savepoints = savepoints.strip_prefix("file://").unwrap_or(savepoints);
        if savepoints.contains("://") {
            return Err(Error::invalid_input(format!(
                "setting {}: there is no storage for this scheme in this build; use a path",
                keys::SAVEPOINT_DIR
            )));
        }
        Ok(Self::Directory {
            path: Path::new(path).to_owned(),
            options: LocalOptions::default()
                .with_inline_threshold_bytes(settings.inline_threshold_bytes())
                .with_savepoint_directory(savepoints),
        })
    }
}
