//! A small input, a run over it, and an observer that remembers.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alluvium_checkpoint::StorageEnv;
use alluvium_state_api::clock::SystemClock;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::{BackendRegistry, MaxParallelism};
use parking_lot::Mutex;

use crate::job::{Event, Job, JobError, Mode, Observer, Phase, Report, Spec};
use crate::source::{ColumnRequest, Progress, Source};

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) events: Mutex<Vec<Event>>,
    pub(super) phases: Mutex<Vec<Phase>>,
}

impl Observer for Remembered {
    fn phase(&self, phase: Phase) {
        self.phases.lock().push(phase);
    }

    fn progress(&self, _: Progress) {}

    fn event(&self, event: &Event) {
        self.events.lock().push(event.clone());
    }
}

/// `count` records of 97 keys with a skew, some without key, measure or category.
pub(in crate::job) fn input(count: u64) -> Source {
    let mut text = String::from("who,much,what\n");
    for index in 0..count {
        let key = match index % 50 {
            0 => "NA".to_owned(),
            1..=9 => "hot".to_owned(),
            _ => format!("k{}", (index * 31) % 97),
        };
        let measure = match index % 13 {
            0 => String::new(),
            _ => format!("{}", (index * 7_919) % 1_000),
        };
        let category = match index % 7 {
            0 => "NA".to_owned(),
            _ => format!("c{}", index % 5),
        };
        writeln!(text, "{key},{measure},{category}").unwrap();
    }
    let columns = ColumnRequest {
        key: Some("who".into()),
        measure: Some("much".into()),
        category: Some("what".into()),
    };
    Source::from_read(text.as_bytes(), "test input", &columns).unwrap()
}

/// A run that keeps its checkpoints in `directory`.
pub(in crate::job) fn spec(directory: &Path) -> Spec {
    let directory = directory.join("checkpoints");
    let settings = [("state.checkpoints.dir", directory.to_str().unwrap())];
    Spec {
        settings: Settings::from_pairs(settings).unwrap(),
        parallelism: 2,
        rescale_to: 3,
        max_parallelism: MaxParallelism::new(128).unwrap(),
        mode: Mode::Incremental,
        checkpoint_every: Some(150),
        crash_at: None,
        resumes: true,
    }
}

/// A run whose checkpoints stay in this process, and so wait for no disk.
pub(super) fn spec_in_memory() -> Spec {
    let mut spec = spec(Path::new("unused"));
    spec.resumes = false;
    spec.settings = Settings::from_pairs([("state.checkpoints.dir", "memory://")]).unwrap();
    spec
}

/// Runs it.
pub(super) fn run_with(
    spec: &Spec,
    source: &Source,
    registry: BackendRegistry,
) -> (Result<Report, JobError>, Remembered) {
    run_over(spec, source, registry, StorageEnv::default())
}

/// Runs it over this file system.
pub(super) fn run_over(
    spec: &Spec,
    source: &Source,
    registry: BackendRegistry,
    storage: StorageEnv,
) -> (Result<Report, JobError>, Remembered) {
    let work = tempfile::tempdir().unwrap();
    let observer = Remembered::default();
    let job = Job {
        source,
        spec,
        registry: &Arc::new(registry),
        work_dir: work.path(),
        clock: Arc::new(SystemClock::new()),
        storage,
        observer: &observer,
        stop: &AtomicBool::new(false),
    };
    let report = job.run();
    (report, observer)
}

/// Runs it, and expects it to come to its end without a mismatch.
pub(super) fn run(spec: &Spec, source: &Source) -> (Report, Remembered) {
    let (report, observer) = run_with(spec, source, crate::registry());
    let report = report.unwrap();
    assert_eq!(report.mismatch_examples, Vec::<String>::new());
    assert!(report.is_right());
    (report, observer)
}
