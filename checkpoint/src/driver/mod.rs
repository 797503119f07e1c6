//! A thread that owns a [`Coordinator`], for runtimes whose own threads must not wait for storage.
//!
//! # Role
//! [`Coordinator`] is a plain state machine that talks to storage on its caller's thread. A [`Driver`]
//! moves it to a thread of its own, where periodic checkpoints are triggered, and everybody else has a
//! [`Handle`], whose calls put something in a queue and return. It adds no rule of its own: what the
//! handles ask for is done one by one, in order.
//!
//! Three more threads wait for the storage: to begin, to publish and to delete. Meanwhile acknowledgements
//! are taken, what is late is aborted, and what is given up ends at once: neither a slow publication nor a
//! slow deletion holds up another checkpoint, but that publications take turns. What is being published
//! cannot be given up any more. Checkpoints begin one after the other, too; one that the storage does not
//! begin in time is answered `Unavailable`, so are others until it answers, and what it then has begun is
//! aborted. Each counts as a failure, as long as the job is not told of too many.
//!
//! # Invariants
//! 1. Before a plan is handed out, everything that was queued before it has been delivered.
//! 2. Bytes that [`Runtime::hand_out`] returns are in the checkpoint before any of its
//!    acknowledgements is looked at, however early these come.
//! 3. A receipt is answered after the notification was delivered and [`Handle::status`] shows it.
//! 4. Whatever ends the driver, each receipt gets an answer, and handles never wait for ever.
//! 5. No lock is held while storage or the runtime is called.
//! 6. When the coordinator comes back, nothing of it is on another thread: whatever ends the driver waits
//!    for what the storage was asked for.
//!
//! # How it ends
//! | by | under way | the coordinator |
//! |---|---|---|
//! | [`Driver::stop`] | stays so | comes back, to start the job again |
//! | [`Handle::shut_down`], [`Driver::join`] | aborted, delivered | comes back, the job has ended |
//! | a panic of the runtime, [`Driver::join`] | aborted | comes back, with the panic |
//! | a panic of the storage, [`Driver::join`] | left as after a crash | is lost: open another |
//! | dropping the [`Driver`] | aborted, delivered | is dropped |
//!
//! What all subtasks have acknowledged is published first by `stop` and `shut_down`; the others wait only
//! for what is with the storage already, which is complete or not when that answers.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use std::sync::mpsc::{Sender, channel};
//! use alluvium_checkpoint::driver::{Driver, Runtime};
//! use alluvium_checkpoint::{
//!     Application, CheckpointPlan, Components, Coordinator, JobEnd, Notification, OperatorSpec,
//!     Options, StartFrom, SubtaskAck,
//! };
//! use alluvium_state_api::clock::SystemClock;
//! use alluvium_state_api::random::OsRandomness;
//! use alluvium_state_api::snapshot::FileName;
//! use alluvium_state_api::storage::memory::MemoryStorage;
//! use alluvium_state_api::{Error, Result};
//!
//! /// The way to the one subtask: what it is sent arrives in order.
//! struct ToSubtask(Sender<CheckpointPlan>);
//!
//! impl Runtime for ToSubtask {
//!     fn hand_out(&mut self, plan: &CheckpointPlan) -> Result<Application> {
//!         // A barrier goes into the stream here; the source says what it has read before it.
//!         let sent = self.0.send(plan.clone());
//!         sent.map_err(|_| Error::cancelled("the subtask has closed"))?;
//!         Ok(Application::job("1000 records"))
//!     }
//!     fn deliver(&mut self, _: &Notification) {}          // to the subtask, which tells its store
//!     fn not_begun(&mut self, error: &Error) { eprintln!("no checkpoint: {error}") }
//!     fn too_many_failures(&mut self, _: u32) {}          // fail the job, and start it again
//! }
//!
//! # fn main() -> Result<()> {
//! let (job, randomness) = (FileName::new("word-count")?, Arc::new(OsRandomness));
//! let storage = Arc::new(MemoryStorage::new(job.clone(), randomness.clone()));
//! let components = Components { storage, clock: Arc::new(SystemClock::new()), randomness };
//! let mut coordinator = Coordinator::open(job, Options::default(), components)?;
//! coordinator.start(&[OperatorSpec::new("counts", 1)], StartFrom::Newest, Default::default())?;
//!
//! let (to_subtask, plans) = channel::<CheckpointPlan>();
//! let driver = Driver::spawn(coordinator, ToSubtask(to_subtask))?;
//! let handle = driver.handle();
//! let subtask = std::thread::spawn(move || {
//!     for plan in plans {
//!         // store.snapshot(&plan.request)?.run(SnapshotContext { sink: &*plan.sink, .. })?
//!         handle.acknowledge(plan.id, "counts", 0, SubtaskAck::application("part"));
//!     }
//! });
//!
//! let savepoint = driver.handle().stop_with_savepoint(None).wait()?;
//! assert!(savepoint.pointer.starts_with("memory://"));
//! // The master notes that the job has ended, and where the savepoint is; then:
//! let ended = driver.handle().shut_down(JobEnd::Finished).wait()?;
//! assert!(ended.retained.is_empty() && ended.leftovers.is_empty());
//! drop(driver.join()?);                                   // and with it the way to the subtask
//! subtask.join().expect("it ends with the plans");
//! # Ok(())
//! # }
//! ```

mod handle;
mod lanes;
mod status;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use alluvium_state_api::{Error, Result};

use crate::coordinator::Coordinator;
use crate::report::Notification;
use crate::trigger::{Application, CheckpointPlan};
use worker::{Command, Worker};

pub use handle::{Completion, Handle, Waiting};
pub use status::Status;

/// The runtime's side: how the driver reaches the subtasks. All calls come from the driver's thread,
/// which serves nobody else meanwhile; none may wait for a [receipt](Waiting).
///
/// If one panics, the driver aborts what is under way and ends.
pub trait Runtime: Send {
    /// Hands a plan to every subtask, at one point of the stream, and returns the bytes of the
    /// application at that point, such as the position of the source. They replace those of the
    /// trigger.
    ///
    /// # Errors
    /// Whatever kept some subtask from getting it. The checkpoint is aborted, which counts as a
    /// failure unless the error is `Cancelled`.
    fn hand_out(&mut self, plan: &CheckpointPlan) -> Result<Application>;

    /// Tells every subtask, after what was delivered before and ahead of the next plan.
    fn deliver(&mut self, notification: &Notification);

    /// A periodic checkpoint could not be begun, which counts as a failure.
    fn not_begun(&mut self, error: &Error);

    /// More checkpoints have failed in a row than are tolerable: the job should fail, and start again
    /// from the newest completed one, see [`Driver::stop`]. Called once, until one completes.
    fn too_many_failures(&mut self, failures: u32);
}

/// The owner of the threads. Dropping it aborts what is under way and waits for the threads: for a call
/// to the storage or the runtime to return, too.
#[derive(Debug)]
pub struct Driver<R> {
    handle: Handle,
    thread: Option<JoinHandle<Stopped<R>>>,
}

/// What comes back from a driver that has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stopped<R> {
    /// The coordinator, on no thread.
    pub coordinator: Coordinator,
    /// The runtime's side.
    pub runtime: R,
    /// That the runtime has panicked, of kind `Bug`: what was under way is aborted, and some
    /// notifications may not have been delivered.
    pub panic: Option<Error>,
}

impl<R: Runtime + 'static> Driver<R> {
    /// Moves a coordinator that was [started](Coordinator::start) to a thread. What it has to tell
    /// already is delivered first.
    ///
    /// # Errors
    /// `Unavailable` where there can be no threads. The coordinator is dropped then.
    pub fn spawn(coordinator: Coordinator, runtime: R) -> Result<Self> {
        let (sender, commands) = channel();
        let shared = Arc::new(status::Shared::of(&coordinator));
        let lanes = lanes::Lanes::start(&sender)?;
        let worker = Worker::new(coordinator, runtime, commands, lanes, Arc::clone(&shared));
        let thread = thread::Builder::new().name("checkpoints".into());
        let thread = thread
            .spawn(move || worker.run())
            .map_err(|error| lanes::no_thread().with_source(error))?;
        Ok(Self { handle: Handle::new(sender, shared), thread: Some(thread) })
    }

    /// Does what the handles have asked for up to now, waits for the storage, and gives the coordinator
    /// back: to start the job again after a failure, say, which aborts what is under way. Handles are dead from then on:
    /// their receipts say `Cancelled`, so that a subtask of the former run disturbs nothing.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn stop(self) -> Result<Stopped<R>> {
        self.handle.send(Command::Stop);
        self.join()
    }

    /// Waits until the driver ends by itself: somebody has shut the job down, or the runtime has
    /// panicked.
    ///
    /// # Errors
    /// `Bug` where the storage or the coordinator has panicked. The coordinator is lost then, and what
    /// was under way is left as after a crash: open another one.
    pub fn join(mut self) -> Result<Stopped<R>> {
        let joined = self.thread.take().map(JoinHandle::join);
        joined
            .unwrap_or_else(|| Err(Box::new("the thread is gone")))
            .map_err(|payload| worker::panicked("the thread of the coordinator", &*payload))
    }
}

impl<R> Driver<R> {
    /// A way to ask for things, for any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl<R> Drop for Driver<R> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.handle.send(Command::Abandon);
            drop(thread.join());
        }
    }
}
