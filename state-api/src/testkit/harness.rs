//! [`Harness`] and [`Profile`]: how a backend introduces itself; [`Kit`]: what a case gets.

use std::cell::Cell;
use std::fmt::Debug;

use super::storage::TestStorage;
use crate::codec::{KeyCodec, Native};
use crate::env::{OpenEnv, RestorePart};
use crate::schema::KeySpace;
use crate::snapshot::{
    CancelToken, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
    SnapshotTask,
};
use crate::{
    CheckpointId, KeyGroupRange, KeyHash, KeyedBackend, KeyedStore, MaxParallelism, Result,
    StableHash,
};

/// How a backend answers a request for an incremental snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Increments {
    /// It writes what changed: at most 10 % of the bytes where 1 % of the entries changed.
    Native,
    /// It writes a full snapshot.
    WrittenAsFull,
}

/// What a backend is. The kit checks what is claimed here, and each backend's test states it, so that
/// a promise goes away only with a change that can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// [`KeyedStore::backend_name`].
    pub name: &'static str,
    /// Incremental snapshots.
    pub increments: Increments,
    /// Statistics and summaries of all snapshots count exactly.
    pub exact_counts: bool,
    /// The summaries of full snapshots of state files have digests (those of canonical ones always have).
    pub digests: bool,
    /// Stores need [`OpenEnv::local_dir`]: the kit then gives each a directory of its own.
    pub local_directory: bool,
    /// Bytes of memory that a store may fill whatever its state is: buffers and caches. 0 for defaults that
    /// the kit's states never fill.
    pub buffer_bytes: u64,
}

/// Opens the stores of one backend. Guards that must live as long as the stores belong into it.
pub trait Harness: Debug + Default + 'static {
    /// The store.
    type Store: KeyedStore + 'static;

    /// What the backend is.
    fn profile(&self) -> Profile;

    /// Opens a store: fresh, restored or rescaled, as `env` says.
    ///
    /// # Errors
    /// Those of the backend.
    fn open(&self, env: OpenEnv) -> Result<Self::Store>;

    /// The kind of snapshot that is asked for where a case wants `kind`. A harness for a job whose checkpoints are
    /// full (`state.backend.incremental` is false) never asks for an increment, and says
    /// [`Increments::WrittenAsFull`].
    fn asked(&self, kind: SnapshotKind) -> SnapshotKind {
        kind
    }
}

/// The same backend behind `Box<dyn KeyedStore>`.
#[derive(Debug, Default)]
pub struct Boxed<H>(H);

impl<H: Harness> Harness for Boxed<H> {
    type Store = Box<dyn KeyedStore>;

    fn profile(&self) -> Profile {
        self.0.profile()
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        Ok(Box::new(self.0.open(env)?))
    }

    fn asked(&self, kind: SnapshotKind) -> SnapshotKind {
        self.0.asked(kind)
    }
}

/// A typed backend over a harness's store.
pub type Backend<H, K = u64> = KeyedBackend<K, <H as Harness>::Store>;

/// A completed snapshot and where it is.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The snapshot of one subtask.
    pub snapshot: KeyedSnapshot,
    /// Where its files are.
    pub storage: TestStorage,
}

impl Taken {
    /// To be restored as someone else's: later increments must not refer to its files.
    pub fn part(&self) -> RestorePart {
        RestorePart {
            snapshot: self.snapshot.clone(),
            source: self.storage.source(self.id),
            base: None,
        }
    }

    /// To be restored as the job's own: later increments may build on it.
    pub fn part_as_base(&self) -> RestorePart {
        RestorePart { base: Some(self.id), ..self.part() }
    }
}

/// A snapshot after its synchronous phase.
pub struct Begun {
    /// The checkpoint.
    pub id: CheckpointId,
    /// What is left to do.
    pub task: Box<dyn SnapshotTask>,
}

impl Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Begun({})", self.id)
    }
}

/// What every case gets: a harness, storage, checkpoint numbers.
#[derive(Debug)]
pub struct Kit<H> {
    harness: H,
    /// Where snapshots go.
    pub storage: TestStorage,
    local: Option<tempfile::TempDir>,
    opened: Cell<u32>,
    checkpoints: Cell<u64>,
}

impl<H: Harness> Default for Kit<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Harness> Kit<H> {
    /// A kit over a fresh harness.
    ///
    /// # Panics
    /// If no temporary directory can be made where the profile asks for one.
    pub fn new() -> Self {
        let harness = H::default();
        let local = harness.profile().local_directory;
        let local = local.then(|| local_directory().expect("a temporary directory"));
        Self {
            harness,
            storage: TestStorage::default(),
            local,
            opened: Cell::new(0),
            checkpoints: Cell::new(0),
        }
    }

    /// What the backend is.
    pub fn profile(&self) -> Profile {
        self.harness.profile()
    }

    /// All kinds of snapshot.
    pub fn kinds(&self) -> [SnapshotKind; 3] {
        KINDS
    }

    /// The kind of snapshot to ask for where `kind` is wanted.
    pub fn asked(&self, kind: SnapshotKind) -> SnapshotKind {
        self.harness.asked(kind)
    }

    /// Opens a store with whatever is in `env`, and a local directory if the profile asks for it.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn open_env(&self, mut env: OpenEnv) -> Result<H::Store> {
        self.opened.set(self.opened.get() + 1);
        if let Some(local) = &self.local {
            let directory = local.path().join(self.opened.get().to_string());
            std::fs::create_dir(&directory).expect("a new directory");
            env = env.with_local_dir(directory);
        }
        self.harness.open(env)
    }

    /// A backend for keys `K`, placed by `P`, over a store with these key groups and parts to restore.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn try_open_placed<K, P: KeyHash<K>>(
        &self,
        groups: MaxParallelism,
        range: KeyGroupRange,
        parts: Vec<RestorePart>,
    ) -> Result<KeyedBackend<K, H::Store, Native, P>>
    where
        Native: KeyCodec<K>,
    {
        let space = KeySpace::of::<K, Native, P>(groups, range)?;
        KeyedBackend::new(self.open_env(OpenEnv::new(space).with_restore(parts))?)
    }

    /// The same with the stable hash.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn try_open<K>(
        &self,
        groups: MaxParallelism,
        range: KeyGroupRange,
        parts: Vec<RestorePart>,
    ) -> Result<Backend<H, K>>
    where
        Native: KeyCodec<K>,
    {
        self.try_open_placed::<K, StableHash>(groups, range, parts)
    }

    /// A fresh backend that owns ten key groups.
    ///
    /// # Panics
    /// If the store cannot be opened.
    pub fn fresh<K>(&self) -> Backend<H, K>
    where
        Native: KeyCodec<K>,
    {
        self.restore(&[])
    }

    /// A backend that owns ten key groups, restored from `taken`.
    ///
    /// # Panics
    /// If the store cannot be opened.
    pub fn restore<K>(&self, taken: &[&Taken]) -> Backend<H, K>
    where
        Native: KeyCodec<K>,
    {
        let parts = taken.iter().map(|taken| taken.part()).collect();
        self.try_open(ten(), ten().all(), parts).expect("the store opens")
    }

    /// The same as the job's own, so that increments may build on it.
    ///
    /// # Panics
    /// If the store cannot be opened.
    pub fn resume<K>(&self, taken: &Taken) -> Backend<H, K>
    where
        Native: KeyCodec<K>,
    {
        let parts = vec![taken.part_as_base()];
        self.try_open(ten(), ten().all(), parts).expect("the store opens")
    }

    /// The next checkpoint number.
    pub fn next_id(&self) -> CheckpointId {
        self.checkpoints.set(self.checkpoints.get() + 1);
        CheckpointId::new(self.checkpoints.get())
    }

    /// The synchronous phase of a snapshot.
    ///
    /// # Panics
    /// If it fails.
    pub fn begin<K, P: KeyHash<K>>(
        &self,
        backend: &mut KeyedBackend<K, H::Store, Native, P>,
        kind: SnapshotKind,
    ) -> Begun
    where
        Native: KeyCodec<K>,
    {
        let id = self.next_id();
        let task = backend.snapshot(&SnapshotRequest::new(id, self.asked(kind)));
        Begun { id, task: task.expect("the synchronous phase succeeds") }
    }

    /// The rest of a snapshot.
    ///
    /// # Panics
    /// If it fails, or leaves a file open.
    pub fn finish(&self, begun: Begun) -> Taken {
        let sink = self.storage.sink(begun.id);
        let snapshot = run_task(begun.task, &sink, &CancelToken::default());
        assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
        Taken {
            id: begun.id,
            snapshot: snapshot.expect("the snapshot succeeds"),
            storage: self.storage.clone(),
        }
    }

    /// A whole snapshot.
    ///
    /// # Panics
    /// If it fails.
    pub fn take<K, P: KeyHash<K>>(
        &self,
        backend: &mut KeyedBackend<K, H::Store, Native, P>,
        kind: SnapshotKind,
    ) -> Taken
    where
        Native: KeyCodec<K>,
    {
        let begun = self.begin(backend, kind);
        self.finish(begun)
    }

    /// A whole snapshot that completes.
    ///
    /// # Panics
    /// If it fails.
    pub fn confirm<K>(&self, backend: &mut Backend<H, K>, kind: SnapshotKind) -> Taken
    where
        Native: KeyCodec<K>,
    {
        let taken = self.take(backend, kind);
        backend.checkpoint_completed(taken.id).expect("the notification is taken");
        taken
    }
}

/// A place for the local directories of stores. Nothing there has to survive, so it is a file system in
/// memory where the system has one: what waits for a disk would be most of the time.
fn local_directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_error| tempfile::tempdir())
}

/// All kinds of snapshot.
pub const KINDS: [SnapshotKind; 3] =
    [SnapshotKind::Full, SnapshotKind::Incremental, SnapshotKind::Canonical];

/// Runs a task into a sink.
///
/// # Errors
/// Those of the task.
pub fn run_task(
    task: Box<dyn SnapshotTask>,
    sink: &super::storage::TestSink,
    cancel: &CancelToken,
) -> Result<KeyedSnapshot> {
    let progress = Progress::default();
    task.run(SnapshotContext { sink, cancel, progress: &progress })
}

/// Ten key groups, as in most of Flink's tests.
pub fn ten() -> MaxParallelism {
    groups(10)
}

/// A maximum parallelism.
///
/// # Panics
/// If it is out of bounds.
pub fn groups(count: u32) -> MaxParallelism {
    MaxParallelism::new(count).expect("a valid maximum parallelism")
}

/// Number of entries by the store's statistics, over all states.
pub fn total_entries<K, S: KeyedStore, P: KeyHash<K>>(
    backend: &KeyedBackend<K, S, Native, P>,
) -> u64
where
    Native: KeyCodec<K>,
{
    backend.statistics().states.iter().map(|state| state.entries.get()).sum()
}
