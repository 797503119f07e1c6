//! Writes a set: the only code that ever makes golden files.

use std::path::Path;
use std::sync::Arc;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::format::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, SubtaskState,
    SubtaskStatistics,
};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, Compression, FileName, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind,
    SnapshotRequest,
};
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage};
use alluvium_state_api::testkit::groups;
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{CheckpointId, KeyedBackend, KeyedStore, OpenEnv};

use super::model::Model;
use super::states::{EncodeIndex, metas, number, steps, word};
use super::{GROUPS, Kind, ROUNDS, checksums, content, specimen};

/// The subtasks of each operator.
const PARALLELISM: u32 = 2;

struct Operator {
    uid: &'static str,
    encode: EncodeIndex,
    stores: Vec<MemoryStore>,
    model: Model,
}

impl Operator {
    fn new<K>(uid: &'static str, encode: EncodeIndex) -> Self
    where
        Native: KeyCodec<K>,
    {
        let groups = groups(GROUPS);
        let store = |subtask| {
            let range = groups.range_of(subtask, PARALLELISM).unwrap();
            let space = KeyedBackend::<K>::key_space(groups, range).unwrap();
            let mut store = MemoryStore::open(OpenEnv::new(space)).unwrap();
            for meta in metas() {
                store.register(&meta).unwrap();
            }
            store
        };
        Self { uid, encode, stores: (0..PARALLELISM).map(store).collect(), model: Model::default() }
    }

    fn change(&mut self, round: u64) {
        for step in steps(round, self.encode) {
            self.model.apply(&step);
            let mut stores = self.stores.iter_mut();
            let owner = stores.find(|store| {
                let space = store.key_space();
                space.range().contains(space.group_of(step.key()).unwrap())
            });
            step.run(owner.unwrap(), groups(GROUPS));
        }
    }

    fn snapshot(
        &mut self,
        attempt: &dyn CheckpointAttempt,
        request: &SnapshotRequest,
    ) -> OperatorState {
        let sink = attempt.sink();
        let (cancel, progress) = (CancelToken::default(), Progress::default());
        let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
        let taken = |store: &mut MemoryStore| -> KeyedSnapshot {
            store.snapshot(request).unwrap().run(context).unwrap()
        };
        let subtasks = (0..).zip(self.stores.iter_mut().map(taken)).map(|(index, keyed)| {
            let statistics = SubtaskStatistics {
                bytes_new: keyed.bytes_new,
                bytes_full: keyed.bytes_full,
                ..SubtaskStatistics::default()
            };
            let application = format!("subtask {index} of {}", self.uid).into_bytes();
            SubtaskState { index, keyed: Some(keyed), application, statistics }
        });
        OperatorState {
            uid: self.uid.into(),
            max_parallelism: groups(GROUPS),
            parallelism: u16::try_from(PARALLELISM).unwrap(),
            application: format!("all of {}", self.uid).into_bytes(),
            subtasks: subtasks.collect(),
        }
    }

    fn text(&self) -> String {
        self.model.text(self.uid, self.stores[0].key_space(), &metas())
    }
}

/// Writes a whole set into a directory that there is not yet.
pub(super) fn write_set(set: &Path, specimens: impl IntoIterator<Item = (Kind, Compression)>) {
    std::fs::create_dir(set).expect("golden files are never overwritten");
    for (kind, compression) in specimens {
        write_specimen(set, kind, compression);
    }
    std::fs::write(set.join(checksums::LIST), checksums::of(set)).unwrap();
}

fn write_specimen(set: &Path, kind: Kind, compression: Compression) {
    let directory = specimen(set, kind, compression);
    std::fs::create_dir(&directory).unwrap();
    let mut options = LocalOptions::default().with_savepoint_directory(&directory);
    options.inline_threshold_bytes = if kind.inline { 1 << 20 } else { 0 };
    let seed = compression as u64 * 100 + kind.form as u64;
    let randomness = Arc::new(SeededRandomness::new(seed));
    let job = FileName::new("golden").unwrap();
    let storage = LocalStorage::open(Arc::new(RealFs), randomness, &directory, &job, options);
    let storage = storage.unwrap();
    let mut operators =
        [Operator::new::<u64>("numbers", number), Operator::new::<String>("words", word)];
    for round in 1..=ROUNDS {
        let id = CheckpointId::new(round);
        for operator in &mut operators {
            operator.change(round);
        }
        if round < ROUNDS && kind.form != SnapshotKind::Incremental {
            continue;
        }
        let savepoint = kind.form == SnapshotKind::Canonical;
        let attempt = if savepoint { storage.begin_savepoint(None) } else { storage.begin(id) };
        let attempt = attempt.unwrap();
        let request = SnapshotRequest::new(id, kind.form).with_compression(compression);
        let taken = operators.iter_mut().map(|operator| operator.snapshot(&*attempt, &request));
        let metadata = metadata(id, savepoint, taken.collect());
        attempt.publish(&metadata.encode().unwrap()).unwrap();
        for store in operators.iter_mut().flat_map(|operator| &mut operator.stores) {
            store.checkpoint_completed(id).unwrap();
        }
        let text: String = operators.iter().map(Operator::text).collect();
        let content = content(set, round);
        if content.exists() {
            assert_eq!(std::fs::read_to_string(&content).unwrap(), text);
        }
        std::fs::write(content, text).unwrap();
    }
    if kind.inline {
        for id in 1..ROUNDS {
            storage.discard(CheckpointId::new(id), &[]).unwrap();
        }
    }
}

fn metadata(
    id: CheckpointId,
    savepoint: bool,
    operators: Vec<OperatorState>,
) -> CheckpointMetadata {
    let kind = if savepoint { CheckpointKind::Savepoint } else { CheckpointKind::Checkpoint };
    CheckpointMetadata {
        checkpoint: id,
        kind,
        job: "golden".into(),
        timestamp_ms: 1_700_000_000_000 + id.get(),
        attempt: u128::from(id.get()) << 64,
        application: format!("position {}", id.get() * 1000).into_bytes(),
        statistics: CheckpointStatistics::default(),
        operators,
        origin: None,
    }
}
