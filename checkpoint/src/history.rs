//! What a job's storage holds, as its metadata tells it: for people who operate jobs.
//!
//! # Role
//! [`History::read`] looks at a job from outside, whether it runs or not, and changes nothing. It reads
//! metadata and lists places; no file of state is opened.
//!
//! # What it is not
//! It is not one moment: a running job publishes and deletes meanwhile. What disappears while it is
//! looked at is left out.

use std::collections::BTreeSet;

use alluvium_state_api::format::metadata::{
    CheckpointKind, CheckpointMetadata, OperatorState, SubtaskState,
};
use alluvium_state_api::snapshot::{
    EntryCount, FileLocation, KeyedSnapshot, SnapshotFile, SnapshotKind,
};
use alluvium_state_api::storage::{
    CheckpointStorage, StoredCheckpoint, SurveyedCheckpoint, SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, Error, ErrorKind, KeyGroupRange, Result};

use crate::completed::check_id;
use crate::summary::{Figures, Summary};

/// The checkpoints of a job.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_checkpoint::{
///     Components, Coordinator, History, OperatorSpec, Options, StartFrom, SubtaskAck, Trigger,
/// };
/// use alluvium_state_api::clock::ManualClock;
/// use alluvium_state_api::random::SeededRandomness;
/// use alluvium_state_api::snapshot::FileName;
/// use alluvium_state_api::storage::CheckpointStorage;
/// use alluvium_state_api::storage::memory::MemoryStorage;
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let job = FileName::new("word-count")?;
/// let randomness = Arc::new(SeededRandomness::new(7));
/// let storage: Arc<dyn CheckpointStorage> =
///     Arc::new(MemoryStorage::new(job.clone(), randomness.clone()));
/// let clock = Arc::new(ManualClock::at(0));
/// let components = Components { storage: Arc::clone(&storage), clock, randomness };
/// let options = Options { retained: 3, ..Options::default() };
/// let mut coordinator = Coordinator::open(job, options, components)?;
/// coordinator.start(&[OperatorSpec::new("counts", 1)], StartFrom::Newest, Default::default())?;
/// for sync_us in [40, 10, 20] {
///     let plan = coordinator.trigger(Trigger::checkpoint())?;
///     let ack = SubtaskAck { sync_us, ..SubtaskAck::default() };
///     coordinator.acknowledge(plan.id, "counts", 0, ack)?;
/// }
/// drop(coordinator);                                   // the figures outlive the process
///
/// let history = History::read(&*storage)?;
/// assert_eq!(history.checkpoints.len(), 3);
/// let summary = history.summary().expect("there are checkpoints");
/// let sync = summary.sync_us;
/// assert_eq!((sync.min, sync.avg, sync.max, sync.p99), (10, 23, 40, 40));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct History {
    /// The complete checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointRecord>,
    /// The places of checkpoints that are under way, or were never completed.
    pub incomplete: Vec<SurveyedCheckpoint>,
    /// Published checkpoints whose metadata cannot be read, and why.
    pub unreadable: Vec<(CheckpointId, Error)>,
    /// The complete savepoints in the configured place, by pointer. Names tell only how their job's begins,
    /// so those of other jobs may be among them: see [`CheckpointRecord::job`].
    pub savepoints: Vec<CheckpointRecord>,
    /// Places of savepoints there that are under way, or were never completed.
    pub incomplete_savepoints: Vec<SurveyedSavepoint>,
    /// Savepoints there whose metadata cannot be read, and why.
    pub unreadable_savepoints: Vec<(String, Error)>,
}

/// A complete checkpoint or savepoint, as its metadata tells it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckpointRecord {
    /// Its number.
    pub id: CheckpointId,
    /// Checkpoint or savepoint.
    pub kind: CheckpointKind,
    /// Incremental if a subtask's part is, else full or canonical; `None` without keyed state.
    pub form: Option<SnapshotKind>,
    /// The job that took it.
    pub job: Box<str>,
    /// By what it can be opened.
    pub pointer: String,
    /// When it was triggered, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it cost.
    pub figures: Figures,
    /// Whether entries were counted everywhere, not estimated.
    pub entries_exact: bool,
    /// The files that a restore needs.
    pub files: FileCounts,
    /// The length of its metadata, in bytes.
    pub metadata_bytes: u64,
    /// The parts of its subtasks, ordered by operator and index.
    pub subtasks: Vec<SubtaskRecord>,
}

/// One subtask's part of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubtaskRecord {
    /// The uid of its operator.
    pub operator: Box<str>,
    /// Its index.
    pub index: u32,
    /// What its snapshot is; `None` without keyed state.
    pub form: Option<SnapshotKind>,
    /// Its key groups; `None` without keyed state.
    pub key_groups: Option<KeyGroupRange>,
    /// What it cost.
    pub figures: Figures,
    /// Whether entries were counted, not estimated.
    pub entries_exact: bool,
    /// The files that it consists of.
    pub files: FileCounts,
}

/// How many files there are, each counted once, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileCounts {
    /// In the metadata.
    pub inline: usize,
    /// In the checkpoint's own place.
    pub own: usize,
    /// Among the job's shared files.
    pub shared: usize,
}

impl History {
    /// Reads the metadata of every checkpoint that `storage` holds, and of the savepoints in the configured
    /// place.
    ///
    /// # Errors
    /// `Unavailable` where the storage fails. What is damaged is no error, see
    /// [`unreadable`](Self::unreadable).
    pub fn read(storage: &dyn CheckpointStorage) -> Result<Self> {
        // What completes between the two calls is in both, and then complete.
        let places = storage.survey()?.checkpoints;
        let mut history = Self::default();
        let mut published = BTreeSet::new();
        for id in storage.list()? {
            published.insert(id);
            match storage.load(id).and_then(|stored| own_record(&stored, id)) {
                Ok(record) => history.checkpoints.push(record),
                Err(error) => match error.kind() {
                    ErrorKind::NotFound => {}
                    ErrorKind::Corrupted | ErrorKind::Unsupported | ErrorKind::InvalidInput => {
                        history.unreadable.push((id, error.with_checkpoint(id)));
                    }
                    _ => return Err(error.with_checkpoint(id)),
                },
            }
        }
        let open = |place: &SurveyedCheckpoint| !place.published && !published.contains(&place.id);
        history.incomplete = places.into_iter().filter(open).collect();
        for place in storage.survey_savepoints()? {
            if place.published {
                history.add_savepoint(storage, place.pointer)?;
            } else {
                history.incomplete_savepoints.push(place);
            }
        }
        Ok(history)
    }

    fn add_savepoint(&mut self, storage: &dyn CheckpointStorage, pointer: String) -> Result<()> {
        let stored = storage.open_pointer(&pointer);
        match stored.and_then(|stored| CheckpointRecord::read(&stored)) {
            Ok(record) => self.savepoints.push(record),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => {}
                ErrorKind::Corrupted | ErrorKind::Unsupported | ErrorKind::InvalidInput => {
                    self.unreadable_savepoints.push((pointer, error));
                }
                _ => return Err(error),
            },
        }
        Ok(())
    }

    /// How the figures of the retained checkpoints are spread; `None` where there are none.
    pub fn summary(&self) -> Option<Summary> {
        Summary::of(self.checkpoints.iter().map(|checkpoint| &checkpoint.figures))
    }

    /// How the figures of all parts of subtasks of the retained checkpoints are spread.
    pub fn subtask_summary(&self) -> Option<Summary> {
        let subtasks = self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.subtasks);
        Summary::of(subtasks.map(|subtask| &subtask.figures))
    }
}

/// The record of one of the job's own checkpoints.
fn own_record(stored: &StoredCheckpoint, id: CheckpointId) -> Result<CheckpointRecord> {
    let read = CheckpointMetadata::decode(&stored.metadata).and_then(|metadata| {
        check_id(&metadata, id)?;
        Ok(CheckpointRecord::of(&metadata, stored))
    });
    read.map_err(|error| error.with_path(&stored.pointer))
}

impl CheckpointRecord {
    /// The record of a checkpoint or savepoint that was opened.
    ///
    /// # Errors
    /// `Corrupted`, `Unsupported`.
    pub fn read(stored: &StoredCheckpoint) -> Result<Self> {
        let metadata = CheckpointMetadata::decode(&stored.metadata);
        let metadata = metadata.map_err(|error| error.with_path(&stored.pointer))?;
        Ok(Self::of(&metadata, stored))
    }

    fn of(metadata: &CheckpointMetadata, stored: &StoredCheckpoint) -> Self {
        let operators = metadata.operators.iter();
        let parts = operators.flat_map(|op| op.subtasks.iter().map(|one| subtask(op, one)));
        let subtasks: Vec<SubtaskRecord> = parts.collect();
        let has = |form| subtasks.iter().any(|subtask| subtask.form == Some(form));
        let forms = [SnapshotKind::Incremental, SnapshotKind::Full, SnapshotKind::Canonical];
        let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
        Self {
            id: metadata.checkpoint,
            kind: metadata.kind,
            form: forms.into_iter().find(|form| has(*form)),
            job: metadata.job.clone(),
            pointer: stored.pointer.clone(),
            time_ms: metadata.timestamp_ms,
            figures: Figures::of_checkpoint(metadata),
            entries_exact: subtasks.iter().all(|subtask| subtask.entries_exact),
            files: FileCounts::of(files),
            metadata_bytes: stored.metadata.len() as u64,
            subtasks,
        }
    }
}

fn subtask(operator: &OperatorState, subtask: &SubtaskState) -> SubtaskRecord {
    let keyed = subtask.keyed.as_ref();
    let exact = |keyed: &KeyedSnapshot| {
        keyed.states.iter().all(|state| matches!(state.entries, EntryCount::Exact(_)))
    };
    SubtaskRecord {
        operator: operator.uid.clone(),
        index: u32::from(subtask.index),
        form: keyed.map(|keyed| keyed.kind),
        key_groups: keyed.map(|keyed| keyed.range),
        figures: Figures::of_subtask(&subtask.statistics),
        entries_exact: keyed.is_none_or(exact),
        files: FileCounts::of(keyed.into_iter().flat_map(|keyed| &keyed.files)),
    }
}

impl FileCounts {
    fn of<'a>(files: impl Iterator<Item = &'a SnapshotFile>) -> Self {
        let mut counts = Self::default();
        let mut seen = BTreeSet::new();
        for file in files {
            let (count, name) = match &file.stored.location {
                FileLocation::Inline(_) => {
                    counts.inline += 1;
                    continue;
                }
                FileLocation::Own(name) => (&mut counts.own, name),
                FileLocation::Shared(name) => (&mut counts.shared, name),
            };
            *count += usize::from(seen.insert(name));
        }
        counts
    }

    /// All of them.
    pub const fn total(&self) -> usize {
        self.inline.saturating_add(self.own).saturating_add(self.shared)
    }
}
