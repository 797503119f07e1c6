use std::time::Duration;

use alluvium_checkpoint::{
    AbortReason, Acknowledged, Notification, Options, StartFrom, SubtaskAck, Tick, Trigger,
};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::SnapshotKind;

use crate::fake::{Job, UID, id};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn options_come_from_settings() {
    let settings = Settings::from_pairs([
        ("execution.checkpointing.interval", "30 s"),
        ("execution.checkpointing.num-retained", "4"),
        ("state.backend.incremental", "true"),
        ("execution.checkpointing.tolerable-failed-checkpoints", "2"),
    ]);
    let options = Options::from_settings(&settings.unwrap()).unwrap();
    assert_eq!(options.interval, Some(30 * SECOND));
    assert_eq!((options.retained, options.tolerable_failures), (4, 2));
    assert_eq!(options.kind, SnapshotKind::Incremental);
    assert_eq!(Options::from_settings(&Settings::new()).unwrap(), Options::default());
    let settings = Settings::from_pairs([
        ("execution.checkpointing.min-pause", "1 s"),
        ("execution.checkpointing.max-concurrent-checkpoints", "2"),
    ]);
    let error = Options::from_settings(&settings.unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn periodic_checkpoints_come_after_interval_and_pause() {
    let (mut job, _) = Job::started(Options {
        interval: Some(10 * SECOND),
        min_pause: 5 * SECOND,
        ..Options::default()
    });
    let tick = |due, next: u32| Tick { due, next: Some(SECOND * next) };
    assert_eq!(job.coordinator.tick(), tick(false, 10));
    job.clock.advance(10 * SECOND);
    assert!(job.coordinator.tick().due);
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.clock.advance(9 * SECOND);
    // One is under way: nothing is due, and the next thing is its deadline.
    assert_eq!(job.coordinator.tick(), tick(false, 591));
    job.ack(&plan, 0);
    assert_eq!(job.ack(&plan, 1), Acknowledged::Completed);
    // The interval ends in a second, the pause in five.
    assert_eq!(job.coordinator.tick(), tick(false, 5));
    let error = job.coordinator.trigger(Trigger::checkpoint()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    job.complete(Trigger::savepoint(None));
    job.clock.advance(5 * SECOND);
    assert!(job.coordinator.tick().due);
}

#[test]
fn no_more_than_allowed_are_under_way_but_savepoints_are_exempt() {
    let (mut job, _) =
        Job::started(Options { max_concurrent: 2, retained: 3, ..Options::default() });
    let first = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    let second = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    assert!(job.coordinator.trigger(Trigger::checkpoint()).is_err());
    let savepoint = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    let under_way: Vec<_> = job.coordinator.pending().collect();
    assert_eq!(under_way, [id(1), id(2), id(3)]);
    job.ack(&first, 0);
    job.ack(&second, 0);
    assert_eq!(job.ack(&second, 1), Acknowledged::Completed);
    let told = job.deliver();
    let subsumed = |one: &Notification| {
        let reason = AbortReason::Subsumed;
        matches!(one, Notification::Aborted { id, reason: r, .. } if *id == first.id && *r == reason)
    };
    assert!(subsumed(&told[0]) && told[1].is_completed());
    assert_eq!(job.coordinator.failures(), 0);
    job.ack(&savepoint, 0);
    assert_eq!(job.ack(&savepoint, 1), Acknowledged::Completed);
}

#[test]
fn what_takes_too_long_is_aborted_and_counted() {
    let (mut job, _) =
        Job::started(Options { timeout: SECOND, tolerable_failures: 1, ..Options::default() });
    for round in 1..=2 {
        let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
        job.ack(&plan, 0);
        job.clock.advance(Duration::from_millis(999));
        job.coordinator.tick();
        assert_eq!(job.coordinator.pending().count(), 1);
        job.clock.advance(Duration::from_millis(1));
        job.coordinator.tick();
        let told = job.deliver();
        let reason = AbortReason::TimedOut;
        assert!(matches!(&told[..], [Notification::Aborted { reason: r, .. }] if *r == reason));
        assert_eq!(job.coordinator.failures(), round);
        let late = job.coordinator.acknowledge(plan.id, UID, 1, SubtaskAck::default());
        assert_eq!(late.unwrap(), Acknowledged::Late);
    }
    assert!(job.coordinator.has_too_many_failures());
    job.start(2, StartFrom::Newest).unwrap();
    assert!(!job.coordinator.has_too_many_failures());
}

#[test]
fn nothing_can_be_triggered_before_the_start() {
    let fs = alluvium_state_api::vfs::MemoryFs::new();
    let mut job = Job::over(crate::fake::local(&fs), Options::default());
    assert!(job.coordinator.trigger(Trigger::checkpoint()).is_err());
    job.start(1, StartFrom::Nothing).unwrap();
    let stranger = Trigger::checkpoint().with_operator_application("nobody", "x");
    assert!(job.coordinator.trigger(stranger).is_err());
    assert_eq!(job.coordinator.failures(), 0);
}

/// The job does not recover from savepoints, so they neither count nor set the count back.
#[test]
fn failures_of_checkpoints_count_and_those_of_savepoints_do_not() {
    let (mut job, _) = Job::started(Options { tolerable_failures: 1, ..Options::default() });
    let disk = || alluvium_state_api::Error::unavailable("disk full");
    let plan = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    job.coordinator.decline(plan.id, UID, 0, disk()).unwrap();
    assert!(job.coordinator.trigger(Trigger::savepoint(Some("no/directory\0"))).is_err());
    assert_eq!(job.coordinator.failures(), 0);
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    assert!(job.coordinator.fail(plan.id, disk()));
    assert!(!job.coordinator.fail(plan.id, disk()));
    job.deliver();
    job.complete(Trigger::savepoint(None));
    assert_eq!((job.coordinator.failures(), job.coordinator.has_too_many_failures()), (1, false));
    job.complete(Trigger::checkpoint());
    assert_eq!(job.coordinator.failures(), 0);
}

#[test]
fn a_checkpoint_that_cannot_be_begun_counts_as_failed_and_waits_for_the_interval() {
    use alluvium_state_api::vfs::faulty::{EIO, Fault};
    let memory = alluvium_state_api::vfs::MemoryFs::new();
    let fs = alluvium_state_api::vfs::FaultyFs::new(std::sync::Arc::new(memory));
    let storage = crate::fake::local_over(std::sync::Arc::new(fs.clone()), 5);
    let mut job = Job::over(storage, Options { interval: Some(SECOND), ..Options::default() });
    job.start(1, StartFrom::Nothing).unwrap();
    job.clock.advance(SECOND);
    assert!(job.coordinator.tick().due);
    drop(fs.clone().with_fault(fs.operations() + 1, Fault::Fails(EIO)));
    assert!(job.coordinator.trigger(Trigger::checkpoint()).is_err());
    assert_eq!((job.coordinator.failures(), job.coordinator.has_too_many_failures()), (1, true));
    assert_eq!(job.coordinator.tick(), Tick { due: false, next: Some(SECOND) });
    job.clock.advance(SECOND);
    assert!(job.coordinator.tick().due);
    job.complete(Trigger::checkpoint());
    assert!(!job.coordinator.has_too_many_failures());
}

/// Flink counts savepoints among what is retained; here they are apart.
#[test]
fn the_newest_checkpoint_stays_however_many_savepoints_follow() {
    let (mut job, _) = Job::started(crate::fake::incremental(1));
    job.complete(Trigger::checkpoint());
    for _ in 0..3 {
        job.complete(Trigger::savepoint(None));
    }
    assert_eq!(job.retained(), [1]);
    job.complete(Trigger::checkpoint());
    crate::fake::assert_whole(&*job.storage);
}
