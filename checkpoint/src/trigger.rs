//! Asking for a checkpoint, and what comes back to hand to the subtasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_state_api::CheckpointId;
use alluvium_state_api::snapshot::{CancelToken, SnapshotRequest};
use alluvium_state_api::storage::SnapshotSink;

/// A checkpoint or savepoint that is asked for.
///
/// Bytes of the application travel in the metadata: of the job and of operators here (a source
/// position at the barrier, say), of subtasks with their acknowledgement.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    pub(crate) form: Form,
    pub(crate) application: Vec<u8>,
    pub(crate) operators: BTreeMap<Box<str>, Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Checkpoint,
    /// A checkpoint that builds on nothing.
    Full,
    Savepoint(Option<String>),
}

impl Trigger {
    /// A checkpoint of the kind in the options.
    #[must_use]
    pub fn checkpoint() -> Self {
        Self::default()
    }

    /// A checkpoint that is full even where they are incremental.
    #[must_use]
    pub fn full_checkpoint() -> Self {
        Self { form: Form::Full, ..Self::default() }
    }

    /// A savepoint in a new directory below `target`, or below the configured one. It waits neither
    /// for a pause nor for other checkpoints, is self-contained, and is never deleted by the job.
    #[must_use]
    pub fn savepoint(target: Option<&str>) -> Self {
        Self { form: Form::Savepoint(target.map(str::to_owned)), ..Self::default() }
    }

    /// The same with bytes of the job.
    #[must_use]
    pub fn with_application(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.application = bytes.into();
        self
    }

    /// The same with bytes of one operator.
    #[must_use]
    pub fn with_operator_application(mut self, uid: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.operators.insert(uid.into(), bytes.into());
        self
    }
}

/// A checkpoint under way: what each subtask needs to take its part. Clones share the token.
#[derive(Clone, Debug)]
pub struct CheckpointPlan {
    /// Its number.
    pub id: CheckpointId,
    /// What each store is asked for.
    pub request: SnapshotRequest,
    /// Where the files of all subtasks go.
    pub sink: Arc<dyn SnapshotSink>,
    /// Cancelled when the checkpoint is aborted; pass it to the snapshot tasks.
    pub cancel: CancelToken,
    /// By what it can be opened once it is complete.
    pub pointer: String,
}
