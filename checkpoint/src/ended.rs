//! How a job ends, and what its end leaves.

use std::fmt;

use alluvium_state_api::settings::Retention;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::{CheckpointId, Error};

use crate::completed::CompletedCheckpoint;

/// How a job ended. See [`Coordinator::shut_down`](crate::Coordinator::shut_down).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobEnd {
    /// Its input came to an end, or it was stopped with a savepoint.
    Finished,
    /// Somebody cancelled it.
    Cancelled,
    /// It failed for good.
    Failed,
    /// Its master stops, and the job will go on under another one.
    Suspended,
}

impl JobEnd {
    /// Whether completed checkpoints stay under `retention`. Savepoints always do.
    ///
    /// ```
    /// use alluvium_checkpoint::{JobEnd, Retention};
    ///
    /// assert!(JobEnd::Cancelled.keeps_checkpoints(Retention::RetainOnCancellation));
    /// assert!(!JobEnd::Cancelled.keeps_checkpoints(Retention::DeleteOnCancellation));
    /// ```
    pub const fn keeps_checkpoints(self, retention: Retention) -> bool {
        match retention {
            Retention::NoExternalized => false,
            Retention::DeleteOnCancellation => matches!(self, Self::Failed),
            Retention::RetainOnCancellation => !matches!(self, Self::Finished),
        }
    }
}

impl fmt::Display for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
        })
    }
}

/// What the end of a job leaves in its storage. Savepoints are the user's and not listed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// How it ended.
    pub end: JobEnd,
    /// The checkpoints that stay, oldest first: the job, or another one, can start from them.
    pub retained: Vec<CompletedCheckpoint>,
    /// What should have been deleted and is still there.
    pub leftovers: Leftovers,
}

/// What was to be deleted and could not be, or not yet. The coordinator tries again at each
/// [`tick`](crate::Coordinator::tick) that is late enough, and when it is shut down again; after it
/// is gone, [`collect_orphans`](crate::collect_orphans) finds what no published metadata refers to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Checkpoints that are subsumed, or that the end of the job does away with. Some of them may
    /// still be complete, and yet vanish: an object store may do a deletion late whose answer was lost.
    /// Do not start a job from one, also not in another process.
    pub checkpoints: Vec<CheckpointId>,
    /// Where checkpoints and savepoints were begun that were aborted and not cleared away. If their
    /// publication was in doubt, the metadata may be there.
    pub attempts: Vec<String>,
    /// Shared files that only such an attempt had kept.
    pub shared: Vec<FileName>,
    /// Published checkpoints whose metadata cannot be read. They are not deleted, and while they are
    /// there no shared file is, since they might use it.
    pub unreadable: Vec<CheckpointId>,
    /// The first error of the latest try.
    pub error: Option<Error>,
}

impl Leftovers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.checkpoints.is_empty()
            && self.attempts.is_empty()
            && self.shared.is_empty()
            && self.unreadable.is_empty()
    }
}
