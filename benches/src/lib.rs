//! What Alluvium must show about its speed: workloads, peers, and ratios between them.
//!
//! # Role
//! The binary `ratios` prints one row per bar of the design: each compares two sides that alternate in
//! one process, since absolute rates on a shared machine say little. The Criterion benches in
//! `benches/` watch the hot paths of each crate over time.
//!
//! * [`keys`]: keys and sequences of accesses, determined by a seed;
//! * [`subject`]: what is measured (a backend behind the typed front) and its peer;
//! * [`engine`]: the backends that are measured, all in the same way;
//! * [`session`]: workloads on backends by name, for the binary `workloads`;
//! * [`workload`]: sequences of accesses as operators make them, played on any backend;
//! * [`watch`]: whether a store works in the background;
//! * [`peers`]: maps and embedded databases, most of them behind features;
//! * [`subtasks`]: restores as another number of subtasks, of our backends and of others;
//! * [`disk`]: snapshots into a directory of a job, and the plain file that they are compared with;
//! * [`clock`]: wall clock and processor time; the only module that reads them;
//! * [`rounds`]: alternating rounds and what is made of them;
//! * [`row`]: a row with its bar;
//! * [`rows`]: all rows;
//! * [`flink`]: our side of `peers/flink`, where Apache Flink's own backends do the same;
//! * [`report`]: pages and plots from what was measured, for the binary of that name;
//! * [`footprint`]: what a backend takes of memory and disk, for the binary of that name;
//! * [`beyond`], [`resident`]: state larger than its memory, for the binary `beyond-memory`.
//!
//! # Invariants
//! B1. Both sides of a row do the same work, and the work is asserted: checksums agree.
//! B2. Sides alternate, and which one begins alternates too.
//! B3. A row is judged by its median round; one that bounds the worst case is judged by the worst.

pub mod beyond;
pub mod clock;
pub mod disk;
pub mod engine;
pub mod flink;
pub mod footprint;
pub mod keys;
pub mod peers;
pub mod report;
pub mod resident;
pub mod rounds;
pub mod row;
pub mod rows;
pub mod session;
pub mod subject;
pub mod subtasks;
pub mod watch;
pub mod workload;

/// What a measurement may fail with: errors of Alluvium, of the operating system, and wrong work.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counts here stay far below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}
