//! Storage for a job without a directory: everything travels inline, and checkpoints live in the
//! memory of this process.
//!
//! # Role
//! A job can recover from a failure of its operators, not from one of its process. How much a state
//! may have is the limit in [`InlinePolicy::Everything`], which the state-file writer enforces, since
//! only it knows where a state begins and ends.
//!
//! # Invariants
//! Those of [`checkpoint`](super::checkpoint); "durable" means as long as the process lives. Clones
//! share their checkpoints.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::checkpoint::check_metadata_length;
use super::local::LocalSavepoints;
use super::reader::InlineSource;
use super::{
    CheckpointAttempt, CheckpointStorage, FileScope, FileWriter, InlinePolicy, Phase,
    SavepointPlaces, SnapshotSink, SnapshotSource, StoredCheckpoint, Survey, SurveyedCheckpoint,
    SurveyedPlace, SurveyedSavepoint,
};
use crate::random::Randomness;
use crate::snapshot::{FileLocation, FileName, StoredFile};
use crate::{CheckpointId, Error, Result};

/// What one state of one subtask may have in a snapshot, unless told otherwise: 5 MiB.
pub const DEFAULT_INLINE_LIMIT_BYTES: u64 = 5 << 20;

const SCHEME: &str = "memory://";

/// Checkpoints in the memory of this process. See the module.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    job: FileName,
    randomness: Arc<dyn Randomness>,
    limit_bytes: u64,
    savepoints: Option<LocalSavepoints>,
    published: Arc<Mutex<Published>>,
}

#[derive(Debug, Default)]
struct Published {
    checkpoints: BTreeMap<CheckpointId, Arc<[u8]>>,
    savepoints: BTreeMap<String, Arc<[u8]>>,
}

impl MemoryStorage {
    /// Storage for `job` with the default limit.
    pub fn new(job: FileName, randomness: Arc<dyn Randomness>) -> Self {
        let published = Arc::default();
        let limit_bytes = DEFAULT_INLINE_LIMIT_BYTES;
        Self { job, randomness, limit_bytes, savepoints: None, published }
    }

    /// The same with another limit for each state.
    #[must_use]
    pub fn with_limit_bytes(mut self, limit_bytes: u64) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// The same, with savepoints in directories.
    #[must_use]
    pub fn with_savepoints(mut self, savepoints: LocalSavepoints) -> Self {
        self.savepoints = Some(savepoints);
        self
    }

    fn pointer(&self, name: &str) -> String {
        format!("{SCHEME}{}/{name}", self.job)
    }

    fn attempt(&self, place: Place, pointer: String) -> Arc<dyn CheckpointAttempt> {
        let phase = Arc::default();
        let limit_bytes = self.limit_bytes;
        let published = Arc::clone(&self.published);
        Arc::new(MemoryAttempt { place, pointer, limit_bytes, phase, published })
    }

    fn opened(pointer: String, metadata: &[u8]) -> StoredCheckpoint {
        let source = Arc::new(InlineSource);
        StoredCheckpoint { pointer, metadata: metadata.to_vec(), source }
    }

    fn directories(&self) -> Result<&LocalSavepoints> {
        self.savepoints.as_ref().ok_or_else(|| {
            Error::unsupported(
                "this job keeps its checkpoints in memory and knows no directories; set \
                 state.checkpoints.dir or state.savepoints.dir",
            )
        })
    }
}

impl CheckpointStorage for MemoryStorage {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        if self.published.lock().checkpoints.contains_key(&id) {
            let message = "this checkpoint is published; begin one with a higher number";
            return Err(Error::already_exists(message).with_checkpoint(id));
        }
        Ok(self.attempt(Place::Checkpoint(id), self.pointer(&format!("chk-{id}"))))
    }

    /// Without a target and a configured directory the savepoint stays in memory.
    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        match (&self.savepoints, target) {
            (None, None) => {
                let name = format!("savepoint-{:032x}", self.randomness.next_u128());
                Ok(self.attempt(Place::Savepoint, self.pointer(&name)))
            }
            _ => self.directories()?.begin(target),
        }
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        if !target.starts_with(SCHEME) {
            return self.directories()?.begin_export(target);
        }
        let prefix = self.pointer("");
        let name = target.strip_prefix(&prefix).filter(|name| !name.starts_with("chk-"));
        if name.is_none_or(|name| FileName::new(name).is_err()) {
            return Err(Error::invalid_input(format!(
                "{target} is no place for a copy; give {prefix} and a name that does not begin with \
                 chk-"
            )));
        }
        if self.published.lock().savepoints.contains_key(target) {
            return Err(Error::already_exists(format!("{target} exists; give another name")));
        }
        Ok(self.attempt(Place::Savepoint, target.to_owned()))
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        Ok(self.published.lock().checkpoints.keys().copied().collect())
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        let metadata = self.published.lock().checkpoints.get(&id).cloned();
        let metadata = metadata.ok_or_else(|| {
            Error::not_found("the checkpoint does not exist or was not completed")
                .with_checkpoint(id)
        })?;
        Ok(Self::opened(self.pointer(&format!("chk-{id}")), &metadata))
    }

    fn source(&self, _: CheckpointId) -> Arc<dyn SnapshotSource> {
        Arc::new(InlineSource)
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        if !pointer.starts_with(SCHEME) {
            return self.directories()?.open_pointer(pointer);
        }
        let published = self.published.lock();
        let is_it = |id: &&CheckpointId| self.pointer(&format!("chk-{id}")) == pointer;
        let id = published.checkpoints.keys().find(is_it);
        let metadata = match id {
            Some(id) => published.checkpoints.get(id),
            None => published.savepoints.get(pointer),
        };
        let metadata = metadata.ok_or_else(|| {
            Error::not_found(format!("{pointer} is not, or no longer, in this process"))
        })?;
        Ok(Self::opened(pointer.to_owned(), metadata))
    }

    fn discard(&self, id: CheckpointId, _: &[FileName]) -> Result<()> {
        self.published.lock().checkpoints.remove(&id);
        Ok(())
    }

    fn discard_shared(&self, _: &[FileName]) -> Result<()> {
        Ok(())
    }

    fn survey(&self) -> Result<Survey> {
        let published = self.published.lock();
        let found = published.checkpoints.keys().map(|id| SurveyedCheckpoint {
            id: *id,
            published: true,
            modified_ms: None,
            files: Vec::new(),
        });
        Ok(Survey { checkpoints: found.collect(), ..Survey::default() })
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        let mut found = match &self.savepoints {
            Some(directories) => directories.survey(None)?,
            None => Vec::new(),
        };
        let published = self.published.lock();
        found.extend(published.savepoints.keys().map(|pointer| SurveyedSavepoint {
            pointer: pointer.clone(),
            published: true,
            modified_ms: None,
            files: Vec::new(),
        }));
        Ok(found)
    }

    /// There are no strays in memory.
    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        match place {
            SurveyedPlace::Savepoint(pointer) if !pointer.starts_with(SCHEME) => {
                self.directories()?.discard_strays(pointer, names)
            }
            _ if names.is_empty() => Ok(()),
            _ => Err(Error::invalid_input("there are no files in memory; nothing was removed")),
        }
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        if !pointer.starts_with(SCHEME) {
            return self.directories()?.discard(pointer, files);
        }
        let removed = self.published.lock().savepoints.remove(pointer);
        removed.map(drop).ok_or_else(|| Error::not_found(format!("{pointer} does not exist")))
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Checkpoint(CheckpointId),
    Savepoint,
}

#[derive(Debug)]
struct MemoryAttempt {
    place: Place,
    pointer: String,
    limit_bytes: u64,
    phase: Arc<Mutex<Phase>>,
    published: Arc<Mutex<Published>>,
}

impl CheckpointAttempt for MemoryAttempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        let phase = Arc::clone(&self.phase);
        Arc::new(MemorySink { limit_bytes: self.limit_bytes, phase })
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        Arc::new(InlineSource)
    }

    fn pointer(&self) -> &str {
        &self.pointer
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        let mut phase = self.phase.lock();
        phase.begin_publication()?;
        let result = self.reveal(metadata);
        phase.end_publication(metadata, &result);
        result
    }

    fn abort(&self) -> Result<()> {
        self.phase.lock().begin_abort().map(drop)
    }
}

impl MemoryAttempt {
    fn reveal(&self, metadata: &[u8]) -> Result<()> {
        check_metadata_length(metadata)?;
        let mut published = self.published.lock();
        let existing = match self.place {
            Place::Checkpoint(id) => {
                published.checkpoints.entry(id).or_insert_with(|| metadata.into())
            }
            Place::Savepoint => {
                let name = self.pointer.clone();
                published.savepoints.entry(name).or_insert_with(|| metadata.into())
            }
        };
        if **existing != *metadata {
            let error = Error::already_exists("another attempt has published this checkpoint");
            return Err(match self.place {
                Place::Checkpoint(id) => error.with_checkpoint(id),
                Place::Savepoint => error,
            });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MemorySink {
    limit_bytes: u64,
    phase: Arc<Mutex<Phase>>,
}

impl SnapshotSink for MemorySink {
    fn create(&self, _: FileScope) -> Result<Box<dyn FileWriter>> {
        self.phase.lock().check_open()?;
        Ok(Box::new(InlineWriter { bytes: Vec::new(), phase: Arc::clone(&self.phase) }))
    }

    fn inline_policy(&self) -> InlinePolicy {
        InlinePolicy::Everything { limit_bytes: self.limit_bytes }
    }
}

struct InlineWriter {
    bytes: Vec<u8>,
    phase: Arc<Mutex<Phase>>,
}

impl FileWriter for InlineWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.phase.lock().check_open()?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<StoredFile> {
        self.phase.lock().check_open()?;
        let (length, checksum) = (self.bytes.len() as u64, xxh3_128(&self.bytes));
        Ok(StoredFile { location: FileLocation::Inline(self.bytes.into()), length, checksum })
    }
}
