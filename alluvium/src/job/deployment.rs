//! The subtasks of one attempt, and the way of the records to them.
//!
//! # Invariants
//!
//! 1. Records of one subtask arrive in the order of the input. Everything sent before
//!    [`Deployment::barrier`] comes before the barrier, in every subtask: the source is one, so that
//!    barriers need no alignment.
//! 2. Memory is bounded: [`QUEUED_BATCHES`] wait for each subtask, then the source waits.
//! 3. When a deployment is dropped, stopped or crashed, all its threads have ended.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use alluvium_checkpoint::OperatorPlan;
use alluvium_state_api::clock::Clock;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::{BackendRegistry, CheckpointId, Error, KeyedBackend, KeyedStore, OpenEnv};

use super::audit::{Audit, Place};
use super::batch::{Batch, Row};
use super::error::{JobError, Result};
use super::expected::Expected;
use super::router::Router;
use super::subtask::{Command, Halt, Order, Reply, Subtask, no_thread};

/// How many batches wait for a subtask at most.
const QUEUED_BATCHES: usize = 8;

/// What a deployment is made of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The subtasks, their key groups, what they restore.
    pub(super) operator: OperatorPlan,
    /// Where stores come from, and which one.
    pub(super) registry: &'a Arc<BackendRegistry>,
    /// Their settings.
    pub(super) settings: &'a Settings,
    /// For working files, one directory a subtask below it.
    pub(super) local_dir: &'a std::path::Path,
    /// The clock.
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// Running subtasks.
#[derive(Debug)]
pub(super) struct Deployment {
    lanes: Vec<Lane>,
    replies: Receiver<Reply>,
    recycled: Receiver<Batch>,
    threads: Vec<JoinHandle<()>>,
    router: Router,
    halt: Halt,
    /// Cancels the newest snapshot.
    cancel: CancelToken,
}

/// The way to one subtask.
#[derive(Debug)]
struct Lane {
    commands: SyncSender<Command>,
    batch: Batch,
}

impl Deployment {
    /// Opens a store for each subtask, in parallel, and starts them.
    ///
    /// # Errors
    /// Where a store cannot be opened or restored.
    pub(super) fn start(plan: Plan<'_>) -> Result<Self> {
        let (reply, replies) = channel();
        let (recycle, recycled) = channel();
        let (groups, parallelism) =
            (plan.operator.operator.groups(), plan.operator.operator.parallelism());
        let mut deployment = Self {
            lanes: Vec::new(),
            replies,
            recycled,
            threads: Vec::new(),
            router: Router::new(groups, parallelism)?,
            halt: Halt::default(),
            cancel: CancelToken::default(),
        };
        for subtask in plan.operator.subtasks {
            let parts = Subtask {
                place: Place { subtask: subtask.index, parallelism, groups },
                replies: reply.clone(),
                recycle: recycle.clone(),
                halt: deployment.halt.clone(),
                clock: Arc::clone(plan.clock),
            };
            let key_space = KeyedBackend::<String>::key_space(groups, subtask.range)?;
            let mut env = OpenEnv::new(key_space)
                .with_restore(subtask.restore)
                .with_local_dir(plan.local_dir.join(format!("subtask-{}", subtask.index)));
            env.clock = Arc::clone(plan.clock);
            let (registry, settings) = (Arc::clone(plan.registry), plan.settings.clone());
            deployment.start_one(parts, move || registry.open(env, &settings))?;
        }
        drop((reply, recycle));
        for _ in 0..deployment.lanes.len() {
            deployment.expect_ready()?;
        }
        Ok(deployment)
    }

    fn start_one(
        &mut self,
        subtask: Subtask,
        open: impl FnOnce() -> alluvium_state_api::Result<Box<dyn KeyedStore>> + Send + 'static,
    ) -> Result<()> {
        let (sender, commands) = sync_channel(QUEUED_BATCHES);
        let name = format!("subtask-{}", subtask.place.subtask);
        let work = move || subtask.run(open, &commands);
        let thread = Builder::new().name(name).spawn(work).map_err(no_thread)?;
        self.threads.push(thread);
        self.lanes.push(Lane { commands: sender, batch: Batch::default() });
        Ok(())
    }

    fn expect_ready(&mut self) -> Result<()> {
        match self.replies.recv() {
            Ok(Reply::Ready) => Ok(()),
            Ok(Reply::Failed(error)) => Err(error.into()),
            Ok(_) => Err(Error::bug("a subtask answered before it was asked").into()),
            Err(_) => Err(self.why_ended()),
        }
    }

    /// Hands a record to the subtask that owns its key; perhaps later, with others.
    ///
    /// # Errors
    /// Why the subtask ended, if it did.
    pub(super) fn send(&mut self, row: Row<'_>) -> Result<()> {
        let owner = self.router.owner_of(row.key)?;
        let Some(lane) = self.lanes.get_mut(owner) else {
            return Err(Error::bug("a key is owned by a subtask that does not exist").into());
        };
        lane.batch.push(row);
        if lane.batch.is_full() && !lane.flush(&self.recycled) {
            return Err(self.why_ended());
        }
        Ok(())
    }

    /// Sends what waits, and behind it a command to every subtask.
    fn broadcast(&mut self, mut command: impl FnMut() -> Command) -> Result<()> {
        for lane in &mut self.lanes {
            if !lane.flush(&self.recycled) || lane.commands.send(command()).is_err() {
                return Err(self.why_ended());
            }
        }
        Ok(())
    }

    /// Orders a snapshot of everything that was sent until now.
    ///
    /// # Errors
    /// Why a subtask ended, if one did.
    pub(super) fn barrier(&mut self, order: &Order) -> Result<()> {
        self.cancel = order.cancel.clone();
        self.broadcast(|| Command::Barrier(order.clone()))
    }

    /// Tells every subtask that a checkpoint is complete.
    ///
    /// # Errors
    /// As [`barrier`](Self::barrier).
    pub(super) fn completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.broadcast(|| Command::Completed(checkpoint))
    }

    /// Tells every subtask that a checkpoint will never be complete.
    ///
    /// # Errors
    /// As [`barrier`](Self::barrier).
    pub(super) fn aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.broadcast(|| Command::Aborted(checkpoint))
    }

    /// The next answer about a snapshot, if there is one now.
    ///
    /// # Errors
    /// Why a subtask ended, if one did.
    pub(super) fn poll(&mut self) -> Result<Option<Reply>> {
        match self.replies.try_recv() {
            Ok(Reply::Failed(error)) => Err(error.into()),
            Ok(reply) => Ok(Some(reply)),
            Err(_) => Ok(None),
        }
    }

    /// Waits for the next answer, but not for ever.
    ///
    /// # Errors
    /// Why a subtask ended, if one did.
    pub(super) fn wait(&mut self, longest: Duration) -> Result<Option<Reply>> {
        match self.replies.recv_timeout(longest) {
            Ok(Reply::Failed(error)) => Err(error.into()),
            Ok(reply) => Ok(Some(reply)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.why_ended()),
        }
    }

    /// Compares the state of all subtasks with what it must be.
    ///
    /// # Errors
    /// Where a store fails.
    pub(super) fn audit(&mut self, expected: &Arc<Expected>) -> Result<Audit> {
        self.broadcast(|| Command::Audit(Arc::clone(expected)))?;
        let mut whole = Audit::default();
        self.await_all(|reply| match reply {
            Reply::Audited(audit) => {
                whole.add(audit);
                true
            }
            _ => false,
        })?;
        Ok(whole)
    }

    /// Waits until everything that was sent is done.
    ///
    /// # Errors
    /// Why a subtask ended, if one did.
    pub(super) fn drain(&mut self) -> Result<()> {
        self.broadcast(|| Command::Drain)?;
        self.await_all(|reply| matches!(reply, Reply::Drained))
    }

    /// Takes up answers until every subtask has given one that counts.
    fn await_all(&mut self, mut counts: impl FnMut(Reply) -> bool) -> Result<()> {
        let mut waiting = self.lanes.len();
        while waiting > 0 {
            match self.replies.recv() {
                Ok(Reply::Failed(error)) => return Err(error.into()),
                Ok(reply) => waiting = waiting.saturating_sub(usize::from(counts(reply))),
                Err(_) => return Err(self.why_ended()),
            }
        }
        Ok(())
    }

    /// Ends the subtasks after they have done what was sent; their state is dropped.
    ///
    /// # Errors
    /// Why one failed, if one did.
    pub(super) fn stop(mut self) -> Result<()> {
        let flushed = self.lanes.iter_mut().all(|lane| lane.flush(&self.recycled));
        self.lanes.clear();
        let panicked = self.join();
        if let Some(Reply::Failed(error)) = self.replies.try_iter().find(is_failure) {
            return Err(error.into());
        }
        match panicked {
            Some(thread) => Err(JobError::Panicked(thread)),
            None if !flushed => Err(Error::bug("a subtask ended without a reason").into()),
            None => Ok(()),
        }
    }

    /// Drops all working state and everything in flight, as a crash of the process does.
    pub(super) fn crash(self) {
        drop(self);
    }

    /// Ends all threads; the name of one that panicked, if one did.
    fn join(&mut self) -> Option<String> {
        let mut panicked = None;
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or("unnamed").to_owned();
            if thread.join().is_err() {
                panicked.get_or_insert(name);
            }
        }
        panicked
    }

    /// The reason why a subtask does not listen any more.
    fn why_ended(&mut self) -> JobError {
        self.halt.crash();
        self.cancel.cancel();
        self.lanes.clear();
        let panicked = self.join();
        match (self.replies.try_iter().find(is_failure), panicked) {
            (Some(Reply::Failed(error)), _) => error.into(),
            (_, Some(thread)) => JobError::Panicked(thread),
            _ => Error::bug("a subtask ended without a reason").into(),
        }
    }
}

fn is_failure(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(_))
}

impl Lane {
    /// Sends the batch, if it holds any record; false where nobody listens.
    fn flush(&mut self, recycled: &Receiver<Batch>) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let next = recycled.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.batch, next);
        self.commands.send(Command::Records(full)).is_ok()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.halt.crash();
        self.cancel.cancel();
        self.lanes.clear();
        self.join();
    }
}
