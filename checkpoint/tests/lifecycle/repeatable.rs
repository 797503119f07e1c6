//! The coordinator knows no time, no randomness and no thread but those that it is given: the same calls
//! leave the same bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alluvium_checkpoint::{JobEnd, Options, Trigger};
use alluvium_state_api::Error;
use alluvium_state_api::vfs::{EntryKind, FileSystem, MemoryFs};

use crate::fake::{Job, UID, incremental};

/// All files below `path`, with their content.
fn bytes_below(fs: &dyn FileSystem, path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs.list(path).unwrap() {
        let inside = path.join(entry.name);
        if entry.metadata.kind == EntryKind::Directory {
            found.extend(bytes_below(fs, &inside));
        } else {
            let file = fs.open(&inside).unwrap();
            let mut bytes = vec![0; usize::try_from(entry.metadata.length).unwrap()];
            file.read_exact_at(0, &mut bytes).unwrap();
            found.push((inside, bytes));
        }
    }
    found.sort();
    found
}

/// What a job is told and leaves that goes through everything.
fn life() -> (Vec<String>, Vec<(PathBuf, Vec<u8>)>) {
    let options = Options {
        interval: Some(Duration::from_secs(10)),
        timeout: Duration::from_secs(30),
        max_concurrent: 2,
        tolerable_failures: 9,
        ..incremental(2)
    };
    let (mut job, fs): (Job, MemoryFs) = Job::started(options);
    let mut told = Vec::new();
    for round in 0..6_u64 {
        job.clock.advance(Duration::from_secs(10 + round));
        told.push(format!("{:?}", job.coordinator.tick()));
        let plan = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
        told.push(format!("{} {}", plan.id, plan.pointer));
        job.ack(&plan, 1);
        match round {
            1 => {
                let error = Error::unavailable("disk full");
                assert!(job.coordinator.decline(plan.id, UID, 0, error).unwrap());
            }
            3 => job.clock.advance(Duration::from_secs(31)),
            _ => drop(job.ack(&plan, 0)),
        }
        told.push(format!("{:?} {:?}", job.coordinator.tick(), job.deliver()));
    }
    job.complete(Trigger::savepoint(None));
    told.push(format!("{:?}", job.coordinator.completed().collect::<Vec<_>>()));
    let bytes = bytes_below(&fs, Path::new("/"));
    told.push(format!("{:?}", job.coordinator.shut_down(JobEnd::Failed).unwrap()));
    (told, bytes)
}

#[test]
fn the_same_calls_leave_the_same_bytes() {
    let (one, other) = (life(), life());
    assert_eq!(one.0, other.0);
    assert!(one.1.len() > 8 && one.1 == other.1, "{} and {} files", one.1.len(), other.1.len());
}
