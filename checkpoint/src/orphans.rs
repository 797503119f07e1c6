//! Orphans: files that a crash or a failed deletion left behind, and nothing refers to.
//!
//! # Role
//! `alluvium gc` calls [`collect_orphans`] on a job that may be running elsewhere; a running job calls
//! [`Coordinator::collect_orphans`](crate::Coordinator::collect_orphans), which knows what is under
//! way.
//!
//! # What is looked for
//! | where | orphan |
//! |---|---|
//! | `shared/` | a file that no published checkpoint names |
//! | `chk-<n>` without metadata | all of it |
//! | `chk-<n>` with metadata | a file that this does not name: a late one, a draft |
//! | the job's directory | a probe, by which somebody tried whether it can be written |
//! | the configured place of savepoints | one of the job's without metadata; in the others as in `chk-<n>` |
//!
//! Uploads in parts that were begun and not ended cannot be seen through every object store's interface;
//! a lifecycle rule of the bucket ends them (`AbortIncompleteMultipartUpload` for S3).
//!
//! # Rules
//! * O1 What is used is computed from the manifests of everything published. If one cannot be read,
//!   no shared file is an orphan, nor is anything in its own place.
//! * O2 What is younger than the age floor is none: a checkpoint under way may be about to name it.
//!   The floor must be longer than a checkpoint can take. Where the storage does not tell ages,
//!   everything is young, unless the floor is 0.
//! * O3 The place of a checkpoint or savepoint is removed only if it is not published, which is looked
//!   up again just before.
//! * O4 Only names count that a storage draws; whatever else lies about is somebody else's.
//! * O5 Who asks need not be who takes the savepoints of the job, and of another job's name no more than
//!   a hash is in that of its savepoints. So the floor for the places of savepoints that are not
//!   complete is an hour at least, where ages are told: nobody knows whether one is about to be completed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::clock::Clock;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{
    CheckpointStorage, StoredCheckpoint, Survey, SurveyedCheckpoint, SurveyedFile, SurveyedPlace,
    SurveyedSavepoint,
};
use alluvium_state_api::{CheckpointId, ErrorKind, Result};

use crate::completed::CompletedStore;
use crate::files;

/// The least age floor of savepoints, see O5.
const LEAST_FOR_SAVEPOINTS: Duration = Duration::from_hours(1);

/// How orphans are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanOptions {
    /// What was changed within this time stays. Default 1 day.
    pub min_age: Duration,
    /// Whether to look only. Default true.
    pub dry_run: bool,
}

impl Default for OrphanOptions {
    fn default() -> Self {
        Self { min_age: Duration::from_hours(24), dry_run: true }
    }
}

/// A file that no metadata names, in the place of something complete or beside all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Stray {
    /// Where it is.
    pub place: SurveyedPlace,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.place, self.name)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphans {
    /// Places of checkpoints that were never completed.
    pub checkpoints: Vec<CheckpointId>,
    /// Places of savepoints that were never completed, or whose disposal was interrupted.
    pub savepoints: Vec<String>,
    /// Shared files that nothing uses.
    pub shared: Vec<FileName>,
    /// Other files that nothing names.
    pub strays: Vec<Stray>,
    /// How many files that are.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
    /// How many more there are that are too young.
    pub too_young: usize,
    /// Published checkpoints whose metadata cannot be read: because of them no shared file is an
    /// orphan.
    pub unreadable: Vec<CheckpointId>,
}

impl Orphans {
    /// How many places and single files there are.
    pub fn len(&self) -> usize {
        self.checkpoints.len() + self.savepoints.len() + self.shared.len() + self.strays.len()
    }

    /// Whether nothing was left behind that is old enough.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&mut self, file: &SurveyedFile) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.length);
    }
}

/// Finds the orphans of a job, and removes them unless it is a dry run.
///
/// # Errors
/// `Unavailable` where the storage fails; what was removed until then is gone, and a new call goes on.
pub fn collect_orphans(
    storage: &Arc<dyn CheckpointStorage>,
    clock: &dyn Clock,
    options: OrphanOptions,
) -> Result<Orphans> {
    // The survey comes first: what is published after it is young, or was there and is used.
    let survey = storage.survey()?;
    let completed = CompletedStore::open(None, Arc::clone(storage))?;
    let search = Search {
        storage: &**storage,
        completed: &completed,
        busy: &BTreeSet::new(),
        now_ms: clock.wall_clock_ms(),
        min_age: options.min_age,
    };
    search.collect(&survey, options.dry_run)
}

pub(crate) struct Search<'a> {
    pub(crate) storage: &'a dyn CheckpointStorage,
    pub(crate) completed: &'a CompletedStore,
    /// Checkpoints under way, or about to be deleted by someone else.
    pub(crate) busy: &'a BTreeSet<CheckpointId>,
    pub(crate) now_ms: u64,
    pub(crate) min_age: Duration,
}

impl Search<'_> {
    /// Finds, and removes unless it is a dry run.
    pub(crate) fn collect(&self, survey: &Survey, dry_run: bool) -> Result<Orphans> {
        let mut orphans = Orphans {
            unreadable: self.completed.unreadable().keys().copied().collect(),
            ..Orphans::default()
        };
        self.checkpoints(&survey.checkpoints, &mut orphans)?;
        let savepoints = self.storage.survey_savepoints()?;
        self.savepoints(&savepoints, &mut orphans)?;
        self.shared(&survey.shared, &mut orphans);
        self.strays(&SurveyedPlace::Job, &survey.probes, &[], &mut orphans);
        if !dry_run {
            self.remove(&savepoints, &orphans)?;
        }
        Ok(orphans)
    }

    fn checkpoints(&self, places: &[SurveyedCheckpoint], orphans: &mut Orphans) -> Result<()> {
        for place in places.iter().filter(|place| !self.busy.contains(&place.id)) {
            if place.published {
                let named = own_files(self.storage.load(place.id))?;
                let at = SurveyedPlace::Checkpoint(place.id);
                if let Some(named) = named {
                    self.strays(&at, &place.files, &named, orphans);
                }
            } else if self.is_old_place(place.modified_ms, &place.files, Duration::ZERO) {
                orphans.checkpoints.push(place.id);
                place.files.iter().for_each(|file| orphans.count(file));
            } else {
                orphans.too_young += place.files.len().max(1);
            }
        }
        Ok(())
    }

    fn savepoints(&self, places: &[SurveyedSavepoint], orphans: &mut Orphans) -> Result<()> {
        for place in places {
            if place.published {
                let named = own_files(self.storage.open_pointer(&place.pointer))?;
                let at = SurveyedPlace::Savepoint(place.pointer.clone());
                if let Some(named) = named {
                    self.strays(&at, &place.files, &named, orphans);
                }
            } else if self.is_old_place(place.modified_ms, &place.files, LEAST_FOR_SAVEPOINTS) {
                orphans.savepoints.push(place.pointer.clone());
                place.files.iter().for_each(|file| orphans.count(file));
            } else {
                orphans.too_young += place.files.len().max(1);
            }
        }
        Ok(())
    }

    fn shared(&self, shared: &[SurveyedFile], orphans: &mut Orphans) {
        if !orphans.unreadable.is_empty() {
            return;
        }
        let used = self.completed.used();
        for file in shared {
            match FileName::new(&file.name) {
                Ok(name) if !used.contains(&name) => {
                    if self.is_old(file.modified_ms, Duration::ZERO) {
                        orphans.count(file);
                        orphans.shared.push(name);
                    } else {
                        orphans.too_young += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Of the files of a place, those that are not named.
    fn strays(
        &self,
        place: &SurveyedPlace,
        found: &[SurveyedFile],
        named: &[FileName],
        orphans: &mut Orphans,
    ) {
        let named: BTreeSet<&str> = named.iter().map(FileName::as_str).collect();
        for file in found.iter().filter(|file| !named.contains(&*file.name)) {
            if self.is_old(file.modified_ms, Duration::ZERO) {
                orphans.count(file);
                orphans.strays.push(Stray { place: place.clone(), name: file.name.clone() });
            } else {
                orphans.too_young += 1;
            }
        }
    }

    fn remove(&self, savepoints: &[SurveyedSavepoint], orphans: &Orphans) -> Result<()> {
        let published: BTreeSet<_> = self.storage.list()?.into_iter().collect();
        for id in orphans.checkpoints.iter().filter(|id| !published.contains(id)) {
            self.storage.discard(*id, &[])?;
        }
        if !orphans.savepoints.is_empty() {
            let again = self.storage.survey_savepoints()?;
            let open: BTreeSet<_> =
                again.iter().filter(|one| !one.published).map(|one| &one.pointer).collect();
            let is_orphan = |one: &&SurveyedSavepoint| {
                orphans.savepoints.contains(&one.pointer) && open.contains(&one.pointer)
            };
            for one in savepoints.iter().filter(is_orphan) {
                let names: Vec<_> = one.files.iter().map(|file| file.name.clone()).collect();
                let place = SurveyedPlace::Savepoint(one.pointer.clone());
                self.storage.discard_strays(&place, &names)?;
            }
        }
        for strays in orphans.strays.chunk_by(|a, b| a.place == b.place) {
            let names: Vec<_> = strays.iter().map(|stray| stray.name.clone()).collect();
            if let Some(first) = strays.first() {
                self.storage.discard_strays(&first.place, &names)?;
            }
        }
        self.storage.discard_shared(&orphans.shared)
    }

    fn is_old_place(
        &self,
        modified_ms: Option<u64>,
        files: &[SurveyedFile],
        least: Duration,
    ) -> bool {
        let mut files = files.iter();
        self.is_old(modified_ms, least) && files.all(|file| self.is_old(file.modified_ms, least))
    }

    /// Whether something is older than the floor, and than `least` if its age is told.
    fn is_old(&self, modified_ms: Option<u64>, least: Duration) -> bool {
        let age = |modified| Duration::from_millis(self.now_ms.saturating_sub(modified));
        match modified_ms {
            Some(modified) => age(modified) >= self.min_age.max(least),
            None => self.min_age == Duration::ZERO,
        }
    }
}

/// The files that something published has of its own; `None` where it is gone or cannot be read.
fn own_files(stored: Result<StoredCheckpoint>) -> Result<Option<Vec<FileName>>> {
    match stored {
        Ok(stored) => {
            let metadata = CheckpointMetadata::decode(&stored.metadata).ok();
            Ok(metadata.map(|metadata| files::own_files(&metadata)))
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(_) => Ok(None),
    }
}
