//! What a [`FaultyFs`](super::FaultyFs) saw, and the rule that it checks.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

/// An operation of a file system or of one of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "they are named after the methods of the file system")]
pub enum Operation {
    CreateNew,
    OpenAppend,
    Open,
    Read,
    Write,
    BypassCache,
    SyncFile,
    Metadata,
    List,
    CreateDir,
    SyncDirectory,
    Rename,
    RenameNoReplace,
    HardLink,
    RemoveFile,
    RemoveDir,
}

/// One operation as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// What was asked for.
    pub operation: Operation,
    /// On which path; where there are two, the old one.
    pub path: PathBuf,
    /// How it failed, if it did.
    pub error: Option<ErrorKind>,
}

/// Paths on which something was retried or built after a write or sync had failed.
pub(super) fn retried(trace: &[TraceEntry]) -> Vec<PathBuf> {
    use Operation::{CreateNew, HardLink, Rename, RenameNoReplace, SyncFile, Write};
    let mut failed = BTreeSet::new();
    let mut retried = BTreeSet::new();
    for TraceEntry { operation, path, error } in trace {
        match operation {
            // A new file, though it has an abandoned name.
            CreateNew if error.is_none() => {
                failed.remove(path);
            }
            Write | SyncFile | Rename | RenameNoReplace | HardLink if failed.contains(path) => {
                retried.insert(path.clone());
            }
            Write | SyncFile if error.is_some_and(|kind| kind != ErrorKind::Interrupted) => {
                failed.insert(path.clone());
            }
            _ => {}
        }
    }
    retried.into_iter().collect()
}
