//! Runs that must come out right.

use alluvium_state_api::MaxParallelism;

use super::support::{input, run, spec, spec_in_memory};
use crate::job::{Event, Mode, Phase, Point};

#[test]
fn a_run_crashes_recovers_rescales_and_is_right() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(2_000));
    let (report, observer) = run(&spec(directory.path()), &source);
    assert_eq!((report.read, report.records, report.skipped), (2_000, 1_960, 40));
    assert_eq!(report.keys, 98);
    assert_eq!(report.crashed_at, Some(1_100));
    assert_eq!((report.recovered_from, report.records_replayed), (Some(7), 50));
    assert_eq!((report.rescaled_at, report.snapshots_dropped), (Some(1_500), 1));
    let kinds: Vec<&str> = report.checkpoints.iter().map(|done| done.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "savepoint").count(), 1);
    assert_eq!(kinds[..2], ["full", "incremental"]);
    let positions = report.checkpoints.iter().map(|done| done.position);
    let before = (1..=9).map(|n| n * 150);
    let turn = [1_500, 1_500]; // the checkpoint that notes where the savepoint will be, and that
    let behind = (11..=13).map(|n| n * 150);
    assert!(positions.eq(before.chain(turn).chain(behind).chain([2_000])), "{report:?}");
    assert_eq!(kinds[9..11], ["incremental", "savepoint"]);
    assert!(report.checkpoints.is_sorted_by(|one, next| one.id < next.id));
    assert_eq!(observer.phases.lock().len(), 5);
    assert_eq!(observer.phases.lock().last(), Some(&Phase::Verification));
    let events = observer.events.lock();
    assert!(events.iter().any(|event| matches!(event, Event::Rescaled { from: 2, to: 3, .. })));
}

#[test]
fn every_mode_at_many_parallelisms_is_right() {
    let source = input(700);
    for mode in [Mode::Sync, Mode::Async, Mode::Incremental] {
        for (from, to, groups) in
            [(1, 1, 1), (1, 4, 4), (3, 7, 1_000), (4, 1, 128), (5, 5, 5), (2, 3, 32_768)]
        {
            let mut spec = spec_in_memory();
            (spec.mode, spec.parallelism, spec.rescale_to) = (mode, from, to);
            spec.max_parallelism = MaxParallelism::new(groups).unwrap();
            spec.checkpoint_every = Some(90);
            let (report, _) = run(&spec, &source);
            assert!(report.recovered_from.is_some());
        }
    }
}

#[test]
fn a_crash_before_the_first_checkpoint_starts_again_from_the_beginning() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(300));
    let mut spec = spec(directory.path());
    spec.crash_at = Some(Point::Record(100));
    let (report, _) = run(&spec, &source);
    assert_eq!((report.recovered_from, report.records_replayed), (None, 100));
}

#[test]
fn a_crash_at_the_very_beginning_and_at_the_very_end_is_survived() {
    for point in [0, 299, 300] {
        let (directory, source) = (tempfile::tempdir().unwrap(), input(300));
        let mut spec = spec(directory.path());
        spec.crash_at = Some(Point::Record(point));
        run(&spec, &source);
    }
}

#[test]
fn a_checkpoint_after_every_record_is_right() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(60));
    let mut spec = spec(directory.path());
    spec.checkpoint_every = Some(1);
    let (report, _) = run(&spec, &source);
    assert!(report.checkpoints.len() > 50);
}

#[test]
fn an_input_of_one_record_is_right() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(2));
    let mut spec = spec(directory.path());
    spec.checkpoint_every = None;
    let (report, _) = run(&spec, &source);
    assert_eq!((report.records, report.keys), (1, 1));
}

#[test]
fn every_mode_over_files_is_right() {
    for mode in [Mode::Sync, Mode::Async, Mode::Incremental] {
        let (directory, source) = (tempfile::tempdir().unwrap(), input(500));
        let mut spec = spec(directory.path());
        spec.mode = mode;
        run(&spec, &source);
    }
}

#[test]
fn a_finished_run_is_repeated_from_the_beginning_with_higher_numbers() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(500));
    let spec = spec(directory.path());
    let (first, _) = run(&spec, &source);
    let (second, observer) = run(&spec, &source);
    let last = first.checkpoints.last().unwrap().id;
    assert!(second.checkpoints.first().unwrap().id > last);
    assert_eq!((second.resumed_from, second.job), (None, first.job));
    let repeated =
        |event: &Event| matches!(event, Event::Repeated { last: id } if id.get() == last);
    assert!(observer.events.lock().iter().any(repeated));
    assert_eq!(second.crashed_at, first.crashed_at);
}

#[test]
fn a_crash_before_the_first_checkpoint_of_a_repeated_run_starts_from_the_beginning() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(300));
    let mut spec = spec(directory.path());
    spec.crash_at = Some(Point::Record(100));
    run(&spec, &source);
    let (report, _) = run(&spec, &source);
    assert_eq!((report.recovered_from, report.records_replayed), (None, 100));
}

#[test]
fn another_request_in_the_same_directory_is_another_job() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(500));
    let mut spec = spec(directory.path());
    let (first, _) = run(&spec, &source);
    spec.parallelism = 3;
    let (second, _) = run(&spec, &source);
    assert_ne!(first.job, second.job);
    assert_eq!(second.checkpoints.first().unwrap().id, 1);
}

#[test]
fn compression_and_retention_are_settings() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(500));
    let mut spec = spec(directory.path());
    for (key, value) in [
        ("execution.checkpointing.snapshot-compression", "zstd"),
        ("state.checkpoints.num-retained", "3"),
        ("execution.checkpointing.min-pause", "1 ms"),
    ] {
        spec.settings.set(key, value).unwrap();
    }
    run(&spec, &source);
}
