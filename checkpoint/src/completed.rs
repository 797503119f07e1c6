//! The completed checkpoints of a job, and what may be deleted.
//!
//! # Role
//! [`CompletedStore`] mirrors what the storage holds. It is built from the storage alone when a job
//! starts, so the coordinator's process may die at any time.
//!
//! # Invariants
//! * I1 A shared file is deleted only if no manifest uses it: of retained checkpoints, of doomed ones
//!   whose deletion has not succeeded yet, of attempts whose publication is in doubt.
//! * I2 While some checkpoint's metadata cannot be read, no shared file is deleted at all.
//! * I3 The newest checkpoint is never subsumed, nor is one that the caller pins; savepoints are not
//!   in here and never deleted.
//! * I4 A deletion that fails is tried again later; it fails nothing else.
//! * I5 A claimed snapshot is deleted before the checkpoint that remembers it, see
//!   [`claim`](crate::claim).
//! * I6 Deletions are handed out one at a time, as [`Cleaning`]s that any thread may run. Until one is
//!   back, what it deletes counts as used by nobody new: metadata that names it is refused. What is
//!   being published counts as used, like what is retained.

mod cleaning;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use alluvium_state_api::format::metadata::{CheckpointMetadata, CheckpointStatistics, Origin};
use alluvium_state_api::snapshot::{FileName, SnapshotFile};
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use crate::ended::Leftovers;
use crate::files::{self, SharedFiles};
use cleaning::Task;

pub(crate) use cleaning::{Cleaned, Cleaning};

/// A completed checkpoint that is retained.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CompletedCheckpoint {
    /// Its number.
    pub id: CheckpointId,
    /// By what it can be opened.
    pub pointer: String,
    /// When it was triggered, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its figures.
    pub statistics: CheckpointStatistics,
}

#[derive(Debug)]
struct Retained {
    checkpoint: CompletedCheckpoint,
    shared: SharedFiles,
    /// Only of checkpoints that the job itself has published.
    origin: Option<Origin>,
}

/// A checkpoint that is being deleted.
#[derive(Debug)]
struct Doomed {
    shared: SharedFiles,
    origin: Option<Origin>,
}

impl From<Retained> for Doomed {
    fn from(retained: Retained) -> Self {
        Self { shared: retained.shared, origin: retained.origin }
    }
}

/// An attempt that is to be aborted. Its publication may be in doubt.
#[derive(Debug)]
struct Stuck {
    /// `None` for savepoints.
    id: Option<CheckpointId>,
    attempt: Arc<dyn CheckpointAttempt>,
    shared: SharedFiles,
}

#[derive(Debug)]
pub(crate) struct CompletedStore {
    /// Whose checkpoints these are; `None` for those who only look.
    job: Option<FileName>,
    storage: Arc<dyn CheckpointStorage>,
    retained: BTreeMap<CheckpointId, Retained>,
    unreadable: BTreeMap<CheckpointId, Error>,
    doomed: BTreeMap<CheckpointId, Doomed>,
    stuck: BTreeMap<u64, Stuck>,
    /// What only stuck attempts had kept.
    loose: BTreeMap<u64, SharedFiles>,
    /// Numbers the two above.
    next_key: u64,
    /// What is to be tried, in this order.
    todo: VecDeque<Task>,
    /// What is being tried, and the shared files that it deletes.
    running: Option<(Task, Vec<FileName>)>,
    /// What the metadata names that is being published.
    publishing: SharedFiles,
}

impl CompletedStore {
    /// Reads the metadata of everything that is published.
    ///
    /// # Errors
    /// Where the storage fails; damaged metadata is no error yet.
    pub(crate) fn open(job: Option<FileName>, storage: Arc<dyn CheckpointStorage>) -> Result<Self> {
        let mut store = Self {
            job,
            storage,
            retained: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            doomed: BTreeMap::new(),
            stuck: BTreeMap::new(),
            loose: BTreeMap::new(),
            next_key: 0,
            todo: VecDeque::new(),
            running: None,
            publishing: SharedFiles::default(),
        };
        for id in store.storage.list()? {
            store.adopt(id);
        }
        let failed = store.out_of_reach().first().copied();
        match failed.and_then(|id| store.unreadable.remove(&id)) {
            Some(error) => Err(error),
            None => Ok(store),
        }
    }

    /// Takes in checkpoint `id`, which is published but was not added here. Where it cannot be read,
    /// [`unreadable`](Self::unreadable) says why.
    pub(crate) fn adopt(&mut self, id: CheckpointId) {
        let loaded = self.storage.load(id);
        self.adopt_loaded(id, loaded);
    }

    /// The same with what loading it returned.
    pub(crate) fn adopt_loaded(&mut self, id: CheckpointId, loaded: Result<StoredCheckpoint>) {
        let stored = match loaded {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                self.unreadable.insert(id, error);
                return;
            }
            Ok(stored) => stored,
        };
        let read = CheckpointMetadata::decode(&stored.metadata).and_then(|metadata| {
            check_id(&metadata, id)?;
            let shared = SharedFiles::of(&metadata)?;
            Ok((metadata, shared))
        });
        match read {
            Ok((metadata, shared)) => self.add(&metadata, stored.pointer, shared),
            Err(error) => {
                let error = error.with_checkpoint(id).with_path(&stored.pointer);
                self.unreadable.insert(id, error);
            }
        }
    }

    pub(crate) fn add(
        &mut self,
        metadata: &CheckpointMetadata,
        pointer: String,
        shared: SharedFiles,
    ) {
        let checkpoint = CompletedCheckpoint {
            id: metadata.checkpoint,
            pointer,
            time_ms: metadata.timestamp_ms,
            statistics: metadata.statistics,
        };
        let job = self.job.as_ref();
        let published_here = job.is_some_and(|job| *metadata.job == *job.as_str());
        let origin = metadata.origin.clone().filter(|_| published_here);
        self.retained.insert(metadata.checkpoint, Retained { checkpoint, shared, origin });
    }

    /// The retained checkpoint with which `origin` was claimed.
    pub(crate) fn claimed_from(&self, origin: &Origin) -> Option<CheckpointId> {
        let mut retained = self.retained.iter().rev();
        retained.find(|(_, one)| one.origin.as_ref() == Some(origin)).map(|(id, _)| *id)
    }

    /// What is retained, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &CompletedCheckpoint> {
        self.retained.values().map(|retained| &retained.checkpoint)
    }

    /// The newest published checkpoint, readable or not.
    pub(crate) fn newest(&self) -> Option<CheckpointId> {
        let readable = self.retained.last_key_value().map(|(id, _)| *id);
        let damaged = self.unreadable.last_key_value().map(|(id, _)| *id);
        readable.max(damaged)
    }

    pub(crate) fn unreadable(&self) -> &BTreeMap<CheckpointId, Error> {
        &self.unreadable
    }

    /// The shared files of each retained checkpoint.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &SharedFiles> + Clone {
        self.retained.values().map(|retained| &retained.shared)
    }

    /// Takes an attempt over that is to be aborted, with what its metadata may refer to. `id`: `None` for
    /// savepoints.
    pub(crate) fn give_up(
        &mut self,
        id: Option<CheckpointId>,
        attempt: Arc<dyn CheckpointAttempt>,
        shared: SharedFiles,
    ) {
        let key = self.take_key();
        self.stuck.insert(key, Stuck { id, attempt, shared });
        self.want(Task::Abort(key));
    }

    fn take_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key = key.wrapping_add(1);
        key
    }

    /// `metadata` is about to be published: what it names is not deleted until
    /// [`release`](Self::release). Returns what has to be looked for first.
    ///
    /// # Errors
    /// `Corrupted` where it contradicts itself or a retained checkpoint; `NotFound` where it names
    /// what is being deleted.
    pub(crate) fn hold(&mut self, metadata: &CheckpointMetadata) -> Result<Vec<SnapshotFile>> {
        let shared = SharedFiles::of(metadata)?;
        let unknown = files::unknown(metadata, &self.shared())?;
        let deleted = self.running.iter().flat_map(|(_, deleted)| deleted);
        for name in deleted {
            if shared.names().any(|named| named == name) {
                return Err(Error::not_found(format!("shared file {name} is being deleted")));
            }
        }
        self.publishing = shared;
        Ok(unknown)
    }

    /// The publication is over. Returns what its metadata names.
    pub(crate) fn release(&mut self) -> SharedFiles {
        std::mem::take(&mut self.publishing)
    }

    /// What was not read because the storage failed, which may pass, unlike damage.
    fn out_of_reach(&self) -> Vec<CheckpointId> {
        let failed = self.unreadable.iter().filter(|(_, error)| !is_damage(error));
        failed.map(|(id, _)| *id).collect()
    }

    /// Subsumes what is above `keep`, oldest first, but nothing pinned.
    pub(crate) fn subsume(&mut self, keep: usize, pinned: &BTreeSet<CheckpointId>) {
        let excess = self.retained.len().saturating_sub(keep.max(1));
        let ids = self.retained.keys().copied();
        let victims: Vec<_> = ids.take(excess).filter(|id| !pinned.contains(id)).collect();
        for id in victims {
            if let Some(victim) = self.retained.remove(&id) {
                self.doomed.insert(id, victim.into());
            }
        }
    }

    /// The checkpoints whose deletion has not succeeded yet.
    pub(crate) fn doomed(&self) -> BTreeSet<CheckpointId> {
        self.doomed.keys().copied().collect()
    }

    /// Every shared file that a manifest may need.
    pub(crate) fn used(&self) -> BTreeSet<FileName> {
        self.used_but_by(None)
    }

    /// Every shared file that a manifest may need, but that of a doomed checkpoint.
    fn used_but_by(&self, but: Option<CheckpointId>) -> BTreeSet<FileName> {
        let doomed = self.doomed.iter().filter(|(id, _)| Some(**id) != but);
        let stuck = self.stuck.values().map(|stuck| &stuck.shared);
        let all = self.shared().chain(doomed.map(|(_, doomed)| &doomed.shared)).chain(stuck);
        all.chain([&self.publishing]).flat_map(SharedFiles::names).cloned().collect()
    }

    /// Those of `shared` that nothing needs but a doomed checkpoint; none while that is not known.
    fn unused(&self, shared: &SharedFiles, but: Option<CheckpointId>) -> Vec<FileName> {
        if self.unreadable.is_empty() { shared.unused(&self.used_but_by(but)) } else { Vec::new() }
    }

    /// Dooms every checkpoint, the newest too: the job has ended and keeps none. Returns whether
    /// there was one.
    pub(crate) fn doom_all(&mut self) -> bool {
        let all = std::mem::take(&mut self.retained);
        let some = !all.is_empty();
        self.doomed.extend(all.into_iter().map(|(id, retained)| (id, retained.into())));
        some
    }

    /// What is to be deleted, or will never be.
    pub(crate) fn leftovers(&self) -> Leftovers {
        let attempts = self.stuck.values().map(|stuck| stuck.attempt.pointer().to_owned());
        let loose = self.loose.values().flat_map(|files| self.unused(files, None));
        let loose: BTreeSet<_> = loose.collect();
        Leftovers {
            checkpoints: self.doomed.keys().copied().collect(),
            attempts: attempts.collect(),
            shared: loose.into_iter().collect(),
            unreadable: self.unreadable.keys().copied().collect(),
            error: None,
        }
    }
}

pub(crate) fn check_id(metadata: &CheckpointMetadata, id: CheckpointId) -> Result<()> {
    if metadata.checkpoint != id {
        return Err(Error::corrupted(format!(
            "the metadata is that of checkpoint {}; was the directory renamed?",
            metadata.checkpoint
        )));
    }
    Ok(())
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Unsupported | ErrorKind::Incompatible)
}
