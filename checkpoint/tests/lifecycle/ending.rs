//! The end of a job: what stays, what goes, and savepoints that end it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    AbortReason, Acknowledged, JobEnd, Notification, Options, Orphans, Retention, StartFrom,
    SubtaskAck, Trigger,
};
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::SnapshotKind;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, FileSystem, MemoryFs};
use alluvium_state_api::{Error, ErrorKind};

use crate::deletion::REMOVE;
use crate::fake::{Job, UID, assert_whole, check_file, id, incremental, local, local_over};

const ENDS: [JobEnd; 4] = [JobEnd::Finished, JobEnd::Cancelled, JobEnd::Failed, JobEnd::Suspended];

fn retaining(retention: Retention) -> Options {
    Options { retention, ..incremental(2) }
}

fn reason(notification: &Notification) -> Option<AbortReason> {
    match notification {
        Notification::Aborted { reason, .. } => Some(*reason),
        Notification::Completed { .. } => None,
    }
}

/// Every cell of the table; the savepoint stays in all of them.
#[test]
fn what_stays_is_what_the_table_of_retention_says() {
    let table = [
        (Retention::NoExternalized, [false, false, false, false]),
        (Retention::DeleteOnCancellation, [false, false, true, false]),
        (Retention::RetainOnCancellation, [false, true, true, true]),
    ];
    for (retention, kept) in table {
        for (end, kept) in ENDS.into_iter().zip(kept) {
            let (mut job, _) = Job::started(retaining(retention));
            for _ in 0..2 {
                job.complete(Trigger::checkpoint());
            }
            let savepoint = job.complete(Trigger::savepoint(None));
            job.complete(Trigger::checkpoint());
            assert_eq!(job.retained(), [2, 4], "subsumed are deleted under {retention:?}");
            let ended = job.coordinator.shut_down(end).unwrap();
            let left: Vec<u64> = ended.retained.iter().map(|one| one.id.get()).collect();
            let want: &[u64] = if kept { &[2, 4] } else { &[] };
            assert_eq!(left, want, "{retention:?}, {end}");
            assert_eq!(job.storage.list().unwrap().len(), want.len());
            assert!(ended.leftovers.is_empty() && ended.leftovers.error.is_none());
            assert!(job.storage.open_pointer(&savepoint.pointer).is_ok());
            assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
            assert_whole(&*job.storage);

            // A later process finds what the table left.
            job.restart_process();
            let plan = job.start(3, StartFrom::Newest).unwrap();
            assert_eq!(plan.restored.map(|(id, _)| id), kept.then_some(id(4)));
        }
    }
}

#[test]
fn after_the_end_nothing_can_be_triggered_or_started() {
    let (mut job, _) = Job::started(Options {
        interval: Some(Duration::from_secs(1)),
        ..retaining(Retention::RetainOnCancellation)
    });
    let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&plan, 0);
    job.coordinator.shut_down(JobEnd::Failed).unwrap();
    assert!(plan.cancel.is_cancelled());
    let told = job.deliver();
    assert_eq!(told.iter().map(reason).collect::<Vec<_>>(), [Some(AbortReason::JobEnded)]);
    assert_eq!(job.coordinator.failures(), 0);
    let late = job.coordinator.acknowledge(plan.id, UID, 1, SubtaskAck::default());
    assert_eq!(late.unwrap(), Acknowledged::Late);
    for trigger in [Trigger::checkpoint(), Trigger::savepoint(None)] {
        let refused = job.coordinator.trigger(trigger).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.message().contains("failed"), "{refused}");
    }
    assert_eq!(job.start(2, StartFrom::Newest).unwrap_err().kind(), ErrorKind::InvalidInput);
    job.clock.advance(Duration::from_mins(1));
    let tick = job.coordinator.tick();
    assert_eq!((tick.due, tick.next), (false, None));
    assert!(job.coordinator.shut_down(JobEnd::Failed).is_ok());
    let other = job.coordinator.shut_down(JobEnd::Finished).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidInput);
    assert!(job.storage.survey().unwrap().checkpoints.is_empty());
}

#[test]
fn a_job_that_never_started_can_be_cleared_away() {
    let (mut job, _) = Job::started(retaining(Retention::NoExternalized));
    job.complete(Trigger::checkpoint());
    job.restart_process();
    let ended = job.coordinator.shut_down(JobEnd::Cancelled).unwrap();
    assert!(ended.retained.is_empty() && ended.leftovers.is_empty());
    assert_eq!(job.storage.list().unwrap(), []);
}

#[test]
fn deletions_that_fail_at_the_end_are_told_and_tried_again() {
    let memory = MemoryFs::new();
    let fs = FaultyFs::new(Arc::new(memory.clone()));
    let storage = local_over(Arc::new(fs.clone()), 5);
    let mut job = Job::over(storage, retaining(Retention::NoExternalized));
    job.start(2, StartFrom::Newest).unwrap();
    job.complete(Trigger::checkpoint());
    job.complete(Trigger::checkpoint());
    for ahead in 1..=400 {
        drop(fs.clone().with_fault(fs.operations() + ahead, Fault::Fails(EIO)));
    }
    let ended = job.coordinator.shut_down(JobEnd::Finished).unwrap();
    assert_eq!(ended.leftovers.checkpoints, [id(1), id(2)]);
    assert!(ended.leftovers.error.is_some() && ended.retained.is_empty());
    assert!(job.coordinator.tick().next.is_some());
    for _ in 0..400 {
        drop(fs.metadata(Path::new("/")));
    }
    let ended = job.coordinator.shut_down(JobEnd::Finished).unwrap();
    assert!(ended.leftovers.is_empty(), "{ended:?}");
    assert_eq!(job.coordinator.tick().next, None);
    assert_eq!(local(&memory).list().unwrap(), []);
}

#[test]
fn damaged_checkpoints_are_told_and_not_deleted() {
    let (mut job, fs) = Job::started(retaining(Retention::NoExternalized));
    job.complete(Trigger::checkpoint());
    let metadata = Path::new("/checkpoints/job-1/chk-1/_metadata");
    fs.remove_file(metadata).unwrap();
    fs.create_new(metadata).unwrap().write_all(b"damaged").unwrap();
    job.restart_process();
    let ended = job.coordinator.shut_down(JobEnd::Finished).unwrap();
    assert_eq!(ended.leftovers.unreadable, [id(1)]);
    assert!(fs.metadata(metadata).is_ok());
}

#[test]
fn stopping_with_a_savepoint_ends_the_job_and_deletes_nothing_before_it_is_shut_down() {
    for (trigger, end) in [
        (Trigger::stop_with_savepoint(Some("/last")), JobEnd::Finished),
        (Trigger::cancel_with_savepoint(Some("/last")), JobEnd::Cancelled),
    ] {
        let (mut job, _) = Job::started(Options {
            interval: Some(Duration::from_secs(1)),
            max_concurrent: 2,
            ..retaining(Retention::DeleteOnCancellation)
        });
        job.complete(Trigger::checkpoint());
        let earlier = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
        let last = job.coordinator.trigger(trigger.with_application("end")).unwrap();
        assert_eq!((earlier.ends, last.ends), (None, Some(end)));
        assert_eq!(job.coordinator.stopping(), Some(last.id));
        job.clock.advance(Duration::from_secs(2));
        assert!(!job.coordinator.tick().due, "the stream is held");
        for trigger in [Trigger::checkpoint(), Trigger::savepoint(None)] {
            let refused = job.coordinator.trigger(trigger).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }
        job.ack(&last, 0);
        assert_eq!(job.coordinator.ended(), None);
        assert_eq!(job.ack(&last, 1), Acknowledged::Completed);
        assert_eq!(job.coordinator.ended(), Some(end));
        let told = job.deliver();
        assert_eq!(reason(&told[0]), Some(AbortReason::JobEnded));
        assert!(told.len() == 2 && told[1].is_completed() && told[1].id() == last.id);
        let refused = job.coordinator.trigger(Trigger::checkpoint()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_eq!(job.storage.list().unwrap(), [id(1)]);
        assert!(job.coordinator.shut_down(end).unwrap().leftovers.is_empty());
        assert_eq!(job.storage.list().unwrap(), []);

        job.restart_process();
        let plan = job.start(3, StartFrom::Pointer(&last.pointer)).unwrap();
        assert_eq!(plan.application, b"end");
    }
}

/// Declined, late, aborted, wrong: each time the job goes on.
#[test]
fn a_last_savepoint_that_is_aborted_leaves_the_job_running() {
    let (mut job, _) = Job::started(Options {
        timeout: Duration::from_secs(1),
        ..retaining(Retention::NoExternalized)
    });
    job.complete(Trigger::checkpoint());
    let want = [
        AbortReason::Declined,
        AbortReason::TimedOut,
        AbortReason::Cancelled,
        AbortReason::Invalid,
    ];
    for want in want {
        let last = job.coordinator.trigger(Trigger::stop_with_savepoint(None)).unwrap();
        job.ack(&last, 0);
        match want {
            AbortReason::Declined => {
                let error = Error::unavailable("disk full");
                job.coordinator.decline(last.id, UID, 1, error).unwrap();
            }
            AbortReason::TimedOut => {
                job.clock.advance(Duration::from_secs(1));
                job.coordinator.tick();
            }
            AbortReason::Cancelled => assert!(job.coordinator.abort(last.id)),
            _ => {
                let mut ack = job.part(&last, 1).unwrap();
                ack.keyed.as_mut().unwrap().kind = SnapshotKind::Full;
                job.coordinator.acknowledge(last.id, UID, 1, ack).unwrap();
            }
        }
        let told = job.deliver();
        assert_eq!(told.iter().map(reason).collect::<Vec<_>>(), [Some(want)]);
        assert_eq!((job.coordinator.ended(), job.coordinator.stopping()), (None, None));
        assert_eq!(job.coordinator.failures(), 0, "savepoints do not count");
        let gone = job.storage.open_pointer(&last.pointer).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        job.complete(Trigger::checkpoint());
    }
    assert_whole(&*job.storage);
}

/// Two checkpoints, and a stop whose storage has one fault somewhere. Returns the savepoint's place,
/// and whether the job ended.
fn stop(job: &mut Job) -> (Option<String>, bool) {
    let Ok(plan) = job.coordinator.trigger(Trigger::stop_with_savepoint(None)) else {
        return (None, false);
    };
    for subtask in 0..2 {
        match job.part(&plan, subtask) {
            Ok(ack) => drop(job.coordinator.acknowledge(plan.id, UID, subtask, ack)),
            Err(error) => drop(job.coordinator.decline(plan.id, UID, subtask, error)),
        }
    }
    let told = job.deliver();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].is_completed(), job.coordinator.ended().is_some());
    (Some(plan.pointer), told[0].is_completed())
}

fn over(fs: &FaultyFs) -> Job {
    let mut job = Job::over(local_over(Arc::new(fs.clone()), 5), incremental(1));
    job.start(2, StartFrom::Newest).unwrap();
    job.complete(Trigger::checkpoint());
    job
}

/// First and last operation of the stop and of the deletions at the end.
fn span() -> (u64, u64) {
    let fs = FaultyFs::new(Arc::new(MemoryFs::new()));
    let mut job = over(&fs);
    let first = fs.operations() + 1;
    assert!(stop(&mut job).1);
    job.coordinator.shut_down(JobEnd::Finished).unwrap();
    (first, fs.operations())
}

fn assert_savepoint_is_whole(storage: &dyn CheckpointStorage, pointer: &str) {
    let stored = storage.open_pointer(pointer).unwrap();
    let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
    for (_, _, keyed) in metadata.keyed() {
        keyed.files.iter().for_each(|file| check_file(&*stored.source, file));
    }
}

#[test]
fn an_error_at_any_operation_of_a_stop_ends_the_job_or_leaves_it_running() {
    let (first, last) = span();
    assert!(last - first > 20, "{first} to {last}");
    let mut outcomes = [0, 0];
    for fault in [Fault::Fails(EIO), Fault::HappensButFails(EIO), Fault::Short] {
        for number in first..=last {
            let memory = MemoryFs::new();
            let fs = FaultyFs::new(Arc::new(memory.clone())).with_fault(number, fault);
            let unharmed = local(&memory);
            let mut job = over(&fs);
            let (pointer, ended) = stop(&mut job);
            outcomes[usize::from(ended)] += 1;
            if ended {
                assert_savepoint_is_whole(&*unharmed, pointer.as_deref().unwrap());
                job.coordinator.shut_down(JobEnd::Finished).unwrap();
                let again = job.coordinator.shut_down(JobEnd::Finished).unwrap();
                assert!(again.leftovers.is_empty(), "{fault:?} at {number}: {again:?}");
                assert_eq!(unharmed.list().unwrap(), []);
                assert_savepoint_is_whole(&*unharmed, pointer.as_deref().unwrap());
            } else {
                assert_eq!(job.coordinator.failures(), 0);
                job.complete(Trigger::checkpoint());
                job.clock.advance(Duration::from_mins(1));
                job.coordinator.tick();
                let gone = pointer.map(|pointer| unharmed.open_pointer(&pointer));
                assert!(gone.is_none_or(|gone| gone.is_err()), "{fault:?} at {number}");
                assert_whole(&*unharmed);
            }
            assert_eq!(fs.retried(), Vec::<std::path::PathBuf>::new());
        }
    }
    assert!(outcomes.iter().all(|count| *count > 10), "{outcomes:?}");
}

#[test]
fn a_power_cut_at_any_operation_of_a_stop_leaves_the_savepoint_or_the_checkpoint() {
    let (first, last) = span();
    for number in first..=last {
        let memory = MemoryFs::new();
        let fs = FaultyFs::new(Arc::new(memory.clone())).with_fault(number, Fault::PowerCut);
        let mut job = over(&fs);
        let (pointer, ended) = stop(&mut job);
        if ended {
            job.coordinator.shut_down(JobEnd::Finished).unwrap();
        }
        for seed in 0..4 {
            let left = if seed == 0 { memory.crash() } else { memory.crash_with(seed) };
            let mut rest = Job::over(local(&left), incremental(1));
            assert_whole(&*rest.storage);
            // As the page of `stop_with_savepoint` says: the noted pointer, else the newest.
            let noted = pointer.as_deref().map(|at| rest.start(2, StartFrom::Pointer(at)));
            match noted {
                Some(Ok(_)) => {
                    assert_savepoint_is_whole(&*rest.storage, pointer.as_deref().unwrap());
                }
                Some(Err(error)) => {
                    assert!(!ended, "cut at {number}, seed {seed}: {error}");
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    let plan = rest.start(2, StartFrom::Newest).unwrap();
                    assert_eq!(plan.restored.unwrap().0, id(1));
                }
                None => assert!(!ended),
            }
            rest.restart_process();
            let end = rest.coordinator.shut_down(JobEnd::Finished).unwrap();
            assert!(end.leftovers.is_empty());
            assert_eq!(rest.storage.list().unwrap(), []);
        }
    }
}
