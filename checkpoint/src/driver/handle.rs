//! Handles: how other threads ask the driver for things, and the receipts that they get.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use alluvium_state_api::{CheckpointId, Error, Result};

use super::status::{Shared, Status};
use super::worker::{Answer, Command};
use crate::ended::{Ended, JobEnd};
use crate::report::{Acknowledged, SubtaskAck};
use crate::trigger::Trigger;

/// Asks a [`Driver`](super::Driver) for things. No call waits for storage, and none fails: what becomes
/// of it is told by its receipt, which may be dropped by those who do not ask. Handles may be cloned and
/// outlive the driver, and a job does not end with the last one.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

/// A checkpoint or savepoint that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completion {
    /// Its number.
    pub id: CheckpointId,
    /// By what it can be opened.
    pub pointer: String,
}

/// A receipt: the answer to something that the driver was asked for. Dropping it takes nothing back.
#[derive(Debug)]
pub struct Waiting<T> {
    answer: Receiver<Result<T>>,
    shared: Arc<Shared>,
}

impl<T> Waiting<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// What the call is documented to answer. `Cancelled` where the driver ended before.
    /// `InvalidInput` where a [`Runtime`](super::Runtime) waits in a call of the driver, for an answer
    /// that cannot come before it returns.
    pub fn wait(self) -> Result<T> {
        match self.poll() {
            Some(answer) => answer,
            None if self.shared.on_own_thread() => Err(Error::invalid_input(
                "the driver's own thread cannot wait for the driver; wait on another one",
            )),
            None => self.answer.recv().unwrap_or_else(|_| Err(ended())),
        }
    }

    /// The answer, if there is one by now. It is given once.
    pub fn poll(&self) -> Option<Result<T>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ended())),
        }
    }
}

impl Handle {
    pub(super) const fn new(commands: Sender<Command>, shared: Arc<Shared>) -> Self {
        Self { commands, shared }
    }

    /// As [`Coordinator::acknowledge`](crate::Coordinator::acknowledge). The receipt is the only one to
    /// learn that there is no such operator or subtask; that of the last subtask is answered when the
    /// checkpoint is published, or ends otherwise.
    pub fn acknowledge(
        &self,
        id: CheckpointId,
        uid: &str,
        subtask: u32,
        ack: SubtaskAck,
    ) -> Waiting<Acknowledged> {
        let uid = uid.into();
        self.ask(|answer| Command::Acknowledge { id, uid, subtask, ack: Box::new(ack), answer })
    }

    /// As [`Coordinator::decline`](crate::Coordinator::decline).
    pub fn decline(
        &self,
        id: CheckpointId,
        uid: &str,
        subtask: u32,
        error: Error,
    ) -> Waiting<bool> {
        let uid = uid.into();
        self.ask(|answer| Command::Decline { id, uid, subtask, error, answer })
    }

    /// Asks for a checkpoint or savepoint; the receipt says that it is complete, or what it was refused
    /// or aborted for: the errors of [`Coordinator::trigger`](crate::Coordinator::trigger) and
    /// of [`Notification::Aborted`](crate::Notification::Aborted), `Cancelled` where that has none.
    pub fn trigger(&self, trigger: Trigger) -> Waiting<Completion> {
        self.ask(|answer| Command::Trigger { trigger, answer })
    }

    /// A checkpoint, beside the periodic ones.
    pub fn checkpoint(&self) -> Waiting<Completion> {
        self.trigger(Trigger::checkpoint())
    }

    /// As [`Trigger::savepoint`].
    pub fn savepoint(&self, target: Option<&str>) -> Waiting<Completion> {
        self.trigger(Trigger::savepoint(target))
    }

    /// As [`Trigger::stop_with_savepoint`]. The driver goes on until the job is
    /// [shut down](Self::shut_down).
    pub fn stop_with_savepoint(&self, target: Option<&str>) -> Waiting<Completion> {
        self.trigger(Trigger::stop_with_savepoint(target))
    }

    /// As [`Trigger::cancel_with_savepoint`]. The driver goes on until the job is
    /// [shut down](Self::shut_down).
    pub fn cancel_with_savepoint(&self, target: Option<&str>) -> Waiting<Completion> {
        self.trigger(Trigger::cancel_with_savepoint(target))
    }

    /// As [`Coordinator::abort`](crate::Coordinator::abort): `false`, too, for what is being published,
    /// of which only the storage's answer tells how it ends.
    pub fn abort(&self, id: CheckpointId) -> Waiting<bool> {
        self.ask(|answer| Command::Abort { id, answer })
    }

    /// As [`Coordinator::shut_down`](crate::Coordinator::shut_down): note the end first. The driver ends
    /// with it; what could not be deleted is tried again by shutting down the coordinator that
    /// [`Driver::join`](super::Driver::join) gives back.
    pub fn shut_down(&self, end: JobEnd) -> Waiting<Ended> {
        self.ask(|answer| Command::ShutDown { end, answer })
    }

    /// Makes the driver look at its clock. It does by itself when the clock runs as fast as the
    /// machine's; one that is moved by hand needs this. The receipt is answered when everything that
    /// was asked before is done or handed to the storage, and what is due is begun.
    pub fn wake(&self) -> Waiting<()> {
        self.ask(|answer| Command::Wake { answer })
    }

    /// How things stand. What was asked for and not yet done is not in it.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// What a driver that has ended is told is dropped, and its answer with it: the receipt says so.
    pub(super) fn send(&self, command: Command) {
        drop(self.commands.send(command));
    }

    fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Waiting<T> {
        let (sender, answer) = channel();
        self.send(command(sender));
        Waiting { answer, shared: Arc::clone(&self.shared) }
    }
}

#[cold]
fn ended() -> Error {
    Error::cancelled(
        "the driver of the coordinator has ended; get a handle of the one that follows",
    )
}
