//! What a job's life has shown so far, and what must never be otherwise.
//!
//! * F1 What was once published has the same metadata as long as it is there.
//! * F2 What was there and is not any more does not come back, whatever lands late.
//! * F3 What failed, and was not said to be in doubt, is never there, unless its number was free again.
//! * F4 Only what an earlier master may have begun to delete goes without the present one.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_checkpoint::{AbortReason, Notification};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{CheckpointId, ErrorKind};

#[derive(Debug, Default)]
pub(crate) struct Facts {
    published: BTreeMap<CheckpointId, Vec<u8>>,
    gone: BTreeSet<Vec<u8>>,
    failed: BTreeSet<CheckpointId>,
    condemned: BTreeSet<CheckpointId>,
}

impl Facts {
    /// Looks at what is there, and compares it with what was.
    pub(crate) fn observe(&mut self, storage: &dyn CheckpointStorage) {
        let there = storage.list().unwrap();
        let gone = self.published.extract_if(.., |id, _| !there.contains(id));
        self.gone.extend(gone.map(|(_, metadata)| metadata));
        for id in there {
            assert!(!self.failed.contains(&id), "{id} had failed");
            let metadata = storage.load(id).unwrap().metadata;
            assert!(!self.gone.contains(&metadata), "{id} came back");
            let known = self.published.entry(id).or_insert_with(|| metadata.clone());
            assert!(*known == metadata, "{id} has changed");
        }
    }

    /// What the master told its subtasks. Nobody else published under these numbers.
    pub(crate) fn hear(&mut self, told: &[Notification]) {
        for one in told {
            if let Notification::Aborted { id, reason: AbortReason::NotPublished, error } = one
                && let Some(error) = error
                && !matches!(error.kind(), ErrorKind::Indeterminate | ErrorKind::AlreadyExists)
            {
                self.failed.insert(*id);
            }
        }
    }

    /// A master that retained only this has died. What else there is, it may have been deleting. The next
    /// one takes numbers above all that are in use.
    pub(crate) fn succeeded(&mut self, retained: &[u64], storage: &dyn CheckpointStorage) {
        let places = storage.survey().unwrap().checkpoints;
        let highest = places.last().map_or(CheckpointId::new(0), |place| place.id);
        self.failed.retain(|id| *id <= highest);
        let others = self.published.keys().filter(|id| !retained.contains(&id.get()));
        self.condemned.extend(others);
    }

    /// Everything that the present master retains is there.
    pub(crate) fn check_retained(&self, retained: &[u64], there: &[CheckpointId]) {
        let ids = retained.iter().map(|id| CheckpointId::new(*id));
        let missing: Vec<_> = ids.filter(|id| !there.contains(id)).collect();
        assert!(missing.iter().all(|id| self.condemned.contains(id)), "lost {missing:?}");
    }
}
