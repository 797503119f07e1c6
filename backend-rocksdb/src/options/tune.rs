//! [`Tuned`]: RocksDB's options, made of a store's.

use std::sync::Arc;

use alluvium_state_api::Result;
use rocksdb::{BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, Options};

use super::RocksOptions;
use super::budget::SharedMemory;
use super::tuning::{CompactionStyle, LogLevel, TableCompression, Values};
use crate::cache::Purse;
use crate::failure::failed;
use crate::list;

/// Levels of a database, RocksDB's default.
const LEVELS: usize = 7;

/// Every incremental snapshot has the manifest, so it must not grow for as long as the store lives.
const MOST_MANIFEST_BYTES: usize = 1 << 20;

/// Where RocksDB begins to look for a key's place in a write buffer: at that of the last key of the same key group (2 bytes,
/// `address`). The write-back table writes in the order of keys, so that it is near. Each key group costs some 300
/// bytes of the buffer.
const HINTS: &str = "memtable_insert_with_hint_prefix_extractor=fixed:2";
/// Write buffers from this size on have room for that, and so many keys that it pays.
const HINTED_BYTES: u64 = 16 << 20;

/// The part of blob files, from the oldest on, whose living values move when compaction comes by, so that the dead ones
/// go away.
const OLD_BLOBS: f64 = 0.25;
/// The part of dead bytes in the oldest blob files from which on compaction comes by for them alone.
const DEAD_BLOBS: f64 = 0.5;

/// RocksDB's options, and what they refer to.
pub(crate) struct Tuned {
    pub(crate) database: Options,
    pub(crate) family: Options,
    /// What the store may keep in front of RocksDB.
    pub(crate) write_back: Arc<Purse>,
    _memory: Option<SharedMemory>,
}

impl RocksOptions {
    /// Checks the options and makes RocksDB's of them.
    ///
    /// # Errors
    /// `InvalidInput`, naming the setting.
    pub(crate) fn tuned(&self) -> Result<Tuned> {
        let values = self.tuning.clone().or(self.profile.tuning()).resolved();
        values.validate()?;
        let memory = self.memory.shared()?;
        if let Some(memory) = &memory {
            memory.check_write_buffer(values.write_buffer_bytes)?;
        }
        let hook = self.hook.as_deref();
        let mut database = database(&values);
        if self.figures.needs_statistics() {
            database.enable_statistics();
            database.set_statistics_level(rocksdb::statistics::StatsLevel::ExceptHistogramOrTimers);
        }
        let mut family = family(&values)?;
        let mut tables = tables(&values);
        if let Some(hook) = hook {
            hook.database(&mut database);
            hook.column_family(&mut family);
            hook.tables(&mut tables);
        }
        match &memory {
            Some(memory) => {
                family.set_blob_cache(memory.cache());
                budgeted(memory, &values, &mut database, &mut tables);
            }
            None => tables.set_block_cache(&Cache::new_lru_cache(size(values.block_cache_bytes))),
        }
        family.set_block_based_table_factory(&tables);
        database.set_max_manifest_file_size(MOST_MANIFEST_BYTES);
        crate::raw::avoid_flush(&mut database);
        family.set_merge_operator_associative(list::MERGE_OPERATOR, list::merge);
        let write_back = match &memory {
            Some(memory) => memory.write_back(),
            None => Purse::new(self.write_back.store_bytes),
        };
        Ok(Tuned { database, family, write_back, _memory: memory })
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn database(values: &Values) -> Options {
    let mut options = Options::default();
    options.set_max_background_jobs(count(values.background_jobs));
    options.set_max_open_files(values.open_files);
    options.set_use_fsync(false);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_paranoid_checks(true);
    options.set_compaction_readahead_size(size(values.compaction_readahead_bytes));
    options.set_bytes_per_sync(values.bytes_per_sync);
    options.set_log_level(match values.log_level {
        LogLevel::Debug => rocksdb::LogLevel::Debug,
        LogLevel::Info => rocksdb::LogLevel::Info,
        LogLevel::Warn => rocksdb::LogLevel::Warn,
        LogLevel::Error => rocksdb::LogLevel::Error,
        LogLevel::Fatal => rocksdb::LogLevel::Fatal,
        LogLevel::Header => rocksdb::LogLevel::Header,
    });
    options.set_max_log_file_size(size(values.log_file_bytes));
    options.set_keep_log_file_num(size(u64::from(values.log_files)));
    if !values.log_dir.as_os_str().is_empty() {
        options.set_db_log_dir(&values.log_dir);
    }
    options
}

fn family(values: &Values) -> Result<Options> {
    let hints = if values.write_buffer_bytes < HINTED_BYTES { "" } else { HINTS };
    let options = Options::default().get_options_from_string(hints);
    let mut options = options.map_err(|error| failed("options", error))?;
    options.set_compaction_style(match values.compaction_style {
        CompactionStyle::Level => DBCompactionStyle::Level,
        CompactionStyle::Universal => DBCompactionStyle::Universal,
    });
    options.set_level_compaction_dynamic_level_bytes(values.dynamic_level_bytes);
    let last = values.compression_per_level.last();
    let compression =
        |level: usize| compression(values.compression_per_level.get(level).or(last).copied());
    options.set_compression_per_level(&std::array::from_fn::<_, LEVELS, _>(compression));
    options.set_target_file_size_base(values.target_file_bytes);
    options.set_max_bytes_for_level_base(values.level_base_bytes);
    options.set_write_buffer_size(size(values.write_buffer_bytes));
    options.set_max_write_buffer_number(count(values.write_buffers));
    options.set_min_write_buffer_number_to_merge(count(values.write_buffers_to_merge));
    if !values.periodic_compaction.is_zero() {
        options.set_periodic_compaction_seconds(values.periodic_compaction.as_secs().max(1));
    }
    if values.min_blob_bytes > 0 {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(values.min_blob_bytes);
        options.set_blob_file_size(values.blob_file_bytes);
        options.set_blob_compression_type(compression(LEVELS));
        options.set_enable_blob_gc(true);
        options.set_blob_gc_age_cutoff(OLD_BLOBS);
        options.set_blob_gc_force_threshold(DEAD_BLOBS);
    }
    Ok(options)
}

const fn compression(of: Option<TableCompression>) -> DBCompressionType {
    match of {
        None | Some(TableCompression::None) => DBCompressionType::None,
        Some(TableCompression::Snappy) => DBCompressionType::Snappy,
        Some(TableCompression::Lz4) => DBCompressionType::Lz4,
        Some(TableCompression::Lz4Hc) => DBCompressionType::Lz4hc,
        Some(TableCompression::Zstd) => DBCompressionType::Zstd,
    }
}

fn tables(values: &Values) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_size(size(values.block_bytes));
    tables.set_metadata_block_size(size(values.metadata_block_bytes));
    if values.partitioned_tables {
        partition(&mut tables);
    }
    if values.bloom_filter {
        tables.set_bloom_filter(values.bloom_bits_per_key, false);
    }
    tables
}

/// What a shared budget demands.
fn budgeted(
    memory: &SharedMemory,
    values: &Values,
    database: &mut Options,
    tables: &mut BlockBasedOptions,
) {
    database.set_write_buffer_manager(memory.buffers());
    tables.set_block_cache(memory.cache());
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if memory.is_partitioned() {
        partition(tables);
        if values.bloom_filter {
            tables.set_bloom_filter(10.0, false);
        }
    }
}

fn partition(tables: &mut BlockBasedOptions) {
    tables.set_index_type(rocksdb::BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_pin_top_level_index_and_filter(true);
}
