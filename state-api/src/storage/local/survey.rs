//! Looking through a job's directory.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::discard::require_directory;
use super::layout::{METADATA, SHARED, is_ours, parse_checkpoint};
use crate::storage::{Survey, SurveyedCheckpoint, SurveyedFile};
use crate::vfs::{DirectoryEntry, EntryKind, FileSystem};
use crate::{CheckpointId, Error, Result};

/// Everything in the job's directory that may be ours.
pub(super) fn survey(fs: &dyn FileSystem, job_directory: &Path) -> Result<Survey> {
    let shared = job_directory.join(SHARED);
    require_directory(fs, &shared)?;
    let mut survey = Survey { shared: files(fs, &shared)?, ..Survey::default() };
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
    let mut files = files(fs, own)?;
    let all = files.len();
    files.retain(|file| file.name != METADATA);
    Ok(SurveyedCheckpoint {
        id,
        published: files.len() < all,
        modified_ms: modified(fs, own)?,
        files,
    })
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
