//! The coordinator over storage on a file system in memory and in the process, with subtasks that
//! write random files.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "helpers of tests, which should fail where something is amiss"
)]

mod claim;
mod completion;
mod deletion;
mod doubt;
mod driver;
mod ending;
mod export;
mod fake;
mod faults;
mod gated;
mod history;
mod layered;
mod model;
mod orphans;
mod repeatable;
mod restore;
mod shared_files;
mod slow;
mod slow_begin;
mod timing;
