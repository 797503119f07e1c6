//! What can be told of a job from its storage alone.

use std::path::Path;
use std::time::Duration;

use alluvium_checkpoint::{Acknowledged, CheckpointRecord, History, Spread, Trigger};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::format::metadata::{CheckpointKind, CheckpointMetadata};
use alluvium_state_api::snapshot::{FileLocation, SnapshotFile, SnapshotKind};
use alluvium_state_api::vfs::FileSystem;

use crate::fake::{Job, UID, id, incremental, local};

/// Takes a checkpoint or savepoint whose two subtasks need these times, and returns the bytes that
/// each wrote and needs.
fn timed(job: &mut Job, trigger: Trigger, times: [[u64; 3]; 2]) -> [(u64, u64); 2] {
    let plan = job.coordinator.trigger(trigger).unwrap();
    job.clock.advance(Duration::from_micros(1000 * plan.id.get()));
    let mut bytes = [(0, 0); 2];
    for subtask in 0..2u32 {
        let mut ack = job.part(&plan, subtask).unwrap();
        let [delay, sync, background] = times[subtask as usize];
        (ack.start_delay_us, ack.sync_us, ack.async_us) = (delay, sync, background);
        let keyed = ack.keyed.as_ref().unwrap();
        bytes[subtask as usize] = (keyed.bytes_new, keyed.bytes_full);
        job.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap();
    }
    job.deliver();
    bytes
}

#[test]
fn figures_are_those_that_were_acknowledged_and_outlive_the_process() {
    let (mut job, fs) = Job::started(incremental(5));
    let times = [[[1, 20, 300], [2, 10, 400]], [[3, 5, 6], [0, 7, 1]], [[9, 9, 9], [9, 9, 9]]];
    let written: Vec<_> =
        times.iter().map(|times| timed(&mut job, Trigger::checkpoint(), *times)).collect();
    drop(job);

    let history = History::read(&*local(&fs)).unwrap();
    assert!(history.incomplete.is_empty() && history.unreadable.is_empty());
    let ids: Vec<u64> = history.checkpoints.iter().map(|one| one.id.get()).collect();
    assert_eq!(ids, [1, 2, 3]);
    for ((record, times), written) in history.checkpoints.iter().zip(&times).zip(&written) {
        assert_eq!(record.subtasks.len(), 2);
        for (subtask, (times, written)) in record.subtasks.iter().zip(times.iter().zip(written)) {
            let figures = &subtask.figures;
            assert_eq!([figures.start_delay_us, figures.sync_us, figures.async_us], *times);
            assert_eq!(figures.duration_us, times.iter().sum::<u64>());
            assert_eq!((figures.bytes_new, figures.bytes_full), *written);
        }
        let largest = |at: usize| times[0][at].max(times[1][at]);
        let whole = &record.figures;
        let slowest = [whole.start_delay_us, whole.sync_us, whole.async_us];
        assert_eq!(slowest, [largest(0), largest(1), largest(2)]);
        assert_eq!(whole.duration_us, 1000 * record.id.get());
        assert_eq!(whole.bytes_new, written[0].0 + written[1].0);
        assert_eq!(whole.bytes_full, written[0].1 + written[1].1);
        assert_eq!(record.files.total() as u64, 2 * record.id.get(), "a file more from each");
        assert_eq!(&*record.job, "job-1");
    }
    let summary = history.summary().unwrap();
    assert_eq!(summary.count, 3);
    assert_eq!(summary.duration_us, Spread { min: 1000, avg: 2000, max: 3000, p99: 3000 });
    assert_eq!(summary.sync_us, Spread { min: 7, avg: 12, max: 20, p99: 20 });
    let subtasks = history.subtask_summary().unwrap();
    assert_eq!(subtasks.count, 6);
    assert_eq!(subtasks.start_delay_us, Spread { min: 0, avg: 4, max: 9, p99: 9 });
}

#[test]
fn a_savepoint_has_a_record_and_is_in_no_history() {
    let (mut job, _) = Job::started(incremental(1));
    timed(&mut job, Trigger::checkpoint(), [[1; 3]; 2]);
    let plan = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    job.ack(&plan, 0);
    assert_eq!(job.ack(&plan, 1), Acknowledged::Completed);
    let stored = job.storage.open_pointer(&plan.pointer).unwrap();
    let record = CheckpointRecord::read(&stored).unwrap();
    assert_eq!((record.kind, record.id), (CheckpointKind::Savepoint, id(2)));
    assert_eq!(record.form, Some(SnapshotKind::Canonical));
    assert_eq!((record.files.total(), record.files.shared), (2, 0));
    assert_eq!(record.metadata_bytes, stored.metadata.len() as u64);
    assert_eq!(record.subtasks[1].key_groups.unwrap().to_string(), "64..128");
    assert_eq!(History::read(&*job.storage).unwrap().checkpoints.len(), 1);
}

#[test]
fn a_file_that_two_checkpoints_use_is_counted_once_in_each() {
    let (mut job, _) = Job::started(incremental(3));
    for _ in 0..2 {
        job.complete(Trigger::checkpoint());
    }
    let history = History::read(&*job.storage).unwrap();
    let forms: Vec<_> = history.checkpoints.iter().map(|record| record.form).collect();
    assert_eq!(forms, [Some(SnapshotKind::Incremental); 2]);
    for record in &history.checkpoints {
        let stored = job.storage.load(record.id).unwrap();
        let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
        let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
        let is_inline =
            |file: &&SnapshotFile| matches!(file.stored.location, FileLocation::Inline(_));
        let (inline, shared): (Vec<_>, Vec<_>) = files.partition(is_inline);
        let counts = (record.files.inline, record.files.own, record.files.shared);
        assert_eq!(counts, (inline.len(), 0, shared.len()), "{}", record.id);
    }
}

#[test]
fn what_is_incomplete_or_damaged_is_told_beside_the_rest() {
    let (mut job, fs) = Job::started(incremental(5));
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    let open = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&open, 0);
    let metadata = |number: u64| format!("/checkpoints/job-1/chk-{number}/_metadata");
    fs.remove_file(Path::new(&metadata(2))).unwrap();
    fs.create_new(Path::new(&metadata(2))).unwrap().write_all(b"damaged").unwrap();
    fs.rename(Path::new("/checkpoints/job-1/chk-3"), Path::new("/checkpoints/job-1/chk-7"))
        .unwrap();

    let history = History::read(&*job.storage).unwrap();
    let complete: Vec<_> = history.checkpoints.iter().map(|record| record.id).collect();
    assert_eq!(complete, [id(1)]);
    let open: Vec<_> = history.incomplete.iter().map(|place| place.id).collect();
    assert_eq!(open, [id(4)]);
    let damaged: Vec<_> = history.unreadable.iter().map(|(id, e)| (*id, e.kind())).collect();
    assert_eq!(damaged, [(id(2), ErrorKind::Corrupted), (id(7), ErrorKind::Corrupted)]);
    assert!(history.unreadable.iter().all(|(id, error)| error.checkpoint() == Some(*id)));
}

#[test]
fn a_storage_without_checkpoints_has_an_empty_history() {
    let (job, _) = Job::started(incremental(1));
    let history = History::read(&*job.storage).unwrap();
    assert!(history.checkpoints.is_empty());
    assert_eq!((history.summary(), history.subtask_summary()), (None, None));
}

#[test]
fn savepoints_in_the_configured_place_are_listed() {
    let (mut job, fs) = Job::started(incremental(1));
    let savepoint = job.complete(Trigger::savepoint(None)).pointer;
    let damaged = job.complete(Trigger::savepoint(None)).pointer;
    job.complete(Trigger::savepoint(Some("/elsewhere")));
    job.complete(Trigger::checkpoint());
    let open = job.coordinator.trigger(Trigger::savepoint(None)).unwrap().pointer;
    let path = Path::new(&damaged).join("_metadata");
    fs.remove_file(&path).unwrap();
    fs.create_new(&path).unwrap().write_all(b"damaged").unwrap();
    let history = History::read(&*job.storage).unwrap();
    assert_eq!((history.checkpoints.len(), history.incomplete.len()), (1, 0));
    let [found] = &history.savepoints[..] else { panic!("{:?}", history.savepoints) };
    assert_eq!((found.kind, &found.pointer), (CheckpointKind::Savepoint, &savepoint));
    assert_eq!((found.id, &*found.job), (id(1), "job-1"));
    assert_eq!(history.incomplete_savepoints[0].pointer, open);
    let [(pointer, error)] = &history.unreadable_savepoints[..] else { panic!() };
    assert_eq!((pointer, error.kind()), (&damaged, ErrorKind::Corrupted));
    assert_eq!(history.summary().unwrap().count, 1, "savepoints do not count");
}
