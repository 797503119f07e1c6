//! A master as simple as can be right: for backends that are tested without a coordinator.
//!
//! It deletes by manifests only: a shared file goes when no manifest names it that is published, being
//! deleted, or in doubt. While a checkpoint is under way nothing is deleted at all.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::master::{Master, Place, Plan, RETAINED, Started, Told, key_groups};
use super::script::{Ask, Origin};
use crate::env::RestorePart;
use crate::format::metadata::{CheckpointKind, CheckpointMetadata, OperatorState, SubtaskState};
use crate::random::{Randomness, SeededRandomness};
use crate::snapshot::{
    CancelToken, FileLocation, FileName, KeyedSnapshot, SnapshotKind, SnapshotRequest,
};
use crate::storage::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
use crate::{CheckpointId, Error, ErrorKind, Result};

const UID: &str = "rows";

type Names = BTreeSet<FileName>;

/// See the module's page.
#[derive(Debug)]
pub struct PlainMaster {
    storage: Arc<dyn CheckpointStorage>,
    tokens: Arc<SeededRandomness>,
    parallelism: u32,
    next_id: u64,
    /// What is published, with the shared files that its manifest names.
    retained: BTreeMap<CheckpointId, Names>,
    /// What is being deleted.
    doomed: BTreeMap<CheckpointId, Names>,
    /// Attempts that could not be aborted yet.
    stuck: Vec<(Arc<dyn CheckpointAttempt>, Names)>,
    base: Option<CheckpointId>,
    pending: BTreeMap<CheckpointId, Pending>,
    told: Vec<Told>,
}

#[derive(Debug)]
struct Pending {
    ask: Ask,
    attempt: Arc<dyn CheckpointAttempt>,
    application: Vec<u8>,
    parts: BTreeMap<u32, KeyedSnapshot>,
    cancel: CancelToken,
}

fn shared_files(metadata: &CheckpointMetadata) -> Names {
    let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
    let shared = files.filter_map(|file| match &file.stored.location {
        FileLocation::Shared(name) => Some(name.clone()),
        _ => None,
    });
    shared.collect()
}

impl PlainMaster {
    fn finish(&mut self, id: CheckpointId) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        let metadata = self.metadata(id, &pending);
        let named = shared_files(&metadata);
        let published = metadata.encode().and_then(|bytes| pending.attempt.publish(&bytes));
        if published.is_err() {
            self.give_up(id, &pending, named);
            return;
        }
        if pending.ask != Ask::Savepoint {
            self.retained.insert(id, named);
            self.base = Some(id);
        }
        self.told.push(Told { id, completed: true });
        self.settle();
    }

    fn give_up(&mut self, id: CheckpointId, pending: &Pending, named: Names) {
        pending.cancel.cancel();
        if pending.attempt.abort().is_err() {
            self.stuck.push((Arc::clone(&pending.attempt), named));
        }
        self.told.push(Told { id, completed: false });
    }

    fn metadata(&self, id: CheckpointId, pending: &Pending) -> CheckpointMetadata {
        let subtask = |(index, keyed): (&u32, &KeyedSnapshot)| SubtaskState {
            index: u16::try_from(*index).unwrap_or(u16::MAX),
            keyed: Some(keyed.clone()),
            application: Vec::new(),
            statistics: crate::format::metadata::SubtaskStatistics::default(),
        };
        CheckpointMetadata {
            checkpoint: id,
            kind: match pending.ask {
                Ask::Savepoint => CheckpointKind::Savepoint,
                _ => CheckpointKind::Checkpoint,
            },
            job: super::master::JOB.into(),
            timestamp_ms: 0,
            attempt: self.tokens.next_u128(),
            application: pending.application.clone(),
            statistics: crate::format::metadata::CheckpointStatistics::default(),
            operators: vec![OperatorState {
                uid: UID.into(),
                max_parallelism: key_groups().expect("a valid number"),
                parallelism: u16::try_from(self.parallelism).unwrap_or(u16::MAX),
                application: Vec::new(),
                subtasks: pending.parts.iter().map(subtask).collect(),
            }],
            origin: None,
        }
    }

    fn unused(&self, names: &Names) -> Vec<FileName> {
        let stuck = self.stuck.iter().map(|(_, names)| names);
        let used: Names = self
            .retained
            .values()
            .chain(self.doomed.values())
            .chain(stuck)
            .flatten()
            .cloned()
            .collect();
        names.difference(&used).cloned().collect()
    }

    fn subsume(&mut self) {
        while self.retained.len() > RETAINED {
            let oldest = self.retained.first_key_value().map(|(id, _)| *id);
            match oldest.filter(|id| Some(*id) != self.base) {
                Some(id) => {
                    let names = self.retained.remove(&id).unwrap_or_default();
                    self.doomed.insert(id, names);
                }
                None => return,
            }
        }
    }
}

fn parts_of(
    stored: &StoredCheckpoint,
    metadata: &CheckpointMetadata,
    base: Option<CheckpointId>,
) -> Vec<RestorePart> {
    let part = |snapshot: &KeyedSnapshot| RestorePart {
        snapshot: snapshot.clone(),
        source: Arc::clone(&stored.source),
        base,
    };
    metadata.keyed().map(|(_, _, keyed)| part(keyed)).collect()
}

impl Master for PlainMaster {
    fn open(place: &Place) -> Result<Self> {
        let storage = place.storage()?;
        let mut retained = BTreeMap::new();
        for id in storage.list()? {
            let metadata = CheckpointMetadata::decode(&storage.load(id)?.metadata)?;
            retained.insert(id, shared_files(&metadata));
        }
        let newest = storage.survey()?.checkpoints.last().map_or(0, |place| place.id.get());
        Ok(Self {
            storage,
            tokens: place.randomness(),
            parallelism: 0,
            next_id: newest + 1,
            retained,
            doomed: BTreeMap::new(),
            stuck: Vec::new(),
            base: None,
            pending: BTreeMap::new(),
            told: Vec::new(),
        })
    }

    fn start(
        &mut self,
        origin: Origin,
        savepoint: Option<&str>,
        parallelism: u32,
    ) -> Result<Started> {
        let newest = self.retained.last_key_value().map(|(id, _)| *id);
        let (stored, base) = match (savepoint.filter(|_| origin == Origin::Savepoint), newest) {
            (Some(pointer), _) => (Some(self.storage.open_pointer(pointer)?), None),
            (None, Some(id)) => (Some(self.storage.load(id)?), Some(id)),
            (None, None) => (None, None),
        };
        let metadata = stored
            .as_ref()
            .map(|stored| CheckpointMetadata::decode(&stored.metadata))
            .transpose()?;
        let parts = match (&stored, &metadata) {
            (Some(stored), Some(metadata)) => parts_of(stored, metadata, base),
            _ => Vec::new(),
        };
        let mut subtasks = Vec::new();
        for subtask in 0..parallelism {
            let range = key_groups()?.range_of(subtask, parallelism)?;
            let meets = |part: &&RestorePart| !part.snapshot.range.intersection(range).is_empty();
            subtasks.push((range, parts.iter().filter(meets).cloned().collect()));
        }
        self.base = base;
        self.parallelism = parallelism;
        Ok(Started { application: metadata.map(|metadata| metadata.application), subtasks })
    }

    fn trigger(&mut self, ask: Ask, application: Vec<u8>) -> Result<Plan> {
        let id = CheckpointId::new(self.next_id);
        self.next_id += 1;
        let (attempt, kind) = match ask {
            Ask::Savepoint => (self.storage.begin_savepoint(None)?, SnapshotKind::Canonical),
            Ask::Full => (self.storage.begin(id)?, SnapshotKind::Full),
            Ask::Incremental => (self.storage.begin(id)?, SnapshotKind::Incremental),
        };
        let cancel = CancelToken::default();
        let plan = Plan {
            request: SnapshotRequest::new(id, kind),
            sink: attempt.sink(),
            cancel: cancel.clone(),
            pointer: attempt.pointer().to_owned(),
        };
        let parts = BTreeMap::new();
        self.pending.insert(id, Pending { ask, attempt, application, parts, cancel });
        Ok(plan)
    }

    fn take(
        &mut self,
        id: CheckpointId,
        subtask: u32,
        part: Result<KeyedSnapshot, Error>,
    ) -> Result<()> {
        let parallelism = self.parallelism as usize;
        match (self.pending.get_mut(&id), part) {
            (Some(pending), Ok(part)) => {
                pending.parts.insert(subtask, part);
                if pending.parts.len() == parallelism {
                    self.finish(id);
                }
            }
            (_, Err(_)) => self.abort(id),
            (None, Ok(_)) => {}
        }
        Ok(())
    }

    fn abort(&mut self, id: CheckpointId) {
        if let Some(pending) = self.pending.remove(&id) {
            self.give_up(id, &pending, Names::new());
        }
    }

    fn told(&mut self) -> Vec<Told> {
        mem::take(&mut self.told)
    }

    fn dispose(&mut self, pointer: &str) -> Result<()> {
        let stored = match self.storage.open_pointer(pointer) {
            // An interrupted call is repeated: the metadata is gone, the files it named may not be.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            stored => stored?,
        };
        let metadata = CheckpointMetadata::decode(&stored.metadata)?;
        let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
        let own = files.filter_map(|file| match &file.stored.location {
            FileLocation::Own(name) => Some(name.clone()),
            _ => None,
        });
        self.storage.discard_savepoint(pointer, &own.collect::<Vec<_>>())
    }

    fn settle(&mut self) {
        if !self.pending.is_empty() {
            return;
        }
        for (attempt, names) in mem::take(&mut self.stuck) {
            if attempt.abort().is_err() {
                self.stuck.push((attempt, names));
            }
        }
        self.subsume();
        // One after the other: what is still to be deleted names files, too.
        for id in self.doomed.keys().copied().collect::<Vec<_>>() {
            let names = self.doomed.remove(&id).unwrap_or_default();
            if self.storage.discard(id, &self.unused(&names)).is_err() {
                self.doomed.insert(id, names);
            }
        }
    }

    fn collect(&mut self) -> Result<()> {
        let survey = self.storage.survey()?;
        for place in survey.checkpoints.iter().filter(|place| !place.published) {
            self.storage.discard(place.id, &[])?;
        }
        let found: Names =
            survey.shared.iter().filter_map(|file| FileName::new(&file.name).ok()).collect();
        self.storage.discard_shared(&self.unused(&found))
    }
}
