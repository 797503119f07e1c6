//! One attempt at a checkpoint or savepoint below a prefix: who may still write, what was written, and
//! how it ends. The phases are those of local storage.

use std::mem;
use std::sync::Arc;

use alluvium_state_api::storage::{
    CheckpointAttempt, FileScope, FileWriter, InlinePolicy, SnapshotSink, SnapshotSource,
};
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};
use object_store::path::Path;
use parking_lot::Mutex;

use super::Ground;
use super::keys::{METADATA, below};
use super::metadata;
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
    finished: Vec<Path>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Publishing,
    Published,
    /// Publication failed, and the checkpoint is not there.
    Failed,
    /// This metadata may be there, or may still arrive.
    Unclear(Vec<u8>),
    Aborted,
}

impl Site {
    pub(super) fn check_open(&self) -> Result<()> {
        check(&self.record.lock().phase)
    }

    /// Takes a durable file over from its writer.
    pub(super) fn register(&self, key: &Path) -> Result<()> {
        let mut record = self.record.lock();
        check(&record.phase)?;
        record.finished.push(key.clone());
        Ok(())
    }

    /// Adds which checkpoint an error is about.
    pub(super) fn name(&self, error: Error) -> Error {
        match self.checkpoint {
            Some(id) => error.with_checkpoint(id),
            None => error,
        }
    }
}

fn check(phase: &Phase) -> Result<()> {
    match phase {
        Phase::Open => Ok(()),
        _ => Err(Error::cancelled("the checkpoint was published or aborted meanwhile")),
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

    fn begin_publication(&self) -> Result<()> {
        let mut record = self.site.record.lock();
        match record.phase {
            Phase::Open => record.phase = Phase::Publishing,
            Phase::Published => {
                return Err(Error::already_exists("this attempt has been published"));
            }
            Phase::Aborted => return Err(Error::cancelled("the checkpoint was aborted")),
            Phase::Publishing | Phase::Failed | Phase::Unclear(_) => {
                return Err(Error::poisoned(
                    "an earlier publication of this attempt failed; abort it and begin another",
                ));
            }
        }
        Ok(())
    }

    fn put_metadata(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > 1 << 30 {
            return Err(Error::invalid_input("metadata is above 1 GiB; keep less state inline"));
        }
        let ground = &self.site.ground;
        let (store, token) = (Arc::clone(&ground.store), ground.randomness.next_u128());
        let at = below(&self.site.own, METADATA);
        let sent = ground.executor.run(metadata::publish(store, at, bytes.to_vec(), token));
        // A request that ended without an answer may have done anything.
        sent.map_err(|error| {
            Error::indeterminate("it is not known whether the checkpoint was published")
                .with_source(error)
        })?
    }

    fn take_back(&self, bytes: Vec<u8>) -> Result<()> {
        let ground = &self.site.ground;
        let (store, token) = (Arc::clone(&ground.store), ground.randomness.next_u128());
        let at = below(&self.site.own, METADATA);
        let _occupied = ground.executor.run(metadata::fence(store, at, bytes, token, true))??;
        self.site.record.lock().phase = Phase::Aborted;
        Ok(())
    }

    fn end(&self) -> Result<()> {
        let mut record = self.site.record.lock();
        let unclear = match &record.phase {
            Phase::Published => {
                return Err(Error::invalid_input(
                    "it is published; discard it instead of aborting it",
                ));
            }
            Phase::Unclear(bytes) => Some(bytes.clone()),
            _ => {
                record.phase = Phase::Aborted;
                None
            }
        };
        drop(record);
        if let Some(bytes) = unclear {
            self.take_back(bytes)?;
        }
        let finished = mem::take(&mut self.site.record.lock().finished);
        let removed = self.site.ground.delete(finished.clone());
        if removed.is_err() {
            self.site.record.lock().finished = finished;
        }
        removed
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
        self.begin_publication().map_err(|error| self.site.name(error))?;
        let result = self.put_metadata(metadata);
        self.site.record.lock().phase = match &result {
            Ok(()) => Phase::Published,
            Err(error) if error.kind() == ErrorKind::Indeterminate => {
                Phase::Unclear(metadata.to_vec())
            }
            Err(_) => Phase::Failed,
        };
        result.map_err(|error| self.site.name(error))
    }

    fn abort(&self) -> Result<()> {
        let _ending = self.ending.lock();
        self.end().map_err(|error| self.site.name(error))
    }
}
