//! Where savepoints can be: any place in a file system or an object store, without a job's directory.

use std::fmt::Debug;
use std::sync::Arc;

use super::{CheckpointAttempt, StoredCheckpoint, SurveyedSavepoint};
use crate::Result;
use crate::snapshot::FileName;

/// The part of a [`CheckpointStorage`](super::CheckpointStorage) that is about savepoints and pointers: a
/// job's may be in another storage than its checkpoints. Each method is as the one there.
pub trait SavepointPlaces: Debug + Send + Sync {
    /// As [`begin_savepoint`](super::CheckpointStorage::begin_savepoint).
    ///
    /// # Errors
    /// As there.
    fn begin(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>>;

    /// As [`begin_export`](super::CheckpointStorage::begin_export).
    ///
    /// # Errors
    /// As there.
    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>>;

    /// As [`open_pointer`](super::CheckpointStorage::open_pointer).
    ///
    /// # Errors
    /// As there.
    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint>;

    /// As [`discard_savepoint`](super::CheckpointStorage::discard_savepoint).
    ///
    /// # Errors
    /// As there.
    fn discard(&self, pointer: &str, files: &[FileName]) -> Result<()>;

    /// As [`survey_savepoints`](super::CheckpointStorage::survey_savepoints), below `target` or the
    /// configured place; without either there are none.
    ///
    /// # Errors
    /// As there.
    fn survey(&self, target: Option<&str>) -> Result<Vec<SurveyedSavepoint>>;

    /// As [`discard_strays`](super::CheckpointStorage::discard_strays) in the place of a savepoint of
    /// this job.
    ///
    /// # Errors
    /// As there.
    fn discard_strays(&self, pointer: &str, names: &[String]) -> Result<()>;
}
