//! What a store is opened with: one constructor for a fresh start, a restore and a rescale.
//!
//! [`OpenEnv`] carries data (the key space, a local directory, what to restore) and injected
//! components (file system, clock, randomness, recorder, spawner). With nothing to restore it is a
//! fresh start; with the snapshots of any number of former subtasks it is a restore or a rescale,
//! and the store takes from each what falls into its key groups.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::random::{OsRandomness, Randomness};
use crate::schema::KeySpace;
use crate::snapshot::KeyedSnapshot;
use crate::storage::SnapshotSource;
use crate::vfs::{FileSystem, RealFs};
use crate::{CheckpointId, Error, KeyGroupRange, Result};

/// Receives figures about cold operations: sizes and durations. Names are dotted and constant.
pub trait Recorder: Debug + Send + Sync {
    /// Adds `value` to what `metric` has recorded.
    fn record(&self, metric: &'static str, value: u64);
}

/// Records nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _: &'static str, _: u64) {}
}

/// Runs background work of a store.
pub trait Spawner: Debug + Send + Sync {
    /// Runs `job` on another thread, some time.
    ///
    /// # Errors
    /// `Unavailable` where no thread can be had; the job is then dropped.
    fn spawn(&self, name: &str, job: Box<dyn FnOnce() + Send>) -> Result<()>;
}

/// Runs each job on a thread of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadSpawner;

impl Spawner for ThreadSpawner {
    fn spawn(&self, name: &str, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(job);
        spawned.map(drop).map_err(|error| {
            Error::unavailable("no thread could be started for background work").with_source(error)
        })
    }
}

/// The snapshot of one former subtask, and how to read its files.
#[derive(Clone, Debug)]
pub struct RestorePart {
    /// The snapshot.
    pub snapshot: KeyedSnapshot,
    /// Access to its files.
    pub source: Arc<dyn SnapshotSource>,
    /// The checkpoint whose shared files the job owns and later increments may reference; `None` for
    /// savepoints and for snapshots that belong to someone else.
    pub base: Option<CheckpointId>,
}

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct OpenEnv {
    /// How keys are encoded and placed, and the key groups that the store will own.
    pub key_space: KeySpace,
    /// A private directory for working files; stores that need none ignore it.
    pub local_dir: Option<PathBuf>,
    /// What to restore: nothing for a fresh start.
    pub restore: Vec<RestorePart>,
    /// All file I/O of the store goes through it.
    pub file_system: Arc<dyn FileSystem>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for names and hash seeds.
    pub randomness: Arc<dyn Randomness>,
    /// Receives figures.
    pub recorder: Arc<dyn Recorder>,
    /// Runs background work.
    pub spawner: Arc<dyn Spawner>,
}

impl OpenEnv {
    /// A fresh start with the real file system, clock and randomness.
    pub fn new(key_space: KeySpace) -> Self {
        Self {
            key_space,
            local_dir: None,
            restore: Vec::new(),
            file_system: Arc::new(RealFs),
            clock: Arc::new(SystemClock::new()),
            randomness: Arc::new(OsRandomness),
            recorder: Arc::new(NoRecorder),
            spawner: Arc::new(ThreadSpawner),
        }
    }

    /// The same, restoring from the snapshots of former subtasks.
    #[must_use]
    pub fn with_restore(mut self, parts: Vec<RestorePart>) -> Self {
        self.restore = parts;
        self
    }

    /// The same, with a private directory for working files.
    #[must_use]
    pub fn with_local_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.local_dir = Some(directory.into());
        self
    }

    /// Checks that what is to be restored fits: same keys and key groups, and every key group of the
    /// store in exactly one part. Returns for each part the key groups to take from it. Stores call
    /// this first.
    ///
    /// # Errors
    /// `Incompatible`, saying which part does not fit and why.
    pub fn restore_plan(&self) -> Result<Vec<KeyGroupRange>> {
        let range = self.key_space.range();
        let mut plan = Vec::with_capacity(self.restore.len());
        for part in &self.restore {
            let snapshot = &part.snapshot;
            self.key_space.check_restorable(&snapshot.key, snapshot.groups)?;
            plan.push(range.intersection(snapshot.range));
        }
        if self.restore.is_empty() {
            return Ok(plan);
        }
        let mut parts: Vec<_> = plan.iter().copied().filter(|part| !part.is_empty()).collect();
        parts.sort_unstable_by_key(|part| part.start());
        let mut next = range.start();
        for part in parts {
            if part.start() != next {
                return Err(Error::incompatible(format!(
                    "the snapshots to restore cover key group {} {}; the store owns {range}",
                    next.min(part.start()),
                    if part.start() > next { "not at all" } else { "twice" }
                )));
            }
            next = part.end();
        }
        if next != range.end() {
            return Err(Error::incompatible(format!(
                "the snapshots to restore do not cover key group {next}; the store owns {range}"
            )));
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::{KeyedBackend, MaxParallelism};

    #[test]
    fn an_environment_has_what_it_was_given() {
        let groups = MaxParallelism::new(4).unwrap();
        let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
        let env = OpenEnv::new(space).with_local_dir("/somewhere");
        assert_eq!(env.local_dir.as_deref(), Some("/somewhere".as_ref()));
        assert_eq!(env.restore_plan().unwrap(), [], "a fresh start has no parts");
        env.recorder.record("nothing.listens", 1);
    }

    #[test]
    fn background_work_runs_on_a_thread_of_that_name() {
        let (tell, told) = channel();
        let job = move || {
            let name = std::thread::current().name().map(str::to_owned);
            tell.send(name).expect("somebody waits");
        };
        ThreadSpawner.spawn("tidying-up", Box::new(job)).unwrap();
        assert_eq!(told.recv().unwrap().as_deref(), Some("tidying-up"));
    }
}
