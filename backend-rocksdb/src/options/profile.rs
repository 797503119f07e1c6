//! [`Profile`]: values for a kind of device or of state. Four are Flink's predefined options; three are our own, and
//! `docs/rocksdb.md` has the measurements behind their values.

use alluvium_state_api::{Error, Result};

use super::tuning::{CompactionStyle, TableCompression, Tuning};

/// Values for a kind of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Nothing but the defaults.
    #[default]
    Default,
    /// A hard disk: dynamic level sizes, four background jobs.
    SpinningDiskOptimized,
    /// A hard disk and memory to spare: large blocks, buffers, files and cache, with a filter.
    SpinningDiskOptimizedHighMem,
    /// A flash disk: four background jobs.
    FlashSsdOptimized,
    /// A local `NVMe` disk, whose reads cost less than the processor's work: LZ4, filters, dynamic level sizes.
    NvmeOptimized,
    /// A network volume that counts operations: large blocks, filters, Zstandard below, large reads of compaction.
    CloudVolumeOptimized,
    /// Values of some KiB and more: they lie in blob files, which compaction does not rewrite.
    LargeValueOptimized,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Default,
        Self::SpinningDiskOptimized,
        Self::SpinningDiskOptimizedHighMem,
        Self::FlashSsdOptimized,
        Self::NvmeOptimized,
        Self::CloudVolumeOptimized,
        Self::LargeValueOptimized,
    ];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::SpinningDiskOptimized => "SPINNING_DISK_OPTIMIZED",
            Self::SpinningDiskOptimizedHighMem => "SPINNING_DISK_OPTIMIZED_HIGH_MEM",
            Self::FlashSsdOptimized => "FLASH_SSD_OPTIMIZED",
            Self::NvmeOptimized => "NVME_OPTIMIZED",
            Self::CloudVolumeOptimized => "CLOUD_VOLUME_OPTIMIZED",
            Self::LargeValueOptimized => "LARGE_VALUE_OPTIMIZED",
        }
    }

    /// The profile of this name, in any case.
    ///
    /// # Errors
    /// `InvalidInput`, naming what there is.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|profile| profile.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid_input(format!("unknown profile {name:?}; choose one of {names}"))
        })
    }

    /// What it sets.
    pub fn tuning(self) -> Tuning {
        let jobs_and_files =
            Tuning { background_jobs: Some(4), open_files: Some(-1), ..Tuning::default() };
        match self {
            Self::Default => Tuning::default(),
            Self::FlashSsdOptimized => jobs_and_files,
            Self::SpinningDiskOptimized => Tuning {
                compaction_style: Some(CompactionStyle::Level),
                dynamic_level_bytes: Some(true),
                ..jobs_and_files
            },
            Self::SpinningDiskOptimizedHighMem => Tuning {
                block_cache_bytes: Some(256 << 20),
                block_bytes: Some(128 << 10),
                dynamic_level_bytes: Some(true),
                level_base_bytes: Some(1 << 30),
                write_buffers: Some(4),
                write_buffers_to_merge: Some(3),
                target_file_bytes: Some(256 << 20),
                write_buffer_bytes: Some(64 << 20),
                bloom_filter: Some(true),
                ..jobs_and_files
            },
            Self::NvmeOptimized => Tuning {
                dynamic_level_bytes: Some(true),
                compression_per_level: Some(vec![TableCompression::Lz4]),
                bloom_filter: Some(true),
                partitioned_tables: Some(true),
                ..jobs_and_files
            },
            Self::CloudVolumeOptimized => Tuning {
                block_bytes: Some(16 << 10),
                dynamic_level_bytes: Some(true),
                compression_per_level: Some(vec![
                    TableCompression::Lz4,
                    TableCompression::Lz4,
                    TableCompression::Zstd,
                ]),
                bloom_filter: Some(true),
                partitioned_tables: Some(true),
                compaction_readahead_bytes: Some(8 << 20),
                bytes_per_sync: Some(1 << 20),
                ..jobs_and_files
            },
            Self::LargeValueOptimized => Tuning {
                dynamic_level_bytes: Some(true),
                bloom_filter: Some(true),
                partitioned_tables: Some(true),
                min_blob_bytes: Some(2 << 10),
                blob_file_bytes: Some(64 << 20),
                ..jobs_and_files
            },
        }
    }
}
