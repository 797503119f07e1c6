//! Places that are named on the command line: of jobs, or with jobs in them, by path or URL.
//!
//! # Invariant
//! What follows a scheme may hold credentials, and is not repeated before it was found to be a place.

use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use alluvium_checkpoint::{Directory as Files, StorageEnv, open_storage};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{Contents, LocalOptions, LocalStorage, contents};
use alluvium_state_api::{Error, ErrorKind, Result};

/// A place, and how storages are opened there.
#[derive(Debug)]
pub(super) struct Directory {
    at: At,
    settings: Settings,
    env: StorageEnv,
}

#[derive(Debug)]
enum At {
    /// A directory of a file system, here or elsewhere.
    Files(Files),
    /// The URL of something without directories, without a slash at its end.
    Url(String),
}

impl Directory {
    /// What `text` means.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is none, or that cannot be reached from here.
    pub(super) fn of(text: &OsStr, settings: &Settings) -> Result<Self> {
        let (env, settings) = (StorageEnv::default(), settings.clone());
        let Some(url) = text.to_str() else {
            // What is no text is a path for sure.
            let files = Files { file_system: Arc::clone(&env.file_system), path: text.into() };
            return Ok(Self { at: At::Files(files), settings, env });
        };
        if url.starts_with("memory://") {
            return Err(Error::invalid_input(
                "memory:// is the memory of another process; give a path or URL",
            ));
        }
        let at = match Files::open(url, &env) {
            Ok(files) => At::Files(files),
            Err(error) if error.kind() == ErrorKind::Unsupported && !url.starts_with("hdfs:") => {
                At::Url(url.trim_end_matches('/').to_owned())
            }
            Err(error) => return Err(error),
        };
        Ok(Self { at, settings, env })
    }

    /// The directory, if it is one of a file system.
    pub(super) fn files(&self) -> Option<&Files> {
        match &self.at {
            At::Files(files) => Some(files),
            At::Url(_) => None,
        }
    }

    /// The place of a job in it.
    pub(super) fn job(&self, name: &str) -> Self {
        let at = match &self.at {
            At::Files(files) => At::Files(files.with_path(files.path.join(name))),
            At::Url(url) => At::Url(format!("{url}/{name}")),
        };
        Self { at, settings: self.settings.clone(), env: self.env.clone() }
    }

    /// The last part of its name.
    pub(super) fn last(&self) -> String {
        let last = match &self.at {
            At::Files(Files { path, .. }) => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
            }
            At::Url(url) => url.rsplit('/').next().unwrap_or(url).into(),
        };
        last.into_owned()
    }

    /// Looks what it is. In an object store nothing but the place of a job is recognised.
    ///
    /// # Errors
    /// Those of [`contents`] and of [`open`](Self::open).
    pub(super) fn look(&self) -> Result<Contents> {
        match &self.at {
            At::Files(files) => contents(&*files.file_system, &files.path),
            At::Url(_) => {
                let found = self.open(None)?.survey()?;
                let is_job = !(found.checkpoints.is_empty() && found.shared.is_empty());
                Ok(Contents { is_job, ..Contents::default() })
            }
        }
    }

    /// Opens the place of a job that is there, and creates nothing. Its savepoints are looked for in
    /// `savepoints`, or else beside it.
    ///
    /// # Errors
    /// Those of [`LocalStorage::existing`] and [`open_storage`].
    pub(super) fn open(&self, savepoints: Option<&OsStr>) -> Result<Arc<dyn CheckpointStorage>> {
        match &self.at {
            At::Files(files) => self.open_files(files, savepoints),
            At::Url(url) => {
                let (parent, job) = url.rsplit_once('/').unwrap_or((url, ""));
                let job = FileName::new(job).map_err(|error| {
                    Error::invalid_input("this URL does not end with the name of a job")
                        .with_source(error)
                })?;
                let mut settings = self.settings.clone();
                settings.set(keys::CHECKPOINT_DIR, parent)?;
                let savepoints = savepoints.map_or(parent, |at| at.to_str().unwrap_or_default());
                settings.set(keys::SAVEPOINT_DIR, savepoints)?;
                open_storage(&settings, &job, &self.env)
            }
        }
    }

    fn open_files(
        &self,
        files: &Files,
        savepoints: Option<&OsStr>,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        let savepoints = savepoints.map(|at| Self::of(at, &self.settings)).transpose()?;
        let savepoints = match savepoints.as_ref().map(Self::files) {
            None => None,
            Some(Some(place)) if files.shares_file_system(place) => Some(&*place.path),
            Some(_) => {
                return Err(Error::invalid_input(
                    "savepoints are looked for in the file system of the job only",
                ));
            }
        };
        let path = &*files.path;
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = whole.file_name().and_then(OsStr::to_str);
        let mut options = LocalOptions::default();
        let job = match name.and_then(|name| FileName::new(name).ok()) {
            Some(job) => {
                if let Some(directory) = savepoints.or(whole.parent()) {
                    options = options.with_savepoint_directory(directory);
                }
                job
            }
            // Nobody knows what its savepoints are called.
            None => FileName::new("job")?,
        };
        let file_system = Arc::clone(&files.file_system);
        let randomness = Arc::new(OsRandomness);
        Ok(Arc::new(LocalStorage::existing(file_system, randomness, path, &job, options)?))
    }
}

/// As it is opened.
impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Files(files) => files.fmt(f),
            At::Url(url) => f.write_str(url),
        }
    }
}
