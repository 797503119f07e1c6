//! Small checkpoints of every kind, with what they hold.
//!
//! Each has a twin: another job's checkpoint of the same shape, whose files have the same lengths
//! (where they are not compressed) and other content. A file that is swapped for its twin's passes all
//! checks but those that compare it with what the metadata says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::fixtures::group_of;
use super::super::harness::{Backend, Harness, Kit, run_task, ten};
use super::super::model::{Content, KEYS, States, Step, key_at, key_of};
use super::fault::Target;
use crate::format::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, SubtaskState,
    SubtaskStatistics,
};
use crate::snapshot::{
    CancelToken, Compression, FileLocation, KeyedSnapshot, SnapshotFile, SnapshotKind,
    SnapshotRequest, StoredFile,
};
use crate::storage::{FileReader, InlinePolicy, InlineSource, SnapshotSource};
use crate::{CheckpointId, Error, KeyGroup, KeyGroupRange, KeyedStore, Result};

/// The key groups of the two subtasks.
const SUBTASKS: [(u16, u16); 2] = [(0, 5), (5, 10)];

/// Checkpoints that a specimen of increments consists of.
const GENERATIONS: u8 = 3;

/// A checkpoint, what it holds, and what may be put in the place of its files.
#[derive(Debug)]
pub struct Specimen {
    /// What it is.
    pub name: String,
    /// Its number.
    pub id: CheckpointId,
    /// The content of all states.
    pub content: Content,
    /// The metadata.
    pub metadata: CheckpointMetadata,
    encoded: Vec<u8>,
    files: Vec<(FileLocation, Arc<[u8]>)>,
    other_files: Vec<Arc<[u8]>>,
    other_metadata: Vec<Arc<[u8]>>,
}

/// What a specimen is to be.
#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: SnapshotKind,
    compression: Compression,
    inline: bool,
}

/// The checkpoints of one job, oldest first.
struct History {
    content: Content,
    checkpoints: Vec<CheckpointMetadata>,
    files: Vec<(FileLocation, Arc<[u8]>)>,
}

impl Specimen {
    /// Every kind of snapshot with every compression, in files and inline.
    pub fn all<H: Harness>(kit: &Kit<H>) -> Vec<Self> {
        let plans = kit.kinds().into_iter().flat_map(|kind| {
            Compression::ALL.into_iter().flat_map(move |compression| {
                // What is inline is covered by the checksum of the metadata, whatever it is.
                let inline = compression == Compression::Lz4;
                let file = Plan { kind, compression, inline: false };
                [Some(file), inline.then_some(Plan { inline, ..file })]
            })
        });
        plans.flatten().map(|plan| Self::new(kit, plan)).collect()
    }

    fn new<H: Harness>(kit: &Kit<H>, plan: Plan) -> Self {
        let (mut own, twin) = (History::new(kit, plan, 0), History::new(kit, plan, 1));
        let metadata = own.checkpoints.pop().expect("a history has a checkpoint");
        let used: Vec<_> = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files).collect();
        let is_used =
            |location: &FileLocation| used.iter().any(|file| file.stored.location == *location);
        let others = own.files.iter().chain(&twin.files).map(|(_, bytes)| Arc::clone(bytes));
        let encode = |metadata: &CheckpointMetadata| metadata.encode().expect("valid metadata");
        Self {
            name: format!(
                "{:?} {}{}",
                plan.kind,
                plan.compression.name(),
                if plan.inline { " inline" } else { "" }
            ),
            id: metadata.checkpoint,
            content: own.content.clone(),
            encoded: encode(&metadata),
            other_files: others.collect(),
            // A savepoint has no number in its path: it is what its metadata says.
            other_metadata: own
                .checkpoints
                .iter()
                .chain(&twin.checkpoints)
                .filter(|other| other.kind == CheckpointKind::Checkpoint)
                .map(|other| encode(other).into())
                .collect(),
            files: own.files.iter().filter(|(location, _)| is_used(location)).cloned().collect(),
            metadata,
        }
    }

    /// Everything that can be damaged.
    pub fn targets(&self) -> impl Iterator<Item = Target> + use<> {
        std::iter::once(Target::Metadata).chain((0..self.files.len()).map(Target::File))
    }

    /// The undamaged bytes.
    pub fn bytes_of(&self, target: Target) -> &[u8] {
        match target {
            Target::Metadata => &self.encoded,
            Target::File(index) => &self.files[index].1,
        }
    }

    /// Others of its kind.
    pub fn others(&self, target: Target) -> &[Arc<[u8]>] {
        match target {
            Target::Metadata => &self.other_metadata,
            Target::File(_) => &self.other_files,
        }
    }

    /// All bytes together.
    pub fn bytes(&self) -> usize {
        self.targets().map(|target| self.bytes_of(target).len()).sum()
    }

    /// The files, one of them replaced by `damaged`, or gone.
    pub fn source(&self, target: Target, damaged: Option<&[u8]>) -> Arc<dyn SnapshotSource> {
        let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
        for (index, (location, bytes)) in self.files.iter().enumerate() {
            let bytes = match damaged {
                _ if target != Target::File(index) => Arc::clone(bytes),
                Some(damaged) => damaged.into(),
                None => continue,
            };
            files.insert(format!("{location:?}"), bytes);
        }
        Arc::new(Shelf(files))
    }
}

impl History {
    /// Two subtasks that go through all generations; checkpoints of each where the kind builds upon
    /// earlier ones, else of the last.
    fn new<H: Harness>(kit: &Kit<H>, plan: Plan, variant: u8) -> Self {
        let mut history =
            Self { content: Content::default(), checkpoints: Vec::new(), files: Vec::new() };
        let ranges = SUBTASKS.map(|(start, end)| KeyGroupRange::new(start, end).unwrap());
        let open = |range| kit.try_open::<String>(ten(), range, Vec::new()).unwrap();
        let mut subtasks = ranges.map(open);
        let states = subtasks.each_mut().map(|backend| States::open(backend).unwrap());
        for generation in 0..GENERATIONS {
            for step in steps(generation, variant) {
                let group = group_of_key(kit, key_of(&step).expect("a step of a key"));
                for (backend, states) in subtasks.iter_mut().zip(&states) {
                    if backend.store().key_space().range().contains(group) {
                        states.apply(backend, &step, &history.content).unwrap();
                    }
                }
                history.content.apply(&step);
            }
            if plan.kind == SnapshotKind::Incremental || generation + 1 == GENERATIONS {
                history.checkpoint(kit, plan, &mut subtasks);
            }
        }
        history
    }

    fn checkpoint<H: Harness>(
        &mut self,
        kit: &Kit<H>,
        plan: Plan,
        subtasks: &mut [Backend<H, String>],
    ) {
        let id = kit.next_id();
        let threshold_bytes = if plan.inline { u64::MAX } else { 0 };
        let mut parts = Vec::new();
        for backend in subtasks.iter_mut() {
            let request = SnapshotRequest::new(id, plan.kind).with_compression(plan.compression);
            let task = backend.snapshot(&request).unwrap();
            let sink = kit.storage.sink(id).inline(InlinePolicy::Small { threshold_bytes });
            parts.push(run_task(task, &sink, &CancelToken::default()).unwrap());
        }
        for backend in subtasks {
            backend.checkpoint_completed(id).unwrap();
        }
        for file in parts.iter().flat_map(|part| &part.files) {
            let location = &file.stored.location;
            let known = self.files.iter().any(|(known, _)| known == location);
            if !known && !matches!(location, FileLocation::Inline(_)) {
                self.files.push((location.clone(), kit.storage.read(id, file).unwrap()));
            }
        }
        self.checkpoints.push(metadata(id, plan.kind, parts));
    }
}

fn group_of_key<H: Harness>(kit: &Kit<H>, key: u8) -> KeyGroup {
    let backend = kit.fresh::<String>();
    group_of(backend.store().key_space(), &key_at(key).to_owned())
}

fn metadata(id: CheckpointId, kind: SnapshotKind, parts: Vec<KeyedSnapshot>) -> CheckpointMetadata {
    let subtasks = (0..).zip(parts).map(|(index, keyed)| SubtaskState {
        index,
        keyed: Some(keyed),
        application: vec![0xc0, u8::try_from(index).unwrap_or(0)],
        statistics: SubtaskStatistics::default(),
    });
    let operator = OperatorState {
        uid: "operator".into(),
        max_parallelism: ten(),
        parallelism: 2,
        subtasks: subtasks.collect(),
        application: b"of the operator".to_vec(),
    };
    CheckpointMetadata {
        checkpoint: id,
        kind: match kind {
            SnapshotKind::Canonical => CheckpointKind::Savepoint,
            _ => CheckpointKind::Checkpoint,
        },
        job: "job".into(),
        timestamp_ms: 1_700_000_000_000,
        attempt: u128::from(id.get()) << 64,
        application: b"position 12345 of the source".to_vec(),
        statistics: CheckpointStatistics::default(),
        operators: vec![operator],
        origin: None,
    }
}

/// What happens before the checkpoint of a generation. Variants differ in values, not in lengths.
fn steps(generation: u8, variant: u8) -> Vec<Step> {
    let v = variant;
    match generation {
        0 => vec![
            Step::Count { key: 0, value: Some(1 + v) },
            Step::Count { key: 4, value: Some(3 + v) },
            Step::Count { key: 7, value: Some(5 + v) },
            Step::Name { key: 0, window: 0, text: Some(2 + v) },
            Step::Name { key: 4, window: 2, text: Some(5) },
            Step::Log { key: 0, texts: vec![5; 12] },
            Step::Log { key: 7, texts: vec![2 + v, 0] },
            Step::Events { key: 0, window: 1, values: Some(vec![1 + v, 2]) },
            Step::Events { key: 4, window: 1, values: Some(vec![9; 12]) },
            Step::Sum { key: 0, value: Some(3 + v) },
            Step::Sum { key: 7, value: Some(3 + v) },
            Step::Fold { key: 4, window: 1, value: Some(3 + v) },
            Step::Trail { key: 0, window: 0, value: Some(4 + v) },
            Step::Page { key: 0, page: 1, value: Some(4 + v) },
            Step::Page { key: 0, page: 3, value: Some(4) },
            Step::Page { key: 7, page: 5, value: Some(6 + v) },
            Step::Grid { key: 4, window: 0, entry: 0, text: Some(2 + v) },
            Step::Grid { key: 4, window: 0, entry: 1, text: Some(5) },
        ],
        1 => vec![
            Step::Count { key: 0, value: Some(11 + v) },
            Step::Count { key: 7, value: None },
            Step::Name { key: 4, window: 2, text: None },
            Step::Log { key: 0, texts: vec![2 + v, 1] },
            Step::Page { key: 0, page: 1, value: None },
            Step::Page { key: 0, page: 4, value: Some(8 + v) },
            Step::ClearPages { key: 7 },
            Step::Page { key: 7, page: 2, value: Some(1 + v) },
        ],
        _ => vec![
            Step::Count { key: 4, value: Some(21 + v) },
            Step::Events { key: 4, window: 1, values: Some(vec![7 + v]) },
            Step::Sum { key: 0, value: Some(2 + v) },
            Step::Trail { key: 0, window: 0, value: Some(2 + v) },
            Step::Grid { key: 4, window: 0, entry: 1, text: None },
        ],
    }
}

/// Files by location.
#[derive(Debug)]
struct Shelf(BTreeMap<String, Arc<[u8]>>);

impl SnapshotSource for Shelf {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let location = &file.stored.location;
        if matches!(location, FileLocation::Inline(_)) {
            return InlineSource.open(file);
        }
        let bytes = self.0.get(&format!("{location:?}"));
        let bytes = bytes.ok_or_else(|| Error::not_found(format!("there is no {location:?}")))?;
        let location = FileLocation::Inline(Arc::clone(bytes));
        let stored = StoredFile { location, ..file.stored.clone() };
        InlineSource.open(&SnapshotFile { stored, ..file.clone() })
    }
}

/// All keys that the model knows.
pub(super) fn keys() -> impl Iterator<Item = u8> {
    0..KEYS
}
