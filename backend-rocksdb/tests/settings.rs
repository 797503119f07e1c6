//! The backend by name: its settings, their bounds and precedence, and what it needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alluvium_backend_rocksdb::{
    CompactionStyle, LogLevel, MemoryBudget, OptionsHook, ProcessBudget, Profile, RocksBackend,
    RocksOptions, RocksStore, TableCompression, Tuning, rocksdb,
};
use alluvium_state_api::settings::Settings;
use alluvium_state_api::{
    BackendFactory, BackendRegistry, ErrorKind, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv,
    Result, ValueDescriptor, ValueState,
};

fn env() -> Result<OpenEnv> {
    let groups = MaxParallelism::new(4)?;
    Ok(OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all())?))
}

fn read(pairs: &[(&str, &str)]) -> Result<RocksOptions> {
    let pairs = pairs.iter().map(|(key, value)| (format!("state.backend.rocksdb.{key}"), value));
    RocksOptions::from_settings(&Settings::from_pairs(pairs)?)
}

/// Each setting with a value that is not the default.
const ALL: [(&str, &str); 45] = [
    ("predefined-options", "flash_ssd_optimized"),
    ("memory.managed", "true"),
    ("memory.fixed-per-tm", "300 mb"),
    ("memory.write-buffer-ratio", "0.3"),
    ("memory.partitioned-index-filters", "true"),
    ("thread.num", "3"),
    ("files.open", "100"),
    ("log.level", "WARN_LEVEL"),
    ("log.max-file-size", "1 mb"),
    ("log.file-num", "2"),
    ("log.dir", "/tmp"),
    ("compaction.style", "UNIVERSAL"),
    ("compaction.level.use-dynamic-size", "true"),
    ("compaction.level.target-file-size-base", "2 mb"),
    ("compaction.level.max-size-level-base", "3 mb"),
    ("compression.per.level", "NO_COMPRESSION;LZ4_COMPRESSION"),
    ("writebuffer.size", "4 mb"),
    ("writebuffer.count", "5"),
    ("writebuffer.number-to-merge", "2"),
    ("block.blocksize", "6 kb"),
    ("block.metadata-blocksize", "7 kb"),
    ("block.cache-size", "8 mb"),
    ("use-bloom-filter", "true"),
    ("bloom-filter.bits-per-key", "12.5"),
    ("write-batch-size", "0"),
    ("memory.fixed-per-slot", "200 mb"),
    ("compaction.filter.periodic-compaction-time", "2 h"),
    ("restore-overlap-fraction-threshold", "0.5"),
    ("rescaling.use-delete-files-in-range", "false"),
    ("use-ingest-db-restore-mode", "false"),
    ("incremental-restore-async-compact-after-rescale", "true"),
    ("block.partitioned-index-filters", "true"),
    ("blob.min-size", "3 kb"),
    ("blob.file-size", "9 mb"),
    ("compaction.readahead-size", "1 mb"),
    ("bytes-per-sync", "512 kb"),
    ("write-back.size", "20 mb"),
    ("write-back.max-unwritten", "1 mb"),
    ("manual-compaction.min-interval", "1 min"),
    ("manual-compaction.max-parallel-compactions", "2"),
    ("manual-compaction.max-file-size-to-compact", "1 mb"),
    ("manual-compaction.min-files-to-compact", "3"),
    ("manual-compaction.max-files-to-compact", "9"),
    ("manual-compaction.max-output-file-size", "10 mb"),
    ("manual-compaction.max-auto-compactions", "0"),
];

#[test]
fn all_settings_are_read() {
    let options = read(&ALL).unwrap();
    assert_eq!(options.profile, Profile::FlashSsdOptimized);
    let MemoryBudget::PerSlot(budget) = options.memory else { panic!("memory is managed") };
    let expected = ProcessBudget {
        total_bytes: 200 << 20,
        write_buffer_ratio: 0.3,
        partitioned_index_filters: true,
        write_back_bytes: Some(20 << 20),
    };
    assert_eq!(budget, expected);
    assert_eq!(options.write_back.unwritten_bytes, 1 << 20);
    let expected = Tuning {
        background_jobs: Some(3),
        open_files: Some(100),
        log_level: Some(LogLevel::Warn),
        log_file_bytes: Some(1 << 20),
        log_files: Some(2),
        log_dir: Some("/tmp".into()),
        compaction_style: Some(CompactionStyle::Universal),
        dynamic_level_bytes: Some(true),
        target_file_bytes: Some(2 << 20),
        level_base_bytes: Some(3 << 20),
        compression_per_level: Some(vec![TableCompression::None, TableCompression::Lz4]),
        write_buffer_bytes: Some(4 << 20),
        write_buffers: Some(5),
        write_buffers_to_merge: Some(2),
        block_bytes: Some(6 << 10),
        metadata_block_bytes: Some(7 << 10),
        block_cache_bytes: Some(8 << 20),
        bloom_filter: Some(true),
        bloom_bits_per_key: Some(12.5),
        periodic_compaction: Some(Duration::from_hours(2)),
        partitioned_tables: Some(true),
        min_blob_bytes: Some(3 << 10),
        blob_file_bytes: Some(9 << 20),
        compaction_readahead_bytes: Some(1 << 20),
        bytes_per_sync: Some(512 << 10),
    };
    assert_eq!(options.tuning, expected);
    assert_eq!(options.batches.bytes, 0);
    let rescaling = options.rescaling;
    assert!(rescaling.least_overlap > 0.4 && !rescaling.drops_files && !rescaling.ingests);
    assert!(rescaling.compacts);
    let joining = options.joining;
    assert_eq!((joining.interval, joining.parallel), (Duration::from_mins(1), 2));
    assert_eq!((joining.max_table_bytes, joining.max_output_bytes), (1 << 20, 10 << 20));
    assert_eq!((joining.min_tables, joining.max_tables, joining.max_running), (3, 9, 0));
    let keys: Vec<String> =
        ALL.iter().map(|(key, _)| format!("state.backend.rocksdb.{key}")).collect();
    let known = RocksBackend.setting_keys();
    assert_eq!(known[..keys.len()], keys, "each setting is read here");
    // The others ask for figures, or are Flink's and refused with a reason.
    for key in &known[keys.len()..] {
        let read = Settings::from_pairs([(*key, "true")]);
        match RocksOptions::from_settings(&read.unwrap()) {
            Ok(options) => assert!(options.figures.names().count() > 0, "{key}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{key}");
                assert!(error.message().starts_with(key), "{error}");
            }
        }
    }
}

#[test]
fn a_store_opens_with_all_of_them_and_keeps_what_it_is_given() {
    let pairs = ALL.iter().filter(|(key, _)| *key != "log.dir");
    let pairs = pairs.map(|(key, value)| (format!("state.backend.rocksdb.{key}"), *value));
    let mut settings = Settings::from_pairs(pairs).unwrap();
    settings.set("state.backend", "embedded-rocksdb").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let registry = BackendRegistry::new().with(RocksBackend);
    let store = registry.open(env().unwrap().with_local_dir(directory.path()), &settings).unwrap();
    assert_eq!(store.backend_name(), "rocksdb");
    let mut backend = KeyedBackend::<u64>::new(store).unwrap();
    let value = backend.open(ValueDescriptor::<u64>::new("value")).unwrap();
    backend.at(&1).unwrap().value(value).set(&2).unwrap();
    assert_eq!(backend.at(&1).unwrap().value(value).get().unwrap(), Some(2));
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    for (key, value) in [
        ("predefined-options", "FLOPPY_DISK_OPTIMIZED"),
        ("memory.managed", "perhaps"),
        ("memory.fixed-per-tm", "1 kb"),
        ("memory.write-buffer-ratio", "-0.5"),
        ("thread.num", "0"),
        ("files.open", "0"),
        ("files.open", "-2"),
        ("log.level", "LOUD"),
        ("log.file-num", "0"),
        ("compaction.style", "FIFO"),
        ("compaction.level.target-file-size-base", "0"),
        ("compression.per.level", "SNAPPY_COMPRESSION;"),
        ("writebuffer.size", "1 kb"),
        ("writebuffer.count", "0"),
        ("writebuffer.number-to-merge", "0"),
        ("block.blocksize", "much"),
        ("use-bloom-filter", "1"),
        ("bloom-filter.bits-per-key", "0"),
        ("write-batch-size", "-1"),
        ("memory.fixed-per-slot", "1 kb"),
        ("compaction.filter.periodic-compaction-time", "soon"),
        ("restore-overlap-fraction-threshold", "1.5"),
        ("rescaling.use-delete-files-in-range", "no"),
        ("use-ingest-db-restore-mode", "no"),
        ("incremental-restore-async-compact-after-rescale", "later"),
        ("manual-compaction.min-files-to-compact", "1"),
        ("manual-compaction.min-files-to-compact", "31"),
        ("manual-compaction.max-files-to-compact", "4"),
        ("manual-compaction.max-parallel-compactions", "0"),
        ("metrics.bytes-written", "much"),
        ("blob.min-size", "2 gb"),
        ("blob.file-size", "0"),
        ("compaction.readahead-size", "1 kb"),
        ("bytes-per-sync", "some"),
        ("write-back.size", "all"),
        ("write-back.max-unwritten", "-1"),
    ] {
        let error = read(&[(key, value)]).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        assert!(error.message().contains(key), "{error}");
    }
    let unmanaged = [("memory.managed", "false"), ("memory.fixed-per-tm", "300 mb")];
    assert!(read(&unmanaged).is_err(), "a budget that nobody keeps to");
    let unmanaged = [("memory.managed", "false"), ("write-back.size", "3 mb")];
    assert_eq!(read(&unmanaged).unwrap().write_back.store_bytes, 3 << 20);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    for pairs in [
        [("writebuffer.count", "2"), ("writebuffer.number-to-merge", "2")],
        [("memory.fixed-per-tm", "20 mb"), ("writebuffer.size", "64 mb")],
        [("memory.write-buffer-ratio", "1.5"), ("thread.num", "2")],
        [("memory.fixed-per-tm", "100 mb"), ("write-back.size", "60 mb")],
        [("log.dir", "relative"), ("thread.num", "2")],
        [("bloom-filter.bits-per-key", "1000"), ("thread.num", "2")],
    ] {
        let options = read(&pairs).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let opened =
            RocksStore::open_with(env().unwrap().with_local_dir(directory.path()), options);
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::InvalidInput, "{pairs:?}");
    }
}

#[test]
fn profiles_have_flinks_values_and_explicit_ones_go_before() {
    assert_eq!(Profile::Default.tuning(), Tuning::default());
    let flash = Tuning { background_jobs: Some(4), open_files: Some(-1), ..Tuning::default() };
    assert_eq!(Profile::FlashSsdOptimized.tuning(), flash);
    let disk = Tuning {
        compaction_style: Some(CompactionStyle::Level),
        dynamic_level_bytes: Some(true),
        ..flash.clone()
    };
    assert_eq!(Profile::SpinningDiskOptimized.tuning(), disk);
    let high = Profile::SpinningDiskOptimizedHighMem.tuning();
    let expected = Tuning {
        block_cache_bytes: Some(256 << 20),
        block_bytes: Some(128 << 10),
        dynamic_level_bytes: Some(true),
        level_base_bytes: Some(1 << 30),
        write_buffers: Some(4),
        write_buffers_to_merge: Some(3),
        target_file_bytes: Some(256 << 20),
        write_buffer_bytes: Some(64 << 20),
        bloom_filter: Some(true),
        ..flash
    };
    assert_eq!(high, expected);
    let ours = Tuning {
        dynamic_level_bytes: Some(true),
        bloom_filter: Some(true),
        partitioned_tables: Some(true),
        ..Profile::FlashSsdOptimized.tuning()
    };
    let lz4 = TableCompression::Lz4;
    let nvme = Tuning { compression_per_level: Some(vec![lz4]), ..ours.clone() };
    assert_eq!(Profile::NvmeOptimized.tuning(), nvme);
    let cloud = Tuning {
        block_bytes: Some(16 << 10),
        compression_per_level: Some(vec![lz4, lz4, TableCompression::Zstd]),
        compaction_readahead_bytes: Some(8 << 20),
        bytes_per_sync: Some(1 << 20),
        ..ours.clone()
    };
    assert_eq!(Profile::CloudVolumeOptimized.tuning(), cloud);
    let large = Tuning { min_blob_bytes: Some(2 << 10), blob_file_bytes: Some(64 << 20), ..ours };
    assert_eq!(Profile::LargeValueOptimized.tuning(), large);
    let explicit = Tuning { write_buffers: Some(7), ..Tuning::default() };
    let both = explicit.or(high);
    assert_eq!((both.write_buffers, both.block_bytes), (Some(7), Some(128 << 10)));
    for profile in Profile::ALL {
        assert_eq!(Profile::from_name(profile.name()).unwrap(), profile);
    }
}

#[derive(Debug, Default)]
struct Counting {
    calls: AtomicU32,
}

impl OptionsHook for Counting {
    fn database(&self, options: &mut rocksdb::Options) {
        options.set_max_background_jobs(1);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn column_family(&self, options: &mut rocksdb::Options) {
        options.set_write_buffer_size(1 << 20);
        self.calls.fetch_add(10, Ordering::Relaxed);
    }

    fn tables(&self, tables: &mut rocksdb::BlockBasedOptions) {
        tables.set_block_size(2 << 10);
        self.calls.fetch_add(100, Ordering::Relaxed);
    }
}

#[test]
fn a_hook_is_called_for_each_kind_of_options() {
    let hook = Arc::new(Counting::default());
    let mut options = RocksOptions::default();
    options.hook = Some(Arc::<Counting>::clone(&hook));
    let directory = tempfile::tempdir().unwrap();
    RocksStore::open_with(env().unwrap().with_local_dir(directory.path()), options)
        .map(drop)
        .unwrap();
    assert_eq!(hook.calls.load(Ordering::Relaxed), 111);
}

#[test]
fn an_unknown_setting_of_the_backend_is_refused() {
    let settings = Settings::from_pairs([
        ("state.backend", "rocksdb"),
        ("state.backend.rocksdb.write-bufer-size", "1 mb"),
    ]);
    let registry = BackendRegistry::new().with(RocksBackend);
    let directory = tempfile::tempdir().unwrap();
    let opened = registry.open(env().unwrap().with_local_dir(directory.path()), &settings.unwrap());
    let Err(error) = opened else { panic!("the setting does not exist") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_directory_is_needed_and_has_one_owner() {
    let error = RocksStore::open(env().unwrap()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("local directory"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let first = RocksStore::open(env().unwrap().with_local_dir(directory.path())).unwrap();
    let second =
        RocksStore::open(env().unwrap().with_local_dir(directory.path())).map(drop).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InvalidInput, "{second}");
    drop(first);
    RocksStore::open(env().unwrap().with_local_dir(directory.path())).map(drop).unwrap();
}
