//! Savepoints and copies in directories: self-contained, each in a new directory of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attempt::{LocalAttempt, Site};
use super::layout::{Ground, cannot_write, create_fresh, is_ours};
use super::{LocalOptions, discard, disposal, source, survey};
use crate::random::Randomness;
use crate::snapshot::FileName;
use crate::storage::{
    CheckpointAttempt, SavepointPlaces, StoredCheckpoint, SurveyedSavepoint, is_savepoint_of,
};
use crate::vfs::{FileSystem, ensure_directory};
use crate::{Error, ErrorKind, Result};

/// Where a job's savepoints go; needs no directory for checkpoints.
#[derive(Clone, Debug)]
pub struct LocalSavepoints {
    ground: Arc<Ground>,
    job: FileName,
}

impl LocalSavepoints {
    /// Savepoints of `job`. Nothing is created yet.
    ///
    /// # Errors
    /// `InvalidInput` for options out of bounds.
    pub fn new(
        fs: Arc<dyn FileSystem>,
        randomness: Arc<dyn Randomness>,
        job: &FileName,
        options: LocalOptions,
    ) -> Result<Self> {
        options.validate()?;
        let ground = Arc::new(Ground { fs, randomness, options });
        Ok(Self::over(ground, job))
    }

    pub(super) fn over(ground: Arc<Ground>, job: &FileName) -> Self {
        Self { ground, job: job.clone() }
    }
}

impl SavepointPlaces for LocalSavepoints {
    fn begin(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        let ground = &self.ground;
        let configured = ground.options.savepoint_directory.as_deref();
        let named = target.map(|target| source::path_of(&*ground.fs, target)).transpose()?;
        let Some(target) = named.or(configured) else {
            return Err(Error::invalid_input(
                "there is no place for the savepoint; name a directory or set \
                 state.savepoints.dir",
            ));
        };
        make_directory(&*ground.fs, target, "state.savepoints.dir")?;
        let (_, own, ()) = create_fresh(
            target,
            || Ok(ground.savepoint_name(&self.job)),
            |path| ground.fs.create_dir(path),
        )?;
        let site = Site::new(Arc::clone(ground), own, None, None);
        Ok(Arc::new(LocalAttempt::new(site)))
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        let fs = &*self.ground.fs;
        // Without a slash at the end.
        let own: PathBuf = source::path_of(fs, target)?.components().collect();
        ensure_directory(fs, &own).map_err(|error| cannot_write("create", &own, error))?;
        discard::require_directory(fs, &own)?;
        let inside = fs.list(&own).map_err(|error| Error::io("list", &own, error))?;
        if !inside.is_empty() {
            return Err(Error::already_exists(
                "the directory is not empty, and a copy needs one of its own; name a new one, or \
                 remove this one if it was left behind by an interrupted copy",
            )
            .with_path(own));
        }
        let site = Site::new(Arc::clone(&self.ground), own, None, None);
        Ok(Arc::new(LocalAttempt::new(site)))
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        source::open_pointer(&self.ground.fs, pointer)
    }

    fn discard(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        let fs = &*self.ground.fs;
        match source::locate(fs, pointer) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let interrupted = disposal::resume(fs, &source::directory_of(fs, pointer)?)?;
                if interrupted { Ok(()) } else { Err(error) }
            }
            own => disposal::dispose(fs, &own?, files),
        }
    }

    fn survey(&self, target: Option<&str>) -> Result<Vec<SurveyedSavepoint>> {
        let configured = self.ground.options.savepoint_directory.as_deref();
        let fs = &*self.ground.fs;
        let named = target.map(|target| source::path_of(fs, target)).transpose()?;
        let found = named.or(configured).map(|at| survey::savepoints(fs, at, self.job.as_str()));
        found.transpose().map(Option::unwrap_or_default)
    }

    fn discard_strays(&self, pointer: &str, names: &[String]) -> Result<()> {
        let fs = &*self.ground.fs;
        let own = source::directory_of(fs, pointer)?;
        let name = own.file_name().and_then(OsStr::to_str);
        if !name.is_some_and(|name| is_savepoint_of(self.job.as_str(), name)) {
            return Err(Error::invalid_input(
                "this is not named as savepoints of the job are; nothing was removed",
            )
            .with_path(own));
        }
        survey::remove_strays(fs, &own, names, |name| is_ours(name.as_ref()))?;
        discard::remove_directory(fs, &own)
    }
}

/// Makes a directory that the user chose, durably, or says what to do.
pub(super) fn make_directory(fs: &dyn FileSystem, path: &Path, setting: &str) -> Result<()> {
    let made = ensure_directory(fs, path);
    made.map_err(|error| unusable(path, setting, cannot_write("create", path, error)))
}

/// The one error for a directory that cannot be made or written.
#[cold]
pub(super) fn unusable(path: &Path, setting: &str, cause: Error) -> Error {
    let message = format!(
        "the directory cannot be created or written ({}); make it writable or set {setting} to \
         another one",
        cause.message(),
    );
    Error::new(cause.kind(), message).with_path(path).with_source(cause)
}
