//! A storage that does not answer when it is to begin a checkpoint: nothing waits for it but checkpoints
//! that are to begin after it. Gates and receipts say what was done; nothing here waits for time to pass.

use std::thread;
use std::time::Duration;

use alluvium_checkpoint::driver::{Completion, Waiting};
use alluvium_checkpoint::{
    Acknowledged, CheckpointPlan, JobEnd, Options, StartFrom, SubtaskAck, Trigger, WorkKind,
};
use alluvium_state_api::ErrorKind;

use crate::driver::{Driven, Way};
use crate::fake::{Job, UID, assert_whole, id, incremental};
use crate::gated::{Answer, Doors};
use crate::slow::gated;

fn options() -> Options {
    let timeout = Duration::from_secs(10);
    Options { max_concurrent: 4, timeout, tolerable_failures: 9, ..incremental(1) }
}

/// Orders a checkpoint, and holds its beginning.
fn held(run: &Driven, doors: &Doors) -> Waiting<Completion> {
    doors.begin.close();
    let waiting = run.driver.handle().checkpoint();
    assert!(doors.begin.held().starts_with("begin Checkpoint"));
    waiting
}

fn complete(run: &Driven, plan: &CheckpointPlan) {
    let handle = run.driver.handle();
    let acks =
        [0, 1].map(|subtask| handle.acknowledge(plan.id, UID, subtask, SubtaskAck::default()));
    let [first, last] = acks.map(|ack| ack.wait().unwrap());
    assert_eq!(first, Acknowledged::Accepted { missing: 1 });
    assert_eq!(last, Acknowledged::Completed);
}

#[test]
fn what_is_under_way_completes_and_is_aborted_meanwhile() {
    let (run, doors) = gated(options(), Way::Clear);
    let handle = run.driver.handle();
    let [one, two] = [(); 2].map(|()| {
        drop(handle.checkpoint());
        run.plans.recv().unwrap()
    });
    let three = held(&run, &doors);
    complete(&run, &one);
    assert!(handle.abort(two.id).wait().unwrap());
    assert_eq!(handle.status().pending, []);
    assert!(three.poll().is_none());
    doors.begin.open();
    doors.begin.answer(Answer::Goes);
    let plan = run.plans.recv().unwrap();
    assert_eq!(plan.id, id(3));
    complete(&run, &plan);
    assert_eq!(three.wait().unwrap().id, id(3));
    assert_eq!(handle.status().failures, 0);
}

#[test]
fn orders_begin_one_after_the_other_and_a_failed_one_is_told() {
    let (run, doors) = gated(options(), Way::Clear);
    let handle = run.driver.handle();
    let one = held(&run, &doors);
    let (savepoint, three) = (handle.savepoint(None), handle.checkpoint());
    doors.begin.answer(Answer::Fails);
    assert_eq!(one.wait().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(doors.begin.held(), "begin Savepoint");
    assert_eq!(handle.status().failures, 1);
    doors.begin.answer(Answer::Goes);
    assert_eq!(doors.begin.held(), "begin Checkpoint(CheckpointId(3))");
    doors.begin.answer(Answer::Goes);
    let [second, third] = [(); 2].map(|()| run.plans.recv().unwrap());
    assert!(second.pointer.contains("savepoint-") && third.id == id(3));
    complete(&run, &third);
    complete(&run, &second);
    assert_eq!(savepoint.wait().unwrap().pointer, second.pointer);
    assert_eq!(three.wait().unwrap().id, id(3));
}

#[test]
fn what_is_begun_too_late_is_refused_counted_and_aborted() {
    let interval = Some(Duration::from_mins(1));
    let (run, doors) = gated(Options { interval, ..options() }, Way::Clear);
    let handle = run.driver.handle();
    let late = held(&run, &doors);
    let next = handle.checkpoint();
    run.clock.advance(Duration::from_secs(11));
    handle.wake().wait().unwrap();
    for refused in [late, next, handle.checkpoint()] {
        assert_eq!(refused.wait().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(handle.status().failures, 3);
    assert_eq!(handle.savepoint(None).wait().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(handle.status().failures, 3, "savepoints do not count");
    // Periodic ones are not begun either, and that is told.
    run.clock.advance(Duration::from_mins(1));
    handle.wake().wait().unwrap();
    let told: Vec<String> = run.told.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("has not answered"), "{told:?}");
    assert_eq!(handle.status().failures, 4);
    // It answers at last: what it has begun is taken back.
    doors.delete.close();
    doors.begin.open();
    doors.begin.answer(Answer::Goes);
    assert!(doors.delete.held().ends_with("chk-1"));
    doors.delete.open();
    doors.delete.answer(Answer::Goes);
    let two = handle.checkpoint();
    let plan = run.plans.recv().unwrap();
    assert_eq!(plan.id, id(2), "its number is used");
    complete(&run, &plan);
    assert_eq!(two.wait().unwrap().id, id(2));
    assert_eq!(handle.status().failures, 0);
    let Driven { driver, job, .. } = run;
    // Whoever stops it waits for what is under way: the deletion was only let go.
    drop(driver.stop().unwrap());
    let places = job.storage.survey().unwrap().checkpoints;
    assert_eq!(places.iter().map(|place| place.id).collect::<Vec<_>>(), [id(2)]);
}

#[test]
fn whoever_ends_the_driver_waits_for_the_storage_and_what_was_ordered_is_handed_out() {
    let (run, doors) = gated(options(), Way::Clear);
    let waiting = held(&run, &doors);
    let next = run.driver.handle().checkpoint();
    let Driven { driver, plans, job, .. } = run;
    let stopping = thread::spawn(move || driver.stop().unwrap());
    doors.begin.open();
    doors.begin.answer(Answer::Goes);
    let mut coordinator = stopping.join().unwrap().coordinator;
    assert_eq!(plans.try_iter().map(|plan| plan.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert_eq!(coordinator.pending().collect::<Vec<_>>(), [id(1), id(2)]);
    for receipt in [waiting, next] {
        assert_eq!(receipt.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    assert!(!coordinator.has_work());
    coordinator.shut_down(JobEnd::Failed).unwrap();
    assert!(job.storage.survey().unwrap().checkpoints.is_empty());
}

#[test]
fn a_dropped_driver_takes_back_what_the_storage_was_beginning() {
    let (run, doors) = gated(options(), Way::Clear);
    let waiting = held(&run, &doors);
    let next = run.driver.handle().checkpoint();
    let Driven { driver, plans, told, job, .. } = run;
    let dropping = thread::spawn(move || drop(driver));
    // Only when it has told those who wait that it ends may the storage answer.
    assert_eq!(next.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    doors.begin.open();
    doors.begin.answer(Answer::Goes);
    dropping.join().unwrap();
    assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!((plans.try_iter().count(), told.try_iter().count()), (0, 0));
    assert!(job.storage.survey().unwrap().checkpoints.is_empty());
}

#[test]
fn a_panic_of_the_storage_while_it_begins_ends_the_driver() {
    let (run, doors) = gated(options(), Way::Clear);
    let waiting = held(&run, &doors);
    doors.begin.answer(Answer::Panics);
    assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(run.driver.join().unwrap_err().kind(), ErrorKind::Bug);
}

/// Without a driver: who has threads runs the work, and hands out what comes back.
#[test]
fn an_order_is_work_and_its_plan_comes_with_the_outcome() {
    let (mut job, _) = Job::started(options());
    job.coordinator.defer_work(true);
    job.coordinator.order(Trigger::checkpoint()).unwrap();
    let work = job.coordinator.next_work().unwrap();
    assert_eq!(work.kind(), WorkKind::Begin);
    assert!(job.coordinator.next_work().is_none() && job.coordinator.next_plan().is_none());
    let unavailable = [
        job.coordinator.order(Trigger::savepoint(None)),
        job.coordinator.trigger(Trigger::checkpoint()).map(drop),
    ];
    for refused in unavailable {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(job.coordinator.failures(), 0, "these may be tried again");
    let out = job.coordinator.shut_down(JobEnd::Failed).map(drop);
    assert_eq!(out.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(job.start(2, StartFrom::Newest).is_err());
    job.coordinator.done(work.run());
    let plan = job.coordinator.next_plan().unwrap().unwrap();
    assert_eq!(job.coordinator.pending().collect::<Vec<_>>(), [plan.id]);
    job.ack(&plan, 0);
    job.ack(&plan, 1);
    job.coordinator.defer_work(false);
    assert_eq!(job.retained(), [plan.id.get()]);
    assert_whole(&*job.storage);
}
