//! From a checkpoint to what each subtask is opened with, at any parallelism.
//!
//! # Rules
//! * State is found by operator uid. A snapshot of an operator that the job does not have is refused,
//!   or skipped and reported where that is allowed; an operator without a snapshot starts empty.
//! * The number of key groups is the snapshot's
//!   ([`MaxParallelism::for_restore`](alluvium_state_api::MaxParallelism::for_restore)).
//! * A subtask gets the snapshots whose key groups intersect its own, whole; its store takes from
//!   each what falls into its range. Together the snapshots must cover every key group once.
//! * Increments may build on a snapshot only if it is a checkpoint of the job itself: claiming a snapshot makes it one.

use std::sync::Arc;

use alluvium_state_api::format::file_checksum;
use alluvium_state_api::format::metadata::{CheckpointKind, CheckpointMetadata, OperatorState};
use alluvium_state_api::snapshot::KeyedSnapshot;
use alluvium_state_api::storage::{CheckpointStorage, SnapshotSource, StoredCheckpoint};
use alluvium_state_api::{CheckpointId, Error, KeyGroupRange, RestorePart, Result};

use crate::operator::{Operator, OperatorSpec, check_unique};

/// What a restore may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Whether state of operators that the job does not have is left behind (and reported) instead of
    /// refused.
    pub allow_non_restored_state: bool,
    /// Whether a snapshot of another job, or a savepoint, becomes the job's own.
    pub claim: ClaimMode,
}

/// Whose a snapshot is that a job starts from by a pointer. The job's own checkpoints are its own in
/// either mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClaimMode {
    /// It stays the user's: nothing of it is ever deleted, nothing refers to it, and the first
    /// checkpoint is full. Any number of jobs may start from it.
    #[default]
    NoClaim,
    /// It becomes the job's. Its files are taken over into a checkpoint of the job's own, on which
    /// increments build at once. When that one is deleted, so are the metadata and the own files of
    /// the original; files that it shared with other checkpoints of its job are not touched.
    Claim,
}

/// A checkpoint or savepoint that was opened and read.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    metadata: CheckpointMetadata,
    pointer: String,
    source: Arc<dyn SnapshotSource>,
    /// Of the metadata as it was read.
    checksum: u128,
    own: bool,
}

/// What a job starts with.
#[derive(Clone, Debug)]
pub struct RestorePlan {
    /// The checkpoint or savepoint, and where it is; `None` for a fresh start.
    pub restored: Option<(CheckpointId, String)>,
    /// The job's bytes of the application.
    pub application: Vec<u8>,
    /// The operators, in the order in which they were asked for.
    pub operators: Vec<OperatorPlan>,
    /// The uids whose state was left behind.
    pub skipped: Vec<Box<str>>,
}

/// What an operator starts with.
#[derive(Clone, Debug)]
pub struct OperatorPlan {
    /// The operator.
    pub operator: Operator,
    /// Its bytes of the application.
    pub application: Vec<u8>,
    /// The bytes of its former subtasks, by index. There may be more or fewer of them than now.
    pub former: Vec<(u32, Vec<u8>)>,
    /// Its subtasks, by index.
    pub subtasks: Vec<SubtaskPlan>,
}

/// What a subtask starts with.
#[derive(Clone, Debug)]
pub struct SubtaskPlan {
    /// Its index.
    pub index: u32,
    /// Its key groups.
    pub range: KeyGroupRange,
    /// What its store restores, for [`OpenEnv::with_restore`](alluvium_state_api::OpenEnv).
    pub restore: Vec<RestorePart>,
}

impl RestorePoint {
    /// Opens a checkpoint or savepoint by its directory or metadata file.
    ///
    /// # Errors
    /// `InvalidInput`, `NotFound`, `Corrupted`, `Unsupported` (a later format), `Unavailable`.
    pub fn open(storage: &dyn CheckpointStorage, pointer: &str) -> Result<Self> {
        let stored = storage.open_pointer(pointer)?;
        Self::read(stored).map_err(|error| error.with_path(pointer))
    }

    /// Reads what was opened.
    ///
    /// # Errors
    /// `Corrupted`, `Unsupported`.
    pub fn read(stored: StoredCheckpoint) -> Result<Self> {
        Ok(Self {
            metadata: CheckpointMetadata::decode(&stored.metadata)?,
            checksum: file_checksum(&stored.metadata),
            pointer: stored.pointer,
            source: stored.source,
            own: false,
        })
    }

    /// What a checkpoint of the job itself consists of that was published just now.
    pub(crate) fn published(
        metadata: CheckpointMetadata,
        checksum: u128,
        pointer: String,
        source: Arc<dyn SnapshotSource>,
    ) -> Self {
        Self { metadata, pointer, source, checksum, own: false }.owned()
    }

    /// The checksum of its metadata.
    pub(crate) const fn checksum(&self) -> u128 {
        self.checksum
    }

    /// Whether the job may build on it as it is.
    pub(crate) const fn is_own(&self) -> bool {
        self.own
    }

    /// The same as a checkpoint of the job itself.
    pub(crate) fn owned(mut self) -> Self {
        self.own = self.metadata.kind == CheckpointKind::Checkpoint;
        self
    }

    /// What it consists of.
    pub const fn metadata(&self) -> &CheckpointMetadata {
        &self.metadata
    }

    /// Where it is.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Access to its files.
    pub const fn source(&self) -> &Arc<dyn SnapshotSource> {
        &self.source
    }

    /// The checkpoint on which increments of the job may build.
    pub fn base(&self) -> Option<CheckpointId> {
        self.own.then_some(self.metadata.checkpoint)
    }

    /// Distributes its state over `operators`.
    ///
    /// # Errors
    /// `Incompatible`: state of an operator that is not among them, another maximum parallelism, a
    /// parallelism above it. `Corrupted`: key groups that are missing or there twice. `InvalidInput`:
    /// unusable operators.
    pub fn plan(&self, operators: &[OperatorSpec], options: RestoreOptions) -> Result<RestorePlan> {
        let about = |error: Error| error.with_checkpoint(self.metadata.checkpoint);
        check_unique(operators.iter().map(OperatorSpec::uid))?;
        let skipped = self.unmatched(operators, options).map_err(about)?;
        let planned = operators.iter().map(|spec| self.operator(spec));
        Ok(RestorePlan {
            restored: Some((self.metadata.checkpoint, self.pointer.clone())),
            application: self.metadata.application.clone(),
            operators: planned.collect::<Result<_>>().map_err(about)?,
            skipped,
        })
    }

    fn unmatched(&self, specs: &[OperatorSpec], options: RestoreOptions) -> Result<Vec<Box<str>>> {
        let known = |uid: &str| specs.iter().any(|spec| spec.uid() == uid);
        let uids = self.metadata.operators.iter().map(|operator| &operator.uid);
        let skipped: Vec<_> = uids.filter(|uid| !known(uid)).cloned().collect();
        match skipped.first() {
            Some(first) if !options.allow_non_restored_state => Err(Error::incompatible(format!(
                "the snapshot has state of operator {first:?}, which the job does not have; give an \
                 operator this uid or allow state that is not restored"
            ))),
            _ => Ok(skipped),
        }
    }

    fn operator(&self, spec: &OperatorSpec) -> Result<OperatorPlan> {
        let mut all = self.metadata.operators.iter();
        let Some(found) = all.find(|operator| *operator.uid == *spec.uid()) else {
            return fresh(spec);
        };
        let operator = spec.restored(found.max_parallelism)?;
        let snapshots = keyed(found)?;
        let mut subtasks = Vec::new();
        for index in 0..operator.parallelism() {
            let range = operator.range_of(index)?;
            let meets = |snapshot: &&KeyedSnapshot| !snapshot.range.intersection(range).is_empty();
            let parts = snapshots.iter().copied().filter(meets);
            let restore = parts.map(|snapshot| self.part(snapshot)).collect();
            subtasks.push(SubtaskPlan { index, range, restore });
        }
        let former = found.subtasks.iter();
        Ok(OperatorPlan {
            operator,
            application: found.application.clone(),
            former: former
                .map(|subtask| (u32::from(subtask.index), subtask.application.clone()))
                .collect(),
            subtasks,
        })
    }

    fn part(&self, snapshot: &KeyedSnapshot) -> RestorePart {
        RestorePart {
            snapshot: snapshot.clone(),
            source: Arc::clone(&self.source),
            base: self.base(),
        }
    }
}

impl RestorePlan {
    /// A start with nothing to restore.
    ///
    /// # Errors
    /// `InvalidInput` for unusable operators.
    pub fn fresh(operators: &[OperatorSpec]) -> Result<Self> {
        check_unique(operators.iter().map(OperatorSpec::uid))?;
        Ok(Self {
            restored: None,
            application: Vec::new(),
            operators: operators.iter().map(fresh).collect::<Result<_>>()?,
            skipped: Vec::new(),
        })
    }

    /// The plan of the operator `uid`.
    pub fn operator(&self, uid: &str) -> Option<&OperatorPlan> {
        self.operators.iter().find(|plan| plan.operator.uid() == uid)
    }
}

fn fresh(spec: &OperatorSpec) -> Result<OperatorPlan> {
    let operator = spec.fresh()?;
    let mut subtasks = Vec::new();
    for index in 0..operator.parallelism() {
        subtasks.push(SubtaskPlan { index, range: operator.range_of(index)?, restore: Vec::new() });
    }
    Ok(OperatorPlan { operator, application: Vec::new(), former: Vec::new(), subtasks })
}

/// The keyed snapshots of an operator, by key groups; none, or every key group exactly once.
pub(crate) fn keyed(operator: &OperatorState) -> Result<Vec<&KeyedSnapshot>> {
    let with_state = operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref());
    let mut snapshots: Vec<_> = with_state.collect();
    if snapshots.is_empty() {
        return Ok(snapshots);
    }
    snapshots.sort_by_key(|snapshot| (snapshot.range.start(), snapshot.range.end()));
    let mut next = 0;
    for snapshot in snapshots.iter().filter(|snapshot| !snapshot.range.is_empty()) {
        if snapshot.range.start() != next {
            let (group, how) = if snapshot.range.start() > next {
                (next, "is missing")
            } else {
                (snapshot.range.start(), "is there twice")
            };
            return Err(uncovered(operator, group, how));
        }
        next = snapshot.range.end();
    }
    if next == operator.max_parallelism.get() {
        Ok(snapshots)
    } else {
        Err(uncovered(operator, next, "is missing"))
    }
}

#[cold]
fn uncovered(operator: &OperatorState, group: u16, how: &str) -> Error {
    Error::corrupted(format!(
        "key group {group} of operator {:?} {how} in the snapshot",
        operator.uid
    ))
}
