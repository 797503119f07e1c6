//! What the driver's thread shares with the handles: a picture of the coordinator.

use std::sync::OnceLock;
use std::thread::{self, ThreadId};

use alluvium_state_api::CheckpointId;
use parking_lot::Mutex;

use crate::completed::CompletedCheckpoint;
use crate::coordinator::Coordinator;
use crate::ended::JobEnd;

/// How a coordinator stood after the last thing that its driver did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Whether the driver runs. If not, nothing changes any more.
    pub running: bool,
    /// As [`Coordinator::pending`].
    pub pending: Vec<CheckpointId>,
    /// As [`Coordinator::completed`].
    pub completed: Vec<CompletedCheckpoint>,
    /// As [`Coordinator::failures`].
    pub failures: u32,
    /// As [`Coordinator::stopping`].
    pub stopping: Option<CheckpointId>,
    /// As [`Coordinator::ended`].
    pub ended: Option<JobEnd>,
}

impl Status {
    fn of(coordinator: &Coordinator, running: bool) -> Self {
        Self {
            running,
            pending: coordinator.pending().collect(),
            completed: coordinator.completed().cloned().collect(),
            failures: coordinator.failures(),
            stopping: coordinator.stopping(),
            ended: coordinator.ended(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    status: Mutex<Status>,
    thread: OnceLock<ThreadId>,
}

impl Shared {
    pub(super) fn of(coordinator: &Coordinator) -> Self {
        let status = Mutex::new(Status::of(coordinator, true));
        Self { status, thread: OnceLock::new() }
    }

    /// The driver's thread says which it is.
    pub(super) fn begin(&self) {
        self.thread.get_or_init(|| thread::current().id());
    }

    pub(super) fn on_own_thread(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }

    pub(super) fn refresh(&self, coordinator: &Coordinator, running: bool) {
        let status = Status::of(coordinator, running);
        *self.status.lock() = status;
    }

    /// The thread is over, whether it has returned or panicked.
    pub(super) fn end(&self) {
        self.status.lock().running = false;
    }

    pub(super) fn status(&self) -> Status {
        self.status.lock().clone()
    }
}
