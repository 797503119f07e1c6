//! The job of `alluvium run`: a small stream processor, and a test of everything below it.
//!
//! # Role
//!
//! It does what a runtime author does with this library, on real records: routes each record to the
//! subtask that owns its key group, keeps five kinds of state per key, takes checkpoints with barriers
//! in the stream, loses everything, recovers, rescales from a savepoint, and in the end compares every
//! key of every state with a recomputation that shares none of that code.
//!
//! ```text
//! source -> router -> bounded channels -> subtask 0: operator over its keyed backend -> snapshot thread
//!    |                                    subtask 1: ...                                      |
//!    +---- barriers, notifications -------------------------------------- acknowledgements ---+-> coordinator
//! ```
//!
//! * [`course`]: the phases, and what holds across them;
//! * [`spec`]: what was asked for, and where the turning points lie;
//! * [`attempt`], [`deployment`], [`subtask`], [`batch`], [`router`]: one set of running subtasks;
//! * [`operator`]: the states; [`expected`], [`audit`]: what they must hold, and whether they do;
//! * [`checkpoints`], [`storage`], [`lock`]: the coordinator as the job sees it, where its files go;
//! * [`identity`], [`waypoint`]: which job a run is, and what a checkpoint remembers of it, so that
//!   a run that was ended early is gone on with;
//! * [`observer`], [`figures`], [`report`]: what the outside is told.
//!
//! # Invariants
//!
//! 1. Nothing here prints, exits or reads a clock of its own.
//! 2. When [`Job::run`] returns, all its threads have ended.

mod attempt;
mod audit;
mod batch;
mod checkpoints;
mod course;
mod deployment;
mod error;
mod expected;
mod figures;
mod identity;
mod lock;
mod observer;
mod operator;
mod report;
mod router;
mod spec;
mod storage;
mod subtask;
mod waypoint;

#[cfg(test)]
mod tests;

pub(crate) use course::Job;
pub(crate) use error::JobError;
pub(crate) use lock::Lock;
pub(crate) use observer::{Event, Observer, Phase};
pub(crate) use report::Report;
pub(crate) use spec::{Mode, Point, Spec};
