//! A publication in doubt that cannot be taken back for a long time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_checkpoint::{Acknowledged, JobEnd, Orphans, StartFrom, Trigger};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::storage::{CheckpointAttempt, CheckpointStorage};
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{Error, Result};

use crate::deletion::REMOVE;
use crate::fake::{Job, assert_whole, id, incremental, local};
use crate::layered::{Layer, Layered, Target};

/// Publishes checkpoint 2 and savepoints, says that it does not know, and cannot take them back while
/// it is down.
#[derive(Debug)]
struct Doubtful {
    storage: Arc<dyn CheckpointStorage>,
    down: Arc<AtomicBool>,
}

/// Whether the publication of this is in doubt.
fn is_doubtful(target: Target) -> bool {
    [Target::Checkpoint(id(2)), Target::Savepoint].contains(&target)
}

impl Layer for Doubtful {
    fn publish(
        &self,
        target: Target,
        attempt: &dyn CheckpointAttempt,
        metadata: &[u8],
    ) -> Result<()> {
        attempt.publish(metadata)?;
        if is_doubtful(target) {
            return Err(Error::indeterminate("the answer was lost"));
        }
        Ok(())
    }

    fn abort(&self, target: Target, attempt: &dyn CheckpointAttempt) -> Result<()> {
        match target {
            _ if !is_doubtful(target) => attempt.abort(),
            _ if self.down.load(Ordering::Relaxed) => Err(Error::unavailable("no connection")),
            Target::Checkpoint(id) => self.storage.discard(id, &[]),
            _ => self.storage.discard_savepoint(attempt.pointer(), &[]),
        }
    }
}

fn doubtful(
    storage: Arc<dyn CheckpointStorage>,
    down: &Arc<AtomicBool>,
) -> Arc<dyn CheckpointStorage> {
    let layer = Doubtful { storage: Arc::clone(&storage), down: Arc::clone(down) };
    Arc::new(Layered::new(storage, layer))
}

#[test]
fn what_it_refers_to_stays_until_it_is_taken_back() {
    let down = Arc::new(AtomicBool::new(true));
    let storage = doubtful(local(&MemoryFs::new()), &down);
    let mut job = Job::over(storage, incremental(1));
    job.start(2, StartFrom::Nothing).unwrap();
    job.complete(Trigger::checkpoint());
    let doubtful = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&doubtful, 0);
    assert_eq!(job.ack(&doubtful, 1), Acknowledged::Aborted);
    job.deliver();
    for _ in 0..3 {
        job.complete(Trigger::full_checkpoint());
        assert_whole(&*job.storage);
    }
    assert_eq!(job.retained(), [5]);
    assert_eq!(job.storage.list().unwrap(), [id(2), id(5)]);
    assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
    down.store(false, Ordering::Relaxed);
    job.clock.advance(Duration::from_mins(1));
    job.coordinator.tick();
    assert_eq!(job.storage.list().unwrap(), [id(5)]);
    assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
    assert_whole(&*job.storage);
}

/// It may be there, so nobody may believe that it is not; but the job has not ended with it.
#[test]
fn a_last_savepoint_in_doubt_leaves_the_job_running_and_is_told_until_it_is_taken_back() {
    let down = Arc::new(AtomicBool::new(true));
    let randomness = Arc::new(SeededRandomness::new(4));
    let inner = Arc::new(MemoryStorage::new(FileName::new("job-1").unwrap(), randomness));
    let mut job = Job::over(doubtful(inner, &down), incremental(1));
    job.start(2, StartFrom::Nothing).unwrap();
    job.complete(Trigger::checkpoint());
    let last = job.coordinator.trigger(Trigger::stop_with_savepoint(None)).unwrap();
    job.ack(&last, 0);
    assert_eq!(job.ack(&last, 1), Acknowledged::Aborted);
    assert!(job.deliver().iter().all(|told| !told.is_completed()));
    assert_eq!((job.coordinator.ended(), job.coordinator.stopping()), (None, None));
    assert_eq!(job.coordinator.leftovers().attempts, [last.pointer.as_str()]);
    job.complete(Trigger::checkpoint());
    assert!(job.storage.open_pointer(&last.pointer).is_ok());
    let ended = job.coordinator.shut_down(JobEnd::Finished).unwrap();
    assert_eq!(ended.leftovers.attempts, [last.pointer.as_str()]);
    down.store(false, Ordering::Relaxed);
    assert!(job.coordinator.shut_down(JobEnd::Finished).unwrap().leftovers.is_empty());
    assert!(job.storage.open_pointer(&last.pointer).is_err());
}
