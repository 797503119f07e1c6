//! Looking through a job's directory, and through the one for savepoints; removing what is found to be
//! of no use.
//!
//! # Invariant
//! Only names are found and removed that we draw, in real directories that are named as ours are.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::discard::{remove_all, require_directory};
use super::layout::{METADATA, SHARED, is_draft, is_ours, parse_checkpoint};
use super::source::pointer_to;
use crate::storage::{
    Survey, SurveyedCheckpoint, SurveyedFile, SurveyedSavepoint, is_savepoint_of,
};
use crate::vfs::{DirectoryEntry, EntryKind, FileSystem};
use crate::{CheckpointId, Error, Result};

/// Everything in the job's directory that may be ours.
pub(super) fn survey(fs: &dyn FileSystem, job_directory: &Path) -> Result<Survey> {
    let shared = job_directory.join(SHARED);
    require_directory(fs, &shared)?;
    let mut survey = Survey { shared: files(fs, &shared)?, ..Survey::default() };
    survey.probes = files(fs, job_directory)?;
    survey.probes.retain(|file| is_draft(Path::new(&file.name)));
    for entry in list(fs, job_directory)? {
        let place =
            parse_checkpoint(&entry.name).filter(|_| entry.metadata.kind == EntryKind::Directory);
        if let Some(id) = place {
            let found = checkpoint(fs, &job_directory.join(&entry.name), id)?;
            survey.checkpoints.push(found);
        }
    }
    survey.checkpoints.sort_by_key(|checkpoint| checkpoint.id);
    Ok(survey)
}

fn checkpoint(fs: &dyn FileSystem, own: &Path, id: CheckpointId) -> Result<SurveyedCheckpoint> {
    let (published, modified_ms, files) = place(fs, own)?;
    Ok(SurveyedCheckpoint { id, published, modified_ms, files })
}

/// Whether it is published, when it was last changed, and what is in it.
fn place(fs: &dyn FileSystem, own: &Path) -> Result<(bool, Option<u64>, Vec<SurveyedFile>)> {
    let files = files(fs, own)?;
    // After the files: what is published meanwhile is published.
    let is_metadata =
        |entry: &DirectoryEntry| entry.name == METADATA && entry.metadata.kind == EntryKind::File;
    let published = list(fs, own)?.iter().any(is_metadata);
    Ok((published, modified(fs, own)?, files))
}

/// The places of savepoints of `job` below `directory`, by name; none where there is no directory.
pub(super) fn savepoints(
    fs: &dyn FileSystem,
    directory: &Path,
    job: &str,
) -> Result<Vec<SurveyedSavepoint>> {
    let mut found = Vec::new();
    for entry in list(fs, directory)? {
        let name = entry.name.to_str().filter(|name| is_savepoint_of(job, name));
        let Some(name) = name.filter(|_| entry.metadata.kind == EntryKind::Directory) else {
            continue;
        };
        let own = directory.join(name);
        let (published, modified_ms, files) = place(fs, &own)?;
        let pointer = pointer_to(fs, &own);
        found.push(SurveyedSavepoint { pointer, published, modified_ms, files });
    }
    Ok(found)
}

/// Removes files of `directory`, all of which must have names that we draw.
pub(super) fn remove_strays(
    fs: &dyn FileSystem,
    directory: &Path,
    names: &[String],
    is_ours: impl Fn(&str) -> bool,
) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !is_ours(name)) {
        return Err(Error::invalid_input(format!(
            "{name:?} is no name of a file of ours; nothing was removed"
        ))
        .with_path(directory));
    }
    if require_directory(fs, directory)? {
        remove_all(fs, directory, names.iter().map(Path::new))?;
    }
    Ok(())
}

fn files(fs: &dyn FileSystem, directory: &Path) -> Result<Vec<SurveyedFile>> {
    let ours = |entry: &DirectoryEntry| {
        let name: &OsStr = &entry.name;
        entry.metadata.kind == EntryKind::File && is_ours(name)
    };
    let mut files = Vec::new();
    for entry in list(fs, directory)?.into_iter().filter(ours) {
        let Some(name) = entry.name.to_str() else {
            continue;
        };
        files.push(SurveyedFile {
            name: name.to_owned(),
            length: entry.metadata.length,
            modified_ms: modified(fs, &directory.join(name))?,
        });
    }
    Ok(files)
}

/// What disappears meanwhile is not there.
fn list(fs: &dyn FileSystem, path: &Path) -> Result<Vec<DirectoryEntry>> {
    match fs.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| Error::io("list", path, error)),
    }
}

fn modified(fs: &dyn FileSystem, path: &Path) -> Result<Option<u64>> {
    match fs.modified_ms(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        modified => modified.map_err(|error| Error::io("metadata", path, error)),
    }
}
