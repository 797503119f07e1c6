//! How a checkpoint ends: completed or aborted, and what is cleared away then.
//!
//! # Order of completion
//! 1. Every file is found;
//! 2. the metadata is published;
//! 3. older checkpoints under way are aborted, and `Completed` is queued;
//! 4. what is above the number to keep is deleted.
//!
//! A savepoint replaces nothing: 3 and 4 are left out. If it ends the job, everything else under way
//! is aborted, and `Completed` is the last notification.
//!
//! A crash after 2 leaves a complete checkpoint and at worst files that nothing refers to; a crash
//! before leaves no checkpoint.

use std::sync::Arc;

use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::{CheckpointId, Error, ErrorKind, Result};

use super::Coordinator;
use crate::files::{self, SharedFiles};
use crate::pending::Pending;
use crate::report::{AbortReason, Acknowledged, Notification};

impl Coordinator {
    /// Completes checkpoint `id`, which all subtasks have acknowledged.
    pub(super) fn complete(&mut self, id: CheckpointId) -> Acknowledged {
        let Some(mut pending) = self.pending.remove(&id) else {
            return Acknowledged::Late;
        };
        let now = self.components.clock.now();
        let metadata = pending.metadata(self.job.as_str(), &self.operators, now);
        let shared = match self.publish(&pending, &metadata) {
            Ok(shared) => shared,
            Err(error) => {
                let reason = match error.kind() {
                    ErrorKind::Corrupted | ErrorKind::NotFound | ErrorKind::InvalidInput => {
                        AbortReason::Invalid
                    }
                    _ => AbortReason::NotPublished,
                };
                // The metadata may be there all the same: what it refers to must stay for now.
                let doubtful = files::keyed_of(&metadata);
                let shared = SharedFiles::of_snapshots(doubtful).unwrap_or_default();
                self.give_up(&pending, shared, reason, Some(error));
                return Acknowledged::Aborted;
            }
        };
        let pointer = pending.attempt.pointer().to_owned();
        if pending.is_savepoint() {
            if let Some(end) = pending.ends {
                self.stop(end);
            }
            let savepoint = Some(pointer);
            let notification = Notification::Completed { id, savepoint };
            self.notifications.push_back(notification);
        } else {
            self.failures = 0;
            self.last_end = Some(now);
            self.succeed(id, &metadata, pointer, shared);
        }
        Acknowledged::Completed
    }

    fn publish(&mut self, pending: &Pending, metadata: &CheckpointMetadata) -> Result<SharedFiles> {
        let shared = SharedFiles::of(metadata)?;
        files::verify(metadata, &self.completed.shared(), &*pending.attempt.source())
            .map_err(|error| error.with_checkpoint(pending.id))?;
        let published = pending.attempt.publish(&metadata.encode()?);
        if let Err(error) = &published
            && error.kind() == ErrorKind::AlreadyExists
            && !pending.is_savepoint()
        {
            self.completed.adopt(pending.id);
        }
        published.map(|()| shared)
    }

    fn succeed(
        &mut self,
        id: CheckpointId,
        metadata: &CheckpointMetadata,
        pointer: String,
        shared: SharedFiles,
    ) {
        let older: Vec<_> = self
            .pending
            .range(..id)
            .filter(|(_, pending)| !pending.is_savepoint())
            .map(|(id, _)| *id)
            .collect();
        for older in older {
            self.end(older, AbortReason::Subsumed, None);
        }
        for pending in self.pending.values_mut() {
            pending.bases.insert(id);
        }
        self.base = Some(id);
        self.completed.add(metadata, pointer, shared);
        self.notifications.push_back(Notification::Completed { id, savepoint: None });
        let pinned = self.pinned();
        self.completed.subsume(self.options.retained, &pinned);
        self.clear_away();
    }

    /// Ends checkpoint `id` without completing it. Returns whether it was under way.
    pub(super) fn end(
        &mut self,
        id: CheckpointId,
        reason: AbortReason,
        error: Option<Error>,
    ) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        self.give_up(&pending, SharedFiles::default(), reason, error);
        true
    }

    /// `doubtful`: what the metadata refers to, if it may have been published.
    fn give_up(
        &mut self,
        pending: &Pending,
        doubtful: SharedFiles,
        reason: AbortReason,
        error: Option<Error>,
    ) {
        pending.cancel.cancel();
        if pending.attempt.abort().is_err() {
            let attempt = Arc::clone(&pending.attempt);
            let id = (!pending.is_savepoint()).then_some(pending.id);
            self.completed.add_stuck(id, attempt, doubtful);
        }
        if !pending.is_savepoint() {
            if reason.is_failure() {
                self.failures = self.failures.saturating_add(1);
            }
            self.last_end = Some(self.components.clock.now());
        }
        let id = pending.id;
        let error = error.map(|error| error.with_checkpoint(id));
        self.notifications.push_back(Notification::Aborted { id, reason, error });
        // What only this one pinned may go now.
        let pinned = self.pinned();
        self.completed.subsume(self.options.retained, &pinned);
    }
}
