//! A driver whose storage does not answer: a publication or a deletion is held, and everything else goes
//! on. Gates and receipts say what was done; nothing here waits for time to pass.

use std::thread;
use std::time::Duration;

use alluvium_checkpoint::driver::Waiting;
use alluvium_checkpoint::{
    Acknowledged, CheckpointPlan, JobEnd, Options, Orphans, Retention, StartFrom, SubtaskAck,
    Trigger, WorkKind,
};
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{Error, ErrorKind};

use crate::deletion::REMOVE;
use crate::driver::{Driven, Way, drive};
use crate::fake::{FakeStore, Job, UID, assert_whole, id, incremental, local};
use crate::gated::{Answer, Door, Doors, Gated};

/// A driven job over gates, those of publications and of deletions.
fn driven(options: Options, way: Way) -> (Driven, Door, Door) {
    let (run, doors) = gated(options, way);
    (run, doors.publish, doors.delete)
}

/// A driven job over gates.
pub(crate) fn gated(options: Options, way: Way) -> (Driven, Doors) {
    let (storage, doors) = Gated::over(local(&MemoryFs::new()));
    let mut job = Job::over(storage, options);
    job.start(2, StartFrom::Newest).unwrap();
    (drive(job, None, way), doors)
}

fn options() -> Options {
    let timeout = Duration::from_secs(10);
    Options { max_concurrent: 4, timeout, tolerable_failures: 9, ..incremental(1) }
}

/// Triggers a checkpoint and returns its plan.
fn begin(run: &Driven) -> CheckpointPlan {
    drop(run.driver.handle().checkpoint());
    run.plans.recv().unwrap()
}

/// Both subtasks acknowledge; nobody waits.
fn acknowledge(run: &Driven, plan: &CheckpointPlan) -> [Waiting<Acknowledged>; 2] {
    let handle = run.driver.handle();
    [0, 1].map(|subtask| handle.acknowledge(plan.id, UID, subtask, SubtaskAck::default()))
}

/// Begins checkpoint 1, and holds its publication.
fn held(run: &Driven, publish: &Door) -> (CheckpointPlan, Waiting<Acknowledged>) {
    publish.close();
    let plan = begin(run);
    let [first, last] = acknowledge(run, &plan);
    assert_eq!(first.wait().unwrap(), Acknowledged::Accepted { missing: 1 });
    assert!(publish.held().starts_with("publish"));
    assert!(last.poll().is_none());
    (plan, last)
}

fn told(run: &Driven) -> Vec<String> {
    run.told.try_iter().collect()
}

#[test]
fn others_are_declined_aborted_and_late_while_one_is_published() {
    let (run, publish, _delete) = driven(options(), Way::Clear);
    let handle = run.driver.handle();
    let (one, last) = held(&run, &publish);
    let [two, three, four] = [(); 3].map(|()| begin(&run));
    assert!(handle.decline(two.id, UID, 0, Error::unavailable("disk full")).wait().unwrap());
    assert!(handle.abort(three.id).wait().unwrap());
    run.clock.advance(Duration::from_secs(11));
    handle.wake().wait().unwrap();
    assert!(four.cancel.is_cancelled());
    let ended = told(&run);
    assert_eq!(ended.len(), 3, "{ended:?}");
    for (told, (number, reason)) in
        ended.iter().zip([(2, "Declined"), (3, "Cancelled"), (4, "TimedOut")])
    {
        assert!(told.contains(&format!("CheckpointId({number})")), "{told}");
        assert!(told.contains(reason), "{told}");
    }
    // What is with the storage is nobody's to end, and still under way.
    assert!(!handle.abort(one.id).wait().unwrap());
    assert!(!handle.decline(one.id, UID, 0, Error::unavailable("too late")).wait().unwrap());
    let again = handle.acknowledge(one.id, UID, 0, SubtaskAck::default());
    assert_eq!(again.wait().unwrap(), Acknowledged::Duplicate);
    assert_eq!(handle.status().pending, [id(1)]);
    assert_eq!(handle.status().failures, 2);
    publish.answer(Answer::Goes);
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    assert_eq!(handle.status().failures, 0);
    let ended = told(&run);
    assert!(ended.len() == 1 && ended[0].contains("Completed"), "{ended:?}");
    assert!(!one.cancel.is_cancelled());
}

#[test]
fn what_waits_for_its_turn_is_published_in_order_subsumed_or_late() {
    let (run, publish, _delete) = driven(options(), Way::Clear);
    let handle = run.driver.handle();
    let [one, two, three, four] = [(); 4].map(|()| begin(&run));
    publish.close();
    let [_, second] = acknowledge(&run, &two);
    assert!(publish.held().ends_with("chk-2"));
    let [_, first] = acknowledge(&run, &one);
    let [_, third] = acknowledge(&run, &three);
    let [_, fourth] = acknowledge(&run, &four);
    handle.wake().wait().unwrap();
    assert_eq!(handle.status().pending, [1, 2, 3, 4].map(id));
    assert!(handle.abort(four.id).wait().unwrap());
    assert_eq!(fourth.wait().unwrap(), Acknowledged::Aborted);
    publish.answer(Answer::Goes);
    assert_eq!(second.wait().unwrap(), Acknowledged::Completed);
    assert_eq!(first.wait().unwrap(), Acknowledged::Aborted, "it was subsumed");
    assert!(publish.held().ends_with("chk-3"));
    publish.answer(Answer::Fails);
    assert_eq!(third.wait().unwrap(), Acknowledged::Aborted);
    let ended = told(&run);
    for (told, what) in ended.iter().zip(["Cancelled", "Subsumed", "Completed", "NotPublished"]) {
        assert!(told.contains(what), "{ended:?}");
    }
    assert_eq!(ended.len(), 4);
    // One that waits for its turn is late like any other.
    let five = begin(&run);
    let [_, last] = acknowledge(&run, &five);
    assert!(publish.held().ends_with("chk-5"));
    let [_, late] = acknowledge(&run, &begin(&run));
    handle.wake().wait().unwrap();
    run.clock.advance(Duration::from_secs(11));
    handle.wake().wait().unwrap();
    assert_eq!(late.wait().unwrap(), Acknowledged::Aborted);
    publish.answer(Answer::Goes);
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    let stopped = run.driver.stop().unwrap();
    assert_eq!(stopped.coordinator.completed().map(|one| one.id).collect::<Vec<_>>(), [id(5)]);
    assert_whole(&*run.job.storage);
}

#[test]
fn checkpoints_complete_and_end_while_something_is_deleted() {
    let (run, _publish, delete) = driven(options(), Way::Clear);
    let handle = run.driver.handle();
    let complete = || {
        let plan = begin(&run);
        let [_, last] = acknowledge(&run, &plan);
        assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    };
    complete();
    delete.close();
    complete();
    assert_eq!(delete.held(), "discard 1");
    complete();
    let (four, five) = (begin(&run), begin(&run));
    assert!(handle.decline(four.id, UID, 1, Error::unavailable("disk full")).wait().unwrap());
    run.clock.advance(Duration::from_secs(11));
    handle.wake().wait().unwrap();
    assert!(five.cancel.is_cancelled());
    let completed: Vec<_> = handle.status().completed.iter().map(|one| one.id).collect();
    assert_eq!(completed, [id(3)]);
    assert_eq!(run.job.storage.list().unwrap(), [1, 2, 3].map(id));
    delete.open();
    delete.answer(Answer::Goes);
    let mut stopped = run.driver.stop().unwrap();
    assert_eq!(run.job.storage.list().unwrap(), [id(3)]);
    stopped.coordinator.tick();
    assert_eq!(stopped.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
}

#[test]
fn an_aborted_checkpoint_is_told_before_it_is_cleared_away() {
    let (run, _publish, delete) = driven(options(), Way::Clear);
    delete.close();
    let plan = begin(&run);
    assert!(run.driver.handle().abort(plan.id).wait().unwrap());
    assert!(told(&run)[0].contains("Cancelled"));
    assert!(delete.held().starts_with("abort"));
    assert_eq!(run.job.storage.survey().unwrap().checkpoints.len(), 1);
    delete.answer(Answer::Fails);
    // It is tried again, by and by, and by whoever goes on.
    assert!(delete.held().starts_with("abort"));
    delete.open();
    delete.answer(Answer::Goes);
    drop(run.driver.stop().unwrap());
    assert_eq!(run.job.storage.survey().unwrap().checkpoints, []);
}

#[test]
fn a_job_is_shut_down_after_what_is_being_published() {
    let (retention, wanted) = (Retention::RetainOnCancellation, options());
    let (run, publish, _delete) = driven(Options { retention, ..wanted }, Way::Clear);
    let handle = run.driver.handle();
    let (_, last) = held(&run, &publish);
    let other = begin(&run);
    let ended = handle.shut_down(JobEnd::Cancelled);
    let after = handle.checkpoint();
    assert!(ended.poll().is_none() && last.poll().is_none());
    publish.answer(Answer::Goes);
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    let retained: Vec<_> = ended.wait().unwrap().retained.iter().map(|one| one.id).collect();
    assert_eq!(retained, [id(1)]);
    assert_eq!(after.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(other.cancel.is_cancelled());
    assert_eq!(told(&run).len(), 2);
    assert_eq!(run.driver.join().unwrap().coordinator.ended(), Some(JobEnd::Cancelled));
    assert_eq!(run.job.storage.list().unwrap(), [id(1)]);
}

#[test]
fn a_dropped_driver_waits_for_what_is_being_published_and_tells_it() {
    let (run, publish, delete) = driven(options(), Way::Clear);
    let (_, last) = held(&run, &publish);
    delete.close();
    let other = begin(&run);
    let Driven { driver, told, job, .. } = run;
    let dropped = thread::spawn(move || drop(driver));
    // The drop has begun: the other checkpoint is being cleared away.
    assert!(delete.held().ends_with("chk-2"));
    assert!(other.cancel.is_cancelled() && last.poll().is_none());
    delete.answer(Answer::Goes);
    publish.answer(Answer::Goes);
    dropped.join().unwrap();
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    let told: Vec<String> = told.try_iter().collect();
    assert!(told[0].contains("Cancelled") && told[1].contains("Completed"), "{told:?}");
    assert_eq!(job.storage.list().unwrap(), [id(1)]);
}

#[test]
fn a_stopped_driver_gives_back_a_coordinator_that_works_alone() {
    let (run, publish, _delete) = driven(options(), Way::Clear);
    let (_, last) = held(&run, &publish);
    let [_, next] = acknowledge(&run, &begin(&run));
    publish.open();
    publish.answer(Answer::Goes);
    let mut coordinator = run.driver.stop().unwrap().coordinator;
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    assert_eq!(next.wait().unwrap(), Acknowledged::Completed);
    assert!(!coordinator.has_work());
    let plan = coordinator.trigger(Trigger::checkpoint()).unwrap();
    for (subtask, outcome) in
        [(0, Acknowledged::Accepted { missing: 1 }), (1, Acknowledged::Completed)]
    {
        let ack = SubtaskAck::default();
        assert_eq!(coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap(), outcome);
    }
    assert_eq!(run.job.storage.list().unwrap(), [plan.id]);
}

#[test]
fn a_publication_that_fails_slowly_aborts_and_the_next_one_completes() {
    let (run, publish, _delete) = driven(options(), Way::Clear);
    let (_, last) = held(&run, &publish);
    let [_, next] = acknowledge(&run, &begin(&run));
    publish.answer(Answer::Fails);
    assert_eq!(last.wait().unwrap(), Acknowledged::Aborted);
    assert!(told(&run)[0].contains("NotPublished"));
    publish.held();
    publish.answer(Answer::Goes);
    assert_eq!(next.wait().unwrap(), Acknowledged::Completed);
}

#[test]
fn a_plan_that_cannot_be_handed_out_does_not_hurt_what_is_being_published() {
    let (run, publish, _delete) = driven(options(), Way::Lost(2));
    let handle = run.driver.handle();
    let (_, last) = held(&run, &publish);
    let refused = handle.checkpoint().wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(handle.status().pending, [id(1)]);
    publish.answer(Answer::Goes);
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
}

#[test]
fn a_panic_of_the_runtime_waits_for_what_is_being_published() {
    let (run, publish, _delete) = driven(options(), Way::Panics(2));
    let (_, last) = held(&run, &publish);
    let refused = run.driver.handle().checkpoint();
    publish.answer(Answer::Goes);
    let stopped = run.driver.join().unwrap();
    assert!(stopped.panic.is_some());
    assert_eq!(last.wait().unwrap(), Acknowledged::Completed);
    assert_eq!(refused.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(stopped.coordinator.completed().count(), 1);
    assert!(!stopped.coordinator.has_work());
}

#[test]
fn a_panic_of_the_storage_ends_the_driver_and_every_wait() {
    let (run, publish, _delete) = driven(options(), Way::Clear);
    let (_, last) = held(&run, &publish);
    let waiting = run.driver.handle().checkpoint();
    publish.answer(Answer::Panics);
    assert_eq!(last.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    let error = run.driver.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert!(error.message().contains("the storage is broken"), "{error}");
}

/// What is being published pins what it builds on, like anything under way.
#[test]
fn what_a_savepoint_being_published_began_upon_stays() {
    let (mut job, _) = Job::started(options());
    job.complete(Trigger::checkpoint());
    let savepoint = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    job.complete(Trigger::checkpoint());
    assert_eq!(job.retained(), [1, 3]);
    job.coordinator.defer_work(true);
    job.ack(&savepoint, 0);
    assert_eq!(job.ack(&savepoint, 1), Acknowledged::Accepted { missing: 0 });
    let work = job.coordinator.next_work().unwrap();
    assert!(work.kind() == WorkKind::Publish && job.coordinator.next_work().is_none());
    let other = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    assert!(job.coordinator.abort(other.id));
    assert_eq!(job.retained(), [1, 3]);
    let refused = job.coordinator.collect_orphans(REMOVE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(job.start(2, StartFrom::Newest).is_err());
    assert!(job.coordinator.shut_down(JobEnd::Failed).is_err());
    job.coordinator.done(work.run());
    job.coordinator.defer_work(false);
    job.deliver();
    job.complete(Trigger::checkpoint());
    assert_eq!(job.retained(), [5]);
}

/// A subtask that lost its way refers to files that are just being deleted.
#[test]
fn metadata_that_names_what_is_being_deleted_is_refused() {
    let (mut job, _) = Job::started(options());
    job.complete(Trigger::checkpoint());
    let stale: Vec<FakeStore> = job.stores.clone();
    job.coordinator.defer_work(true);
    let two = job.coordinator.trigger(Trigger::full_checkpoint()).unwrap();
    job.ack(&two, 0);
    job.ack(&two, 1);
    let publication = job.coordinator.next_work().unwrap();
    let three = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.coordinator.done(publication.run());
    job.deliver();
    // 3 was triggered while 1 was the base, which stays until 3 has ended.
    assert!(job.coordinator.next_work().is_none());
    assert!(job.coordinator.abort(three.id));
    let abortion = job.coordinator.next_work().unwrap();
    job.coordinator.done(abortion.run());
    job.clock.advance(Duration::from_mins(1));
    job.coordinator.tick();
    let deletion = job.coordinator.next_work().unwrap();
    assert_eq!(deletion.kind(), WorkKind::Clean);
    job.stores = stale;
    let four = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&four, 0);
    job.ack(&four, 1);
    assert!(job.coordinator.next_work().is_none());
    let told = format!("{:?}", job.deliver());
    assert!(told.contains("Invalid") && told.contains("is being deleted"), "{told}");
    job.coordinator.done(deletion.run());
    job.coordinator.defer_work(false);
    assert_whole(&*job.storage);
    assert_eq!(job.retained(), [2]);
}
