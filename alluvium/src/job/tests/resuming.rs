//! Runs that are ended early, in each stage, and gone on with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alluvium_checkpoint::StorageEnv;
use alluvium_state_api::clock::SystemClock;

use super::support::{input, run, run_with, spec};
use crate::job::{Event, Job, JobError, Observer, Phase, Spec};
use crate::source::{Progress, Source};

/// Ends the run once a checkpoint of this position is complete.
#[derive(Debug)]
struct EndsAt {
    position: u64,
    stop: AtomicBool,
    id: AtomicU64,
}

impl Observer for EndsAt {
    fn phase(&self, _: Phase) {}

    fn progress(&self, _: Progress) {}

    fn event(&self, event: &Event) {
        if let Event::Completed { id, position, .. } = event
            && *position == self.position
        {
            self.id.store(id.get(), Ordering::Relaxed);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Ends a run behind the checkpoint of `position`, and returns its number.
fn end_at(position: u64, spec: &Spec, source: &Source) -> u64 {
    let work = tempfile::tempdir().unwrap();
    let ends = EndsAt { position, stop: AtomicBool::new(false), id: AtomicU64::new(0) };
    let job = Job {
        source,
        spec,
        registry: &Arc::new(crate::registry()),
        work_dir: work.path(),
        clock: Arc::new(SystemClock::new()),
        storage: StorageEnv::default(),
        observer: &ends,
        stop: &ends.stop,
    };
    assert!(matches!(job.run(), Err(JobError::Interrupted)), "{position}");
    ends.id.into_inner()
}

#[test]
fn a_run_that_was_ended_in_any_stage_goes_on_and_then_starts_afresh() {
    let source = input(2_000);
    // Before the crash at 1,100, between it and the savepoint at 1,500, and behind that.
    for position in [300, 1_200, 1_650, 1_950] {
        let directory = tempfile::tempdir().unwrap();
        let spec = spec(directory.path());
        let id = end_at(position, &spec, &source);
        let (report, _) = run(&spec, &source);
        assert_eq!((report.resumed_from, report.resumed_at), (Some(id), Some(position)));
        assert_eq!(report.crashed_at.is_some(), position < 1_100, "{position}");
        assert_eq!(report.rescaled_at.is_some(), position < 1_500, "{position}");

        let (again, observer) = run(&spec, &source);
        assert_eq!((again.resumed_from, again.crashed_at), (None, Some(1_100)));
        let repeated = |event: &Event| matches!(event, Event::Repeated { .. });
        assert!(observer.events.lock().iter().any(repeated));
    }
}

#[test]
fn a_run_that_was_ended_several_times_goes_on_each_time() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(2_000));
    let spec = spec(directory.path());
    let ids = [150, 900, 1_350, 1_800].map(|position| end_at(position, &spec, &source));
    assert!(ids.is_sorted(), "{ids:?}");
    let (report, _) = run(&spec, &source);
    assert_eq!(report.resumed_from, ids.last().copied());
}

#[test]
fn a_run_is_refused_while_another_one_has_the_job() {
    let (directory, source) = (tempfile::tempdir().unwrap(), input(500));
    let spec = spec(directory.path());
    end_at(150, &spec, &source);
    let jobs = std::fs::read_dir(directory.path().join("checkpoints")).unwrap();
    let jobs = jobs.map(|entry| entry.unwrap().path());
    let job = jobs.filter(|path| path.join(".lock").exists()).last().unwrap();
    let held = lock(&job);
    let (refused, _) = run_with(&spec, &source, crate::registry());
    assert!(matches!(refused, Err(JobError::Busy(path)) if path == job));
    drop(held);
    assert_eq!(run(&spec, &source).0.resumed_at, Some(150));
}

/// Takes the lock of a job as another process would.
fn lock(job: &Path) -> std::fs::File {
    let file = std::fs::File::open(job.join(".lock")).unwrap();
    file.try_lock().unwrap();
    file
}
