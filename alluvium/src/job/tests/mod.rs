//! The job over small inputs: many combinations of parallelism, key groups, mode and crash; and a
//! store that lies, which the audit must find; and runs that are ended early, or at any file operation,
//! and gone on with; and two processes of one job.

mod combinations;
mod ending;
mod failures;
mod objects;
mod resuming;
pub(super) mod support;
mod windows;
