//! Durable storage of a job's checkpoints in a directory, over [`crate::vfs`].
//!
//! # Role
//! The embedded default. One [`LocalStorage`] per job and process; several processes may use one
//! directory, also over a network file system with POSIX names. The layout is Flink's:
//!
//! ```text
//! <directory>/<job>/shared/...                     files that later checkpoints may reference
//! <directory>/<job>/chk-<n>/{_metadata, ...}       one checkpoint
//! <target>/savepoint-<job>-<random>/{_metadata, ...}
//! ```
//!
//! # Invariants
//! Those of [`checkpoint`](super::checkpoint), by these means:
//! 1. Files have random names and are created exclusively; nothing is ever opened to be rewritten.
//! 2. A file is synced before it is finished; directories before metadata; metadata under a draft's
//!    name before it gets its own, exclusively; the directory before `publish` returns, and before `load`
//!    and `list` tell what is in it.
//! 3. Below the directory that the user chose nothing is followed that is a symbolic link.
//! 4. Deletion touches only files that we may have written, in real directories.
//!
//! # Failure
//! See [`CheckpointAttempt`] for what is determinate. A directory that cannot be created or written is
//! found when the storage is opened.
//!
//! # Cost
//! A checkpoint costs one directory, and at publication four directory syncs and one file sync,
//! whatever its size. Files up to [`LocalOptions::inline_threshold_bytes`] cost nothing.

mod attempt;
mod cached;
mod contents;
mod direct;
mod discard;
mod disposal;
mod import;
mod layout;
mod pages;
mod publish;
mod savepoint;
mod source;
mod stream;
mod survey;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use contents::{Contents, contents};
pub use savepoint::LocalSavepoints;
pub use source::open_pointer;

use super::{
    CheckpointAttempt, CheckpointStorage, SavepointPlaces, SnapshotSource, StoredCheckpoint,
    Survey, SurveyedPlace, SurveyedSavepoint,
};
use crate::random::Randomness;
use crate::snapshot::FileName;
use crate::vfs::{EntryKind, FileSystem};
use crate::{CheckpointId, Error, Result};
use attempt::{LocalAttempt, Site};
use layout::{
    Ground, METADATA, SHARED, cannot_write, checkpoint_name, create_file, create_fresh, is_draft,
    is_ours, parse_checkpoint, unless_missing,
};
use savepoint::{make_directory, unusable};

const DIRECTORY_SETTING: &str = "state.checkpoints.dir";

/// How a [`LocalStorage`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOptions {
    /// Files of at most so many bytes go into the metadata. Default 20 KiB, at most 1 MiB.
    pub inline_threshold_bytes: u64,
    /// How much a writer collects before it writes. Default 256 KiB, 4 KiB to 64 MiB.
    pub write_buffer_bytes: u64,
    /// How long a file is expected to be ([`FileWriter::expect`](super::FileWriter::expect)) that goes to
    /// the disk past the page cache, from a thread of its own, where the file system has a way for that; 0
    /// for never. Default 4 MiB.
    pub bypass_cache_from_bytes: u64,
    /// How much of a file is written before it is pushed to the disk early; 0 leaves everything to
    /// the final sync. Default 8 MiB.
    pub write_back_bytes: u64,
    /// Where savepoints go that name no place. Default none.
    pub savepoint_directory: Option<PathBuf>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            inline_threshold_bytes: 20 << 10,
            write_buffer_bytes: 256 << 10,
            bypass_cache_from_bytes: 4 << 20,
            write_back_bytes: 8 << 20,
            savepoint_directory: None,
        }
    }
}

impl LocalOptions {
    /// The same with another threshold for inline files.
    #[must_use]
    pub fn with_inline_threshold_bytes(mut self, bytes: u64) -> Self {
        self.inline_threshold_bytes = bytes;
        self
    }

    /// The same with a place for savepoints.
    #[must_use]
    pub fn with_savepoint_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.savepoint_directory = Some(directory.into());
        self
    }

    fn validate(&self) -> Result<()> {
        let bounds = [
            ("inline_threshold_bytes", self.inline_threshold_bytes, 0, 1 << 20),
            ("write_buffer_bytes", self.write_buffer_bytes, 4 << 10, 64 << 20),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid_input(format!(
                    "{name} is {value} but must lie between {least} and {most}"
                )));
            }
        }
        Ok(())
    }
}

/// The checkpoints of one job in a directory. See the module.
#[derive(Clone, Debug)]
pub struct LocalStorage {
    ground: Arc<Ground>,
    job_directory: PathBuf,
    savepoints: LocalSavepoints,
}

impl LocalStorage {
    /// Opens or creates `<directory>/<job>`, durably, and tries whether it can be written.
    ///
    /// # Errors
    /// `InvalidInput` for options out of bounds and for a directory that cannot be created or
    /// written, saying what to do; `Unavailable`.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        randomness: Arc<dyn Randomness>,
        directory: &Path,
        job: &FileName,
        options: LocalOptions,
    ) -> Result<Self> {
        options.validate()?;
        if directory.to_str().is_none_or(str::is_empty) {
            return Err(Error::invalid_input(format!(
                "{DIRECTORY_SETTING} must be a path in UTF-8 that is not empty"
            ))
            .with_path(directory));
        }
        let job_directory = directory.join(job.as_str());
        let shared = job_directory.join(SHARED);
        // Before anything is made behind a link. Where the place is at fault, making says what to do.
        match fs.metadata(&job_directory) {
            Ok(_) => drop(discard::require_directory(&*fs, &job_directory)?),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied => {}
                _ => return Err(Error::io("metadata", &job_directory, error)),
            },
        }
        make_directory(&*fs, &shared, DIRECTORY_SETTING)?;
        for path in [&job_directory, &shared] {
            discard::require_directory(&*fs, path)?;
        }
        let ground = Arc::new(Ground { fs, randomness, options });
        let probe = create_fresh(
            &job_directory,
            || Ok(ground.draft_name()),
            |path| {
                create_file(&*ground.fs, path)?;
                // Whoever collects orphans may have removed it.
                unless_missing(ground.fs.remove_file(path))
            },
        );
        probe.map_err(|error| unusable(&job_directory, DIRECTORY_SETTING, error))?;
        let savepoints = LocalSavepoints::over(Arc::clone(&ground), job);
        Ok(Self { ground, job_directory, savepoints })
    }

    /// Opens the directory of a job that is there, to look at it or to clear it up: nothing is created
    /// and nothing is tried, so a directory that can only be read will do.
    ///
    /// # Errors
    /// `InvalidInput` for options out of bounds, and where `job_directory` is not the directory of a
    /// job; `NotFound` where there is nothing; `Unavailable`.
    pub fn existing(
        fs: Arc<dyn FileSystem>,
        randomness: Arc<dyn Randomness>,
        job_directory: &Path,
        job: &FileName,
        options: LocalOptions,
    ) -> Result<Self> {
        options.validate()?;
        if !contents(&*fs, job_directory)?.is_job {
            return Err(Error::invalid_input(
                "this is not the directory of a job: it holds no chk-<number> and no shared",
            )
            .with_path(job_directory));
        }
        let ground = Arc::new(Ground { fs, randomness, options });
        let savepoints = LocalSavepoints::over(Arc::clone(&ground), job);
        Ok(Self { ground, job_directory: job_directory.to_owned(), savepoints })
    }

    fn directory_of(&self, id: CheckpointId) -> PathBuf {
        self.job_directory.join(checkpoint_name(id))
    }

    /// Whether checkpoint directory `own` holds metadata.
    fn is_published(&self, own: &Path) -> Result<bool> {
        let path = own.join(METADATA);
        match self.ground.fs.metadata(&path) {
            Ok(found) => Ok(found.kind == EntryKind::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("metadata", &path, error)),
        }
    }
}

impl CheckpointStorage for LocalStorage {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        let own = self.directory_of(id);
        let begin = || {
            match self.ground.fs.create_dir(&own) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    discard::require_directory(&*self.ground.fs, &own)?;
                    if self.is_published(&own)? {
                        return Err(Error::already_exists(
                            "this checkpoint is published; begin one with a higher number",
                        )
                        .with_path(&own));
                    }
                }
                result => result.map_err(|error| {
                    unusable(&own, DIRECTORY_SETTING, cannot_write("create", &own, error))
                })?,
            }
            let shared = Some(self.job_directory.join(SHARED));
            Ok(Site::new(Arc::clone(&self.ground), own.clone(), shared, Some(id)))
        };
        let site = begin().map_err(|error: Error| error.with_checkpoint(id))?;
        Ok(Arc::new(LocalAttempt::new(site)))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        self.savepoints.begin(target)
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        self.savepoints.begin_export(target)
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        let listed = self.ground.fs.list(&self.job_directory);
        let entries = listed.map_err(|error| Error::io("list", &self.job_directory, error))?;
        let mut found = Vec::new();
        for entry in entries {
            let Some(id) = parse_checkpoint(&entry.name) else {
                continue;
            };
            if entry.metadata.kind != EntryKind::Directory {
                continue;
            }
            let own = self.directory_of(id);
            if self.is_published(&own)? {
                found.push(id);
            } else {
                // Whoever removed its metadata may have died before that was durable.
                let synced = unless_missing(self.ground.fs.sync_directory(&own));
                synced.map_err(|error| Error::io("fsync", &own, error))?;
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        let own = self.directory_of(id);
        let load = || {
            if !discard::require_directory(&*self.ground.fs, &own)? || !self.is_published(&own)? {
                return Err(Error::not_found("the checkpoint does not exist or was not completed")
                    .with_path(&own));
            }
            // Whoever published it may have died before its name was durable.
            let synced = self.ground.fs.sync_directory(&own);
            synced.map_err(|error| Error::io("fsync", &own, error))?;
            source::open_directory(&self.ground.fs, own.clone())
        };
        load().map_err(|error| error.with_checkpoint(id))
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        Arc::new(source::LocalSource::new(Arc::clone(&self.ground.fs), self.directory_of(id)))
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        open_pointer(&self.ground.fs, pointer)
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        let (fs, own) = (&*self.ground.fs, self.directory_of(id));
        let shared = self.job_directory.join(SHARED);
        let removed = discard::remove_checkpoint(fs, &own)
            .and_then(|()| discard::remove_shared(fs, &shared, unused_shared));
        removed.map_err(|error| error.with_checkpoint(id))
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        let shared = self.job_directory.join(SHARED);
        discard::remove_shared(&*self.ground.fs, &shared, unused)
    }

    fn survey(&self) -> Result<Survey> {
        survey::survey(&*self.ground.fs, &self.job_directory)
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        self.savepoints.survey(None)
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        let fs = &*self.ground.fs;
        match place {
            SurveyedPlace::Job => survey::remove_strays(fs, &self.job_directory, names, |name| {
                is_draft(Path::new(name))
            }),
            SurveyedPlace::Checkpoint(id) => {
                let own = self.directory_of(*id);
                let removed = survey::remove_strays(fs, &own, names, |name| is_ours(name.as_ref()));
                removed.map_err(|error| error.with_checkpoint(*id))
            }
            SurveyedPlace::Savepoint(pointer) => self.savepoints.discard_strays(pointer, names),
        }
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        self.savepoints.discard(pointer, files)
    }
}
