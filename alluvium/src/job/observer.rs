//! What a run tells while it runs. The job prints nothing: the command line does, or a test looks.

use std::fmt::Debug;

use alluvium_state_api::CheckpointId;

use crate::source::Progress;

/// What the job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Reading the input for the independent recomputation.
    Reference,
    /// Processing from the start, until the crash.
    UntilCrash,
    /// Processing after the recovery, until the savepoint.
    UntilSavepoint,
    /// Processing after the rescale, until the end.
    UntilEnd,
    /// Comparing every state of every key.
    Verification,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// An earlier run of the same request was ended early; this one goes on with it.
    Resumed {
        /// From this checkpoint.
        from: CheckpointId,
        /// Whether that is the savepoint.
        savepoint: bool,
        /// The source goes on here.
        position: u64,
    },
    /// The earlier run of the same request had come to its end; this one starts afresh.
    Repeated {
        /// Its last checkpoint.
        last: CheckpointId,
    },
    /// A checkpoint is complete and durable.
    Completed {
        /// Which.
        id: CheckpointId,
        /// `full`, `incremental` or `savepoint`.
        kind: &'static str,
        /// The records that it covers.
        position: u64,
        /// Bytes that it wrote.
        bytes_new: u64,
    },
    /// A checkpoint failed, and the job goes on.
    Failed {
        /// Which.
        id: CheckpointId,
        /// Why.
        reason: String,
    },
    /// All working state was dropped, and so were this many snapshots in flight.
    Crashed {
        /// At this record.
        position: u64,
        /// Snapshots that were dropped.
        in_flight: usize,
    },
    /// Fresh stores hold what a checkpoint holds.
    Recovered {
        /// Which; `None` where there was none, and the job starts again.
        from: Option<CheckpointId>,
        /// The source goes on here.
        position: u64,
        /// How long it took, in milliseconds.
        millis: f64,
    },
    /// The job goes on with another number of subtasks.
    Rescaled {
        /// So many before.
        from: u32,
        /// So many now.
        to: u32,
        /// How long it took, in milliseconds.
        millis: f64,
    },
    /// Something that was to be deleted at the end is still there.
    LeftBehind {
        /// Why.
        reason: String,
    },
}

/// Is told what happens, on the thread that runs the job.
pub(crate) trait Observer: Debug {
    /// A phase begins.
    fn phase(&self, phase: Phase);

    /// The source came this far.
    fn progress(&self, progress: Progress);

    /// Something happened.
    fn event(&self, event: &Event);
}
