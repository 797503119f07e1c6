//! Reads a set back: through the memory backend, and by the format modules alone.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::format::{CheckpointMetadata, OperatorState};
use alluvium_state_api::schema::{KeySpace, StateKind};
use alluvium_state_api::storage::SnapshotSource;
use alluvium_state_api::storage::local::open_pointer;
use alluvium_state_api::testkit::fixtures::RawKey;
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{KeyedBackend, KeyedStore, OpenEnv, RestorePart, Scan, open_state_file};

use super::files_below;
use super::model::Model;
use super::states::metas;

/// A published checkpoint or savepoint.
pub(super) struct Published {
    pub(super) path: PathBuf,
    pub(super) metadata: CheckpointMetadata,
    pub(super) source: Arc<dyn SnapshotSource>,
}

/// What a specimen consists of, by number.
pub(super) fn published(specimen: &Path) -> Vec<Published> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let mut all: Vec<_> = files_below(specimen)
        .into_iter()
        .filter(|path| path.ends_with("_metadata"))
        .map(|path| {
            let stored = open_pointer(&fs, path.to_str().unwrap()).unwrap();
            let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
            Published { path, metadata, source: stored.source }
        })
        .collect();
    all.sort_by_key(|published| published.metadata.checkpoint);
    all
}

impl Published {
    /// What an operator's subtasks restore from it.
    pub(super) fn parts(&self, operator: &OperatorState) -> Vec<RestorePart> {
        let keyed = operator.subtasks.iter().map(|subtask| subtask.keyed.clone().unwrap());
        keyed
            .map(|snapshot| RestorePart { snapshot, source: Arc::clone(&self.source), base: None })
            .collect()
    }

    /// The stores of an operator at some parallelism.
    pub(super) fn stores(&self, operator: &OperatorState, parallelism: u32) -> Vec<MemoryStore> {
        let open = |subtask| {
            let range = operator.max_parallelism.range_of(subtask, parallelism).unwrap();
            let space = key_space(operator).with_range(range).unwrap();
            MemoryStore::open(OpenEnv::new(space).with_restore(self.parts(operator))).unwrap()
        };
        (0..parallelism).map(open).collect()
    }

    /// What the memory backend finds in it.
    pub(super) fn restored(&self, parallelism: u32) -> String {
        self.text(|operator| {
            let mut model = Model::default();
            for mut store in self.stores(operator, parallelism) {
                model.absorb(held(&mut store));
            }
            model
        })
    }

    /// What its state files say.
    pub(super) fn decoded(&self) -> String {
        self.text(|operator| {
            let mut all = Model::default();
            for part in self.parts(operator) {
                all.absorb(replayed(&part, &key_space(operator)));
            }
            all
        })
    }

    fn text(&self, held: impl Fn(&OperatorState) -> Model) -> String {
        let operators = self.metadata.operators.iter();
        operators
            .map(|operator| held(operator).text(&operator.uid, &key_space(operator), &metas()))
            .collect()
    }
}

fn key_space(operator: &OperatorState) -> KeySpace {
    let groups = operator.max_parallelism;
    match &*operator.uid {
        "numbers" => KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap(),
        _ => KeyedBackend::<String>::key_space(groups, groups.all()).unwrap(),
    }
}

/// Everything in a store.
fn held(store: &mut MemoryStore) -> Model {
    let mut model = Model::default();
    let (range, groups) = (store.key_space().range(), store.key_space().groups());
    for meta in metas() {
        let registration = store.register(&meta).unwrap();
        assert_eq!(registration.restored, Some(meta.clone()), "descriptions come back as well");
        let mut entries = Vec::new();
        let scan = Scan::KeyGroups { range, from: &[] };
        let visited = store.scan(registration.slot, scan, &mut |key, value| {
            entries.push((
                [key.key(), key.namespace(), key.map_key()].map(<[u8]>::to_vec),
                value.to_vec(),
            ));
            Ok(ControlFlow::Continue(()))
        });
        visited.unwrap();
        for (at, value) in entries {
            let raw = RawKey::new(groups, &at[0], &at[1], &at[2]);
            let mut values = vec![value];
            if meta.kind == StateKind::List {
                values.clear();
                let read = store.read_list(registration.slot, &raw.get(), &mut |element| {
                    values.push(element.to_vec());
                    Ok(ControlFlow::Continue(()))
                });
                assert!(read.unwrap());
            }
            model.insert(&meta.name, raw.get().entry(), values);
        }
    }
    let counted: u64 = store.statistics().states.iter().map(|state| state.entries.get()).sum();
    assert_eq!(counted, model.len() as u64);
    model
}

/// What the files of one subtask hold together.
fn replayed(part: &RestorePart, space: &KeySpace) -> Model {
    let mut model = Model::default();
    for file in &part.snapshot.files {
        let state_file = open_state_file(part, file).unwrap();
        state_file.verify().unwrap();
        for live in &file.live {
            let mut blocks = state_file.blocks(*live);
            while let Some(block) = blocks.next_block().unwrap() {
                let meta = &state_file.spec().states[usize::from(block.state())];
                for record in block.records() {
                    check_group(&record, block.group(), space);
                    model.replay(&meta.name, &record);
                }
            }
        }
    }
    model
}

fn check_group(
    record: &alluvium_state_api::format::Record<'_>,
    group: alluvium_state_api::KeyGroup,
    space: &KeySpace,
) {
    use alluvium_state_api::format::Record;
    let key = match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => *key,
        Record::List(segment) | Record::Append(segment) => segment.key,
    };
    assert_eq!(space.group_of(key.key()).unwrap(), group);
}
