//! One file: length, checksum, and what is inside.

use std::sync::Arc;

use alluvium_state_api::format::{FileForm, StateFile};
use alluvium_state_api::snapshot::{FileFormat, FileLocation, KeyedSnapshot, SnapshotFile};
use alluvium_state_api::storage::{FileReader, SnapshotSource, verify_checksum};
use alluvium_state_api::{Error, Result};

/// A file that was found to be right in itself.
#[derive(Debug)]
pub(super) enum Content {
    /// An Alluvium state file.
    State(Box<StateFile>),
    /// A file that only its backend reads.
    Native,
}

impl Content {
    /// What it is called.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::State(file) => match file.spec().form {
                FileForm::Full => "full",
                FileForm::Increment => "increment",
                FileForm::Canonical => "canonical",
            },
        }
    }
}

/// What the file is called.
pub(super) fn name(file: &SnapshotFile) -> String {
    match &file.stored.location {
        FileLocation::Inline(_) => "inline".to_owned(),
        FileLocation::Own(name) => name.to_string(),
        FileLocation::Shared(name) => format!("shared/{name}"),
    }
}

/// Reads a file from front to back.
///
/// # Errors
/// `Corrupted` with the first thing that is wrong; `NotFound`, `Unavailable`.
pub(super) fn verify(
    source: &dyn SnapshotSource,
    snapshot: &KeyedSnapshot,
    file: &SnapshotFile,
) -> Result<Content> {
    let reader: Arc<dyn FileReader> = Arc::from(source.open(file)?);
    verify_checksum(&*reader, file.stored.checksum)?;
    match file.format {
        FileFormat::State => {
            let state = StateFile::open(reader, name(file))?;
            check_fits(snapshot, file, &state)?;
            state.verify()?;
            Ok(Content::State(Box::new(state)))
        }
        _ => Ok(Content::Native),
    }
}

/// Compares the header with what the metadata says of the snapshot.
fn check_fits(snapshot: &KeyedSnapshot, file: &SnapshotFile, state: &StateFile) -> Result<()> {
    let spec = state.spec();
    let refuse = |what: &str| Err(Error::corrupted(format!("{what} than the metadata says")));
    if spec.key != snapshot.key {
        return refuse("keys are encoded or placed in another way");
    }
    if spec.groups != snapshot.groups {
        return refuse("the file has another number of key groups");
    }
    if file.frame_checksum.is_some_and(|expected| expected != state.frame_checksum()) {
        return refuse("header, index and footer are others");
    }
    if !file.live.iter().all(|live| spec.range.covers(*live)) {
        return refuse("the file covers other key groups");
    }
    Ok(())
}
