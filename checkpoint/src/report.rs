//! What subtasks report, and what they are told.

use std::fmt;

use alluvium_state_api::snapshot::KeyedSnapshot;
use alluvium_state_api::{CheckpointId, Error};

/// A subtask's part of a checkpoint, durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubtaskAck {
    /// Its keyed state; `None` where it has none.
    pub keyed: Option<KeyedSnapshot>,
    /// Bytes of the application.
    pub application: Vec<u8>,
    /// The synchronous part, in microseconds.
    pub sync_us: u64,
    /// The asynchronous part, in microseconds.
    pub async_us: u64,
    /// From the trigger to the start of the synchronous part, in microseconds.
    pub start_delay_us: u64,
}

impl SubtaskAck {
    /// The acknowledgement of a subtask with keyed state.
    pub fn keyed(snapshot: KeyedSnapshot) -> Self {
        Self { keyed: Some(snapshot), ..Self::default() }
    }

    /// The acknowledgement of a subtask that has only bytes of the application.
    pub fn application(bytes: impl Into<Vec<u8>>) -> Self {
        Self { application: bytes.into(), ..Self::default() }
    }
}

/// What became of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Taken; so many subtasks are still missing.
    Accepted {
        /// How many.
        missing: usize,
    },
    /// It was the last one, and the checkpoint is complete and durable.
    Completed,
    /// It was the last one and the checkpoint was not published, or it did not fit the operator: the
    /// checkpoint was aborted, and the notification says why.
    Aborted,
    /// The subtask had acknowledged already; ignored.
    Duplicate,
    /// The checkpoint is not under way any more, or never was; ignored.
    Late,
}

/// Why a checkpoint was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortReason {
    /// A subtask could not take its part, or the runtime could not hand out the plan.
    Declined,
    /// A subtask's acknowledgement contradicts the operator or names files that are not there.
    Invalid,
    /// It took too long.
    TimedOut,
    /// Its metadata could not be published.
    NotPublished,
    /// A later checkpoint completed first.
    Subsumed,
    /// The runtime cancelled it, or a subtask had to give up its part without being at fault.
    Cancelled,
    /// The job was started anew.
    Restarted,
    /// The job ended.
    JobEnded,
}

impl AbortReason {
    /// Whether a checkpoint that ends so counts against the tolerable failures: errors of the storage
    /// and of subtasks do, and timeouts. What nobody is to blame for does not. Of savepoints nothing
    /// counts, nor do they set the count back, since a job does not recover from them by itself.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Declined | Self::Invalid | Self::TimedOut | Self::NotPublished => true,
            Self::Subsumed | Self::Cancelled | Self::Restarted | Self::JobEnded => false,
        }
    }
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declined => "it was declined",
            Self::Invalid => "an acknowledgement is wrong",
            Self::TimedOut => "it took too long",
            Self::NotPublished => "its metadata could not be published",
            Self::Subsumed => "a later one completed first",
            Self::Cancelled => "it was cancelled",
            Self::Restarted => "the job was started anew",
            Self::JobEnded => "the job has ended",
        })
    }
}

/// Something that every subtask of every operator must be told, in order, and before it is asked for
/// any checkpoint that is triggered later.
#[derive(Debug)]
pub enum Notification {
    /// [`KeyedStore::checkpoint_completed`](alluvium_state_api::KeyedStore::checkpoint_completed).
    Completed {
        /// The checkpoint or savepoint.
        id: CheckpointId,
        /// Where it is, if it is a savepoint.
        savepoint: Option<String>,
    },
    /// [`KeyedStore::checkpoint_aborted`](alluvium_state_api::KeyedStore::checkpoint_aborted).
    Aborted {
        /// The checkpoint or savepoint.
        id: CheckpointId,
        /// Why.
        reason: AbortReason,
        /// The error behind it, if there is one.
        error: Option<Error>,
    },
}

impl Notification {
    /// What it is about.
    pub const fn id(&self) -> CheckpointId {
        match self {
            Self::Completed { id, .. } | Self::Aborted { id, .. } => *id,
        }
    }

    /// Whether the checkpoint is complete.
    pub const fn is_completed(&self) -> bool {
        matches!(self, Self::Completed { .. })
    }
}
