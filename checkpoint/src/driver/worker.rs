//! The driver's thread: takes what handles ask for and what the storage has done, one by one, and looks
//! at the clock in between.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use super::handle::Completion;
use super::lanes::Lanes;
use super::status::Shared;
use super::{Runtime, Stopped};
use crate::coordinator::{Coordinator, Done};
use crate::ended::{Ended, JobEnd};
use crate::report::{Acknowledged, Notification, SubtaskAck};
use crate::trigger::{CheckpointPlan, Trigger};

/// Where an answer goes. Nobody may be waiting any more, so what sending returns means nothing.
pub(super) type Answer<T> = Sender<Result<T>>;

/// What a handle asks for, or the storage has done.
#[derive(Debug)]
pub(super) enum Command {
    Acknowledge {
        id: CheckpointId,
        uid: Box<str>,
        subtask: u32,
        ack: Box<SubtaskAck>,
        answer: Answer<Acknowledged>,
    },
    Decline {
        id: CheckpointId,
        uid: Box<str>,
        subtask: u32,
        error: Error,
        answer: Answer<bool>,
    },
    Trigger {
        trigger: Trigger,
        answer: Answer<Completion>,
    },
    Abort {
        id: CheckpointId,
        answer: Answer<bool>,
    },
    ShutDown {
        end: JobEnd,
        answer: Answer<Ended>,
    },
    Wake {
        answer: Answer<()>,
    },
    Done(Box<Done>),
    /// The storage has panicked.
    Broken(Box<dyn Any + Send>),
    /// End, and leave what is under way to the coordinator's next owner.
    Stop,
    /// End for good.
    Abandon,
}

/// Why the thread ends.
enum Exit {
    Stopped,
    Abandoned,
    Panicked(Error),
}

/// Who waits for what was ordered to begin: somebody with a receipt, or nobody where it is periodic.
struct Order(Option<Answer<Completion>>);

/// Somebody who waits for a checkpoint.
struct Receipt {
    pointer: String,
    answer: Answer<Completion>,
}

pub(super) struct Worker<R> {
    coordinator: Coordinator,
    runtime: R,
    commands: Receiver<Command>,
    /// Came while there was no time for it.
    backlog: VecDeque<Command>,
    lanes: Lanes,
    shared: Arc<Shared>,
    /// Taken from the coordinator, and not delivered yet.
    untold: VecDeque<Notification>,
    /// What the storage is beginning.
    ordered: Option<Order>,
    /// What is ordered after it.
    orders: VecDeque<(Trigger, Order)>,
    /// Who waits until nothing is being begun.
    waking: Vec<Answer<()>>,
    receipts: BTreeMap<CheckpointId, Receipt>,
    /// Whose acknowledgement was the last.
    last: BTreeMap<CheckpointId, Answer<Acknowledged>>,
    /// Decided, to be sent when the status shows it.
    answers: Vec<(Answer<Completion>, Result<Completion>)>,
    acknowledged: Vec<(Answer<Acknowledged>, Acknowledged)>,
    warned: bool,
}

/// Marks the status when the thread ends, by a panic, too.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<R: Runtime> Worker<R> {
    pub(super) fn new(
        mut coordinator: Coordinator,
        runtime: R,
        commands: Receiver<Command>,
        lanes: Lanes,
        shared: Arc<Shared>,
    ) -> Self {
        coordinator.defer_work(true);
        Self {
            coordinator,
            runtime,
            commands,
            backlog: VecDeque::new(),
            lanes,
            shared,
            untold: VecDeque::new(),
            ordered: None,
            orders: VecDeque::new(),
            waking: Vec::new(),
            receipts: BTreeMap::new(),
            last: BTreeMap::new(),
            answers: Vec::new(),
            acknowledged: Vec::new(),
            warned: false,
        }
    }

    pub(super) fn run(mut self) -> Stopped<R> {
        let _running = Running(Arc::clone(&self.shared));
        self.shared.begin();
        let Err(exit) = self.drive();
        let panic = match exit {
            Exit::Stopped => None,
            Exit::Abandoned => {
                self.abort_all();
                self.wait_for_storage();
                self.settle().err().and_then(Exit::into_panic)
            }
            Exit::Panicked(error) => Some(error),
        };
        if panic.is_some() {
            self.abort_all();
            self.wait_for_storage();
            self.untold.extend(self.coordinator.notifications());
            while let Some(notification) = self.untold.pop_front() {
                self.decide(notification);
            }
        }
        self.coordinator.defer_work(false);
        self.shared.refresh(&self.coordinator, false);
        self.answer();
        Stopped { coordinator: self.coordinator, runtime: self.runtime, panic }
    }

    fn drive(&mut self) -> Result<Infallible, Exit> {
        loop {
            let pause = self.tick()?;
            let received = match (self.backlog.pop_front(), pause) {
                (Some(command), _) => Ok(command),
                (None, Some(pause)) => self.commands.recv_timeout(pause),
                (None, None) => self.commands.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(command) => self.obey(command)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Exit::Abandoned),
            }
        }
    }

    /// Does what the clock calls for; returns how long there will be nothing.
    fn tick(&mut self) -> Result<Option<Duration>, Exit> {
        let mut tick = self.coordinator.tick();
        if tick.due {
            self.order(Trigger::checkpoint(), Order(None))?;
            tick = self.coordinator.tick();
        }
        self.settle()?;
        Ok(if tick.due { Some(Duration::ZERO) } else { tick.next })
    }

    fn obey(&mut self, command: Command) -> Result<(), Exit> {
        match command {
            Command::Acknowledge { id, uid, subtask, ack, answer } => {
                let outcome = self.coordinator.acknowledge(id, &uid, subtask, *ack);
                if let Ok(Acknowledged::Accepted { missing: 0 }) = outcome {
                    self.last.insert(id, answer);
                    return self.settle();
                }
                self.settle_and_answer(&answer, outcome)
            }
            Command::Decline { id, uid, subtask, error, answer } => {
                let outcome = self.coordinator.decline(id, &uid, subtask, error);
                self.settle_and_answer(&answer, outcome)
            }
            Command::Trigger { trigger, answer } => {
                self.order(trigger, Order(Some(answer)))?;
                self.settle()
            }
            Command::Abort { id, answer } => {
                let outcome = self.coordinator.abort(id);
                self.settle_and_answer(&answer, Ok(outcome))
            }
            Command::ShutDown { end, answer } => {
                // What is being published is complete or not before the job ends.
                self.finish()?;
                self.coordinator.defer_work(false);
                let ended = self.coordinator.shut_down(end);
                self.coordinator.defer_work(true);
                let exit = if ended.is_ok() { Err(Exit::Stopped) } else { Ok(()) };
                self.settle_and_answer(&answer, ended)?;
                exit
            }
            Command::Wake { answer } => {
                self.waking.push(answer);
                self.tick().map(drop)
            }
            Command::Done(done) => {
                self.coordinator.done(*done);
                self.settle()
            }
            Command::Broken(payload) => resume_unwind(payload),
            Command::Stop => {
                self.finish()?;
                Err(Exit::Stopped)
            }
            Command::Abandon => Err(Exit::Abandoned),
        }
    }

    /// Orders a checkpoint, once what was ordered before has begun.
    fn order(&mut self, trigger: Trigger, order: Order) -> Result<(), Exit> {
        if self.ordered.is_some() {
            self.orders.push_back((trigger, order));
            return Ok(());
        }
        match self.coordinator.order(trigger) {
            Ok(()) => self.ordered = Some(order),
            Err(error) => self.not_begun(order, error)?,
        }
        Ok(())
    }

    fn not_begun(&mut self, order: Order, error: Error) -> Result<(), Exit> {
        match order {
            Order(Some(answer)) => self.answers.push((answer, Err(error))),
            // Nobody is to blame for what is given up because the driver ends.
            Order(None) if error.kind() == ErrorKind::Cancelled => {}
            Order(None) => self.call("not_begun", |runtime| runtime.not_begun(&error))?,
        }
        Ok(())
    }

    fn hand_out(&mut self, plan: &CheckpointPlan, order: Order) -> Result<(), Exit> {
        let id = plan.id;
        if let Order(Some(answer)) = order {
            self.receipts.insert(id, Receipt { pointer: plan.pointer.clone(), answer });
        }
        let handed_out = self.call("hand_out", |runtime| runtime.hand_out(plan))?;
        let set = handed_out.and_then(|bytes| self.coordinator.set_application(id, bytes));
        if let Err(error) = set {
            self.coordinator.fail(id, error);
        }
        Ok(())
    }

    /// Goes on with what has begun or was refused. Returns whether there was anything.
    fn go_on(&mut self) -> Result<bool, Exit> {
        if let Some(answer) = self.coordinator.next_plan() {
            let order = self.ordered.take().unwrap_or(Order(None));
            match answer {
                Ok(plan) => self.hand_out(&plan, order)?,
                Err(error) => self.not_begun(order, error)?,
            }
            return Ok(true);
        }
        if self.ordered.is_none()
            && let Some((trigger, order)) = self.orders.pop_front()
        {
            self.order(trigger, order)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Does all that was asked for, and waits for the storage.
    fn finish(&mut self) -> Result<(), Exit> {
        self.settle()?;
        while self.coordinator.has_work() {
            self.wait_for_storage();
            self.settle()?;
        }
        Ok(())
    }

    /// Hands work to the other threads.
    fn hand_over(&mut self) {
        while let Some(work) = self.coordinator.next_work() {
            self.lanes.send(work);
        }
    }

    /// Waits until there is no work any more. Whatever else comes meanwhile is left for later.
    fn wait_for_storage(&mut self) {
        self.hand_over();
        while self.coordinator.has_work() {
            match self.commands.recv() {
                Ok(Command::Done(done)) => self.coordinator.done(*done),
                Ok(Command::Broken(payload)) => resume_unwind(payload),
                Ok(command) => self.backlog.push_back(command),
                // The threads of the storage are gone, and with them what they had.
                Err(_) => return,
            }
            self.hand_over();
        }
    }

    /// Hands over what there is to do, delivers what there is to tell, hands out what has begun, and then
    /// answers those who wait for any of it.
    fn settle(&mut self) -> Result<(), Exit> {
        loop {
            self.hand_over();
            self.untold.extend(self.coordinator.notifications());
            while let Some(notification) = self.untold.pop_front() {
                let told = self.call("deliver", |runtime| runtime.deliver(&notification));
                self.decide(notification);
                told?;
            }
            if !self.go_on()? {
                break;
            }
        }
        self.shared.refresh(&self.coordinator, true);
        self.answer();
        let too_many = self.coordinator.has_too_many_failures();
        if too_many && !self.warned {
            let failures = self.coordinator.failures();
            self.call("too_many_failures", |runtime| runtime.too_many_failures(failures))?;
        }
        self.warned = too_many;
        Ok(())
    }

    /// What was done is answered even if the runtime panics over it.
    fn settle_and_answer<T>(&mut self, answer: &Answer<T>, what: Result<T>) -> Result<(), Exit> {
        let settled = self.settle();
        drop(answer.send(what));
        settled
    }

    /// What whoever waits for a checkpoint will be answered, now that it has ended.
    fn decide(&mut self, notification: Notification) {
        let id = notification.id();
        if let Some(answer) = self.last.remove(&id) {
            let completed = notification.is_completed();
            let outcome = if completed { Acknowledged::Completed } else { Acknowledged::Aborted };
            self.acknowledged.push((answer, outcome));
        }
        let Some(Receipt { pointer, answer }) = self.receipts.remove(&id) else {
            return;
        };
        let outcome = match notification {
            Notification::Completed { .. } => Ok(Completion { id, pointer }),
            Notification::Aborted { reason, error, .. } => Err(error.unwrap_or_else(|| {
                Error::cancelled(format!("the checkpoint was aborted: {reason}"))
                    .with_checkpoint(id)
            })),
        };
        self.answers.push((answer, outcome));
    }

    fn answer(&mut self) {
        for (answer, outcome) in self.answers.drain(..) {
            drop(answer.send(outcome));
        }
        for (answer, outcome) in self.acknowledged.drain(..) {
            drop(answer.send(Ok(outcome)));
        }
        if self.ordered.is_none() {
            for answer in self.waking.drain(..) {
                drop(answer.send(Ok(())));
            }
        }
    }

    fn abort_all(&mut self) {
        self.orders.clear();
        self.coordinator.give_up_order(Error::cancelled("the driver has ended"));
        for id in self.coordinator.pending().collect::<Vec<_>>() {
            self.coordinator.abort(id);
        }
    }

    fn call<T>(&mut self, name: &str, callback: impl FnOnce(&mut R) -> T) -> Result<T, Exit> {
        // The runtime is not called again after a panic; the coordinator is not inside.
        catch_unwind(AssertUnwindSafe(|| callback(&mut self.runtime))).map_err(|payload| {
            Exit::Panicked(panicked(&format!("the runtime's {name}"), &*payload))
        })
    }
}

impl Exit {
    fn into_panic(self) -> Option<Error> {
        match self {
            Self::Panicked(error) => Some(error),
            Self::Stopped | Self::Abandoned => None,
        }
    }
}

#[cold]
pub(super) fn panicked(who: &str, payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::bug(format!("{who} panicked: {}", text.unwrap_or("no message")))
}
