//! How runs end: with what stays and what goes, at once where they are interrupted, and where another
//! process runs the same job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_checkpoint::StorageEnv;
use alluvium_state_api::clock::SystemClock;
use alluvium_state_api::vfs::MemoryFs;
use parking_lot::Mutex;

use super::support::input;
use super::windows::{examine, files, life, small};
use crate::job::{Event, Job, JobError, Mode, Observer, Phase, Report, Spec};
use crate::source::{Progress, Source};

const RETENTION: &str = "execution.checkpointing.externalized-checkpoint-retention";

type Action<'a> = Box<dyn FnOnce(&AtomicBool) + Send + 'a>;

/// Does something once, when the checkpoint of this position is complete.
struct Once<'a> {
    position: u64,
    action: Mutex<Option<Action<'a>>>,
    stop: AtomicBool,
    completed: Mutex<Vec<u64>>,
}

impl std::fmt::Debug for Once<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}", self.position)
    }
}

impl Observer for Once<'_> {
    fn phase(&self, _: Phase) {}

    fn progress(&self, _: Progress) {}

    fn event(&self, event: &Event) {
        if let Event::Completed { position, .. } = event {
            self.completed.lock().push(*position);
            if *position == self.position
                && let Some(action) = self.action.lock().take()
            {
                action(&self.stop);
            }
        }
    }
}

/// Runs `spec`, does `action` when the checkpoint of `position` is complete, and returns what became of
/// the run, and the positions of its checkpoints.
pub(super) fn run_and<'a>(
    (spec, source, storage): (&Spec, &Source, &StorageEnv),
    position: u64,
    action: impl FnOnce(&AtomicBool) + Send + 'a,
) -> (Result<Report, JobError>, Vec<u64>) {
    let work = tempfile::tempdir().unwrap();
    let once = Once {
        position,
        action: Mutex::new(Some(Box::new(action))),
        stop: AtomicBool::new(false),
        completed: Mutex::default(),
    };
    let job = Job {
        source,
        spec,
        registry: &Arc::new(crate::registry()),
        work_dir: work.path(),
        clock: Arc::new(SystemClock::new()),
        storage: storage.clone(),
        observer: &once,
        stop: &once.stop,
    };
    let report = job.run();
    assert!(once.action.lock().is_none(), "it came there");
    (report, once.completed.into_inner())
}

fn env(disk: &MemoryFs) -> StorageEnv {
    StorageEnv::default().with_file_system(Arc::new(disk.clone()))
}

/// How many complete checkpoints and savepoints there are.
fn complete(disk: &MemoryFs) -> (usize, usize) {
    let all = files(disk, std::path::Path::new("/checkpoints"));
    let count = |part: &str| {
        let paths = all.iter().filter_map(|path| path.to_str());
        paths.filter(|path| path.ends_with("/_metadata") && path.contains(part)).count()
    };
    (count("/chk-"), count("/savepoint-"))
}

#[test]
fn a_run_that_finishes_keeps_its_checkpoint_unless_a_retention_is_asked_for() {
    let source = input(300);
    let asked: [&[(&str, &str)]; 3] = [
        &[],
        &[(RETENTION, "RETAIN_ON_CANCELLATION")],
        &[(RETENTION, "NO_EXTERNALIZED_CHECKPOINTS")],
    ];
    for more in asked {
        let (disk, spec) = (MemoryFs::new(), small(Mode::Incremental, more));
        let first = life(&spec, &source, disk.clone()).0.unwrap();
        let kept = usize::from(more.is_empty());
        assert_eq!(complete(&disk), (kept, 1), "{more:?}");
        assert_eq!(examine(&disk, &spec, &first.job), 1);
        let again = life(&spec, &source, disk.clone()).0.unwrap();
        assert_eq!((again.resumed_from, complete(&disk)), (None, (kept, 2)), "{more:?}");
    }
}

#[test]
fn an_interrupt_takes_effect_before_the_next_checkpoint_and_counts_as_cancelling() {
    let source = input(300);
    for (retention, resumes) in [
        (None, true),
        (Some("RETAIN_ON_CANCELLATION"), true),
        (Some("DELETE_ON_CANCELLATION"), false),
    ] {
        let more: Vec<_> = retention.map(|value| (RETENTION, value)).into_iter().collect();
        for position in [120, 225, 240] {
            let (disk, spec) = (MemoryFs::new(), small(Mode::Async, &more));
            let stop = |stop: &AtomicBool| stop.store(true, Ordering::Relaxed);
            let (outcome, completed) = run_and((&spec, &source, &env(&disk)), position, stop);
            assert!(matches!(outcome, Err(JobError::Interrupted)), "{outcome:?}");
            assert_eq!(completed.last(), Some(&position));
            let next = life(&spec, &source, disk.clone()).0.unwrap();
            assert_eq!(next.resumed_at, resumes.then_some(position), "{retention:?}");
        }
    }
}

#[test]
fn of_two_processes_without_a_lock_one_fails_and_says_why() {
    let source = input(300);
    for position in [60, 180, 225, 240] {
        let (disk, spec) = (MemoryFs::new(), small(Mode::Incremental, &[]));
        let other = |_: &AtomicBool| {
            let (report, _) = life(&spec, &source, disk.clone());
            assert_eq!(report.unwrap().resumed_at, Some(position));
        };
        let (outcome, _) = run_and((&spec, &source, &env(&disk)), position, other);
        let error = outcome.unwrap_err();
        assert!(matches!(error, JobError::Overtaken(_)), "{position}: {error}");
        assert!(error.to_string().contains("another process") && !error.is_usage());
        let again = life(&spec, &source, disk.clone()).0.unwrap();
        examine(&disk, &spec, &again.job);
    }
}
