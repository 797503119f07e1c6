//! What lies in a job's storage, complete or not: for collecting orphans.
//!
//! A survey only looks; it is not one moment, for others may write meanwhile. Who removes something
//! because of it must know that nothing under way needs it: by its age, and by looking again.

use crate::CheckpointId;

/// A file that a storage may have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedFile {
    /// Its name, one component. Drafts of metadata have names that no manifest can hold.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed, in milliseconds since 1970; `None` where the storage cannot say.
    pub modified_ms: Option<u64>,
}

/// The place of one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedCheckpoint {
    /// Its number.
    pub id: CheckpointId,
    /// Whether it is published.
    pub published: bool,
    /// When the place itself was last changed.
    pub modified_ms: Option<u64>,
    /// The files in it, metadata not included.
    pub files: Vec<SurveyedFile>,
}

/// Everything in a job's storage, savepoints not included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The places of checkpoints, by number.
    pub checkpoints: Vec<SurveyedCheckpoint>,
    /// The shared files, by name.
    pub shared: Vec<SurveyedFile>,
}
