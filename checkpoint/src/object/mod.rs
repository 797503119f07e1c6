//! Durable storage of a job's checkpoints in an object store.
//!
//! The names are those of local storage, below a prefix. A checkpoint exists once its `_metadata` does,
//! which a conditional put creates; the store must offer these, and reads that see the last write.
//!
//! # Invariants
//! 1. A request whose answer was lost may be done at any time later, by a client that is long gone. So
//!    names of files are used once, metadata is only created, or put over exactly what was read, and the
//!    number of a checkpoint that was given up or deleted stays occupied by a tombstone for a while.
//! 2. A checkpoint that is published is never taken back: another process may have gone on from it.
//! 3. An upload in parts that was begun is completed or aborted. One of which nobody was told that it
//!    began, or whose process died, is left to a rule of the bucket that aborts old uploads.

mod attempt;
mod content;
mod errors;
mod keys;
mod metadata;
mod places;
mod removal;
mod source;
mod survey;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::clock::{Clock, SystemClock};
use alluvium_state_api::random::Randomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointAttempt, CheckpointStorage, SavepointPlaces, SnapshotSource, StoredCheckpoint,
    Survey, SurveyedPlace, SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore};
use parking_lot::Mutex;

use crate::executor::Executor;
use attempt::ObjectAttempt;
use content::Found;
use errors::failed;
pub(crate) use keys::is_place;
use keys::{METADATA, SHARED, below, checkpoint_name, key};
pub(crate) use places::ObjectPlaces;
use source::ObjectSource;

/// How an [`ObjectStorage`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectOptions {
    /// Files of at most so many bytes go into the metadata. Default 20 KiB.
    pub inline_threshold_bytes: u64,
    /// Larger files are written in parts of so many bytes. Default 8 MiB, at least 5 MiB.
    pub part_bytes: usize,
    /// How many parts of one file are under way at once. Default 4.
    pub parallel_parts: usize,
    /// How many parts a file may have. Default 10,000, which is what S3 and Google take.
    pub most_parts: u32,
    /// How long to wait before a conditional put is tried again that the store refused because of another
    /// one, or that had no answer: for the first time, and twice as long each time after it. Default 20 ms.
    pub retry_pause: Duration,
    /// Where savepoints go that name no place. Default none.
    pub savepoints: Option<String>,
}

impl Default for ObjectOptions {
    fn default() -> Self {
        Self {
            inline_threshold_bytes: 20 << 10,
            part_bytes: 8 << 20,
            parallel_parts: 4,
            most_parts: 10_000,
            retry_pause: Duration::from_millis(20),
            savepoints: None,
        }
    }
}

impl ObjectOptions {
    /// The same with a place for savepoints.
    #[must_use]
    pub fn with_savepoints(mut self, url: impl Into<String>) -> Self {
        self.savepoints = Some(url.into());
        self
    }
}

/// What everything in this module works with.
pub(crate) struct Ground {
    store: Arc<dyn ObjectStore>,
    /// Where listing `store` is dear: the store that lists only what is not data of a checkpoint.
    plain: Option<Arc<dyn ObjectStore>>,
    executor: Executor,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
    options: ObjectOptions,
    /// The URL of the store, without a slash at its end.
    root: String,
    /// Those that this process has placed, and when; oldest first.
    tombstones: Mutex<VecDeque<(Duration, Path)>>,
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Ground {
    /// See [`ObjectStorage::open`].
    pub(crate) fn open(
        store: Arc<dyn ObjectStore>,
        plain: Option<Arc<dyn ObjectStore>>,
        randomness: Arc<dyn Randomness>,
        root: &str,
        options: ObjectOptions,
    ) -> Result<Arc<Self>> {
        if options.part_bytes < 5 << 20 || !(1..=64).contains(&options.parallel_parts) {
            return Err(Error::invalid_input(
                "part_bytes must be at least 5 MiB and parallel_parts between 1 and 64",
            ));
        }
        Ok(Arc::new(Self {
            store,
            plain,
            executor: Executor::default(),
            randomness,
            clock: Arc::new(SystemClock::new()),
            options,
            root: root.trim_end_matches('/').to_owned(),
            tombstones: Mutex::default(),
        }))
    }

    fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: Arc::clone(&self.store),
            plain: self.plain.clone(),
            executor: Executor::default(),
            randomness: Arc::clone(&self.randomness),
            clock,
            options: self.options.clone(),
            root: self.root.clone(),
            tombstones: Mutex::default(),
        }
    }

    fn pointer(&self, own: &Path) -> String {
        format!("{}/{own}", self.root)
    }

    /// The key that a URL means.
    fn key_of(&self, url: &str) -> Result<Path> {
        let rest = url.trim_end_matches('/').strip_prefix(&self.root);
        let text = rest.and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| {
            Error::invalid_input("this is no URL of a place in the object store that is open")
        })?;
        key(text)
    }

    /// The prefix that a URL means, which may be that of everything.
    fn prefix_of(&self, url: &str) -> Result<Path> {
        if url.trim_end_matches('/') == self.root {
            return Ok(Path::default());
        }
        self.key_of(url)
    }

    /// Removes objects; missing ones are no error.
    fn delete(&self, all: Vec<Path>) -> Result<()> {
        let store = Arc::clone(&self.store);
        self.executor.run(async move {
            let paths = stream::iter(all.into_iter().map(Ok)).boxed();
            let mut deleted = store.delete_stream(paths);
            let mut failure = None;
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => failure = failure.or(Some(failed("delete", "", &error))),
                }
            }
            failure.map_or(Ok(()), Err)
        })?
    }

    fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        self.list_in(&self.store, prefix)
    }

    /// The same, perhaps without data files of checkpoints.
    fn list_plain(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        self.list_in(self.plain.as_ref().unwrap_or(&self.store), prefix)
    }

    fn list_in(&self, store: &Arc<dyn ObjectStore>, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let (store, at) = (Arc::clone(store), prefix.clone());
        let listed = self
            .executor
            .run(async move { store.list(Some(&at)).try_collect::<Vec<_>>().await })?;
        listed.map_err(|error| failed("list", prefix.as_ref(), &error))
    }

    /// The metadata below `own`.
    fn metadata(&self, own: &Path) -> Result<Option<Vec<u8>>> {
        match self.look(&below(own, METADATA))? {
            Found::Metadata(bytes, _) => Ok(Some(bytes)),
            Found::Nothing | Found::Tombstone { .. } | Found::Remains(_) => Ok(None),
        }
    }
}

/// The checkpoints of one job in an object store. See the module.
#[derive(Clone, Debug)]
pub struct ObjectStorage {
    ground: Arc<Ground>,
    places: ObjectPlaces,
    home: Path,
}

impl ObjectStorage {
    /// The storage of `job` below `url`, which begins with `root`, the URL of `store`. Nothing is asked
    /// of the store yet.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is not below `root`, and for options out of bounds.
    pub fn open(
        store: Arc<dyn ObjectStore>,
        randomness: Arc<dyn Randomness>,
        root: &str,
        url: &str,
        job: &FileName,
        options: ObjectOptions,
    ) -> Result<Self> {
        let savepoints = options.savepoints.clone();
        Self::on(Ground::open(store, None, randomness, root, options)?, url, job, savepoints)
    }

    /// The same over a store that is open.
    pub(crate) fn on(
        ground: Arc<Ground>,
        url: &str,
        job: &FileName,
        savepoints: Option<String>,
    ) -> Result<Self> {
        let home = below(&ground.prefix_of(url)?, job.as_str());
        let places = ObjectPlaces::new(Arc::clone(&ground), job, savepoints);
        Ok(Self { ground, places, home })
    }

    /// The same with another clock, by which tombstones grow old.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let ground = Arc::new(self.ground.with_clock(clock));
        Self { places: self.places.over(Arc::clone(&ground)), ground, home: self.home }
    }

    fn own(&self, id: CheckpointId) -> Path {
        below(&self.home, &checkpoint_name(id))
    }

    fn shared(&self) -> Path {
        below(&self.home, SHARED)
    }
}

impl CheckpointStorage for ObjectStorage {
    fn begin(&self, id: CheckpointId) -> Result<Arc<dyn CheckpointAttempt>> {
        let own = self.own(id);
        let found = self.ground.metadata(&own).map_err(|error| error.with_checkpoint(id))?;
        if found.is_some() {
            return Err(Error::already_exists(
                "this checkpoint is published; begin one with a higher number",
            )
            .with_checkpoint(id));
        }
        let (ground, shared) = (Arc::clone(&self.ground), Some(self.shared()));
        Ok(Arc::new(ObjectAttempt::new(ground, own, shared, Some(id))))
    }

    fn begin_savepoint(&self, target: Option<&str>) -> Result<Arc<dyn CheckpointAttempt>> {
        self.places.begin(target)
    }

    fn begin_export(&self, target: &str) -> Result<Arc<dyn CheckpointAttempt>> {
        self.places.begin_export(target)
    }

    fn list(&self) -> Result<Vec<CheckpointId>> {
        let objects = self.ground.list_plain(&self.home)?;
        let places = survey::survey(&self.ground, &self.home, objects)?.checkpoints.into_iter();
        Ok(places.filter(|place| place.published).map(|place| place.id).collect())
    }

    fn load(&self, id: CheckpointId) -> Result<StoredCheckpoint> {
        self.places.opened(self.own(id)).map_err(|error| error.with_checkpoint(id))
    }

    fn source(&self, id: CheckpointId) -> Arc<dyn SnapshotSource> {
        Arc::new(ObjectSource { ground: Arc::clone(&self.ground), own: self.own(id) })
    }

    fn open_pointer(&self, pointer: &str) -> Result<StoredCheckpoint> {
        self.places.open_pointer(pointer)
    }

    fn discard(&self, id: CheckpointId, unused_shared: &[FileName]) -> Result<()> {
        self.ground.remove_old_tombstones();
        let discarded = self.ground.discard(&self.own(id));
        let discarded = discarded.and_then(|()| self.discard_shared(unused_shared));
        discarded.map_err(|error| error.with_checkpoint(id))
    }

    fn discard_shared(&self, unused: &[FileName]) -> Result<()> {
        let shared = self.shared();
        self.ground.delete(unused.iter().map(|name| below(&shared, name.as_str())).collect())
    }

    fn survey(&self) -> Result<Survey> {
        survey::survey(&self.ground, &self.home, self.ground.list(&self.home)?)
    }

    fn survey_savepoints(&self) -> Result<Vec<SurveyedSavepoint>> {
        self.places.survey(None)
    }

    fn discard_strays(&self, place: &SurveyedPlace, names: &[String]) -> Result<()> {
        let own = match place {
            SurveyedPlace::Job => self.home.clone(),
            SurveyedPlace::Checkpoint(id) => self.own(*id),
            SurveyedPlace::Savepoint(pointer) => {
                return self.places.discard_strays(pointer, names);
            }
        };
        survey::remove_strays(&self.ground, &own, names)
    }

    fn discard_savepoint(&self, pointer: &str, files: &[FileName]) -> Result<()> {
        self.places.discard(pointer, files)
    }
}
