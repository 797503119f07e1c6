//! Subtasks without a backend: their snapshots are files of random bytes, chained as increments are.

use std::path::Path;
use std::sync::Arc;

use alluvium_checkpoint::{
    Acknowledged, CheckpointPlan, ClaimMode, Components, Coordinator, Notification, OperatorSpec,
    Options, RestoreOptions, RestorePlan, StartFrom, SubtaskAck, Trigger,
};
use alluvium_state_api::clock::ManualClock;
use alluvium_state_api::codec::Native;
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{
    FileFormat, FileLocation, FileName, KeyedSnapshot, SnapshotFile, SnapshotKind,
};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointStorage, FileScope, SnapshotSource};
use alluvium_state_api::vfs::{FileSystem, MemoryFs};
use alluvium_state_api::{CheckpointId, KeyGroupRange, MaxParallelism, Result, StableHash};

pub(crate) const UID: &str = "counts";

/// A file bigger than this goes to the directory.
pub(crate) const INLINE: u64 = 8;

pub(crate) fn id(number: u64) -> CheckpointId {
    CheckpointId::new(number)
}

/// What one subtask's backend would remember between snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeStore {
    /// The files of the confirmed base.
    base: Vec<SnapshotFile>,
    /// What was written for checkpoints that are neither confirmed nor aborted.
    taken: Vec<(CheckpointId, SnapshotKind, Vec<SnapshotFile>)>,
}

impl FakeStore {
    pub(crate) fn base(&self) -> &[SnapshotFile] {
        &self.base
    }

    /// Writes a part of checkpoint `plan`: on top of the base if it is incremental, and dropping the
    /// oldest of more than four files, as a consolidating backend does.
    pub(crate) fn snapshot(
        &mut self,
        plan: &CheckpointPlan,
        range: KeyGroupRange,
        groups: MaxParallelism,
        bytes: u64,
    ) -> Result<KeyedSnapshot> {
        let kind = plan.request.kind;
        let mut files = match kind {
            SnapshotKind::Incremental => self.base.clone(),
            _ => Vec::new(),
        };
        if files.len() > 4 {
            files.remove(0);
        }
        let scope = match kind {
            SnapshotKind::Canonical => FileScope::Own,
            _ => FileScope::Shared,
        };
        let mut writer = plan.sink.create(scope)?;
        writer.write(&vec![plan.id.get() as u8; bytes as usize])?;
        files.push(SnapshotFile {
            stored: writer.finish()?,
            frame_checksum: None,
            format: FileFormat::State,
            label: "".into(),
            live: vec![range],
        });
        self.taken.push((plan.id, kind, files.clone()));
        let space = KeySpace::of::<u64, Native, StableHash>(groups, range)?;
        let bytes_full = files.iter().map(|file| file.stored.length).sum();
        Ok(KeyedSnapshot {
            backend: "fake".into(),
            kind,
            key: space.identity().clone(),
            groups,
            range,
            states: Vec::new(),
            files,
            bytes_new: bytes,
            bytes_full,
        })
    }

    pub(crate) fn notify(&mut self, id: CheckpointId, completed: bool) {
        let at = self.taken.iter().position(|taken| taken.0 == id);
        let Some((_, kind, files)) = at.map(|at| self.taken.remove(at)) else {
            return;
        };
        if completed && kind != SnapshotKind::Canonical {
            self.base = files;
        }
    }
}

/// A job with one operator, over a storage.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) coordinator: Coordinator,
    pub(crate) storage: Arc<dyn CheckpointStorage>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stores: Vec<FakeStore>,
    randomness: Arc<SeededRandomness>,
    options: Options,
}

impl Job {
    pub(crate) fn over(storage: Arc<dyn CheckpointStorage>, options: Options) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let randomness = Arc::new(SeededRandomness::new(99));
        let coordinator = open(&storage, &clock, &randomness, &options);
        Self { coordinator, storage, clock, stores: Vec::new(), randomness, options }
    }

    /// A started job with two subtasks over a fresh file system.
    pub(crate) fn started(options: Options) -> (Self, MemoryFs) {
        let fs = MemoryFs::new();
        let mut job = Self::over(local(&fs), options);
        job.start(2, StartFrom::Newest).unwrap();
        (job, fs)
    }

    /// The process of the coordinator dies and another one opens what is there.
    pub(crate) fn restart_process(&mut self) {
        self.coordinator = open(&self.storage, &self.clock, &self.randomness, &self.options);
    }

    pub(crate) fn start(&mut self, parallelism: u32, from: StartFrom<'_>) -> Result<RestorePlan> {
        self.start_as(parallelism, from, ClaimMode::NoClaim)
    }

    pub(crate) fn start_as(
        &mut self,
        parallelism: u32,
        from: StartFrom<'_>,
        claim: ClaimMode,
    ) -> Result<RestorePlan> {
        let operators = [OperatorSpec::new(UID, parallelism)];
        let options = RestoreOptions { claim, ..RestoreOptions::default() };
        let plan = self.coordinator.start(&operators, from, options)?;
        let subtasks = &plan.operator(UID).unwrap().subtasks;
        self.stores = subtasks
            .iter()
            .map(|subtask| {
                let parts = subtask.restore.iter().filter(|part| part.base.is_some());
                FakeStore {
                    base: parts.flat_map(|part| part.snapshot.files.clone()).collect(),
                    taken: Vec::new(),
                }
            })
            .collect();
        Ok(plan)
    }

    /// Subtask `subtask` writes its part.
    pub(crate) fn part(&mut self, plan: &CheckpointPlan, subtask: u32) -> Result<SubtaskAck> {
        let operator = self.coordinator.operators()[0].clone();
        let range = operator.range_of(subtask)?;
        let bytes = 4 + self.randomness.next_u64() % 24;
        let store = &mut self.stores[subtask as usize];
        let snapshot = store.snapshot(plan, range, operator.groups(), bytes)?;
        let application = format!("subtask {subtask}").into_bytes();
        Ok(SubtaskAck { application, sync_us: 5, ..SubtaskAck::keyed(snapshot) })
    }

    /// Subtask `subtask` writes and acknowledges its part.
    pub(crate) fn ack(&mut self, plan: &CheckpointPlan, subtask: u32) -> Acknowledged {
        let ack = self.part(plan, subtask).unwrap();
        self.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap()
    }

    /// A whole checkpoint or savepoint, delivered.
    pub(crate) fn complete(&mut self, trigger: Trigger) -> CheckpointPlan {
        let plan = self.coordinator.trigger(trigger).unwrap();
        for subtask in 0..self.stores.len() as u32 - 1 {
            self.ack(&plan, subtask);
        }
        let last = self.stores.len() as u32 - 1;
        assert_eq!(self.ack(&plan, last), Acknowledged::Completed);
        self.deliver();
        plan
    }

    /// Delivers what there is to every subtask.
    pub(crate) fn deliver(&mut self) -> Vec<Notification> {
        let notifications: Vec<_> = self.coordinator.notifications().collect();
        for store in &mut self.stores {
            for one in &notifications {
                store.notify(one.id(), one.is_completed());
            }
        }
        notifications
    }

    pub(crate) fn retained(&self) -> Vec<u64> {
        self.coordinator.completed().map(|one| one.id.get()).collect()
    }
}

fn open(
    storage: &Arc<dyn CheckpointStorage>,
    clock: &Arc<ManualClock>,
    randomness: &Arc<SeededRandomness>,
    options: &Options,
) -> Coordinator {
    let components = Components {
        storage: Arc::clone(storage),
        clock: Arc::<ManualClock>::clone(clock),
        randomness: Arc::<SeededRandomness>::clone(randomness),
    };
    Coordinator::open(FileName::new("job-1").unwrap(), options.clone(), components).unwrap()
}

pub(crate) fn local(fs: &MemoryFs) -> Arc<dyn CheckpointStorage> {
    local_over(Arc::new(fs.clone()), 1)
}

pub(crate) fn local_over(fs: Arc<dyn FileSystem>, seed: u64) -> Arc<dyn CheckpointStorage> {
    local_at(fs, Path::new("/checkpoints"), seed)
}

/// The job's storage below another directory: to the one above, another job of the same name.
pub(crate) fn local_at(
    fs: Arc<dyn FileSystem>,
    directory: &Path,
    seed: u64,
) -> Arc<dyn CheckpointStorage> {
    let randomness = Arc::new(SeededRandomness::new(seed));
    let options = LocalOptions::default()
        .with_inline_threshold_bytes(INLINE)
        .with_savepoint_directory("/savepoints");
    let job = FileName::new("job-1").unwrap();
    Arc::new(LocalStorage::open(fs, randomness, directory, &job, options).unwrap())
}

pub(crate) fn incremental(retained: usize) -> Options {
    Options { kind: SnapshotKind::Incremental, retained, ..Options::default() }
}

/// Every file of every published checkpoint is there and as long as its manifest says.
pub(crate) fn assert_whole(storage: &dyn CheckpointStorage) {
    use alluvium_state_api::format::metadata::CheckpointMetadata;
    for id in storage.list().unwrap() {
        let stored = storage.load(id).unwrap();
        let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
        assert_eq!(metadata.checkpoint, id);
        for (_, _, keyed) in metadata.keyed() {
            for file in &keyed.files {
                check_file(&*stored.source, file);
            }
        }
    }
}

pub(crate) fn check_file(source: &dyn SnapshotSource, file: &SnapshotFile) {
    let reader = source.open(file).unwrap();
    let mut bytes = vec![0; file.stored.length as usize];
    reader.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(alluvium_state_api::format::file_checksum(&bytes), file.stored.checksum);
}

/// The shared files that are there.
pub(crate) fn shared_files(storage: &dyn CheckpointStorage) -> Vec<String> {
    let survey = storage.survey().unwrap();
    survey.shared.into_iter().map(|file| file.name).collect()
}

pub(crate) fn shared_name(file: &SnapshotFile) -> Option<&FileName> {
    match &file.stored.location {
        FileLocation::Shared(name) => Some(name),
        _ => None,
    }
}
