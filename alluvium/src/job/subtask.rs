//! One subtask: a thread that owns an operator, and a thread that writes its snapshots.
//!
//! # Invariants
//!
//! 1. Commands are carried out in the order in which they were sent. So a barrier separates the
//!    records before it from those behind it, and a snapshot holds exactly the former.
//! 2. A subtask that fails says so ([`Reply::Failed`]) and ends; it never goes on with a state that
//!    lacks a record.
//! 3. After [`Halt::crash`] it takes up nothing more and its working state is dropped.
//! 4. When the thread has ended, so has the one that writes snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use alluvium_state_api::clock::Clock;
use alluvium_state_api::snapshot::{
    CancelToken, KeyedSnapshot, Progress, SnapshotContext, SnapshotRequest, SnapshotTask,
};
use alluvium_state_api::storage::SnapshotSink;
use alluvium_state_api::{CheckpointId, Error, KeyedStore, Result};

use super::audit::{Audit, Place, audit};
use super::batch::Batch;
use super::expected::Expected;
use super::operator::Operator;

/// The order to take a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Checkpoint, kind, compression.
    pub(super) request: SnapshotRequest,
    /// Where the files go.
    pub(super) sink: Arc<dyn SnapshotSink>,
    /// Cancelled when nobody wants the snapshot any more.
    pub(super) cancel: CancelToken,
    /// Whether the subtask waits until they are written.
    pub(super) wait: bool,
    /// When it was given, by the clock.
    pub(super) given: Duration,
}

/// What a subtask is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Take these records in.
    Records(Batch),
    /// Take a snapshot of the state as it is here in the stream.
    Barrier(Order),
    /// This checkpoint is complete.
    Completed(CheckpointId),
    /// This checkpoint will never be complete.
    Aborted(CheckpointId),
    /// Say when everything before this is done.
    Drain,
    /// Compare the state with what it must be.
    Audit(Arc<Expected>),
}

/// What a subtask answers.
#[derive(Debug)]
pub(super) enum Reply {
    /// The store is open.
    Ready,
    /// A snapshot is written.
    Acknowledged(Box<Acknowledgement>),
    /// A snapshot failed; the subtask goes on.
    SnapshotFailed { checkpoint: CheckpointId, subtask: u32, error: Error },
    /// Everything that was sent is done.
    Drained,
    /// The comparison is done.
    Audited(Audit),
    /// The subtask failed and ended.
    Failed(Error),
}

/// A snapshot that is written.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    pub(super) checkpoint: CheckpointId,
    pub(super) subtask: u32,
    pub(super) snapshot: KeyedSnapshot,
    /// From the order to the synchronous part.
    pub(super) start_delay: Duration,
    /// The synchronous part: no record was taken in meanwhile.
    pub(super) sync: Duration,
    /// The rest, in the background.
    pub(super) background: Duration,
}

/// Stops subtasks from outside; clones stop the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Ends them at once (invariant 3).
    pub(super) fn crash(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_crashed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a subtask is made of.
#[derive(Debug)]
pub(super) struct Subtask {
    pub(super) place: Place,
    pub(super) replies: Sender<Reply>,
    pub(super) recycle: Sender<Batch>,
    pub(super) halt: Halt,
    pub(super) clock: Arc<dyn Clock>,
}

impl Subtask {
    /// Runs until the commands end, the subtask fails, or it is halted. `open` gives the store.
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Box<dyn KeyedStore>>,
        commands: &Receiver<Command>,
    ) {
        if let Err(error) = self.work(open, commands) {
            self.reply(Reply::Failed(error.with_operation("run subtask")));
        }
    }

    fn work(
        &self,
        open: impl FnOnce() -> Result<Box<dyn KeyedStore>>,
        commands: &Receiver<Command>,
    ) -> Result<()> {
        let mut operator = Operator::open(open()?)?;
        self.reply(Reply::Ready);
        let writer = Writer::start(self)?;
        while let Ok(command) = commands.recv() {
            if self.halt.is_crashed() {
                break;
            }
            self.carry_out(&mut operator, &writer, command)?;
        }
        Ok(())
    }

    fn carry_out(&self, operator: &mut Operator, writer: &Writer, command: Command) -> Result<()> {
        match command {
            Command::Records(mut batch) => {
                batch.rows().try_for_each(|row| operator.apply(row))?;
                batch.clear();
                // Nobody takes it where the job is about to end.
                drop(self.recycle.send(batch));
                Ok(())
            }
            Command::Barrier(order) => self.snapshot(operator, writer, order),
            Command::Completed(checkpoint) => operator.backend.checkpoint_completed(checkpoint),
            Command::Aborted(checkpoint) => operator.backend.checkpoint_aborted(checkpoint),
            Command::Drain => {
                self.reply(Reply::Drained);
                Ok(())
            }
            Command::Audit(expected) => {
                self.reply(Reply::Audited(audit(operator, &expected, self.place)?));
                Ok(())
            }
        }
    }

    fn snapshot(&self, operator: &mut Operator, writer: &Writer, order: Order) -> Result<()> {
        let began = self.clock.now();
        let task = match operator.backend.snapshot(&order.request) {
            Ok(task) => task,
            Err(error) => {
                self.snapshot_failed(order.request.checkpoint, error);
                return Ok(());
            }
        };
        let job = Job {
            task,
            start_delay: began.saturating_sub(order.given),
            sync: self.clock.now().saturating_sub(began),
            order,
        };
        if !job.order.wait {
            return writer.take(job);
        }
        let checkpoint = job.order.request.checkpoint;
        match self.write(job) {
            Ok(mut done) => {
                done.sync = self.clock.now().saturating_sub(began);
                done.background = Duration::ZERO;
                self.reply(Reply::Acknowledged(Box::new(done)));
            }
            Err(error) => self.snapshot_failed(checkpoint, error),
        }
        Ok(())
    }

    fn write(&self, job: Job) -> Result<Acknowledgement> {
        let began = self.clock.now();
        let snapshot = job.task.run(SnapshotContext {
            sink: &*job.order.sink,
            cancel: &job.order.cancel,
            progress: &Progress::default(),
        })?;
        Ok(Acknowledgement {
            checkpoint: job.order.request.checkpoint,
            subtask: self.place.subtask,
            snapshot,
            start_delay: job.start_delay,
            sync: job.sync,
            background: self.clock.now().saturating_sub(began),
        })
    }

    fn snapshot_failed(&self, checkpoint: CheckpointId, error: Error) {
        self.reply(Reply::SnapshotFailed { checkpoint, subtask: self.place.subtask, error });
    }

    fn reply(&self, reply: Reply) {
        // Nobody listens any more where the job is being torn down.
        drop(self.replies.send(reply));
    }
}

/// A snapshot between its synchronous part and the rest.
struct Job {
    task: Box<dyn SnapshotTask>,
    order: Order,
    start_delay: Duration,
    sync: Duration,
}

/// The thread that writes the snapshots of one subtask, one after the other.
struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(subtask: &Subtask) -> Result<Self> {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        let own = Subtask {
            place: subtask.place,
            replies: subtask.replies.clone(),
            recycle: subtask.recycle.clone(),
            halt: subtask.halt.clone(),
            clock: Arc::clone(&subtask.clock),
        };
        let work = move || {
            while let Ok(job) = jobs.recv() {
                let checkpoint = job.order.request.checkpoint;
                match own.write(job) {
                    Ok(done) => own.reply(Reply::Acknowledged(Box::new(done))),
                    Err(error) => own.snapshot_failed(checkpoint, error),
                }
            }
        };
        let name = format!("snapshots-{}", subtask.place.subtask);
        let thread = Builder::new().name(name).spawn(work).map_err(no_thread)?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    fn take(&self, job: Job) -> Result<()> {
        let taken = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if taken {
            Ok(())
        } else {
            Err(Error::bug("the thread that writes snapshots has panicked"))
        }
    }
}

impl Drop for Writer {
    /// Waits for the snapshots that it was given (invariant 4).
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The error of a thread that cannot be started.
#[cold]
pub(super) fn no_thread(error: std::io::Error) -> Error {
    Error::unavailable("no thread could be started; lower --parallelism or the load on the machine")
        .with_source(error)
}
