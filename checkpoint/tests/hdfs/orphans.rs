//! Removes what killed runs left, without regard to its age: `scripts/hdfs` asks for it when no run is alive.
//!
//! `ALLUVIUM_HDFS_JOB` is the URL of the job's directory.

use std::time::Duration;

use alluvium_checkpoint::{OrphanOptions, StorageEnv, collect_orphans, open_storage};
use alluvium_state_api::clock::SystemClock;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::FileName;

#[test]
#[ignore = "collects in the job that ALLUVIUM_HDFS_JOB names"]
fn orphans_of_the_job_are_removed() {
    let url = std::env::var("ALLUVIUM_HDFS_JOB").unwrap();
    let (directory, job) = url.rsplit_once('/').unwrap();
    let places = ["state.checkpoints.dir", "state.savepoints.dir"].map(|key| (key, directory));
    let settings = Settings::from_pairs(places).unwrap();
    let name = FileName::new(job).unwrap();
    let storage = open_storage(&settings, &name, &StorageEnv::default()).unwrap();
    let mut options = OrphanOptions::default();
    (options.min_age, options.dry_run) = (Duration::ZERO, false);
    collect_orphans(&storage, &SystemClock::new(), options).unwrap();
    options.dry_run = true;
    let left = collect_orphans(&storage, &SystemClock::new(), options).unwrap();
    assert_eq!((left.len(), left.unreadable.len()), (0, 0));
}
