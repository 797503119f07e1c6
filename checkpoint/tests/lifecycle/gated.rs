//! A storage that does not answer until it is told to: no test waits for time to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SnapshotSink, SnapshotSource, StoredCheckpoint, Survey,
    SurveyedPlace, SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, Error, Result};
use parking_lot::Mutex;

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

/// A storage with a gate before publications and one before deletions.
#[derive(Debug)]
pub(crate) struct Gated {
    inner: Arc<dyn CheckpointStorage>,
    publish: Arc<Gate>,
    delete: Arc<Gate>,
}

impl Gated {
    /// The storage, the door of publications and that of deletions, all open.
    pub(crate) fn over(inner: Arc<dyn CheckpointStorage>) -> (Arc<Self>, Door, Door) {
        let (publish, delete) = (Door::new(), Door::new());
        let gates = (Arc::clone(&publish.gate), Arc::clone(&delete.gate));
        (Arc::new(Self { inner, publish: gates.0, delete: gates.1 }), publish, delete)
    }

    fn attempt(&self, inner: Arc<dyn CheckpointAttempt>) -> Arc<dyn CheckpointAttempt> {
        let (publish, delete) = (Arc::clone(&self.publish), Arc::clone(&self.delete));
        Arc::new(Attempt { inner, publish, delete })
    }
}

#[derive(Debug)]
struct Attempt {
    inner: Arc<dyn CheckpointAttempt>,
    publish: Arc<Gate>,
    delete: Arc<Gate>,
}

impl CheckpointAttempt for Attempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        self.inner.sink()
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        self.inner.source()
    }

    fn pointer(&self) -> &str {
        self.inner.pointer()
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        self.publish.pass(format!("publish {}", self.pointer()))?;
        self.inner.publish(metadata)
    }

    fn abort(&self) -> Result<()> {
        self.delete.pass(format!("abort {}", self.pointer()))?;
        self.inner.abort()
    }
}

impl CheckpointStorage for Gated {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        Ok(self.attempt(self.inner.begin(id)?))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        Ok(self.attempt(self.inner.begin_savepoint(target)?))
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        Ok(self.attempt(self.inner.begin_export(target)?))
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        self.inner.list()
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        self.inner.load(id)
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        self.inner.source(id)
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        self.inner.open_pointer(pointer)
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        self.delete.pass(format!("discard {id}"))?;
        self.inner.discard(id, unused_shared)
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        self.delete.pass("discard shared".to_owned())?;
        self.inner.discard_shared(unused)
    }

    fn survey(&self) -> Result<Survey> {
        self.inner.survey()
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        self.inner.survey_savepoints()
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        self.inner.discard_strays(place, names)
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        self.delete.pass(format!("discard {pointer}"))?;
        self.inner.discard_savepoint(pointer, files)
    }
}
