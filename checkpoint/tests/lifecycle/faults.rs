//! One fault at every single operation of a fixed script: an error, an error of something that
//! happened, a power cut.

use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{Acknowledged, Options, Orphans, StartFrom, Trigger};
use alluvium_state_api::vfs::faulty::{EIO, Fault};
use alluvium_state_api::vfs::{FaultyFs, MemoryFs};

use crate::deletion::REMOVE;
use crate::fake::{Job, UID, assert_whole, incremental, local, local_over};

fn options() -> Options {
    Options { tolerable_failures: 9, ..incremental(2) }
}

/// Takes a checkpoint as a runtime would, and goes on whatever happens.
fn attempt(job: &mut Job, trigger: Trigger) -> bool {
    let Ok(plan) = job.coordinator.trigger(trigger) else {
        return false;
    };
    let mut completed = false;
    for subtask in 0..2 {
        match job.part(&plan, subtask) {
            Ok(ack) => {
                let outcome = job.coordinator.acknowledge(plan.id, UID, subtask, ack);
                completed = outcome.unwrap() == Acknowledged::Completed;
            }
            Err(error) => {
                job.coordinator.decline(plan.id, UID, subtask, error).unwrap();
            }
        }
    }
    job.deliver();
    job.clock.advance(Duration::from_mins(1));
    job.coordinator.tick();
    completed
}

/// Five checkpoints and a savepoint; returns the number of the newest completed checkpoint.
fn script(job: &mut Job) -> u64 {
    let mut newest = 0;
    for round in 0..6 {
        let trigger = match round {
            3 => Trigger::savepoint(None),
            4 => Trigger::full_checkpoint(),
            _ => Trigger::checkpoint(),
        };
        attempt(job, trigger);
        let completed = job.retained().last().copied().unwrap_or(0);
        assert!(completed >= newest);
        newest = completed;
    }
    newest
}

fn over(fs: &FaultyFs) -> Job {
    let storage = local_over(Arc::new(fs.clone()), 5);
    let mut job = Job::over(storage, options());
    job.start(2, StartFrom::Newest).unwrap();
    job
}

/// The operations of the script: first and last number.
fn span() -> (u64, u64) {
    let fs = FaultyFs::new(Arc::new(MemoryFs::new()));
    let mut job = over(&fs);
    let first = fs.operations() + 1;
    script(&mut job);
    (first, fs.operations())
}

/// What is left is whole, goes on, and holds nothing but what is used after a collection.
fn check_rest(job: &mut Job, newest: u64, label: &str) {
    assert_whole(&*job.storage);
    let found = job.storage.list().unwrap().last().map_or(0, |id| id.get());
    assert!(found >= newest, "{label}: {found} is left, and {newest} was completed");
    job.restart_process();
    job.start(2, StartFrom::Newest).unwrap();
    assert!(attempt(job, Trigger::checkpoint()), "{label}");
    job.coordinator.collect_orphans(REMOVE).unwrap();
    let rest = job.coordinator.collect_orphans(REMOVE).unwrap();
    assert_eq!(rest, Orphans::default(), "{label}");
    assert_whole(&*job.storage);
}

#[test]
fn a_power_cut_at_any_operation_leaves_a_whole_checkpoint() {
    let (first, last) = span();
    assert!(last - first > 100, "{first} to {last}");
    for number in first..=last {
        let memory = MemoryFs::new();
        let fs = FaultyFs::new(Arc::new(memory.clone())).with_fault(number, Fault::PowerCut);
        let mut job = over(&fs);
        let newest = script(&mut job);
        for seed in 0..4 {
            let left = match seed {
                0 => memory.crash(),
                seed => memory.crash_with(seed),
            };
            let mut rest = Job::over(local(&left), options());
            check_rest(&mut rest, newest, &format!("cut at {number}, seed {seed}"));
        }
    }
}

#[test]
fn an_error_at_any_operation_leaves_a_whole_checkpoint() {
    let (first, last) = span();
    for fault in [Fault::Fails(EIO), Fault::HappensButFails(EIO), Fault::Short] {
        for number in first..=last {
            let memory = MemoryFs::new();
            let fs = FaultyFs::new(Arc::new(memory.clone())).with_fault(number, fault);
            let mut job = over(&fs);
            let newest = script(&mut job);
            assert_eq!(fs.retried(), Vec::<std::path::PathBuf>::new());
            assert_whole(&*job.storage);
            assert!(newest >= 5, "{fault:?} at {number}: one fault costs one checkpoint");
            check_rest(&mut job, newest, &format!("{fault:?} at {number}"));
        }
    }
}
