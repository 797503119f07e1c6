//! The job over small inputs: many combinations of parallelism, key groups, mode and crash; and a
//! store that lies, which the audit must find; and runs that are ended early and gone on with.

mod combinations;
mod failures;
mod resuming;
pub(super) mod support;
