//! [`RocksOptions`]: what a store is opened with, and how that becomes RocksDB's options.
//!
//! # Precedence
//! An explicit setting, else what the [`Profile`] says, else the default; then the embedding program's
//! [`OptionsHook`]; then what the memory budget and the layout of the database demand.

mod budget;
mod figures;
mod gone;
mod hook;
mod joining;
mod keys;
mod profile;
mod tune;
mod tuning;
mod write_back;

pub use budget::{MemoryBudget, ProcessBudget, SharedMemory};
pub use figures::Figures;
pub(crate) use figures::From;
pub use hook::OptionsHook;
pub use joining::Joining;
pub(crate) use keys::keys;
pub use profile::Profile;
pub(crate) use tune::Tuned;
pub use tuning::{CompactionStyle, LogLevel, TableCompression, Tuning};
pub use write_back::WriteBackOptions;

use std::sync::Arc;

use alluvium_state_api::Result;

/// The settings of the backend. As text they are `state.backend.rocksdb.` and
///
/// | setting | value | default |
/// |---|---|---|
/// | `predefined-options` | `DEFAULT`, `SPINNING_DISK_OPTIMIZED`, `SPINNING_DISK_OPTIMIZED_HIGH_MEM`, `FLASH_SSD_OPTIMIZED`, `NVME_OPTIMIZED`, `CLOUD_VOLUME_OPTIMIZED`, `LARGE_VALUE_OPTIMIZED` | `DEFAULT` |
/// | `memory.managed` | whether caches and write buffers share a budget of the process | true |
/// | `memory.fixed-per-tm` | size of that budget, 1 mb to 1 tb | 512 mb |
/// | `memory.write-buffer-ratio` | the part of it for write buffers, above 0 and below 1 | 0.5 |
/// | `memory.partitioned-index-filters` | true, false | false |
/// | `thread.num` | 1 to 1024 background jobs | 2 |
/// | `files.open` | -1 for all, or 1 to 2147483647 | -1 |
/// | `log.level` | `DEBUG_LEVEL`, `INFO_LEVEL`, `WARN_LEVEL`, `ERROR_LEVEL`, `FATAL_LEVEL`, `HEADER_LEVEL` | `INFO_LEVEL` |
/// | `log.max-file-size` | size, 0 for no limit | 25 mb |
/// | `log.file-num` | 1 to 1000 | 4 |
/// | `log.dir` | absolute path | the store's local directory |
/// | `compaction.style` | `LEVEL`, `UNIVERSAL` | `LEVEL` |
/// | `compaction.level.use-dynamic-size` | true, false | false |
/// | `compaction.level.target-file-size-base` | size | 64 mb |
/// | `compaction.level.max-size-level-base` | size | 256 mb |
/// | `compression.per.level` | `NO_COMPRESSION`, `SNAPPY_COMPRESSION`, `LZ4_COMPRESSION`, `LZ4HC_COMPRESSION`, `ZSTD_COMPRESSION`, separated by `;`; the last one repeats | `SNAPPY_COMPRESSION` |
/// | `writebuffer.size` | size, from 64 kb | 64 mb |
/// | `writebuffer.count` | 1 to 1000 | 2 |
/// | `writebuffer.number-to-merge` | 1 to 1000, below the count | 1 |
/// | `block.blocksize` | size, 1 kb to 64 mb | 4 kb |
/// | `block.metadata-blocksize` | size, 1 kb to 64 mb | 4 kb |
/// | `block.cache-size` | size; of a store's own cache, where memory is not managed | 8 mb |
/// | `use-bloom-filter` | true, false | false |
/// | `bloom-filter.bits-per-key` | number above 0, to 100 | 10.0 |
/// | `block.partitioned-index-filters` | true, false; whether only needed parts of a table's index and filter are in memory | false |
/// | `memory.fixed-per-slot` | size of a budget that the store has for itself, instead of that of the process | none |
/// | `compaction.filter.periodic-compaction-time` | duration after which a table is compacted, whatever is in it; 0 leaves it to RocksDB: never, unless a hook has a compaction filter | 0 |
/// | `restore-overlap-fraction-threshold` | 0 to 1: the part of a former database that must be wanted for a restore to begin with it | 0 |
/// | `rescaling.use-delete-files-in-range` | whether tables that a rescale makes superfluous are dropped at once | true |
/// | `use-ingest-db-restore-mode` | whether what other databases have is added as tables, instead of entry by entry | true |
/// | `incremental-restore-async-compact-after-rescale` | whether what a rescale cuts off is compacted away in the background | false |
/// | `manual-compaction.min-interval` | duration from one look for small tables to join to the next one, at the beginning of a snapshot, see [`Joining`]; 0 for never | 0 |
/// | `manual-compaction.max-parallel-compactions` | 1 to 1024 at a time | 5 |
/// | `manual-compaction.max-file-size-to-compact` | size up to which a table is small | 50 kb |
/// | `manual-compaction.min-files-to-compact` | 2 to 100000 tables | 5 |
/// | `manual-compaction.max-files-to-compact` | 2 to 100000 tables, not below the least number | 30 |
/// | `manual-compaction.max-output-file-size` | size | 64 mb |
/// | `manual-compaction.max-auto-compactions` | 0 to 100000: nothing is joined while RocksDB runs more compactions | 30 |
/// | `metrics.` and a name | whether that figure of RocksDB is recorded, see [`Figures`] | false |
/// | `blob.min-size` | size from which on values lie in blob files, to 1 gb; 0 for none | 0 |
/// | `blob.file-size` | size | 256 mb |
/// | `compaction.readahead-size` | size that compaction reads at a time, 4 kb to 1 gb | 2 mb |
/// | `bytes-per-sync` | size after which the disk begins to write a file; 0 for none | 0 |
/// | `write-back.size` | size of what is kept in memory in front of RocksDB, up to half of the budget; 0 for nothing | a quarter of the budget; 8 mb for a store where memory is not managed |
/// | `write-back.max-unwritten` | size of what of it is not in RocksDB yet, which a snapshot waits for | 8 mb |
/// | `write-batch-size` | size of the batches of a restore; 0 to limit only the number of their records | 2 mb |
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RocksOptions {
    /// Values for a kind of device.
    pub profile: Profile,
    /// What is set explicitly.
    pub tuning: Tuning,
    /// The budget of caches and write buffers.
    pub memory: MemoryBudget,
    /// What is kept in front of RocksDB.
    pub write_back: WriteBackOptions,
    /// Sizes of batches.
    pub batches: BatchLimits,
    /// Which of RocksDB's own figures are recorded.
    pub figures: Figures,
    /// How what other snapshots have comes into a database.
    pub rescaling: Rescaling,
    /// When small tables are joined.
    pub joining: Joining,
    /// Called last but for the budget.
    pub hook: Option<Arc<dyn OptionsHook>>,
}

impl RocksOptions {
    /// RocksDB's options of the database and of its column family as a store with these options opens it: for tools
    /// that look into a database, and for measuring what a store adds to it.
    ///
    /// # Errors
    /// `InvalidInput` for options that exclude one another.
    pub fn to_rocksdb(&self) -> Result<(rocksdb::Options, rocksdb::Options)> {
        let Tuned { database, family, .. } = self.tuned()?;
        Ok((database, family))
    }
}

/// How a store takes former databases at a restore with another parallelism.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rescaling {
    /// A former database becomes the store's, and is cut, only if at least this part of its key groups is wanted, from 0
    /// to 1; what is wanted of others is copied out of them.
    pub least_overlap: f64,
    /// Whether tables that have nothing but what is cut off are dropped at once; otherwise compaction does it.
    pub drops_files: bool,
    /// Whether what is copied is written as tables, which then become part of the database, or as batches.
    pub ingests: bool,
    /// Whether tables with something that is cut off are compacted in the background, once the store is open; it ends
    /// when the store is closed.
    pub compacts: bool,
}

impl Default for Rescaling {
    fn default() -> Self {
        Self { least_overlap: 0.0, drops_files: true, ingests: true, compacts: false }
    }
}

/// When a batch of a restore or a migration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// Bytes; 0 for no limit.
    pub bytes: u64,
    /// Records.
    pub records: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { bytes: 2 << 20, records: 500 }
    }
}

impl BatchLimits {
    /// Whether a batch of that size is to be written.
    pub(crate) fn reached(self, batch: &rocksdb::WriteBatch) -> bool {
        let bytes = batch.size_in_bytes() as u64;
        batch.len() >= self.records || (self.bytes > 0 && bytes >= self.bytes)
    }
}
