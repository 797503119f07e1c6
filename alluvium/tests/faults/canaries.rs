//! The sweeps over a broken product: each of them must be caught.

use std::sync::Arc;

use alluvium::snapshot::KeyedSnapshot;
use alluvium::storage::CheckpointStorage;
use alluvium::testkit::faults::{
    Ask, Budget, FULL_SYNC, Master, Origin, Outcome, Place, Plan, RETENTION, SAVEPOINT, Script,
    Started, Told, cut_everywhere, fail_everywhere,
};
use alluvium::testkit::omit::{Omission, OmittingFs};
use alluvium::{CheckpointId, Result};

use crate::Memory;
use crate::coordinated::Coordinated;

/// A file is created, written, synced: a stride of three could pass every sync by.
const BUDGET: Budget = Budget { stride: 2, crash_states: 3, seed: 11 };

type Fs = Arc<dyn alluvium::vfs::FileSystem>;

fn cuts(script: &Script, wrap: &dyn Fn(Fs) -> Fs) -> Outcome {
    let mut outcome = Outcome::default();
    cut_everywhere::<Memory, Coordinated>(script, BUDGET, wrap, &mut outcome);
    outcome
}

fn faults(script: &Script, wrap: &dyn Fn(Fs) -> Fs) -> Outcome {
    let mut outcome = Outcome::default();
    fail_everywhere::<Memory, Coordinated>(script, BUDGET, wrap, &mut outcome);
    outcome
}

/// Asserts that something was bad, for one of the reasons.
#[track_caller]
fn caught(outcome: &Outcome, reasons: &[&str]) {
    let found = |bad: &String| reasons.iter().any(|reason| bad.contains(reason));
    assert!(outcome.bad.iter().any(found), "not caught: {outcome:?}");
}

fn without(omission: Omission) -> impl Fn(Fs) -> Fs {
    move |fs| Arc::new(OmittingFs::new(fs, omission))
}

#[test]
fn without_the_sync_of_files() {
    caught(&cuts(&FULL_SYNC, &without(Omission::SyncFile)), &["I2", "I3"]);
}

#[test]
fn without_the_sync_of_directories() {
    caught(&cuts(&RETENTION, &without(Omission::SyncDirectory)), &["I1", "I3"]);
}

#[test]
fn with_metadata_that_is_copied_to_its_name() {
    caught(&cuts(&FULL_SYNC, &without(Omission::AtomicRename)), &["I1", "I2"]);
}

#[test]
fn without_the_removal_of_files() {
    caught(&cuts(&RETENTION, &without(Omission::RemoveFile)), &["I4", "without a cut"]);
}

#[test]
fn with_errors_of_writes_that_are_swallowed() {
    caught(&faults(&FULL_SYNC, &without(Omission::WriteError)), &["I8"]);
}

#[test]
fn with_errors_of_syncs_that_are_swallowed() {
    caught(&faults(&SAVEPOINT, &without(Omission::SyncError)), &["I8"]);
}

#[test]
fn with_errors_of_reads_that_are_swallowed() {
    caught(&faults(&SAVEPOINT, &without(Omission::ReadError)), &["I8"]);
}

/// A coordinator that deletes the older checkpoints before the new one is published.
#[derive(Debug)]
struct Hasty {
    coordinated: Coordinated,
    storage: Arc<dyn CheckpointStorage>,
}

impl Master for Hasty {
    fn open(place: &Place) -> Result<Self> {
        Ok(Self { coordinated: Coordinated::open(place)?, storage: place.storage()? })
    }

    fn start(&mut self, from: Origin, savepoint: Option<&str>, subtasks: u32) -> Result<Started> {
        self.coordinated.start(from, savepoint, subtasks)
    }

    fn trigger(&mut self, ask: Ask, application: Vec<u8>) -> Result<Plan> {
        self.coordinated.trigger(ask, application)
    }

    fn take(&mut self, id: CheckpointId, subtask: u32, part: Result<KeyedSnapshot>) -> Result<()> {
        for old in self.storage.list()? {
            self.storage.discard(old, &[])?;
        }
        self.coordinated.take(id, subtask, part)
    }

    fn abort(&mut self, id: CheckpointId) {
        self.coordinated.abort(id);
    }

    fn told(&mut self) -> Vec<Told> {
        self.coordinated.told()
    }

    fn dispose(&mut self, pointer: &str) -> Result<()> {
        self.coordinated.dispose(pointer)
    }

    fn settle(&mut self) {
        self.coordinated.settle();
    }

    fn collect(&mut self) -> Result<()> {
        self.coordinated.collect()
    }
}

#[test]
fn with_deletion_before_publication() {
    let mut outcome = Outcome::default();
    cut_everywhere::<Memory, Hasty>(&FULL_SYNC, BUDGET, &|fs| fs, &mut outcome);
    caught(&outcome, &["I1"]);
}
