//! A publication in doubt that cannot be taken back for a long time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_checkpoint::{Acknowledged, Orphans, StartFrom, Trigger};
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SnapshotSink, SnapshotSource, StoredCheckpoint, Survey,
};
use alluvium_state_api::vfs::MemoryFs;
use alluvium_state_api::{CheckpointId, Error, Result};

use crate::deletion::REMOVE;
use crate::fake::{Job, assert_whole, id, incremental, local};

/// Publishes checkpoint 2, says that it does not know, and cannot take it back while it is down.
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
}

impl CheckpointAttempt for Attempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        self.inner.sink()
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
        Ok(Arc::new(Attempt { inner, storage, down }))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        self.inner.begin_savepoint(target)
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
