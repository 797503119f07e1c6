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
use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use super::Coordinator;
use super::work::Published;
use crate::files::SharedFiles;
use crate::pending::Pending;
use crate::report::{AbortReason, Notification};

impl Coordinator {
    /// Takes the outcome of the publication that was handed out.
    pub(super) fn published(&mut self, published: Published) {
        let Some(pending) = self.publishing.take() else {
            return;
        };
        let shared = self.completed.release();
        let (id, pointer) = (pending.id, pending.attempt.pointer().to_owned());
        if let Err(error) = published.result {
            if let Some(winner) = published.winner {
                self.completed.adopt_loaded(id, winner);
            }
            // The metadata may be there all the same: what it refers to must stay for now.
            self.give_up(&pending, shared, not_published(&error), Some(error));
        } else if pending.is_savepoint() {
            if let Some(end) = pending.ends {
                self.stop(end);
            }
            let notification = Notification::Completed { id, savepoint: Some(pointer) };
            self.notifications.push_back(notification);
        } else {
            self.failures = 0;
            self.last_end = Some(self.components.clock.now());
            self.succeed(id, &published.metadata, pointer, shared);
        }
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
    pub(super) fn give_up(
        &mut self,
        pending: &Pending,
        doubtful: SharedFiles,
        reason: AbortReason,
        error: Option<Error>,
    ) {
        pending.cancel.cancel();
        let id = (!pending.is_savepoint()).then_some(pending.id);
        self.completed.give_up(id, Arc::clone(&pending.attempt), doubtful);
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

/// Why a checkpoint is aborted that could not be published.
pub(super) fn not_published(error: &Error) -> AbortReason {
    match error.kind() {
        ErrorKind::Corrupted | ErrorKind::NotFound | ErrorKind::InvalidInput => {
            AbortReason::Invalid
        }
        _ => AbortReason::NotPublished,
    }
}
