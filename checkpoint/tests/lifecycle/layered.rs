//! A storage in front of another one that does some calls in its own way. All others are forwarded here,
//! and only here.

use std::fmt::Debug;
use std::sync::Arc;

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SnapshotSink, SnapshotSource, StoredCheckpoint, Survey,
    SurveyedPlace, SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, Result};

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Checkpoint(CheckpointId),
    Savepoint,
    Export,
}

/// What is done in its own way: nothing, unless said.
pub(crate) trait Layer: Debug + Send + Sync + 'static {
    /// Before an attempt is begun; an error is the answer.
    fn before_begin(&self, target: Target) -> Result<()> {
        let _ = target;
        Ok(())
    }

    fn publish(
        &self,
        target: Target,
        attempt: &dyn CheckpointAttempt,
        metadata: &[u8],
    ) -> Result<()> {
        let _ = target;
        attempt.publish(metadata)
    }

    fn abort(&self, target: Target, attempt: &dyn CheckpointAttempt) -> Result<()> {
        let _ = target;
        attempt.abort()
    }

    /// Before something is deleted; an error is the answer.
    fn before_discard(&self, what: &str) -> Result<()> {
        let _ = what;
        Ok(())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Layered<L> {
    inner: Arc<dyn CheckpointStorage>,
    layer: Arc<L>,
}

impl<L: Layer> Layered<L> {
    pub(crate) fn new(inner: Arc<dyn CheckpointStorage>, layer: L) -> Self {
        Self { inner, layer: Arc::new(layer) }
    }

    fn begun(
        &self,
        target: Target,
        begin: impl FnOnce() -> Result<Arc<dyn CheckpointAttempt>>,
    ) -> Result<Arc<dyn CheckpointAttempt>> {
        self.layer.before_begin(target)?;
        Ok(Arc::new(Attempt { inner: begin()?, target, layer: Arc::clone(&self.layer) }))
    }
}

#[derive(Debug)]
struct Attempt<L> {
    inner: Arc<dyn CheckpointAttempt>,
    target: Target,
    layer: Arc<L>,
}

impl<L: Layer> CheckpointAttempt for Attempt<L> {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        self.inner.sink()
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        self.inner.source()
    }

    fn pointer(&self) -> &str {
        self.inner.pointer()
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        self.layer.publish(self.target, &*self.inner, metadata)
    }

    fn abort(&self) -> Result<()> {
        self.layer.abort(self.target, &*self.inner)
    }
}

impl<L: Layer> CheckpointStorage for Layered<L> {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        self.begun(Target::Checkpoint(id), || self.inner.begin(id))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        self.begun(Target::Savepoint, || self.inner.begin_savepoint(target))
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        self.begun(Target::Export, || self.inner.begin_export(target))
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        self.inner.list()
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        self.inner.load(id)
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        self.inner.source(id)
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        self.inner.open_pointer(pointer)
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        self.layer.before_discard(&id.to_string())?;
        self.inner.discard(id, unused_shared)
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        self.layer.before_discard("shared")?;
        self.inner.discard_shared(unused)
    }

    fn survey(&self) -> Result<Survey> {
        self.inner.survey()
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        self.inner.survey_savepoints()
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        self.inner.discard_strays(place, names)
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        self.layer.before_discard(pointer)?;
        self.inner.discard_savepoint(pointer, files)
    }
}
