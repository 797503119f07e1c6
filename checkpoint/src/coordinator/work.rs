//! Beginnings, publications and deletions as owned work: decided by the state machine, run by whoever has a thread.
//!
//! # Role
//! Every call that decides something ends with [`Coordinator::work_off`], which runs what was decided in
//! place. Who [defers](Coordinator::defer_work) that, as a [driver](crate::driver) does, asks for the
//! work after each call, runs it on other threads, and brings the outcome back. Both go the same way;
//! deferring only lets time pass in between.
//!
//! # Invariants
//! * W1 At most one beginning, one publication and one deletion are handed out at a time.
//! * W2 While a publication is handed out, nothing that its metadata names is deleted, and nothing it
//!   builds on is subsumed.
//! * W3 Metadata that names what a deletion under way deletes is refused.
//! * W4 An attempt is aborted after its publication has come back, never meanwhile.

use std::sync::Arc;

use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
use alluvium_state_api::{Error, ErrorKind, Result};

use super::Coordinator;
use super::begin::{Beginning, Begun};
use super::finish::not_published;
use crate::completed::{Cleaned, Cleaning};
use crate::files::{self, SharedFiles};

/// Something that the storage has to do for a coordinator, to be [run](Self::run) on any thread. What is
/// dropped instead is as if the process had died.
#[derive(Debug)]
#[must_use = "the coordinator waits for its outcome"]
pub struct Work(Kind);

#[derive(Debug)]
enum Kind {
    Begin(Beginning),
    Publish(Box<Publication>),
    Clean(Cleaning),
}

/// How a piece of [`Work`] ended, for [`Coordinator::done`].
#[derive(Debug)]
#[must_use = "the coordinator waits for it"]
pub struct Done(Outcome);

#[derive(Debug)]
enum Outcome {
    Begun(Begun),
    Published(Box<Published>),
    Cleaned(Cleaned),
}

impl Work {
    /// What it is. Works of different kinds may run side by side.
    pub const fn kind(&self) -> WorkKind {
        match self.0 {
            Kind::Begin(_) => WorkKind::Begin,
            Kind::Publish(_) => WorkKind::Publish,
            Kind::Clean(_) => WorkKind::Clean,
        }
    }

    /// Does it: for as long as the storage takes.
    pub fn run(self) -> Done {
        Done(match self.0 {
            Kind::Begin(beginning) => Outcome::Begun(beginning.run()),
            Kind::Publish(publication) => Outcome::Published(Box::new(publication.run())),
            Kind::Clean(cleaning) => Outcome::Cleaned(cleaning.run()),
        })
    }
}

/// What a piece of [`Work`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// The storage begins a checkpoint or savepoint that was [ordered](Coordinator::order).
    Begin,
    /// It publishes one.
    Publish,
    /// It deletes, or reads what could not be read before.
    Clean,
}

/// The publication of one checkpoint or savepoint.
#[derive(Debug)]
struct Publication {
    storage: Arc<dyn CheckpointStorage>,
    attempt: Arc<dyn CheckpointAttempt>,
    metadata: CheckpointMetadata,
    is_savepoint: bool,
    /// What has to be there, and nobody knows whether it is.
    unknown: Vec<SnapshotFile>,
}

/// How one ended.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) metadata: CheckpointMetadata,
    pub(super) result: Result<()>,
    /// What somebody else has published under the same number.
    pub(super) winner: Option<Result<StoredCheckpoint>>,
}

impl Publication {
    fn run(self) -> Published {
        let Self { storage, attempt, metadata, is_savepoint, unknown } = self;
        let result = files::open_all(&unknown, &*attempt.source())
            .and_then(|()| metadata.encode())
            .and_then(|bytes| attempt.publish(&bytes));
        let lost = |error: &Error| error.kind() == ErrorKind::AlreadyExists && !is_savepoint;
        let lost = result.as_ref().err().is_some_and(lost);
        let winner = lost.then(|| storage.load(metadata.checkpoint));
        Published { metadata, result, winner }
    }
}

/// For runtimes whose master must not wait for the storage, and that have threads of their own; others
/// use a [driver](crate::driver).
impl Coordinator {
    /// From now on what was [ordered](Self::order) is not begun, and publications and deletions are not
    /// run, at the end of the calls that lead to them: whoever calls runs what [`next_work`](Self::next_work) hands out, until this is called with
    /// `false`, after everything was [brought back](Self::done).
    ///
    /// The last acknowledgement of a checkpoint returns `Accepted { missing: 0 }` then; how it ended is
    /// told by the notification.
    pub fn defer_work(&mut self, deferred: bool) {
        self.deferred = deferred;
        self.work_off();
    }

    /// The next thing that the storage has to do, if there is any that need not wait for what is out:
    /// one beginning, one publication and one deletion at a time, which may run side by side.
    pub fn next_work(&mut self) -> Option<Work> {
        if let Some(beginning) = self.next_beginning() {
            return Some(Work(Kind::Begin(beginning)));
        }
        if let Some(publication) = self.next_publication() {
            return Some(Work(Kind::Publish(Box::new(publication))));
        }
        self.next_cleaning().map(|cleaning| Work(Kind::Clean(cleaning)))
    }

    /// Takes the outcome of what was handed out.
    pub fn done(&mut self, done: Done) {
        match done.0 {
            Outcome::Begun(begun) => self.begun(begun),
            Outcome::Published(published) => self.published(*published),
            Outcome::Cleaned(cleaned) => {
                if let Err(error) = self.completed.cleaned(cleaned) {
                    self.deletion_failure.get_or_insert(error);
                }
            }
        }
    }

    /// Whether there is work to hand out, or some that has not come back.
    pub fn has_work(&self) -> bool {
        self.order.is_some()
            || self.publishing.is_some()
            || !self.ready.is_empty()
            || !self.completed.is_idle()
    }

    /// Refuses what must not happen while somebody else works for the coordinator.
    pub(super) fn check_nothing_is_out(&self) -> Result<()> {
        if self.order.is_some() || self.publishing.is_some() || self.completed.is_busy() {
            return Err(Error::invalid_input(
                "work of the storage was handed out and is not back; bring it back first",
            ));
        }
        Ok(())
    }

    /// Runs all that was decided, unless somebody else does.
    pub(super) fn work_off(&mut self) {
        while !self.deferred {
            let Some(work) = self.next_work() else {
                break;
            };
            self.done(work.run());
        }
    }

    /// The next publication; none while there is one under way.
    fn next_publication(&mut self) -> Option<Publication> {
        while self.publishing.is_none() {
            // What has ended meanwhile is passed over.
            let id = self.ready.pop_front()?;
            let Some(mut pending) = self.pending.remove(&id) else {
                continue;
            };
            let now = self.components.clock.now();
            let metadata = pending.metadata(self.job.as_str(), &self.operators, now);
            match self.completed.hold(&metadata) {
                Ok(unknown) => {
                    let publication = Publication {
                        storage: Arc::clone(&self.components.storage),
                        attempt: Arc::clone(&pending.attempt),
                        metadata,
                        is_savepoint: pending.is_savepoint(),
                        unknown,
                    };
                    self.publishing = Some(pending);
                    return Some(publication);
                }
                Err(error) => {
                    let reason = not_published(&error);
                    self.give_up(&pending, SharedFiles::default(), reason, Some(error));
                }
            }
        }
        None
    }

    /// The next deletion; none while there is one under way.
    fn next_cleaning(&mut self) -> Option<Cleaning> {
        let next = self.completed.next_cleaning();
        if next.is_some() || !self.keeps_nothing() || !self.completed.is_idle() {
            return next;
        }
        // After everything else, which may have come to read what was out of reach.
        if !self.completed.doom_all() {
            return None;
        }
        self.clear_away();
        self.completed.next_cleaning()
    }
}
