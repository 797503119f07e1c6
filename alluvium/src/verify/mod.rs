//! Checks a checkpoint or savepoint: every checksum, every count, every digest.
//!
//! # Role
//!
//! [`verify_stored`] reads everything that a restore would read, and compares it with everything that was
//! recorded about it:
//!
//! * `_metadata`: its checksum and its rules;
//! * each file: length and XXH3-128 as recorded in `_metadata`;
//! * each state file: header, index, every block, and per section counts and digest;
//! * each state of each subtask: entries and digest of what its files hold together, increments
//!   applied in order, against what `_metadata` says.
//!
//! Native files of a backend are checked by length and checksum; what is inside only the backend can
//! tell, so their states count as not compared.
//!
//! # Invariants
//!
//! 1. Damage is a [`problem`](Verification::problems), and the check goes on with the next file: all
//!    of it is found in one run. Only what cannot be opened at all is an error.
//! 2. Nothing is written.
//!
//! # Cost
//!
//! Files are read twice, once for their checksum. Memory: one block; for a chain of increments also
//! about 100 bytes for each entry of the subtask (see [`replay`]).

mod file;
mod replay;
mod subtask;

#[cfg(all(test, feature = "memory"))]
mod corruption;
#[cfg(test)]
mod tests;

use alluvium_checkpoint::RestorePoint;
use alluvium_state_api::Result;
use alluvium_state_api::format::CheckpointKind;
use alluvium_state_api::storage::StoredCheckpoint;
use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verification {
    /// Its directory.
    pub(crate) path: String,
    /// `checkpoint` or `savepoint`.
    pub(crate) kind: &'static str,
    pub(crate) id: u64,
    pub(crate) job: String,
    pub(crate) files: Vec<FileVerdict>,
    pub(crate) states: Vec<StateVerdict>,
    /// What is wrong, a line each.
    pub(crate) problems: Vec<String>,
}

/// A file of a subtask.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileVerdict {
    pub(crate) operator: String,
    pub(crate) subtask: u32,
    /// Its name; `inline` where it lies in `_metadata`.
    pub(crate) name: String,
    /// `full`, `increment`, `canonical` or `native`.
    pub(crate) form: &'static str,
    pub(crate) bytes: u64,
    pub(crate) ok: bool,
}

/// A state of a subtask.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StateVerdict {
    pub(crate) operator: String,
    pub(crate) subtask: u32,
    pub(crate) state: String,
    pub(crate) kind: &'static str,
    pub(crate) entries: u64,
    /// The digest that was recorded, in hexadecimal.
    pub(crate) digest: Option<String>,
    /// Whether the content was compared with what was recorded.
    pub(crate) compared: bool,
    pub(crate) ok: bool,
}

impl Verification {
    /// Whether nothing is wrong.
    pub(crate) fn is_right(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks what was opened.
///
/// # Errors
/// `Corrupted`, `Unsupported` where its metadata cannot be read.
pub(crate) fn verify_stored(stored: StoredCheckpoint) -> Result<Verification> {
    let point = RestorePoint::read(stored)?;
    let metadata = point.metadata();
    let mut verification = Verification {
        path: point.pointer().to_owned(),
        kind: match metadata.kind {
            CheckpointKind::Savepoint => "savepoint",
            _ => "checkpoint",
        },
        id: metadata.checkpoint.get(),
        job: metadata.job.to_string(),
        ..Verification::default()
    };
    verification.problems.extend(misplaced(&point));
    for (operator, subtask, snapshot) in metadata.keyed() {
        let place = subtask::Place {
            operator: &operator.uid,
            subtask: u32::from(subtask.index),
            source: &**point.source(),
        };
        subtask::verify(place, snapshot, &mut verification);
    }
    Ok(verification)
}

/// That a checkpoint lies under another one's number, where a coordinator would not restore it.
fn misplaced(point: &RestorePoint) -> Option<String> {
    let metadata = point.metadata();
    let (_, number) = point.pointer().rsplit_once("chk-")?;
    let place: u64 = number.parse().ok()?;
    let id = metadata.checkpoint.get();
    (metadata.kind == CheckpointKind::Checkpoint && place != id)
        .then(|| format!("the metadata is that of checkpoint {id}, not of {place}"))
}
