//! Where the checkpoints of a run go, by its settings.
//!
//! `state.checkpoints.dir` is a path or URL of anything that [`open_storage`] opens: checkpoints go
//! below it, into the job's own place, and the savepoint beside that unless `state.savepoints.dir` names
//! another place. Other jobs may have theirs there, too; they are neither taken up nor touched.
//!
//! # Two processes of one job
//! In a directory a [`Lock`] refuses the second one. Elsewhere the numbers of checkpoints decide:
//! publication is exclusive, and a process that finds a number published that is not its own stops, see
//! [`Checkpoints`](super::checkpoints::Checkpoints).

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_checkpoint::{StorageEnv, local_path, open_storage};
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{Error, Result};

use super::error;
use super::lock::Lock;

/// The checkpoints of one job, opened as often as the job is started.
#[derive(Debug)]
pub(super) struct Site {
    job: FileName,
    settings: Settings,
    env: StorageEnv,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The memory of this process, which must be opened only once.
    Memory(Arc<dyn CheckpointStorage>),
    /// The job's directory.
    Directory(PathBuf),
    /// Anything else.
    Remote,
}

impl Site {
    /// The place that the settings name, for this job.
    ///
    /// # Errors
    /// Those of [`open_storage`], as far as nothing has to be opened; `InvalidInput` where no place is
    /// named.
    pub(super) fn of(settings: &Settings, job: FileName, env: &StorageEnv) -> Result<Self> {
        let (mut settings, env) = (settings.clone(), env.clone());
        let named = settings.checkpoint_dir().map(str::to_owned).ok_or_else(|| {
            Error::invalid_input(format!("setting {} names no place", keys::CHECKPOINT_DIR))
        })?;
        let place = if named.starts_with(MEMORY) {
            Place::Memory(open_storage(&settings, &job, &env)?)
        } else {
            if settings.savepoint_dir().is_none() {
                settings.set(keys::SAVEPOINT_DIR, &named)?;
            }
            match local_path(&named, &env)? {
                Some(path) => Place::Directory(path.join(job.as_str())),
                None => Place::Remote,
            }
        };
        Ok(Self { job, settings, env, place })
    }

    /// The job's id.
    pub(super) fn job(&self) -> FileName {
        self.job.clone()
    }

    /// By what the savepoint of this name is opened.
    pub(super) fn savepoint(&self, name: &FileName) -> String {
        let place = self.settings.savepoint_dir().unwrap_or_default();
        format!("{}/{}", place.trim_end_matches('/'), name.as_str())
    }

    /// Whether another process may come upon the same checkpoints.
    pub(super) fn is_reached_by_others(&self) -> bool {
        !matches!(self.place, Place::Memory(_))
    }

    /// Keeps other processes from the job, where the storage is a directory with locks; open it before.
    ///
    /// # Errors
    /// Where another process has the job.
    pub(super) fn lock(&self) -> error::Result<Option<Lock>> {
        match &self.place {
            Place::Directory(path) => Lock::take(&*self.env.file_system, path),
            Place::Memory(_) | Place::Remote => Ok(None),
        }
    }

    /// Opens the storage: anew, unless it is this process.
    ///
    /// # Errors
    /// Those of [`open_storage`].
    pub(super) fn open(&self) -> Result<Arc<dyn CheckpointStorage>> {
        match &self.place {
            Place::Memory(storage) => Ok(Arc::clone(storage)),
            Place::Directory(_) | Place::Remote => {
                open_storage(&self.settings, &self.job, &self.env)
            }
        }
    }
}

const MEMORY: &str = "memory://";
