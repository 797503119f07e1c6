//! Making a foreign snapshot one of the job's own checkpoints before the job starts from it.
//!
//! | step | after a crash from here on |
//! |---|---|
//! | files are taken over into the job's `shared` | orphans there; the original is untouched |
//! | a checkpoint that names them and its origin is published | claimed: a start from the same pointer finds it |
//! | the checkpoint is subsumed: the original is deleted | nothing points to it |
//! | the checkpoint is deleted | |

use std::time::Duration;

use alluvium_state_api::format::file_checksum;
use alluvium_state_api::format::metadata::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, Origin,
};
use alluvium_state_api::storage::CheckpointAttempt;
use alluvium_state_api::{CheckpointId, ErrorKind, Result};

use super::Coordinator;
use crate::claim;
use crate::files::{self, SharedFiles};
use crate::restore::RestorePoint;

impl Coordinator {
    /// A checkpoint of the job's own with the content of `point`: a new one, or the one with which it
    /// was claimed before.
    pub(super) fn claim(&mut self, point: &RestorePoint) -> Result<RestorePoint> {
        let origin = Origin { pointer: point.pointer().into(), checksum: point.checksum() };
        if let Some(id) = self.completed.claimed_from(&origin) {
            return self.own_point(id);
        }
        let (id, attempt) = self.begin_now()?;
        let began = self.components.clock.now();
        let mut metadata = self.metadata_of_claim(id, point, origin);
        let published = claim::import(&mut metadata, &**point.source(), &*attempt.sink())
            .and_then(|()| self.publish_claim(&*attempt, &mut metadata, began));
        match published {
            Ok((checksum, shared)) => {
                let pointer = attempt.pointer().to_owned();
                self.completed.add(&metadata, pointer.clone(), shared);
                let source = self.components.storage.source(id);
                Ok(RestorePoint::published(metadata, checksum, pointer, source))
            }
            Err(error) => {
                if error.kind() == ErrorKind::AlreadyExists {
                    self.completed.adopt(id);
                }
                // The metadata may be there all the same: what it refers to must stay for now.
                let doubtful = files::keyed_of(&metadata);
                let shared = SharedFiles::of_snapshots(doubtful).unwrap_or_default();
                self.completed.give_up(Some(id), attempt, shared);
                self.work_off();
                Err(error.with_checkpoint(id))
            }
        }
    }

    fn metadata_of_claim(
        &self,
        id: CheckpointId,
        point: &RestorePoint,
        origin: Origin,
    ) -> CheckpointMetadata {
        CheckpointMetadata {
            checkpoint: id,
            kind: CheckpointKind::Checkpoint,
            job: self.job.as_str().into(),
            timestamp_ms: self.components.clock.wall_clock_ms(),
            attempt: self.components.randomness.next_u128(),
            origin: Some(origin),
            ..point.metadata().clone()
        }
    }

    fn publish_claim(
        &self,
        attempt: &dyn CheckpointAttempt,
        metadata: &mut CheckpointMetadata,
        began: Duration,
    ) -> Result<(u128, SharedFiles)> {
        let shared = SharedFiles::of(metadata)?;
        files::verify(metadata, &self.completed.shared(), &*attempt.source())?;
        let took = self.components.clock.now().saturating_sub(began);
        metadata.statistics = CheckpointStatistics {
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            bytes_new: 0,
            ..metadata.statistics
        };
        let bytes = metadata.encode()?;
        attempt.publish(&bytes)?;
        Ok((file_checksum(&bytes), shared))
    }
}
