//! The threads that wait for the storage: one begins, one publishes, one deletes, each one thing at a time.
//!
//! What has ended goes into the queue of the driver's thread, like what handles ask for. A panic of the
//! storage does so, too, and goes on there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use alluvium_state_api::{Error, Result};

use super::worker::Command;
use crate::coordinator::{Work, WorkKind};

#[derive(Debug)]
struct Lane {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    fn start(name: &str, done: Sender<Command>) -> Result<Self> {
        let (work, queue) = channel::<Work>();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            for one in queue {
                // Nothing of it is used again after a panic.
                let ended = catch_unwind(AssertUnwindSafe(|| one.run()));
                let ended = ended.map(|done| Command::Done(Box::new(done)));
                if done.send(ended.unwrap_or_else(Command::Broken)).is_err() {
                    break;
                }
            }
        });
        let thread = thread.map_err(|error| no_thread().with_source(error))?;
        Ok(Self { work: Some(work), thread: Some(thread) })
    }

    fn send(&self, one: Work) {
        // The thread receives for as long as it can be sent to.
        if let Some(work) = &self.work {
            drop(work.send(one));
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.work.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Dropping it waits for what the storage is doing.
#[derive(Debug)]
pub(super) struct Lanes {
    beginnings: Lane,
    publications: Lane,
    deletions: Lane,
}

impl Lanes {
    /// # Errors
    /// `Unavailable` where there can be no threads.
    pub(super) fn start(done: &Sender<Command>) -> Result<Self> {
        Ok(Self {
            beginnings: Lane::start("checkpoints-begin", done.clone())?,
            publications: Lane::start("checkpoints-publish", done.clone())?,
            deletions: Lane::start("checkpoints-delete", done.clone())?,
        })
    }

    pub(super) fn send(&self, work: Work) {
        let lane = match work.kind() {
            WorkKind::Begin => &self.beginnings,
            WorkKind::Publish => &self.publications,
            WorkKind::Clean => &self.deletions,
        };
        lane.send(work);
    }
}

#[cold]
pub(super) fn no_thread() -> Error {
    Error::unavailable("no thread can be started for the coordinator")
}
