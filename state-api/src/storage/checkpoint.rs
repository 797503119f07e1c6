//! Storage of the checkpoints of one job: the vocabulary that the coordinator speaks.
//!
//! # Role
//! The coordinator begins an attempt, hands its sink to the subtasks, and when all have
//! acknowledged publishes the metadata, or aborts. There is no rename, no directory and no link in
//! these words, so that an object store implements them with conditional puts as well as
//! [`local`](super::local) does with files.
//!
//! # Invariants
//! 1. *One winner.* Of any number of attempts at one checkpoint at most one is published, and what
//!    is published never changes.
//! 2. *Published is whole.* Whoever sees a checkpoint finds its metadata and all files complete.
//!    After any crash it is there as a whole or not at all; once [`publish`] has returned, it is.
//! 3. *Only one's own.* [`abort`] removes what this attempt wrote and nothing else.
//! 4. *Nothing is retried.* An attempt at which a file or the publication failed is over; the next
//!    attempt has new files under new names.
//! 5. *Deletes begin at the front.* The metadata is gone for good before the first file is removed.
//!
//! [`publish`]: CheckpointAttempt::publish
//! [`abort`]: CheckpointAttempt::abort
//!
//! # Failure
//! An error of [`publish`] is *determinate* (the checkpoint does not exist, and never will) unless
//! its kind is `Indeterminate`: then [`CheckpointStorage::load`] tells whether it is there, but not
//! whether a power cut would leave it there. Abort, or count it neither as completed nor as gone.
//!
//! # The coordinator
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use alluvium_state_api::random::SeededRandomness;
//! use alluvium_state_api::snapshot::FileName;
//! use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
//! use alluvium_state_api::storage::{CheckpointStorage, FileScope, SnapshotSink, StoredCheckpoint};
//! use alluvium_state_api::vfs::MemoryFs;
//! use alluvium_state_api::{CheckpointId, ErrorKind, Result};
//!
//! # fn main() -> Result<()> {
//! fn subtask(sink: &dyn SnapshotSink, state: &[u8]) -> Result<u64> {
//!     let mut file = sink.create(FileScope::Shared)?;      // dropped unfinished: discarded
//!     file.write(state)?;
//!     Ok(file.finish()?.length)                            // durable, and then acknowledged
//! }
//!
//! fn checkpoint(storage: &dyn CheckpointStorage, id: CheckpointId) -> Result<bool> {
//!     let attempt = storage.begin(id)?;
//!     let acknowledged: Result<Vec<u64>> = std::thread::scope(|scope| {
//!         let subtasks = [&b"left"[..], &b"right"[..]].map(|state| {
//!             let sink = attempt.sink();
//!             scope.spawn(move || subtask(&*sink, state))
//!         });
//!         subtasks.into_iter().map(|subtask| subtask.join().expect("it does not panic")).collect()
//!     });
//!     match acknowledged {
//!         Err(_) => attempt.abort().map(|()| false),       // late writers find it `Cancelled`
//!         Ok(lengths) => match attempt.publish(format!("{lengths:?}").as_bytes()) {
//!             Ok(()) => Ok(true),                          // now tell the stores: completed
//!             Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
//!             Err(error) => {
//!                 attempt.abort()?;                        // takes back an `Indeterminate` one, too
//!                 Err(error)
//!             }
//!         },
//!     }
//! }
//!
//! fn newest(storage: &dyn CheckpointStorage) -> Result<Option<StoredCheckpoint>> {
//!     storage.list()?.last().map(|id| storage.load(*id)).transpose()
//! }
//!
//! let (fs, random) = (Arc::new(MemoryFs::new()), Arc::new(SeededRandomness::new(1)));
//! let job = FileName::new("a1b2c3d4e5f6")?;
//! let options = LocalOptions::default();
//! let storage = LocalStorage::open(fs, random, Path::new("/checkpoints"), &job, options)?;
//! assert!(newest(&storage)?.is_none());
//! assert!(checkpoint(&storage, CheckpointId::new(1))?);
//! assert_eq!(newest(&storage)?.expect("it was published").metadata, b"[4, 5]");
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Debug};
use std::sync::Arc;

use super::{SnapshotSink, SnapshotSource, Survey, SurveyedPlace, SurveyedSavepoint};
use crate::snapshot::FileName;
use crate::{CheckpointId, Error, Result};

/// No metadata is larger: what is, was not written by us.
pub(crate) const MAX_METADATA_BYTES: u64 = 1 << 30;

/// Refuses metadata that would not be read again.
pub(crate) fn check_metadata_length(metadata: &[u8]) -> Result<()> {
    if metadata.len() as u64 > MAX_METADATA_BYTES {
        return Err(Error::invalid_input(format!(
            "metadata of {} bytes is above the limit of {MAX_METADATA_BYTES}; keep less state \
             inline",
            metadata.len()
        )));
    }
    Ok(())
}

/// A published checkpoint or savepoint, opened.
#[derive(Clone)]
pub struct StoredCheckpoint {
    /// What [`CheckpointStorage::open_pointer`] opens it by.
    pub pointer: String,
    /// Its metadata, as published.
    pub metadata: Vec<u8>,
    /// Access to its files.
    pub source: Arc<dyn SnapshotSource>,
}

impl Debug for StoredCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCheckpoint")
            .field("pointer", &self.pointer)
            .field("metadata_bytes", &self.metadata.len())
            .field("source", &self.source)
            .finish()
    }
}

/// One attempt at a checkpoint or savepoint. It lives in one process and is shared by its threads.
///
/// Dropping it neither publishes nor removes anything: end it with [`publish`](Self::publish) or
/// [`abort`](Self::abort). A process that only runs subtasks begins the same checkpoint, uses the
/// sink, and leaves publication to the coordinator's process; its `abort` removes what it wrote.
pub trait CheckpointAttempt: Debug + Send + Sync {
    /// Takes the files of any number of subtasks.
    fn sink(&self) -> Arc<dyn SnapshotSink>;

    /// Access to the files that the sinks finished, and for a checkpoint to the job's shared ones,
    /// before it is published: whoever publishes looks for them first.
    fn source(&self) -> Arc<dyn SnapshotSource>;

    /// By what it will be opened once it is published.
    fn pointer(&self) -> &str;

    /// Makes the checkpoint exist, with `metadata` that names its files, all of them finished.
    /// Metadata should hold something unique to the attempt: an equal one that is there already is
    /// taken for this attempt's own, published by a request whose answer was lost.
    ///
    /// Sinks stop working: whoever still writes gets `Cancelled`.
    ///
    /// # Errors
    /// Determinate: `AlreadyExists` (another attempt won), `Cancelled` (was aborted), `Poisoned` (an
    /// earlier call failed), `InvalidInput` (metadata above 1 GiB), `Unavailable`. And
    /// `Indeterminate`, see the module.
    fn publish(&self, metadata: &[u8]) -> Result<()>;

    /// Gives the attempt up and removes what it wrote; safe to repeat. After an `Indeterminate`
    /// publication this first ends the doubt. Where another process may have seen the metadata by then,
    /// as in an object store, a checkpoint that turns out to be there stays: it is published, and
    /// nothing was removed. Elsewhere its metadata is taken back.
    ///
    /// # Errors
    /// `InvalidInput` where it is published: keep or discard it; `Unavailable` where something could not be removed:
    /// a new call goes on with the rest.
    fn abort(&self) -> Result<()>;
}

/// The checkpoints of one job.
pub trait CheckpointStorage: Debug + Send + Sync {
    /// Begins an attempt at checkpoint `id`.
    ///
    /// # Errors
    /// `AlreadyExists` where it is published; `Unavailable`; `InvalidInput` where the place cannot be
    /// written.
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>>;

    /// Begins a savepoint in a new place below `target`, or below the configured one. It is
    /// self-contained: shared files become its own.
    ///
    /// # Errors
    /// `InvalidInput` where there is neither, or the place cannot be written; `Unavailable`.
    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>>;

    /// Begins a copy of a checkpoint or savepoint in exactly the place `target`, which must not exist
    /// or must be empty. Like a savepoint it is self-contained.
    ///
    /// # Errors
    /// `AlreadyExists` where there is something at `target`; `InvalidInput` where that is no place of
    /// this storage or cannot be written; `Unsupported` where the storage has no such places;
    /// `Unavailable`.
    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>>;

    /// The published checkpoints, newest last; savepoints are not among them. Anything else that
    /// lies about is ignored. What was removed and is not listed stays away, also where its removal was
    /// in doubt when its remover died: whoever asks may delete files that only it had named.
    ///
    /// # Errors
    /// `Unavailable`.
    fn list(&self) -> Result<Vec<CheckpointId>>;

    /// Opens a published checkpoint. What is returned is durable, also where its publication was in doubt
    /// when its publisher died: whoever goes on from it may delete what it replaces.
    ///
    /// # Errors
    /// `NotFound` where it does not exist or is not complete; `Corrupted`, `Unavailable`.
    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint>;

    /// Access to the files of checkpoint `id`, without looking whether it exists.
    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource>;

    /// Opens a checkpoint or savepoint of any job by its pointer: where it is, or its metadata.
    ///
    /// # Errors
    /// `InvalidInput` (no pointer at all), `NotFound` (nothing there, or nothing complete),
    /// `Corrupted`, `Unavailable`.
    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint>;

    /// Removes checkpoint `id`, complete or not, and then those shared files of the job that the
    /// caller knows to be unused. What is gone already is no error, so an interrupted call can be
    /// repeated.
    ///
    /// # Errors
    /// `Unavailable`, with as much removed as possible: the checkpoint may still exist, and the shared
    /// files that it uses stay in use until a repeated call succeeds. `InvalidInput` where what would
    /// be removed is not this storage's own.
    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()>;

    /// Removes shared files of the job that the caller knows to be unused; missing ones are no error.
    ///
    /// # Errors
    /// As [`discard`](Self::discard).
    fn discard_shared(&self, unused: &[FileName]) -> Result<()>;

    /// Looks for everything that this storage may have written for the job, complete or not.
    ///
    /// # Errors
    /// `Unavailable`.
    fn survey(&self) -> Result<Survey>;

    /// Looks for savepoints in the configured place, complete or not, ordered by pointer. Their names
    /// hold no more than the beginning of a job's, so those of other jobs that begin alike are among
    /// them. Savepoints with a target of their own are not.
    ///
    /// # Errors
    /// `Unavailable`.
    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>>;

    /// Removes files that a survey found in `place`, of which the caller knows that nothing names them;
    /// missing ones are no error. The place of a savepoint that holds nothing else goes, too.
    ///
    /// # Errors
    /// `InvalidInput` for a name or a place that this storage never gives: nothing was removed.
    /// `Unavailable` where something could not be removed: a new call goes on.
    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()>;

    /// Removes a savepoint: its metadata, then `files`, which are those that its metadata names. Where
    /// an earlier call was interrupted after it had removed the metadata, this goes on with the files
    /// of that call.
    ///
    /// # Errors
    /// As [`open_pointer`](Self::open_pointer) and [`discard`](Self::discard).
    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()>;
}
