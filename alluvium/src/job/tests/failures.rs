//! Runs that must not come out right, or not come to their end: stores that lie, storage that fails.

use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{SnapshotRequest, SnapshotTask};
use alluvium_state_api::{
    BackendFactory, BackendRegistry, ErrorKind, KeyBatch, KeyedStore, ListSize, MergeValues,
    Modify, OpenEnv, Registration, Rewrite, Scan, Slot, StateKey, StoreStatistics, VisitElement,
    VisitEntry,
};
use alluvium_state_api::{CheckpointId, Elements, Error, Result};

use super::support::{input, run_with, spec};
use crate::job::{Event, JobError, Point};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Every 100th element that is appended is lost.
    LosesElements,
    /// Every 100th change is lost.
    LosesChanges,
    /// What was restored is gone.
    ForgetsOnRestore,
    /// Every second synchronous phase fails.
    RefusesSnapshots,
    /// No record can be taken in after the 500th access.
    BreaksDown,
}

#[derive(Debug)]
struct Liars(Fault);

struct Liar {
    store: Box<dyn KeyedStore>,
    fault: Fault,
    accesses: u64,
    snapshots: u64,
}

impl BackendFactory for Liars {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(&self, mut env: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>> {
        if self.0 == Fault::ForgetsOnRestore {
            env.restore.clear();
        }
        Ok(Box::new(Liar {
            store: crate::registry().open(env, settings)?,
            fault: self.0,
            accesses: 0,
            snapshots: 0,
        }))
    }
}

impl Liar {
    fn lies(&mut self, fault: Fault) -> bool {
        self.accesses += 1;
        self.fault == fault && self.accesses.is_multiple_of(100)
    }
}

impl KeyedStore for Liar {
    fn backend_name(&self) -> &'static str {
        self.store.backend_name()
    }
    fn key_space(&self) -> &KeySpace {
        self.store.key_space()
    }
    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        self.store.register(meta)
    }
    fn states(&self) -> Vec<StateMeta> {
        self.store.states()
    }
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        self.store.get(slot, key)
    }
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        self.store.put(slot, key, value)
    }
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.store.remove(slot, key)
    }
    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        self.store.remove_prefix(slot, prefix)
    }
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        if self.lies(Fault::LosesChanges) {
            return Ok(());
        }
        if self.fault == Fault::BreaksDown && self.accesses > 500 {
            return Err(Error::unavailable("the disk is on fire"));
        }
        self.store.modify(slot, key, change)
    }
    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        if self.lies(Fault::LosesElements) {
            return Ok(());
        }
        self.store.append(slot, key, elements)
    }
    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        self.store.read_list(slot, key, visit)
    }
    fn replace_list(&mut self, slot: Slot, key: &StateKey<'_>, all: Elements<'_>) -> Result<()> {
        self.store.replace_list(slot, key, all)
    }
    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        self.store.list_size(slot, key)
    }
    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        self.store.scan(slot, scan, visit)
    }
    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        self.store.merge_namespaces(slot, target, sources, merge)
    }
    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.store.rewrite(slot, rewrite)
    }
    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        self.snapshots += 1;
        if self.fault == Fault::RefusesSnapshots && self.snapshots.is_multiple_of(2) {
            return Err(Error::unavailable("no snapshot today"));
        }
        self.store.snapshot(request)
    }
    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.store.checkpoint_completed(checkpoint)
    }
    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
    fn statistics(&self) -> StoreStatistics {
        self.store.statistics()
    }
}

fn liars(fault: Fault) -> BackendRegistry {
    BackendRegistry::new().with(Liars(fault))
}

#[test]
fn a_store_that_loses_doubles_or_forgets_is_found_out() {
    for fault in [Fault::LosesElements, Fault::LosesChanges, Fault::ForgetsOnRestore] {
        let (directory, source) = (tempfile::tempdir().unwrap(), input(1_500));
        let (report, _) = run_with(&spec(directory.path()), &source, liars(fault));
        let report = report.unwrap();
        assert!(!report.is_right(), "{fault:?}");
        assert!(report.mismatches > 0 && !report.mismatch_examples.is_empty());
        let lines = report.mismatch_examples.iter();
        assert!(lines.into_iter().all(|line| !line.contains('\n') && line.len() < 400));
    }
}

#[test]
fn a_failed_checkpoint_fails_the_run_unless_it_is_tolerable() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(1_000));
    let mut spec = spec(directory.path());
    let (report, _) = run_with(&spec, &source, liars(Fault::RefusesSnapshots));
    let error = match report.unwrap_err() {
        JobError::State(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.checkpoint().is_some());

    let tolerable = "execution.checkpointing.tolerable-failed-checkpoints";
    spec.settings.set(tolerable, "5").unwrap();
    spec.checkpoint_every = Some(110);
    let (report, observer) = run_with(&spec, &source, liars(Fault::RefusesSnapshots));
    let failed = |event: &Event| matches!(event, Event::Failed { .. });
    assert!(observer.events.lock().iter().any(failed));
    if let Ok(report) = report {
        assert!(report.is_right());
    }
}

#[test]
fn a_subtask_that_fails_ends_the_run_with_its_error() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(1_500));
    let (report, _) = run_with(&spec(directory.path()), &source, liars(Fault::BreaksDown));
    let error = report.unwrap_err();
    assert!(error.to_string().contains("the disk is on fire"));
    assert!(!error.is_usage());
}

#[test]
fn a_crash_past_the_end_is_refused_as_usage() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(100));
    let mut spec = spec(directory.path());
    spec.crash_at = Some(Point::Record(101));
    let (report, _) = run_with(&spec, &source, crate::registry());
    assert!(report.unwrap_err().is_usage());
}

#[test]
fn state_above_the_inline_limit_is_refused_and_says_what_to_do() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(2_000));
    let mut spec = spec(directory.path());
    spec.settings = Settings::from_pairs([
        ("state.checkpoints.dir", "memory://"),
        ("state.backend.memory.max-state-size", "2 kb"),
    ])
    .unwrap();
    let (report, _) = run_with(&spec, &source, crate::registry());
    let error = match report.unwrap_err() {
        JobError::State(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.message().contains("state.checkpoints.dir"));
}
