//! What lies in a job's storage, complete or not: for collecting orphans.
//!
//! A survey only looks; it is not one moment, for others may write meanwhile. Who removes something
//! because of it must know that nothing under way needs it: by its age, and by looking again.

use std::fmt;

use crate::{CheckpointId, hash_bytes};

/// How the names of drafts of metadata begin, of probes, and of marks of a disposal.
pub(crate) const DRAFT: &str = ".metadata-";

/// The draft's name under which a disposal keeps what it is about to remove.
pub(crate) const DISPOSAL: &str = ".metadata-disposed";

/// Whether `name` is one that storages draw for files: 32 hexadecimal digits, lower case. A storage of
/// another crate that draws others has surveys and removals of its own.
pub fn is_drawn(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `name` is that of a draft.
pub(crate) fn is_draft(name: &str) -> bool {
    name == DISPOSAL || name.strip_prefix(DRAFT).is_some_and(is_drawn)
}

/// Random hexadecimal digits in the name of a savepoint.
const SAVEPOINT_DIGITS: usize = 10;

/// What a savepoint of `job` is called: six characters of the job's name, six digits that tell it from
/// others that begin with the same, and ten of `random`.
pub fn savepoint_name(job: &str, random: u64) -> String {
    let random = random & ((1 << (4 * SAVEPOINT_DIGITS)) - 1);
    format!("{}{random:0SAVEPOINT_DIGITS$x}", savepoint_prefix(job))
}

fn savepoint_prefix(job: &str) -> String {
    let begins = job.get(..6).unwrap_or(job);
    format!("savepoint-{begins}-{:06x}", hash_bytes(job.as_bytes()) >> 40)
}

/// Whether `name` is one that a savepoint of `job` gets: see [`savepoint_name`].
pub fn is_savepoint_of(job: &str, name: &str) -> bool {
    let drawn = name.strip_prefix(&savepoint_prefix(job));
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    drawn.is_some_and(|drawn| drawn.len() == SAVEPOINT_DIGITS && drawn.bytes().all(is_digit))
}

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

/// The place of one savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedSavepoint {
    /// By what it is opened, if it is published.
    pub pointer: String,
    /// Whether it is.
    pub published: bool,
    /// When the place itself was last changed.
    pub modified_ms: Option<u64>,
    /// The files in it that a storage may have written, metadata not included.
    pub files: Vec<SurveyedFile>,
}

/// Where single files lie that a survey found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SurveyedPlace {
    /// Beside the places of the job's checkpoints.
    Job,
    /// In the place of a checkpoint.
    Checkpoint(CheckpointId),
    /// In the place of a savepoint, by its pointer.
    Savepoint(String),
}

impl fmt::Display for SurveyedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job => f.write_str("."),
            Self::Checkpoint(id) => write!(f, "chk-{id}"),
            Self::Savepoint(pointer) => f.write_str(pointer),
        }
    }
}

/// Everything in a job's storage, savepoints not included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The places of checkpoints, by number.
    pub checkpoints: Vec<SurveyedCheckpoint>,
    /// The shared files, by name.
    pub shared: Vec<SurveyedFile>,
    /// Files beside the places of checkpoints, by which somebody tried whether these can be written.
    pub probes: Vec<SurveyedFile>,
}
