//! Schedules of a whole store: snapshots of every kind beside a writer that goes on.
//!
//! The tasks of two snapshots run on threads of their own, to their end, until they are cancelled, into a
//! sink that fails, or not at all. What they wrote is restored, and must be what the store held when they
//! were begun. A first incremental checkpoint is confirmed, so that the others may build on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, SnapshotKind, SnapshotRequest, SnapshotTask,
};
use alluvium_state_api::testkit::{KINDS, TestSink, TestStorage, run_task};
use alluvium_state_api::{
    CheckpointId, KeyedBackend, ListDescriptor, ListHandle, ListState, MapDescriptor, MapHandle,
    MaxParallelism, OpenEnv, RestorePart, Result, ValueDescriptor, ValueHandle, ValueState,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::store::MemoryStore;

const KEYS: u64 = 12;

/// What a key holds: a value, list elements, map entries.
type Content = BTreeMap<u64, (Option<u64>, Vec<u32>, BTreeMap<u32, u64>)>;

/// A store, and what it should hold.
struct Job {
    backend: KeyedBackend<u64, MemoryStore>,
    value: ValueHandle<u64>,
    list: ListHandle<u32>,
    map: MapHandle<u32, u64>,
    content: Content,
}

fn below(limit: u64) -> u64 {
    thread_rng().gen_range(0..limit)
}

impl Job {
    fn open(restore: Vec<RestorePart>) -> Result<Self> {
        let groups = MaxParallelism::new(4)?;
        let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
        let mut env = OpenEnv::new(space).with_restore(restore);
        env.randomness = Arc::new(SeededRandomness::new(1));
        let mut backend = KeyedBackend::new(MemoryStore::open(env)?)?;
        let value = backend.open(ValueDescriptor::new("value"))?;
        let list = backend.open(ListDescriptor::new("list"))?;
        let map = backend.open(MapDescriptor::new("map"))?;
        Ok(Self { backend, value, list, map, content: Content::new() })
    }

    fn change(&mut self) -> Result<()> {
        let (key, number) = (below(KEYS), below(1 << 20));
        let small = u32::try_from(number % 5).unwrap_or(0);
        let mut cx = self.backend.at(&key)?;
        let (value, list, map) = self.content.entry(key).or_default();
        match below(8) {
            0 | 1 => {
                cx.value(self.value).set(&number)?;
                *value = Some(number);
            }
            2 => {
                cx.value(self.value).clear()?;
                *value = None;
            }
            3 => {
                cx.list(self.list).add(&small)?;
                list.push(small);
            }
            4 => {
                cx.list(self.list).clear()?;
                list.clear();
            }
            5 | 6 => {
                cx.map(self.map).insert(&small, &number)?;
                map.insert(small, number);
            }
            _ => {
                cx.map(self.map).remove(&small)?;
                map.remove(&small);
            }
        }
        Ok(())
    }

    fn changes(&mut self, most: u64) -> Result<()> {
        (0..=below(most)).try_for_each(|_| self.change())
    }

    /// Compares everything with `content`.
    fn check(&mut self, content: &Content) -> Result<()> {
        for key in 0..KEYS {
            let wanted = content.get(&key).cloned().unwrap_or_default();
            let mut cx = self.backend.at(&key)?;
            let mut found =
                (cx.value(self.value).get()?, cx.list(self.list).get()?, BTreeMap::new());
            for small in 0..5 {
                if let Some(number) = cx.map(self.map).get(&small)? {
                    found.2.insert(small, number);
                }
            }
            assert_eq!(found, wanted, "key {key}");
        }
        Ok(())
    }
}

/// A snapshot that was begun.
struct Flight {
    id: CheckpointId,
    content: Content,
    cancel: CancelToken,
    task: thread::JoinHandle<Option<Result<KeyedSnapshot>>>,
}

/// Runs a task, or drops it.
fn finish(
    task: Box<dyn SnapshotTask>,
    sink: &TestSink,
    cancel: &CancelToken,
    dropped: bool,
) -> Option<Result<KeyedSnapshot>> {
    if dropped {
        return None;
    }
    let done = run_task(task, sink, cancel);
    assert_eq!(sink.left_open(), 0, "every file is finished or dropped");
    Some(done)
}

fn begin(job: &mut Job, storage: &TestStorage, number: u64) -> Result<Flight> {
    let [full, incremental, canonical] = KINDS;
    let kind = match below(3) {
        0 => full,
        1 => incremental,
        _ => canonical,
    };
    let id = CheckpointId::new(number);
    let task = job.backend.snapshot(&SnapshotRequest::new(id, kind))?;
    let (cancel, content) = (CancelToken::default(), job.content.clone());
    let (mut sink, dropped) = (storage.sink(id), below(8) == 0);
    if below(8) == 0 {
        sink = sink.failing_at(below(6));
    }
    let token = cancel.clone();
    let task = thread::spawn(move || finish(task, &sink, &token, dropped));
    Ok(Flight { id, content, cancel, task })
}

/// Restores what a task wrote, if it did, and compares.
fn check(flight: Flight, storage: &TestStorage) -> Result<()> {
    let Ok(done) = flight.task.join() else {
        panic!("a task panicked");
    };
    let Some(Ok(snapshot)) = done else {
        return Ok(());
    };
    let source = storage.source(flight.id);
    let part = RestorePart { snapshot, source, base: None };
    Job::open(vec![part])?.check(&flight.content)
}

fn schedule() -> Result<()> {
    let (mut job, storage) = (Job::open(Vec::new())?, TestStorage::default());
    (0..20).try_for_each(|_| job.change())?;
    let base = CheckpointId::new(1);
    let task = job.backend.snapshot(&SnapshotRequest::new(base, SnapshotKind::Incremental))?;
    run_task(task, &storage.sink(base), &CancelToken::default())?;
    job.backend.checkpoint_completed(base)?;
    job.changes(4)?;
    let mut flights = Vec::new();
    for number in 2..4 {
        flights.push(begin(&mut job, &storage, number)?);
        job.changes(5)?;
        if below(6) == 0 {
            for flight in &flights {
                flight.cancel.cancel();
            }
        }
    }
    if below(3) > 0 {
        let content = job.content.clone();
        job.check(&content)?;
        let (aborted, completed) = (CheckpointId::new(2), CheckpointId::new(3));
        job.backend.checkpoint_aborted(aborted)?;
        job.backend.checkpoint_completed(completed)?;
        flights.into_iter().try_for_each(|flight| check(flight, &storage))?;
        job.changes(3)?;
        let last = begin(&mut job, &storage, 4)?;
        return check(last, &storage);
    }
    drop(job);
    flights.into_iter().try_for_each(|flight| check(flight, &storage))
}

/// Values, lists and maps.
pub(super) fn of_all_kinds() {
    if let Err(error) = schedule() {
        panic!("{error:?}");
    }
}
