//! What the job does, step by step.

/// What kind of snapshot is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A checkpoint that builds on nothing.
    Full,
    /// A checkpoint that builds on the last confirmed one.
    Incremental,
    /// A canonical savepoint.
    Savepoint,
}

/// Whether the job waits for the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// It does.
    Sync,
    /// It changes its state between the two phases.
    Async,
}

/// How a checkpoint goes where nothing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Every subtask acknowledges.
    Completes,
    /// A subtask is cancelled and declines.
    Declined,
    /// The subtasks have written everything, and then it is given up.
    Aborted,
}

/// Where a restart begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The newest completed checkpoint.
    Newest,
    /// The last completed savepoint, or the newest checkpoint where there is none.
    Savepoint,
}

/// A step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Some keys change.
    Change,
    /// A checkpoint or savepoint.
    Take(Ask, Timing, Course),
    /// Two checkpoints under way at once: the second is taken before the first is confirmed.
    TakeTwo(Ask),
    /// The last completed savepoint is deleted.
    Dispose,
    /// The job fails and is restored with so many subtasks by the same master.
    Restore(Origin, u32),
    /// All processes die; others open what is there and restore it with so many subtasks.
    Restart(u32),
}

/// A named sequence of actions. It begins with two subtasks, and between all actions the job changes
/// its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name in what is printed.
    pub name: &'static str,
    /// What is done.
    pub actions: &'static [Action],
}

use Action::{Change, Dispose, Restart, Restore, Take, TakeTwo};
use Ask::{Full, Incremental, Savepoint};
use Course::{Aborted, Completes, Declined};
use Timing::{Async, Sync};

/// Full snapshots while the job waits; restore at the same parallelism.
pub const FULL_SYNC: Script = Script {
    name: "full-sync",
    actions: &[
        Take(Full, Sync, Completes),
        Take(Full, Sync, Completes),
        Restore(Origin::Newest, 2),
        Take(Full, Sync, Completes),
    ],
};

/// Full snapshots while the job goes on; restore at another parallelism.
pub const FULL_ASYNC: Script = Script {
    name: "full-async",
    actions: &[
        Take(Full, Async, Completes),
        Take(Full, Async, Aborted),
        Take(Full, Async, Completes),
        Restore(Origin::Newest, 3),
        Take(Full, Async, Completes),
    ],
};

/// A chain of increments with checkpoints in between that are declined, aborted, not yet confirmed.
pub const INCREMENTAL: Script = Script {
    name: "incremental",
    actions: &[
        Take(Incremental, Async, Completes),
        Take(Incremental, Async, Completes),
        Take(Incremental, Async, Declined),
        Take(Incremental, Sync, Completes),
        Take(Incremental, Async, Aborted),
        TakeTwo(Incremental),
        Change,
        Restore(Origin::Newest, 2),
        Take(Incremental, Async, Completes),
    ],
};

/// Savepoints between checkpoints; restore from one, which is then deleted.
pub const SAVEPOINT: Script = Script {
    name: "savepoint",
    actions: &[
        Take(Incremental, Async, Completes),
        Take(Savepoint, Async, Completes),
        Take(Incremental, Async, Completes),
        Take(Savepoint, Sync, Declined),
        Restore(Origin::Savepoint, 3),
        Take(Incremental, Async, Completes),
        Dispose,
        Take(Savepoint, Sync, Completes),
    ],
};

/// More checkpoints than are retained, full ones among them, so that shared files fall out of use.
pub const RETENTION: Script = Script {
    name: "retention",
    actions: &[
        Take(Incremental, Sync, Completes),
        Take(Incremental, Sync, Completes),
        Take(Full, Sync, Completes),
        Take(Incremental, Sync, Completes),
        Take(Incremental, Sync, Completes),
        Take(Incremental, Sync, Completes),
    ],
};

/// Everything dies and comes back with fewer and more subtasks.
pub const RESTARTS: Script = Script {
    name: "restarts",
    actions: &[
        Take(Incremental, Async, Completes),
        Take(Incremental, Async, Completes),
        Restart(1),
        Take(Incremental, Sync, Completes),
        Restart(3),
        Take(Incremental, Async, Completes),
        Restart(2),
    ],
};

/// All scripts.
pub const SCRIPTS: [Script; 6] =
    [FULL_SYNC, FULL_ASYNC, INCREMENTAL, SAVEPOINT, RETENTION, RESTARTS];
