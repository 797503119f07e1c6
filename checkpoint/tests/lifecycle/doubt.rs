//! A publication in doubt that cannot be taken back for a long time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_checkpoint::{Acknowledged, JobEnd, Orphans, StartFrom, Trigger};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SnapshotSink, SnapshotSource, StoredCheckpoint, Survey,
    SurveyedPlace, SurveyedSavepoint,
};
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{CheckpointId, Error, Result};

use crate::deletion::REMOVE;
use crate::fake::{Job, assert_whole, id, incremental, local};

/// Publishes checkpoint 2 and savepoints, says that it does not know, and cannot take them back while
/// it is down.
#[derive(Debug)]
struct Doubtful {
    inner: Arc<dyn CheckpointStorage>,
    down: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Attempt {
    inner: Arc<dyn CheckpointAttempt>,
    storage: Arc<dyn CheckpointStorage>,
    down: Arc<AtomicBool>,
    savepoint: bool,
}

impl CheckpointAttempt for Attempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        self.inner.sink()
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        self.inner.source()
    }

    fn pointer(&self) -> &str {
        self.inner.pointer()
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        self.inner.publish(metadata)?;
        Err(Error::indeterminate("the answer was lost"))
    }

    fn abort(&self) -> Result<()> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Error::unavailable("no connection"));
        }
        if self.savepoint {
            return self.storage.discard_savepoint(self.pointer(), &[]);
        }
        self.storage.discard(id(2), &[])
    }
}

impl CheckpointStorage for Doubtful {
    fn begin(&self, number: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        let inner = self.inner.begin(number)?;
        if number != id(2) {
            return Ok(inner);
        }
        let (storage, down) = (Arc::clone(&self.inner), Arc::clone(&self.down));
        Ok(Arc::new(Attempt { inner, storage, down, savepoint: false }))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        let inner = self.inner.begin_savepoint(target)?;
        let (storage, down) = (Arc::clone(&self.inner), Arc::clone(&self.down));
        Ok(Arc::new(Attempt { inner, storage, down, savepoint: true }))
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        self.inner.begin_export(target)
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        self.inner.list()
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        self.inner.load(id)
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        self.inner.source(id)
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        self.inner.open_pointer(pointer)
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        self.inner.discard(id, unused_shared)
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        self.inner.discard_shared(unused)
    }

    fn survey(&self) -> Result<Survey> {
        self.inner.survey()
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        self.inner.survey_savepoints()
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        self.inner.discard_strays(place, names)
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        self.inner.discard_savepoint(pointer, files)
    }
}

#[test]
fn what_it_refers_to_stays_until_it_is_taken_back() {
    let down = Arc::new(AtomicBool::new(true));
    let inner = local(&MemoryFs::new());
    let storage = Doubtful { inner, down: Arc::clone(&down) };
    let mut job = Job::over(Arc::new(storage), incremental(1));
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
    let storage = Doubtful { inner, down: Arc::clone(&down) };
    let mut job = Job::over(Arc::new(storage), incremental(1));
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
