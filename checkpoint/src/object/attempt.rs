//! One attempt at a checkpoint or savepoint below a prefix: who may still write, what was written, and
//! how it ends. The phases are those of local storage.

use std::mem;
use std::sync::Arc;

use alluvium_state_api::storage::{
    CheckpointAttempt, FileScope, FileWriter, InlinePolicy, Phase, SnapshotSink, SnapshotSource,
};
use alluvium_state_api::{CheckpointId, Error, Result};
use object_store::path::Path;
use object_store::{Error as StoreError, MultipartUpload};
use parking_lot::Mutex;

use super::Ground;
use super::content::is_publishable;
use super::errors::failed;
use super::keys::{METADATA, below};
use super::metadata::{self, Fenced};
use super::source::ObjectSource;
use super::writer::ObjectWriter;

/// The place of one checkpoint or savepoint, and what this attempt did there.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) ground: Arc<Ground>,
    pub(super) own: Path,
    /// The job's shared files; `None` for savepoints.
    pub(super) shared: Option<Path>,
    checkpoint: Option<CheckpointId>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    phase: Phase,
    /// Durable files of this attempt, and what writers could not remove.
    finished: Vec<Path>,
    /// Uploads that writers could not abort.
    uploads: Vec<Upload>,
}

/// An upload in parts that is under way.
pub(super) type Upload = Box<dyn MultipartUpload>;

impl Site {
    pub(super) fn check_open(&self) -> Result<()> {
        self.record.lock().phase.check_open()
    }

    /// Takes a durable file over from its writer.
    pub(super) fn register(&self, key: &Path) -> Result<()> {
        let mut record = self.record.lock();
        record.phase.check_open()?;
        record.finished.push(key.clone());
        Ok(())
    }

    /// Keeps what a writer could not remove, for the attempt's abort.
    pub(super) fn keep_file(&self, key: Path) {
        self.record.lock().finished.push(key);
    }

    /// Keeps an upload that a writer could not abort, for the attempt's abort.
    pub(super) fn keep_upload(&self, upload: Upload) {
        self.record.lock().uploads.push(upload);
    }

    /// Adds which checkpoint an error is about.
    pub(super) fn name(&self, error: Error) -> Error {
        match self.checkpoint {
            Some(id) => error.with_checkpoint(id),
            None => error,
        }
    }
}

#[derive(Debug)]
struct ObjectSink(Arc<Site>);

impl SnapshotSink for ObjectSink {
    fn create(&self, scope: FileScope) -> Result<Box<dyn FileWriter>> {
        self.0.check_open().map_err(|error| self.0.name(error))?;
        Ok(Box::new(ObjectWriter::new(Arc::clone(&self.0), scope)?))
    }

    fn inline_policy(&self) -> InlinePolicy {
        InlinePolicy::Small { threshold_bytes: self.0.ground.options.inline_threshold_bytes }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct ObjectAttempt {
    site: Arc<Site>,
    pointer: String,
    /// Held while the attempt is published or aborted.
    ending: Mutex<()>,
}

impl ObjectAttempt {
    pub(super) fn new(
        ground: Arc<Ground>,
        own: Path,
        shared: Option<Path>,
        checkpoint: Option<CheckpointId>,
    ) -> Self {
        let pointer = ground.pointer(&own);
        let site = Site { ground, own, shared, checkpoint, record: Mutex::default() };
        Self { site: Arc::new(site), pointer, ending: Mutex::new(()) }
    }

    fn put_metadata(&self, bytes: &[u8]) -> Result<()> {
        if !is_publishable(bytes) {
            return Err(Error::invalid_input(
                "metadata is above 1 GiB, or begins as a tombstone does; keep less state inline",
            ));
        }
        let ground = &self.site.ground;
        let (store, token) = (Arc::clone(&ground.store), ground.randomness.next_u128());
        let (at, pause) = (below(&self.site.own, METADATA), ground.options.retry_pause);
        let published = metadata::publish(store, at.clone(), bytes.to_vec(), token, pause);
        let sent = ground.executor.run(published);
        if !matches!(sent, Ok(Ok(()))) {
            ground.remember_tombstone(at);
        }
        // A request that ended without an answer may have done anything.
        sent.map_err(|error| {
            Error::indeterminate("it is not known whether the checkpoint was published")
                .with_source(error)
        })?
    }

    /// Finds out whether these bytes are published, or sees to it that they never will be. A checkpoint
    /// that is there is not taken back: another process may have gone on from it. Nobody knows of a
    /// savepoint.
    fn settle(&self, bytes: Arc<[u8]>) -> Result<()> {
        let ground = &self.site.ground;
        let (store, token) = (Arc::clone(&ground.store), ground.randomness.next_u128());
        let (at, pause) = (below(&self.site.own, METADATA), ground.options.retry_pause);
        let take_back = self.site.checkpoint.is_none();
        let fence = metadata::fence(store, at, bytes, token, take_back, pause);
        let fenced = ground.executor.run(fence)??;
        let mut record = self.site.record.lock();
        record.phase.settle(fenced == Fenced::Own);
        record.phase.begin_abort().map(drop)
    }

    fn end(&self) -> Result<()> {
        let unclear = self.site.record.lock().phase.begin_abort()?;
        if let Some(bytes) = unclear {
            self.settle(bytes)?;
        }
        let ended = self.end_uploads();
        let finished = mem::take(&mut self.site.record.lock().finished);
        let removed = self.site.ground.delete(finished.clone());
        if removed.is_err() {
            self.site.record.lock().finished.extend(finished);
        }
        ended.and(removed)
    }

    fn end_uploads(&self) -> Result<()> {
        let mut outcome = Ok(());
        let uploads = mem::take(&mut self.site.record.lock().uploads);
        for mut upload in uploads {
            let (aborted, upload) = self.site.ground.executor.run(async move {
                let aborted = upload.abort().await;
                (aborted, upload)
            })?;
            // Aborted before, and only the answer was lost.
            if let Err(error) = aborted
                && !matches!(error, StoreError::NotFound { .. })
            {
                outcome = outcome.and(Err(failed("abort upload", self.site.own.as_ref(), &error)));
                self.site.keep_upload(upload);
            }
        }
        outcome
    }
}

impl CheckpointAttempt for ObjectAttempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        Arc::new(ObjectSink(Arc::clone(&self.site)))
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        let ground = Arc::clone(&self.site.ground);
        Arc::new(ObjectSource { ground, own: self.site.own.clone() })
    }

    fn pointer(&self) -> &str {
        &self.pointer
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        let _ending = self.ending.lock();
        let begun = self.site.record.lock().phase.begin_publication();
        let result = begun.and_then(|()| {
            let result = self.put_metadata(metadata);
            self.site.record.lock().phase.end_publication(metadata, &result);
            result
        });
        result.map_err(|error| self.site.name(error))
    }

    fn abort(&self) -> Result<()> {
        let _ending = self.ending.lock();
        self.end().map_err(|error| self.site.name(error))
    }
}
