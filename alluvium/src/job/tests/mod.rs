//! The job over small inputs: many combinations of parallelism, key groups, mode and crash; and a
//! store that lies, which the audit must find.

mod combinations;
mod failures;
pub(super) mod support;
