//! A coordinator on a thread of its own. Nothing here sleeps: receipts and channels say what was done.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use alluvium_checkpoint::driver::{Driver, Runtime};
use alluvium_checkpoint::{
    Acknowledged, Application, CheckpointPlan, JobEnd, Notification, Options, StartFrom,
    SubtaskAck, Trigger,
};
use alluvium_state_api::clock::ManualClock;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::{Error, ErrorKind, Result};

use crate::fake::{Job, UID, id};

/// How handing out a plan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    /// From this checkpoint on there is an error.
    Lost(u64),
    /// From this checkpoint on there is a panic.
    Panics(u64),
}

#[derive(Debug)]
pub(crate) struct Recorder {
    plans: Sender<CheckpointPlan>,
    told: Sender<String>,
    /// While it is held, deliveries wait.
    gate: Option<Receiver<()>>,
    way: Way,
}

impl Runtime for Recorder {
    fn hand_out(&mut self, plan: &CheckpointPlan) -> Result<Application> {
        let number = plan.id.get();
        assert!(!matches!(self.way, Way::Panics(from) if from <= number), "no way to the subtasks");
        if matches!(self.way, Way::Lost(from) if from <= number) {
            return Err(Error::unavailable("the subtask is gone"));
        }
        self.plans.send(plan.clone()).unwrap();
        Ok(Application::job("position"))
    }

    fn deliver(&mut self, notification: &Notification) {
        if let Some(gate) = &self.gate {
            gate.recv().unwrap();
        }
        self.told.send(format!("{notification:?}")).unwrap();
    }

    fn not_begun(&mut self, error: &Error) {
        self.told.send(error.to_string()).unwrap();
    }

    fn too_many_failures(&mut self, failures: u32) {
        self.told.send(format!("{failures} failures")).unwrap();
    }
}

pub(crate) struct Driven {
    pub(crate) driver: Driver<Recorder>,
    pub(crate) plans: Receiver<CheckpointPlan>,
    pub(crate) told: Receiver<String>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) job: Job,
}

fn driven(options: Options, gate: Option<Receiver<()>>, way: Way) -> Driven {
    drive(Job::started(options).0, gate, way)
}

/// Drives a job that was started.
pub(crate) fn drive(mut job: Job, gate: Option<Receiver<()>>, way: Way) -> Driven {
    // The job's own coordinator is replaced by another over the same storage, which stays idle.
    let spare = Job::over(Arc::clone(&job.storage), Options::default()).coordinator;
    let coordinator = std::mem::replace(&mut job.coordinator, spare);
    let ((to_plans, plans), (to_told, told)) = (channel(), channel());
    let runtime = Recorder { plans: to_plans, told: to_told, gate, way };
    let driver = Driver::spawn(coordinator, runtime).unwrap();
    Driven { driver, plans, told, clock: Arc::clone(&job.clock), job }
}

impl Driven {
    fn acknowledge(&self, plan: &CheckpointPlan) -> [Acknowledged; 2] {
        let handle = self.driver.handle();
        [0, 1].map(|subtask| {
            handle.acknowledge(plan.id, UID, subtask, SubtaskAck::default()).wait().unwrap()
        })
    }
}

#[test]
fn a_driven_life_is_that_of_the_state_machine() {
    let options = || Options { interval: Some(Duration::from_secs(10)), ..Options::default() };
    let (mut plain, _) = Job::started(options());
    let run = driven(options(), None, Way::Clear);
    let handle = run.driver.handle();
    let mut want = Vec::new();
    for round in 0..3_u64 {
        plain.clock.advance(Duration::from_secs(10));
        assert!(plain.coordinator.tick().due);
        let expected = plain.coordinator.trigger(Trigger::checkpoint()).unwrap();
        run.clock.advance(Duration::from_secs(10));
        handle.wake().wait().unwrap();
        let plan = run.plans.try_recv().unwrap();
        assert_eq!(plan.id, expected.id);
        if round == 1 {
            let lost = || Error::unavailable("disk");
            plain.coordinator.decline(plan.id, UID, 0, lost()).unwrap();
            assert!(handle.decline(plan.id, UID, 0, lost()).wait().unwrap());
            want.extend(plain.coordinator.notifications().map(|one| format!("{one:?}")));
            want.push("1 failures".to_owned());
            continue;
        }
        for subtask in 0..2 {
            let ack = SubtaskAck::default();
            plain.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap();
        }
        assert_eq!(run.acknowledge(&plan)[1], Acknowledged::Completed);
        want.extend(plain.coordinator.notifications().map(|one| format!("{one:?}")));
    }
    assert_eq!(run.told.try_iter().collect::<Vec<_>>(), want);
    assert_eq!(handle.status().completed.last().unwrap().id, id(3));
    let stored = run.job.storage.load(id(3)).unwrap();
    let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
    assert_eq!(metadata.application, b"position");
}

#[test]
fn a_stop_with_savepoint_ends_the_job_and_then_the_driver() {
    let run = driven(Options::default(), None, Way::Clear);
    let handle = run.driver.handle();
    let savepoint = handle.stop_with_savepoint(None);
    let plan = run.plans.recv().unwrap();
    assert_eq!(handle.checkpoint().wait().unwrap_err().kind(), ErrorKind::Unavailable);
    run.acknowledge(&plan);
    let savepoint = savepoint.wait().unwrap();
    assert_eq!(savepoint.pointer, plan.pointer);
    assert!(run.job.storage.open_pointer(&savepoint.pointer).is_ok());
    assert_eq!(handle.status().ended, Some(JobEnd::Finished));
    assert!(handle.shut_down(JobEnd::Finished).wait().unwrap().retained.is_empty());
    let stopped = run.driver.join().unwrap();
    assert!(stopped.panic.is_none());
    assert!(!handle.status().running);
}

#[test]
fn callers_do_not_wait_for_a_thread_that_is_held_up() {
    let (open, gate) = channel();
    let run = driven(Options::default(), Some(gate), Way::Clear);
    let handle = run.driver.handle();
    let aborted = handle.checkpoint();
    let plan = run.plans.recv().unwrap();
    let abort = handle.abort(plan.id);
    // The thread is inside the delivery or about to be, and answers nobody.
    let late = handle.acknowledge(plan.id, UID, 0, SubtaskAck::default());
    assert!(late.poll().is_none() && abort.poll().is_none() && aborted.poll().is_none());
    open.send(()).unwrap();
    assert!(abort.wait().unwrap());
    assert_eq!(aborted.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(late.wait().unwrap(), Acknowledged::Late);
}

#[test]
fn a_panic_of_the_runtime_aborts_and_gives_the_coordinator_back() {
    let run = driven(Options::default(), None, Way::Panics(0));
    let handle = run.driver.handle();
    let refused = handle.checkpoint().wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    let mut stopped = run.driver.join().unwrap();
    let panic = stopped.panic.unwrap();
    assert_eq!(panic.kind(), ErrorKind::Bug);
    assert!(panic.message().contains("no way to the subtasks"), "{panic}");
    assert_eq!(stopped.coordinator.pending().count(), 0);
    assert!(stopped.coordinator.trigger(Trigger::checkpoint()).is_ok());
}

#[test]
fn handles_of_a_stopped_driver_are_dead() {
    let mut run = driven(Options::default(), None, Way::Clear);
    let handle = run.driver.handle();
    let waiting = handle.checkpoint();
    let plan = run.plans.recv().unwrap();
    run.job.coordinator = run.driver.stop().unwrap().coordinator;
    assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    let late = handle.acknowledge(plan.id, UID, 0, SubtaskAck::default());
    assert_eq!(late.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!plan.cancel.is_cancelled());
    run.job.start(3, StartFrom::Newest).unwrap();
    assert!(plan.cancel.is_cancelled());
}

#[test]
fn dropping_the_driver_aborts_and_tells_but_dropping_handles_does_not() {
    let run = driven(Options::default(), None, Way::Clear);
    let waiting = run.driver.handle().checkpoint();
    let plan = run.plans.recv().unwrap();
    assert!(!plan.cancel.is_cancelled());
    drop(run.driver);
    assert!(plan.cancel.is_cancelled());
    assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(run.told.try_iter().count(), 1);
}
