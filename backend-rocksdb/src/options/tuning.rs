//! [`Tuning`]: the values of RocksDB that can be set, each or none.

use std::path::PathBuf;
use std::time::Duration;

use alluvium_state_api::{Error, Result};

/// How files are compacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompactionStyle {
    /// Sorted levels: least space, most writing.
    #[default]
    Level,
    /// Sorted runs: less writing, more space.
    Universal,
}

/// How tables are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableCompression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// LZ4, better and slower.
    Lz4Hc,
    /// Zstandard.
    Zstd,
}

impl TableCompression {
    /// All of them, by their names in settings.
    pub(super) const NAMES: [(&'static str, Self); 5] = [
        ("NO_COMPRESSION", Self::None),
        ("SNAPPY_COMPRESSION", Self::Snappy),
        ("LZ4_COMPRESSION", Self::Lz4),
        ("LZ4HC_COMPRESSION", Self::Lz4Hc),
        ("ZSTD_COMPRESSION", Self::Zstd),
    ];
}

/// What RocksDB writes to its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What looks wrong.
    Warn,
    /// What failed.
    Error,
    /// What ended the database.
    Fatal,
    /// The header only.
    Header,
}

impl LogLevel {
    /// All of them, by their names in settings.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("DEBUG_LEVEL", Self::Debug),
        ("INFO_LEVEL", Self::Info),
        ("WARN_LEVEL", Self::Warn),
        ("ERROR_LEVEL", Self::Error),
        ("FATAL_LEVEL", Self::Fatal),
        ("HEADER_LEVEL", Self::Header),
    ];
}

macro_rules! tuning {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr;)*) => {
        /// The values of RocksDB that can be set; what is `None` is left to the profile and the defaults.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Tuning {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl Tuning {
            /// These values, and where there is none, the other's.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }

            /// The values with the defaults where there is none.
            pub(super) fn resolved(self) -> Values {
                Values { $($field: self.$field.unwrap_or_else(|| $default),)* }
            }
        }

        /// [`Tuning`] with nothing left open.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct Values {
            $(pub(super) $field: $type,)*
        }
    };
}

tuning! {
    /// Threads' worth of flushes and compactions at a time.
    background_jobs: u32 = 2;
    /// Files that stay open; -1 for all.
    open_files: i32 = -1;
    /// What RocksDB writes to its log.
    log_level: LogLevel = LogLevel::Info;
    /// Bytes of a log file, 0 for no limit.
    log_file_bytes: u64 = 25 << 20;
    /// Log files that are kept.
    log_files: u32 = 4;
    /// The directory of the log; without one it lies with the database, and goes away with it.
    log_dir: PathBuf = PathBuf::new();
    /// How files are compacted.
    compaction_style: CompactionStyle = CompactionStyle::Level;
    /// Whether sizes of levels follow that of the last one.
    dynamic_level_bytes: bool = false;
    /// Compression by level; the last one repeats.
    compression_per_level: Vec<TableCompression> = vec![TableCompression::Snappy];
    /// Bytes of a file in the first level.
    target_file_bytes: u64 = 64 << 20;
    /// Bytes of the first level.
    level_base_bytes: u64 = 256 << 20;
    /// Bytes of a write buffer.
    write_buffer_bytes: u64 = 64 << 20;
    /// Write buffers, with those that are being written.
    write_buffers: u32 = 2;
    /// Write buffers that become one file.
    write_buffers_to_merge: u32 = 1;
    /// Bytes of a block of data.
    block_bytes: u64 = 4 << 10;
    /// Bytes of a block of a partitioned index.
    metadata_block_bytes: u64 = 4 << 10;
    /// Bytes of a store's own cache, where no budget is shared.
    block_cache_bytes: u64 = 8 << 20;
    /// Whether files have a filter that tells which keys they do not have.
    bloom_filter: bool = false;
    /// Bits of the filter for each key.
    bloom_bits_per_key: f64 = 10.0;
    /// The time after which a table is compacted, whatever is in it; 0 leaves it to RocksDB, which does so only for a
    /// compaction filter of a hook.
    periodic_compaction: Duration = Duration::ZERO;
    /// Whether index and filter of a file are in blocks of which only the needed ones are in memory; a budget with
    /// [`ProcessBudget::partitioned_index_filters`](super::ProcessBudget::partitioned_index_filters) has them so anyway.
    partitioned_tables: bool = false;
    /// Values of at least so many bytes lie in blob files, which compaction does not rewrite; 0 for none.
    min_blob_bytes: u64 = 0;
    /// Bytes of a blob file.
    blob_file_bytes: u64 = 256 << 20;
    /// Bytes that compaction reads at a time.
    compaction_readahead_bytes: u64 = 2 << 20;
    /// After so many bytes of a file the disk begins to write them; 0 leaves it to the kernel.
    bytes_per_sync: u64 = 0;
}

impl Values {
    /// Checks what belongs together.
    ///
    /// # Errors
    /// `InvalidInput`, naming the settings.
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |text: &str| Err(Error::invalid_input(text.to_owned()));
        if self.background_jobs == 0 || self.log_files == 0 {
            return refuse("thread.num and log.file-num must be above 0");
        }
        if self.open_files == 0 || self.open_files < -1 {
            return refuse("files.open must be -1 or above 0");
        }
        let sizes = [
            self.target_file_bytes,
            self.level_base_bytes,
            self.write_buffer_bytes,
            self.block_bytes,
            self.metadata_block_bytes,
            self.block_cache_bytes,
            self.blob_file_bytes,
            self.compaction_readahead_bytes,
        ];
        if sizes.contains(&0) {
            return refuse(
                "sizes of files, levels, buffers, blocks, caches and readahead must be above 0",
            );
        }
        let (count, merged) = (self.write_buffers, self.write_buffers_to_merge);
        if merged == 0 || count < merged || (merged > 1 && count == merged) {
            return refuse(
                "writebuffer.number-to-merge must be above 0 and, unless both are 1, below writebuffer.count",
            );
        }
        if self.compression_per_level.is_empty() {
            return refuse("compression.per.level must name at least one compression");
        }
        if !(self.bloom_bits_per_key > 0.0 && self.bloom_bits_per_key <= 100.0) {
            return refuse("bloom-filter.bits-per-key must be above 0 and at most 100");
        }
        if !self.log_dir.as_os_str().is_empty() && !self.log_dir.is_absolute() {
            return refuse("log.dir must be an absolute path");
        }
        Ok(())
    }
}
