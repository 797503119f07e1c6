//! The options as settings: Flink's keys, checked.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use alluvium_state_api::settings::{Settings, parse_size};
use alluvium_state_api::{Error, Result};

use super::{
    BatchLimits, CompactionStyle, Figures, Joining, LogLevel, MemoryBudget, ProcessBudget, Profile,
    Rescaling, RocksOptions, TableCompression, Tuning, WriteBackOptions,
};

macro_rules! keys {
    ($($name:ident = $key:literal;)*) => {
        $(const $name: &str = concat!("state.backend.rocksdb.", $key);)*
        /// Those that are read here.
        const READ: &[&str] = &[$($name),*];
    };
}

keys! {
    PROFILE = "predefined-options";
    MANAGED = "memory.managed";
    TOTAL = "memory.fixed-per-tm";
    RATIO = "memory.write-buffer-ratio";
    PARTITIONED = "memory.partitioned-index-filters";
    THREADS = "thread.num";
    OPEN_FILES = "files.open";
    LOG_LEVEL = "log.level";
    LOG_BYTES = "log.max-file-size";
    LOG_FILES = "log.file-num";
    LOG_DIR = "log.dir";
    STYLE = "compaction.style";
    DYNAMIC = "compaction.level.use-dynamic-size";
    TARGET = "compaction.level.target-file-size-base";
    LEVEL_BASE = "compaction.level.max-size-level-base";
    COMPRESSION = "compression.per.level";
    BUFFER = "writebuffer.size";
    BUFFERS = "writebuffer.count";
    BUFFERS_MERGED = "writebuffer.number-to-merge";
    BLOCK = "block.blocksize";
    METADATA_BLOCK = "block.metadata-blocksize";
    CACHE = "block.cache-size";
    BLOOM = "use-bloom-filter";
    BLOOM_BITS = "bloom-filter.bits-per-key";
    BATCH = "write-batch-size";
    PER_SLOT = "memory.fixed-per-slot";
    PERIODIC = "compaction.filter.periodic-compaction-time";
    OVERLAP = "restore-overlap-fraction-threshold";
    DROP_FILES = "rescaling.use-delete-files-in-range";
    INGEST = "use-ingest-db-restore-mode";
    COMPACT = "incremental-restore-async-compact-after-rescale";
    PARTITIONED_TABLES = "block.partitioned-index-filters";
    MIN_BLOB = "blob.min-size";
    BLOB_FILE = "blob.file-size";
    READAHEAD = "compaction.readahead-size";
    SYNC = "bytes-per-sync";
    WRITE_BACK = "write-back.size";
    UNWRITTEN = "write-back.max-unwritten";
    JOIN_INTERVAL = "manual-compaction.min-interval";
    JOIN_PARALLEL = "manual-compaction.max-parallel-compactions";
    JOIN_SMALL = "manual-compaction.max-file-size-to-compact";
    JOIN_MIN = "manual-compaction.min-files-to-compact";
    JOIN_MAX = "manual-compaction.max-files-to-compact";
    JOIN_OUTPUT = "manual-compaction.max-output-file-size";
    JOIN_RUNNING = "manual-compaction.max-auto-compactions";
}

/// All of them, also those that are refused, as the registry wants them.
pub(crate) fn keys() -> &'static [&'static str] {
    static KEYS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| [READ, super::figures::KEYS, super::gone::KEYS].concat());
    &KEYS
}

const SIZES: RangeInclusive<u64> = 1..=1 << 40;
const TABLES: RangeInclusive<u64> = 2..=100_000;
const BUFFER_SIZES: RangeInclusive<u64> = 64 << 10..=1 << 40;
const BLOCK_SIZES: RangeInclusive<u64> = 1 << 10..=64 << 20;
const BUDGETS: RangeInclusive<u64> = 1 << 20..=1 << 40;

impl RocksOptions {
    /// Reads the options from settings.
    ///
    /// # Errors
    /// `InvalidInput`, naming the setting and what it takes.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        super::gone::refuse(settings)?;
        let read = Read(settings);
        let mut options = Self::default();
        if let Some(name) = settings.get(PROFILE) {
            let named = Profile::from_name(name);
            options.profile = named
                .map_err(|error| Error::invalid_input(format!("{PROFILE}: {}", error.message())))?;
        }
        options.memory = read.memory()?;
        let default = options.write_back;
        options.write_back = WriteBackOptions {
            store_bytes: settings.size(WRITE_BACK, default.store_bytes, 0..=1 << 40)?,
            unwritten_bytes: settings.size(UNWRITTEN, default.unwritten_bytes, 0..=1 << 40)?,
        };
        options.batches = BatchLimits {
            bytes: settings.size(BATCH, options.batches.bytes, 0..=1 << 40)?,
            ..options.batches
        };
        options.figures = Figures::from_settings(settings)?;
        options.rescaling = read.rescaling()?;
        options.joining = read.joining()?;
        read.tuning(&mut options.tuning)?;
        Ok(options)
    }
}

/// Settings, of which what is not set is `None`.
struct Read<'s>(&'s Settings);

impl Read<'_> {
    /// What is set explicitly of RocksDB's values.
    fn tuning(&self, tuning: &mut Tuning) -> Result<()> {
        let read = self;
        tuning.background_jobs = read.number(THREADS, 1..=1024)?;
        tuning.open_files = read.open_files()?;
        tuning.log_level = read.choice(LOG_LEVEL, &LogLevel::NAMES)?;
        tuning.log_file_bytes = read.size(LOG_BYTES, 0..=1 << 40)?;
        tuning.log_files = read.number(LOG_FILES, 1..=1000)?;
        tuning.log_dir = read.0.get(LOG_DIR).map(PathBuf::from);
        let styles = [("LEVEL", CompactionStyle::Level), ("UNIVERSAL", CompactionStyle::Universal)];
        tuning.compaction_style = read.choice(STYLE, &styles)?;
        tuning.dynamic_level_bytes = read.flag(DYNAMIC)?;
        tuning.target_file_bytes = read.size(TARGET, SIZES)?;
        tuning.level_base_bytes = read.size(LEVEL_BASE, SIZES)?;
        tuning.compression_per_level = read.compression()?;
        tuning.write_buffer_bytes = read.size(BUFFER, BUFFER_SIZES)?;
        tuning.write_buffers = read.number(BUFFERS, 1..=1000)?;
        tuning.write_buffers_to_merge = read.number(BUFFERS_MERGED, 1..=1000)?;
        tuning.block_bytes = read.size(BLOCK, BLOCK_SIZES)?;
        tuning.metadata_block_bytes = read.size(METADATA_BLOCK, BLOCK_SIZES)?;
        tuning.block_cache_bytes = read.size(CACHE, SIZES)?;
        tuning.bloom_filter = read.flag(BLOOM)?;
        tuning.bloom_bits_per_key = read.fraction(BLOOM_BITS)?;
        tuning.periodic_compaction = read.duration(PERIODIC)?;
        tuning.partitioned_tables = read.flag(PARTITIONED_TABLES)?;
        tuning.min_blob_bytes = read.size(MIN_BLOB, 0..=1 << 30)?;
        tuning.blob_file_bytes = read.size(BLOB_FILE, SIZES)?;
        tuning.compaction_readahead_bytes = read.size(READAHEAD, 4 << 10..=1 << 30)?;
        tuning.bytes_per_sync = read.size(SYNC, 0..=1 << 40)?;
        Ok(())
    }

    fn rescaling(&self) -> Result<Rescaling> {
        let default = Rescaling::default();
        Ok(Rescaling {
            least_overlap: self.part(OVERLAP)?.unwrap_or(default.least_overlap),
            drops_files: self.flag(DROP_FILES)?.unwrap_or(default.drops_files),
            ingests: self.flag(INGEST)?.unwrap_or(default.ingests),
            compacts: self.flag(COMPACT)?.unwrap_or(default.compacts),
        })
    }

    fn joining(&self) -> Result<Joining> {
        let default = Joining::default();
        let joining = Joining {
            interval: self.duration(JOIN_INTERVAL)?.unwrap_or(default.interval),
            parallel: self.number(JOIN_PARALLEL, 1..=1024)?.unwrap_or(default.parallel),
            max_table_bytes: self.size(JOIN_SMALL, SIZES)?.unwrap_or(default.max_table_bytes),
            min_tables: self.number(JOIN_MIN, TABLES)?.unwrap_or(default.min_tables),
            max_tables: self.number(JOIN_MAX, TABLES)?.unwrap_or(default.max_tables),
            max_output_bytes: self.size(JOIN_OUTPUT, SIZES)?.unwrap_or(default.max_output_bytes),
            max_running: self.number(JOIN_RUNNING, 0..=100_000)?.unwrap_or(default.max_running),
        };
        if joining.max_tables < joining.min_tables {
            return Err(Error::invalid_input(format!(
                "{JOIN_MAX} is {}, below {JOIN_MIN}, which is {}",
                joining.max_tables, joining.min_tables
            )));
        }
        Ok(joining)
    }

    fn duration(&self, key: &str) -> Result<Option<Duration>> {
        let is_set = self.0.get(key).is_some();
        is_set.then(|| self.0.duration(key, Duration::ZERO)).transpose()
    }

    /// A number from 0 to 1.
    fn part(&self, key: &str) -> Result<Option<f64>> {
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        let number: Option<f64> = text.parse().ok();
        number.filter(|number| (0.0..=1.0).contains(number)).map(Some).ok_or_else(|| {
            Error::invalid_input(format!("{key} is {text:?}; it must be a number from 0 to 1"))
        })
    }

    fn size(&self, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>> {
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        self.0.size(key, parse_size(text).unwrap_or(0), bounds).map(Some)
    }

    fn number(&self, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u32>> {
        if self.0.get(key).is_none() {
            return Ok(None);
        }
        Ok(u32::try_from(self.0.number(key, *bounds.start(), bounds)?).ok())
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.choice(key, &[("true", true), ("false", false)])
    }

    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        self.0.get(key).map(|text| chosen(key, text, choices)).transpose()
    }

    fn fraction(&self, key: &str) -> Result<Option<f64>> {
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        let number: Option<f64> = text.parse().ok();
        number.filter(|number| number.is_finite() && *number > 0.0).map(Some).ok_or_else(|| {
            Error::invalid_input(format!("{key} is {text:?}; it must be a number above 0"))
        })
    }

    fn open_files(&self) -> Result<Option<i32>> {
        if self.0.get(OPEN_FILES) == Some("-1") {
            return Ok(Some(-1));
        }
        let most = i32::MAX.unsigned_abs();
        Ok(self
            .number(OPEN_FILES, 1..=u64::from(most))?
            .and_then(|files| i32::try_from(files).ok()))
    }

    fn compression(&self) -> Result<Option<Vec<TableCompression>>> {
        let Some(text) = self.0.get(COMPRESSION) else {
            return Ok(None);
        };
        let levels = text.split([';', ',']).map(str::trim);
        let levels = levels.map(|name| chosen(COMPRESSION, name, &TableCompression::NAMES));
        levels.collect::<Result<_>>().map(Some)
    }

    fn memory(&self) -> Result<MemoryBudget> {
        let is_managed = self.flag(MANAGED)?.unwrap_or(true);
        let default = ProcessBudget::default();
        if is_managed {
            let partitioned = self.flag(PARTITIONED)?;
            let total_bytes = self.0.size(TOTAL, default.total_bytes, BUDGETS)?;
            let per_slot = self.size(PER_SLOT, BUDGETS)?;
            let budget = ProcessBudget {
                total_bytes: per_slot.unwrap_or(total_bytes),
                write_buffer_ratio: self.fraction(RATIO)?.unwrap_or(default.write_buffer_ratio),
                partitioned_index_filters: partitioned.unwrap_or(default.partitioned_index_filters),
                write_back_bytes: self.size(WRITE_BACK, 0..=1 << 40)?,
            };
            return Ok(match per_slot {
                Some(_) => MemoryBudget::PerSlot(budget),
                None => MemoryBudget::PerProcess(budget),
            });
        }
        match [TOTAL, PER_SLOT, RATIO, PARTITIONED]
            .into_iter()
            .find(|key| self.0.get(key).is_some())
        {
            Some(key) => Err(Error::invalid_input(format!(
                "{key} is for memory that is managed, and {MANAGED} is false"
            ))),
            None => Ok(MemoryBudget::PerStore),
        }
    }
}

fn chosen<T: Copy>(key: &str, text: &str, choices: &[(&str, T)]) -> Result<T> {
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Error::invalid_input(format!("{key} has {text:?}; choose one of {}", names.join(", ")))
    })
}
