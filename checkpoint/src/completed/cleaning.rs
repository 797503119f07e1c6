//! Deletions as owned work: decided here, done by whoever has a thread for it.
//!
//! # Role
//! What is to be deleted waits in the [`CompletedStore`]. [`want_all`](CompletedStore::want_all) lines it
//! up; [`next_cleaning`](CompletedStore::next_cleaning) hands out one deletion, with exactly the files
//! that nothing needs at that moment, and no other before [`cleaned`](CompletedStore::cleaned) has taken
//! its outcome: a file of two doomed checkpoints goes with the second.

use std::sync::Arc;

use alluvium_state_api::format::metadata::Origin;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::{CheckpointId, ErrorKind, Result};

use super::{CompletedStore, Stuck};
use crate::claim;

/// Something that waits for the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To read a checkpoint that was out of reach.
    Read(CheckpointId),
    /// To abort an attempt.
    Abort(u64),
    /// To delete a doomed checkpoint.
    Delete(CheckpointId),
    /// To delete what only an attempt had kept.
    Loose(u64),
}

/// What a task needs to be done.
#[derive(Debug)]
enum Work {
    Read(CheckpointId),
    Abort(Option<CheckpointId>, Arc<dyn CheckpointAttempt>),
    Delete { id: CheckpointId, unused: Vec<FileName>, origin: Option<(String, Origin)> },
    Shared(Vec<FileName>),
}

impl Work {
    /// The shared files that it deletes.
    fn deleted(&self) -> &[FileName] {
        match self {
            Self::Delete { unused, .. } | Self::Shared(unused) => unused,
            Self::Read(_) | Self::Abort(..) => &[],
        }
    }

    fn run(self, storage: &dyn CheckpointStorage) -> Result<Option<StoredCheckpoint>> {
        match self {
            Self::Read(id) => storage.load(id).map(Some),
            Self::Abort(id, attempt) => match (attempt.abort(), id) {
                // It is published after all, and therefore one of the job's.
                (Err(error), Some(id)) if error.kind() == ErrorKind::InvalidInput => {
                    storage.load(id).map(Some)
                }
                (Err(error), None) if error.kind() == ErrorKind::InvalidInput => Ok(None),
                (aborted, _) => aborted.map(|()| None),
            },
            Self::Delete { id, unused, origin } => {
                if let Some((job, origin)) = origin {
                    claim::release(storage, &job, &origin)?;
                }
                storage.discard(id, &unused).map(|()| None)
            }
            Self::Shared(unused) => storage.discard_shared(&unused).map(|()| None),
        }
    }
}

/// One deletion, to be run on any thread.
#[derive(Debug)]
pub(crate) struct Cleaning {
    storage: Arc<dyn CheckpointStorage>,
    task: Task,
    work: Work,
}

/// How one ended.
#[derive(Debug)]
pub(crate) struct Cleaned {
    task: Task,
    result: Result<Option<StoredCheckpoint>>,
}

impl Cleaning {
    pub(crate) fn run(self) -> Cleaned {
        Cleaned { task: self.task, result: self.work.run(&*self.storage) }
    }
}

impl CompletedStore {
    /// Lines up `task`, unless it is.
    pub(super) fn want(&mut self, task: Task) {
        let running = self.running.as_ref().is_some_and(|(running, _)| *running == task);
        if !running && !self.todo.contains(&task) {
            self.todo.push_back(task);
        }
    }

    /// Lines up everything that waits.
    pub(crate) fn want_all(&mut self) {
        for task in self.waiting() {
            self.want(task);
        }
    }

    /// Whether something waits that is not lined up.
    pub(crate) fn has_leftovers(&self) -> bool {
        let running = self.running.as_ref().map(|(task, _)| *task);
        let is_idle = |task: &Task| running != Some(*task) && !self.todo.contains(task);
        self.waiting().iter().any(is_idle)
    }

    /// Whether nothing is lined up or under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.todo.is_empty() && self.running.is_none()
    }

    /// Whether a deletion is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    fn waiting(&self) -> Vec<Task> {
        let read = self.out_of_reach().into_iter().map(Task::Read);
        let stuck = self.stuck.keys().copied().map(Task::Abort);
        let doomed = self.doomed.keys().copied().map(Task::Delete);
        let loose = self.loose.keys().copied().map(Task::Loose);
        read.chain(stuck).chain(doomed).chain(loose).collect()
    }

    /// The next deletion; none while there is one under way.
    pub(crate) fn next_cleaning(&mut self) -> Option<Cleaning> {
        if self.running.is_some() {
            return None;
        }
        while let Some(task) = self.todo.pop_front() {
            let Some(work) = self.work(task) else {
                continue;
            };
            self.running = Some((task, work.deleted().to_vec()));
            return Some(Cleaning { storage: Arc::clone(&self.storage), task, work });
        }
        None
    }

    /// What there is to do; `None` where that is nothing any more.
    fn work(&mut self, task: Task) -> Option<Work> {
        match task {
            Task::Read(id) => self.unreadable.contains_key(&id).then_some(Work::Read(id)),
            Task::Abort(key) => {
                self.stuck.get(&key).map(|stuck| Work::Abort(stuck.id, Arc::clone(&stuck.attempt)))
            }
            Task::Delete(id) => self.doomed.get(&id).map(|doomed| {
                let job = self.job.as_ref().map(ToString::to_string);
                let origin = job.zip(doomed.origin.clone());
                Work::Delete { id, unused: self.unused(&doomed.shared, Some(id)), origin }
            }),
            Task::Loose(key) => {
                let unused = self.unused(self.loose.get(&key)?, None);
                if unused.is_empty() {
                    self.loose.remove(&key);
                    return None;
                }
                Some(Work::Shared(unused))
            }
        }
    }

    /// Takes the outcome of what [`next_cleaning`](Self::next_cleaning) handed out; what failed waits
    /// for the next [`want_all`](Self::want_all).
    ///
    /// # Errors
    /// That of the deletion.
    pub(crate) fn cleaned(&mut self, cleaned: Cleaned) -> Result<()> {
        self.running = None;
        match (cleaned.task, cleaned.result) {
            (Task::Read(id), result) => {
                self.unreadable.remove(&id);
                if let Some(loaded) = result.transpose() {
                    self.adopt_loaded(id, loaded);
                }
            }
            (Task::Abort(key), Ok(found)) => match (self.stuck.remove(&key), found) {
                (Some(Stuck { id: Some(id), .. }), Some(stored)) => {
                    self.adopt_loaded(id, Ok(stored));
                }
                (Some(Stuck { shared, .. }), None) if !shared.is_empty() => {
                    let key = self.take_key();
                    self.loose.insert(key, shared);
                    self.want(Task::Loose(key));
                }
                _ => {}
            },
            (Task::Delete(id), Ok(_)) => drop(self.doomed.remove(&id)),
            (Task::Loose(key), Ok(_)) => drop(self.loose.remove(&key)),
            (Task::Abort(_) | Task::Delete(_) | Task::Loose(_), Err(error)) => return Err(error),
        }
        Ok(())
    }
}
