use std::path::Path;

use alluvium_checkpoint::{
    AbortReason, Acknowledged, Notification, SubtaskAck, Trigger, dispose_savepoint,
};
use alluvium_state_api::format::metadata::{CheckpointKind, CheckpointMetadata};
use alluvium_state_api::snapshot::{FileLocation, SnapshotKind};
use alluvium_state_api::vfs::FileSystem;
use alluvium_state_api::{Error, ErrorKind};

use crate::fake::{Job, UID, assert_whole, check_file, id, incremental};

fn reason(notification: &Notification) -> Option<AbortReason> {
    match notification {
        Notification::Aborted { reason, .. } => Some(*reason),
        Notification::Completed { .. } => None,
    }
}

#[test]
fn completes_when_all_have_acknowledged_and_keeps_what_they_said() {
    let (mut job, _) = Job::started(incremental(1));
    let trigger =
        Trigger::checkpoint().with_application("job").with_operator_application(UID, "operator");
    let plan = job.coordinator.trigger(trigger).unwrap();
    assert_eq!(plan.id, id(1));
    assert_eq!(plan.request.kind, SnapshotKind::Incremental);
    assert_eq!(job.ack(&plan, 1), Acknowledged::Accepted { missing: 1 });
    assert_eq!(job.storage.list().unwrap(), []);
    job.clock.advance(std::time::Duration::from_millis(3));
    assert_eq!(job.ack(&plan, 0), Acknowledged::Completed);
    assert_eq!(job.storage.list().unwrap(), [id(1)]);
    let notifications = job.deliver();
    assert!(notifications.len() == 1 && notifications[0].is_completed());

    let stored = job.storage.load(id(1)).unwrap();
    assert_eq!(stored.pointer, plan.pointer);
    let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
    assert_eq!(metadata.kind, CheckpointKind::Checkpoint);
    assert_eq!((&*metadata.job, metadata.timestamp_ms), ("job-1", 1_000_000));
    assert_eq!(metadata.application, b"job");
    let operator = &metadata.operators[0];
    assert_eq!((&*operator.uid, operator.parallelism), (UID, 2));
    assert_eq!(operator.application, b"operator");
    assert_eq!(operator.subtasks[1].application, b"subtask 1");
    assert_eq!(operator.subtasks[1].statistics.sync_us, 5);
    assert_eq!(metadata.statistics.duration_us, 3_000);
    let new = operator.subtasks.iter().map(|one| one.statistics.bytes_new);
    assert_eq!(metadata.statistics.bytes_new, new.sum::<u64>());
    let kept = job.coordinator.completed().next().unwrap();
    assert_eq!(kept.statistics, metadata.statistics);
}

#[test]
fn duplicates_late_ones_and_strangers_change_nothing() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&plan, 0);
    assert_eq!(job.ack(&plan, 0), Acknowledged::Duplicate);
    for (uid, subtask) in [("nobody", 0), (UID, 2)] {
        let ack = SubtaskAck::default();
        let error = job.coordinator.acknowledge(plan.id, uid, subtask, ack).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = Error::unavailable("disk");
        assert!(job.coordinator.decline(plan.id, uid, subtask, error).is_err());
    }
    assert_eq!(job.ack(&plan, 1), Acknowledged::Completed);
    let late = job.coordinator.acknowledge(plan.id, UID, 1, SubtaskAck::default());
    assert_eq!(late.unwrap(), Acknowledged::Late);
    let unknown = job.coordinator.acknowledge(id(77), UID, 1, SubtaskAck::default());
    assert_eq!(unknown.unwrap(), Acknowledged::Late);
    assert!(!job.coordinator.abort(plan.id));
    assert_eq!(job.deliver().len(), 1);
    assert_whole(&*job.storage);
}

#[test]
fn a_declined_checkpoint_is_cleared_away_and_stops_its_writers() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&plan, 0);
    let error = Error::unavailable("no space left");
    assert!(job.coordinator.decline(plan.id, UID, 1, error).unwrap());
    assert!(plan.cancel.is_cancelled());
    let late = job.part(&plan, 1).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Cancelled);
    let told = job.deliver();
    assert_eq!(reason(&told[0]), Some(AbortReason::Declined));
    assert!(format!("{told:?}").contains("no space left"));
    assert_eq!(job.coordinator.failures(), 1);
    assert!(job.coordinator.has_too_many_failures());
    let survey = job.storage.survey().unwrap();
    assert!(survey.shared.is_empty() && survey.checkpoints.is_empty(), "{survey:?}");
    assert_eq!(job.complete(Trigger::checkpoint()).id, id(2));
    assert_eq!(job.coordinator.failures(), 0);
}

#[test]
fn who_cancels_is_not_counted_as_failing() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    assert!(job.coordinator.abort(plan.id));
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    let cancelled = Error::cancelled("the task was cancelled");
    assert!(job.coordinator.decline(plan.id, UID, 0, cancelled).unwrap());
    let told = job.deliver();
    assert!(told.iter().all(|one| reason(one) == Some(AbortReason::Cancelled)));
    assert_eq!((told.len(), job.coordinator.failures()), (2, 0));
}

#[test]
fn an_acknowledgement_that_does_not_fit_aborts() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    let wrong = job.part(&plan, 0).unwrap();
    let outcome = job.coordinator.acknowledge(plan.id, UID, 1, wrong).unwrap();
    assert_eq!(outcome, Acknowledged::Aborted);
    let told = job.deliver();
    assert_eq!(reason(&told[0]), Some(AbortReason::Invalid));
    assert!(format!("{told:?}").contains("key groups 0..64"), "{told:?}");

    // A subtask that builds on a file that was deleted, as one that missed a notification would.
    let plan = job.complete(Trigger::checkpoint());
    let stale = job.stores.clone();
    job.stores.iter_mut().for_each(|store| *store = crate::fake::FakeStore::default());
    for _ in 0..3 {
        job.complete(Trigger::full_checkpoint());
    }
    job.stores = stale;
    let uses = |job: &Job| crate::fake::shared_files(&*job.storage).len();
    let (before, next) = (uses(&job), job.coordinator.trigger(Trigger::checkpoint()).unwrap());
    assert!(next.id > plan.id);
    job.ack(&next, 0);
    assert_eq!(job.ack(&next, 1), Acknowledged::Aborted);
    let told = job.deliver();
    assert_eq!(reason(told.last().unwrap()), Some(AbortReason::Invalid));
    assert_eq!(uses(&job), before);
    assert_whole(&*job.storage);
}

#[test]
fn savepoints_are_self_contained_and_outlive_the_job() {
    let (mut job, _) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let savepoint = job.complete(Trigger::savepoint(Some("/elsewhere")).with_application("pos"));
    assert_eq!(savepoint.request.kind, SnapshotKind::Canonical);
    assert!(savepoint.pointer.starts_with("/elsewhere/savepoint-"), "{}", savepoint.pointer);
    let default = job.complete(Trigger::savepoint(None));
    assert!(default.pointer.starts_with("/savepoints/savepoint-"));
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    assert_eq!(job.retained(), [6]);
    let stored = job.storage.open_pointer(&savepoint.pointer).unwrap();
    let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
    assert_eq!((metadata.kind, metadata.checkpoint), (CheckpointKind::Savepoint, id(2)));
    for (_, _, keyed) in metadata.keyed() {
        for file in &keyed.files {
            assert!(!matches!(file.stored.location, FileLocation::Shared(_)));
            check_file(&*stored.source, file);
        }
    }
    let refused = dispose_savepoint(&*job.storage, &job.storage.load(id(6)).unwrap().pointer);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    dispose_savepoint(&*job.storage, &savepoint.pointer).unwrap();
    let gone = job.storage.open_pointer(&savepoint.pointer).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(job.storage.open_pointer(&default.pointer).is_ok());
    assert_whole(&*job.storage);
}

#[test]
fn a_savepoint_without_one_of_its_files_is_aborted() {
    let (mut job, fs) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    let parts: Vec<_> = (0..2).map(|subtask| job.part(&plan, subtask).unwrap()).collect();
    let own = Path::new(&plan.pointer);
    let lost = fs.list(own).unwrap().pop().unwrap();
    fs.remove_file(&own.join(&lost.name)).unwrap();
    let outcomes = (0..)
        .zip(parts)
        .map(|(subtask, part)| job.coordinator.acknowledge(plan.id, UID, subtask, part).unwrap());
    assert_eq!(outcomes.last(), Some(Acknowledged::Aborted));
    assert_eq!(reason(&job.deliver()[0]), Some(AbortReason::Invalid));
    let gone = job.storage.open_pointer(&plan.pointer).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[test]
fn a_savepoint_must_be_canonical() {
    let (mut job, _) = Job::started(incremental(1));
    let plan = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    let mut ack = job.part(&plan, 0).unwrap();
    ack.keyed.as_mut().unwrap().kind = SnapshotKind::Full;
    let outcome = job.coordinator.acknowledge(plan.id, UID, 0, ack).unwrap();
    assert_eq!(outcome, Acknowledged::Aborted);
}

/// One name, two contents: what Flink's registry has to guess about (FLINK-29095) is refused here.
#[test]
fn a_known_file_with_another_checksum_is_refused() {
    let (mut job, _) = Job::started(incremental(1));
    for _ in 0..4 {
        job.complete(Trigger::checkpoint());
    }
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    let mut ack = job.part(&plan, 0).unwrap();
    let files = &mut ack.keyed.as_mut().unwrap().files;
    let mut known = files.iter_mut().rev().skip(1);
    let shared = known.find(|file| crate::fake::shared_name(file).is_some()).unwrap();
    shared.stored.checksum ^= 1;
    job.coordinator.acknowledge(plan.id, UID, 0, ack).unwrap();
    assert_eq!(job.ack(&plan, 1), Acknowledged::Aborted);
    let told = job.deliver();
    assert_eq!(reason(&told[0]), Some(AbortReason::Invalid));
    assert!(format!("{told:?}").contains("two different"), "{told:?}");
}
