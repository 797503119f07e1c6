//! Orphans: files that a crash or a failed deletion left behind, and nothing refers to.
//!
//! # Role
//! `alluvium gc` calls [`collect_orphans`] on a job that may be running elsewhere; a running job calls
//! [`Coordinator::collect_orphans`](crate::Coordinator::collect_orphans), which knows what is under
//! way.
//!
//! # Rules
//! * O1 What is used is computed from the manifests of everything published. If one cannot be read,
//!   no shared file is an orphan.
//! * O2 What is younger than the age floor is none: a checkpoint under way may be about to name it.
//!   The floor must be longer than a checkpoint can take. Where the storage does not tell ages,
//!   everything is young, unless the floor is 0.
//! * O3 The place of a checkpoint is removed only if it is not published, which is looked up again
//!   just before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::clock::Clock;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, Survey, SurveyedCheckpoint};
use alluvium_state_api::{CheckpointId, Result};

use crate::completed::CompletedStore;

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

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphans {
    /// Places of checkpoints that were never completed.
    pub checkpoints: Vec<CheckpointId>,
    /// Shared files that nothing uses.
    pub shared: Vec<FileName>,
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
        completed: &completed,
        busy: &BTreeSet::new(),
        now_ms: clock.wall_clock_ms(),
        min_age: options.min_age,
    };
    let orphans = search.run(&survey);
    if !options.dry_run {
        remove(&**storage, &orphans)?;
    }
    Ok(orphans)
}

/// Removes what was found.
pub(crate) fn remove(storage: &dyn CheckpointStorage, orphans: &Orphans) -> Result<()> {
    let published: BTreeSet<_> = storage.list()?.into_iter().collect();
    for id in &orphans.checkpoints {
        if !published.contains(id) {
            storage.discard(*id, &[])?;
        }
    }
    storage.discard_shared(&orphans.shared)
}

pub(crate) struct Search<'a> {
    pub(crate) completed: &'a CompletedStore,
    /// Checkpoints under way, or about to be deleted by someone else.
    pub(crate) busy: &'a BTreeSet<CheckpointId>,
    pub(crate) now_ms: u64,
    pub(crate) min_age: Duration,
}

impl Search<'_> {
    pub(crate) fn run(&self, survey: &Survey) -> Orphans {
        let mut orphans = Orphans {
            unreadable: self.completed.unreadable().keys().copied().collect(),
            ..Orphans::default()
        };
        let places = survey.checkpoints.iter();
        for place in places.filter(|place| !place.published && !self.busy.contains(&place.id)) {
            if !self.is_old_place(place) {
                orphans.too_young += place.files.len().max(1);
                continue;
            }
            orphans.checkpoints.push(place.id);
            for file in &place.files {
                orphans.files += 1;
                orphans.bytes = orphans.bytes.saturating_add(file.length);
            }
        }
        if !orphans.unreadable.is_empty() {
            return orphans;
        }
        let used = self.completed.used();
        for file in &survey.shared {
            match FileName::new(&file.name) {
                Ok(name) if !used.contains(&name) => {
                    if self.is_old(file.modified_ms) {
                        orphans.files += 1;
                        orphans.bytes = orphans.bytes.saturating_add(file.length);
                        orphans.shared.push(name);
                    } else {
                        orphans.too_young += 1;
                    }
                }
                _ => {}
            }
        }
        orphans
    }

    fn is_old_place(&self, place: &SurveyedCheckpoint) -> bool {
        let mut files = place.files.iter();
        self.is_old(place.modified_ms) && files.all(|file| self.is_old(file.modified_ms))
    }

    fn is_old(&self, modified_ms: Option<u64>) -> bool {
        let age = |modified| Duration::from_millis(self.now_ms.saturating_sub(modified));
        match modified_ms {
            Some(modified) => age(modified) >= self.min_age,
            None => self.min_age == Duration::ZERO,
        }
    }
}
