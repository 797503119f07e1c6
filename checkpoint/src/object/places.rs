//! Savepoints, and pointers to checkpoints of any job, in an object store.

use std::sync::Arc;

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, SavepointPlaces, StoredCheckpoint, SurveyedSavepoint, is_savepoint_of,
    savepoint_name,
};
use alluvium_state_api::{Error, Result};
use object_store::path::Path;

use super::Ground;
use super::attempt::ObjectAttempt;
use super::keys::below;
use super::removal::not_there;
use super::source::ObjectSource;
use super::survey;

/// What can be done in a store without a job's directory.
#[derive(Clone, Debug)]
pub(crate) struct ObjectPlaces {
    ground: Arc<Ground>,
    job: FileName,
    /// Where savepoints go that name no place.
    savepoints: Option<String>,
}

impl ObjectPlaces {
    pub(crate) fn new(ground: Arc<Ground>, job: &FileName, savepoints: Option<String>) -> Self {
        Self { ground, job: job.clone(), savepoints }
    }

    pub(super) fn over(self, ground: Arc<Ground>) -> Self {
        Self { ground, ..self }
    }

    fn attempt(&self, own: Path) -> Arc<dyn CheckpointAttempt> {
        Arc::new(ObjectAttempt::new(Arc::clone(&self.ground), own, None, None))
    }

    pub(super) fn opened(&self, own: Path) -> Result<StoredCheckpoint> {
        let pointer = self.ground.pointer(&own);
        let metadata = self.ground.metadata(&own)?;
        let metadata = metadata.ok_or_else(|| not_there().with_path(&pointer))?;
        let source = Arc::new(ObjectSource { ground: Arc::clone(&self.ground), own });
        Ok(StoredCheckpoint { pointer, metadata, source })
    }

    fn locate(&self, pointer: &str) -> Result<Path> {
        let pointer = pointer.trim_end_matches('/');
        let pointer = pointer.strip_suffix("/_metadata").unwrap_or(pointer);
        self.ground.key_of(pointer)
    }
}

impl SavepointPlaces for ObjectPlaces {
    fn begin(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        let Some(target) = target.or(self.savepoints.as_deref()) else {
            return Err(Error::invalid_input(
                "there is no place for the savepoint; name one or set state.savepoints.dir",
            ));
        };
        let target = self.ground.prefix_of(target)?;
        let name = savepoint_name(self.job.as_str(), self.ground.randomness.next_u64());
        Ok(self.attempt(below(&target, &name)))
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        let own = self.ground.key_of(target)?;
        if !self.ground.list(&own)?.is_empty() {
            return Err(Error::already_exists(
                "there are objects already, and a copy needs a place of its own; name a new one",
            )
            .with_path(own.as_ref()));
        }
        Ok(self.attempt(own))
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        self.opened(self.locate(pointer)?)
    }

    fn discard(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        let own = self.locate(pointer)?;
        self.ground.dispose(&own, files).map_err(|error| error.with_path(pointer))
    }

    fn survey(&self, target: Option<&str>) -> Result<Vec<SurveyedSavepoint>> {
        let Some(target) = target.or(self.savepoints.as_deref()) else {
            return Ok(Vec::new());
        };
        survey::savepoints(&self.ground, &self.ground.prefix_of(target)?, self.job.as_str())
    }

    fn discard_strays(&self, pointer: &str, names: &[String]) -> Result<()> {
        let own = self.locate(pointer)?;
        if !own.filename().is_some_and(|name| is_savepoint_of(self.job.as_str(), name)) {
            return Err(Error::invalid_input(
                "this is not named as savepoints of the job are; nothing was removed",
            )
            .with_path(own.as_ref()));
        }
        survey::remove_strays(&self.ground, &own, names)?;
        survey::remove_decided(&self.ground, &own)
    }
}
