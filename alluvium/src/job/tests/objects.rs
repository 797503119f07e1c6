//! Runs whose checkpoints are in an object store, by URL: ended early and gone on with, and two processes
//! of one job, which no lock keeps apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_checkpoint::StorageEnv;
use alluvium_state_api::settings::Settings;
use object_store::memory::InMemory;

use super::ending::run_and;
use super::support::{input, run_over, spec};
use crate::job::{JobError, Report, Spec};
use crate::source::Source;

const URL: &str = "s3://bucket/checkpoints";

fn env() -> StorageEnv {
    StorageEnv::default().with_object_store("s3://bucket", Arc::new(InMemory::new()))
}

fn remote() -> Spec {
    let mut spec = spec(std::path::Path::new("unused"));
    let pairs = [("state.checkpoints.dir", URL), ("state.storage.fs.memory-threshold", "0")];
    spec.settings = Settings::from_pairs(pairs).unwrap();
    spec.checkpoint_every = Some(60);
    spec
}

fn whole(spec: &Spec, source: &Source, env: &StorageEnv) -> Report {
    let (report, _) = run_over(spec, source, crate::registry(), env.clone());
    let report = report.unwrap();
    assert!(report.is_right(), "{report:?}");
    report
}

#[test]
fn a_run_that_was_ended_goes_on_in_an_object_store() {
    let (source, spec) = (input(300), remote());
    for position in [60, 180, 225, 240] {
        let env = env();
        let stop = |stop: &AtomicBool| stop.store(true, Ordering::Relaxed);
        let (ended, _) = run_and((&spec, &source, &env), position, stop);
        assert!(matches!(ended, Err(JobError::Interrupted)), "{ended:?}");
        let report = whole(&spec, &source, &env);
        assert_eq!(report.resumed_at, Some(position));
        assert!(report.savepoint.is_none_or(|at| at.starts_with(&format!("{URL}/savepoint-"))));
        assert_eq!(whole(&spec, &source, &env).resumed_at, None);
    }
}

#[test]
fn of_two_processes_over_an_object_store_one_fails_and_says_why() {
    let (source, spec) = (input(300), remote());
    for position in [60, 180, 225, 240] {
        let env = env();
        let other = |_: &AtomicBool| {
            assert_eq!(whole(&spec, &source, &env).resumed_at, Some(position));
        };
        let (outcome, _) = run_and((&spec, &source, &env), position, other);
        assert!(matches!(outcome, Err(JobError::Overtaken(_))), "{position}: {outcome:?}");
        whole(&spec, &source, &env);
    }
}
