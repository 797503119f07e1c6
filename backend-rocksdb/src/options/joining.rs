//! [`Joining`]: when small tables are joined, beside what RocksDB does by itself.

use std::time::Duration;

/// When small tables are joined, so that checkpoints do not have ever more files: RocksDB compacts by sizes of levels, and
/// lets small tables be that are in nobody's way. The defaults are Flink's.
///
/// Whenever a snapshot begins, and the interval has passed, neighbouring small tables of a level below the first are joined
/// in the background. The snapshot does not wait for that; the next ones have fewer tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joining {
    /// The least time from one look for small tables to the next one; 0 for never.
    pub interval: Duration,
    /// Compactions at a time.
    pub parallel: u32,
    /// A table of at most so many bytes is small.
    pub max_table_bytes: u64,
    /// Fewer neighbours stay as they are.
    pub min_tables: u32,
    /// No more become one table.
    pub max_tables: u32,
    /// Bytes that become one table.
    pub max_output_bytes: u64,
    /// Nothing is joined while RocksDB runs more compactions.
    pub max_running: u32,
}

impl Default for Joining {
    fn default() -> Self {
        Self {
            interval: Duration::ZERO,
            parallel: 5,
            max_table_bytes: 50 << 10,
            min_tables: 5,
            max_tables: 30,
            max_output_bytes: 64 << 20,
            max_running: 30,
        }
    }
}
