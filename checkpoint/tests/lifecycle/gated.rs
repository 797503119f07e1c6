//! A storage that does not answer until it is told to: no test waits for time to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage};
use alluvium_state_api::{Error, Result};
use parking_lot::Mutex;

use crate::layered::{Layer, Layered, Target};

/// How a call goes on that was held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Goes,
    Fails,
    Panics,
}

#[derive(Debug)]
struct Gate {
    closed: AtomicBool,
    entered: Sender<String>,
    answers: Mutex<Receiver<Answer>>,
}

impl Gate {
    fn pass(&self, call: String) -> Result<()> {
        if !self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.entered.send(call).unwrap();
        // Nobody answers any more: the test is over.
        match self.answers.lock().recv().unwrap_or(Answer::Goes) {
            Answer::Goes => Ok(()),
            Answer::Fails => Err(Error::unavailable("the storage does not answer")),
            Answer::Panics => panic!("the storage is broken"),
        }
    }
}

/// The test's side of a gate.
#[derive(Debug)]
pub(crate) struct Door {
    gate: Arc<Gate>,
    entered: Receiver<String>,
    answers: Sender<Answer>,
}

impl Door {
    fn new() -> Self {
        let ((entered, seen), (answers, receiver)) = (channel(), channel());
        let closed = AtomicBool::new(false);
        let gate = Arc::new(Gate { closed, entered, answers: Mutex::new(receiver) });
        Self { gate, entered: seen, answers }
    }

    /// From now on calls are held.
    pub(crate) fn close(&self) {
        self.gate.closed.store(true, Ordering::SeqCst);
    }

    /// From now on calls pass; one that is held has to be answered.
    pub(crate) fn open(&self) {
        self.gate.closed.store(false, Ordering::SeqCst);
    }

    /// Waits until a call is held, and says which.
    pub(crate) fn held(&self) -> String {
        self.entered.recv().unwrap()
    }

    /// Lets a call go on that is held.
    pub(crate) fn answer(&self, answer: Answer) {
        self.answers.send(answer).unwrap();
    }
}

/// A storage with a gate before attempts are begun, one before publications and one before deletions.
#[derive(Debug)]
pub(crate) struct Gated {
    begin: Arc<Gate>,
    publish: Arc<Gate>,
    delete: Arc<Gate>,
}

/// The doors of a [`Gated`] storage, all open.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) begin: Door,
    pub(crate) publish: Door,
    pub(crate) delete: Door,
}

impl Gated {
    pub(crate) fn over(inner: Arc<dyn CheckpointStorage>) -> (Arc<Layered<Self>>, Doors) {
        let doors = Doors { begin: Door::new(), publish: Door::new(), delete: Door::new() };
        let gate = |door: &Door| Arc::clone(&door.gate);
        let [begin, publish, delete] = [&doors.begin, &doors.publish, &doors.delete].map(gate);
        (Arc::new(Layered::new(inner, Self { begin, publish, delete })), doors)
    }
}

impl Layer for Gated {
    fn before_begin(&self, target: Target) -> Result<()> {
        self.begin.pass(format!("begin {target:?}"))
    }

    fn publish(&self, _: Target, attempt: &dyn CheckpointAttempt, metadata: &[u8]) -> Result<()> {
        self.publish.pass(format!("publish {}", attempt.pointer()))?;
        attempt.publish(metadata)
    }

    fn abort(&self, _: Target, attempt: &dyn CheckpointAttempt) -> Result<()> {
        self.delete.pass(format!("abort {}", attempt.pointer()))?;
        attempt.abort()
    }

    fn before_discard(&self, what: &str) -> Result<()> {
        self.delete.pass(format!("discard {what}"))
    }
}
