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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_state_api::format::metadata::{CheckpointMetadata, CheckpointStatistics, Origin};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage};
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use crate::claim;
use crate::ended::Leftovers;
use crate::files::SharedFiles;

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

/// An attempt whose abortion failed. Its publication may be in doubt.
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
    stuck: Vec<Stuck>,
    /// What only stuck attempts had kept.
    loose: Vec<SharedFiles>,
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
            stuck: Vec::new(),
            loose: Vec::new(),
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
        let stored = match self.storage.load(id) {
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

    /// Keeps an attempt whose abortion failed, with what its metadata may refer to.
    pub(crate) fn add_stuck(
        &mut self,
        id: Option<CheckpointId>,
        attempt: Arc<dyn CheckpointAttempt>,
        shared: SharedFiles,
    ) {
        self.stuck.push(Stuck { id, attempt, shared });
    }

    /// Whether something waits for [`sweep`](Self::sweep).
    pub(crate) fn has_leftovers(&self) -> bool {
        let waiting = self.doomed.len() + self.stuck.len() + self.loose.len();
        waiting > 0 || !self.out_of_reach().is_empty()
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

    /// Ends stuck attempts and deletes what is doomed; what fails is left for the next call.
    ///
    /// # Errors
    /// The first failure. Everything else was tried all the same.
    pub(crate) fn sweep(&mut self) -> Result<()> {
        let mut outcome = Ok(());
        for id in self.out_of_reach() {
            self.unreadable.remove(&id);
            self.adopt(id);
        }
        for stuck in std::mem::take(&mut self.stuck) {
            match stuck.attempt.abort() {
                Ok(()) => self.loose.push(stuck.shared),
                // It is published after all, and therefore one of the job's.
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    if let Some(id) = stuck.id {
                        self.adopt(id);
                    }
                }
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    self.stuck.push(stuck);
                }
            }
        }
        let doomed: Vec<_> = self.doomed.keys().copied().collect();
        for id in doomed {
            let Some(Doomed { shared, origin }) = self.doomed.remove(&id) else {
                continue;
            };
            if let Err(error) = self.delete(id, &shared, origin.as_ref()) {
                outcome = outcome.and(Err(error));
                self.doomed.insert(id, Doomed { shared, origin });
            }
        }
        for shared in std::mem::take(&mut self.loose) {
            let unused = self.unused(&shared);
            if unused.is_empty() {
                continue;
            }
            if let Err(error) = self.storage.discard_shared(&unused) {
                outcome = outcome.and(Err(error));
                self.loose.push(shared);
            }
        }
        outcome
    }

    fn delete(
        &self,
        id: CheckpointId,
        shared: &SharedFiles,
        origin: Option<&Origin>,
    ) -> Result<()> {
        if let (Some(origin), Some(job)) = (origin, &self.job) {
            claim::release(&*self.storage, job.as_str(), origin)?;
        }
        self.storage.discard(id, &self.unused(shared))
    }

    /// Those of `shared` that nothing needs; none while that is not known.
    fn unused(&self, shared: &SharedFiles) -> Vec<FileName> {
        if self.unreadable.is_empty() { shared.unused(&self.used()) } else { Vec::new() }
    }

    /// The checkpoints whose deletion has not succeeded yet.
    pub(crate) fn doomed(&self) -> BTreeSet<CheckpointId> {
        self.doomed.keys().copied().collect()
    }

    /// Every shared file that a manifest may need.
    pub(crate) fn used(&self) -> BTreeSet<FileName> {
        let retained = self.shared();
        let doomed = self.doomed.values().map(|doomed| &doomed.shared);
        let stuck = self.stuck.iter().map(|stuck| &stuck.shared);
        let all = retained.chain(doomed).chain(stuck);
        all.flat_map(SharedFiles::names).cloned().collect()
    }

    /// Dooms every checkpoint, the newest too: the job has ended and keeps none. Returns whether
    /// there was one.
    pub(crate) fn doom_all(&mut self) -> bool {
        let all = std::mem::take(&mut self.retained);
        let some = !all.is_empty();
        self.doomed.extend(all.into_iter().map(|(id, retained)| (id, retained.into())));
        some
    }

    /// What waits for [`sweep`](Self::sweep), or will never be deleted.
    pub(crate) fn leftovers(&self) -> Leftovers {
        let attempts = self.stuck.iter().map(|stuck| stuck.attempt.pointer().to_owned());
        let loose: BTreeSet<_> = self.loose.iter().flat_map(|files| self.unused(files)).collect();
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
