//! [`FsOptions`]: the settings of the backend.

use std::ops::RangeInclusive;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{Error, Result};

use crate::segment::ReadMode;

/// The write layer's memory, active and sealed part together.
pub(crate) const WRITE_BUFFER: &str = "state.backend.fs.write-buffer-size";
/// How segments are read.
pub(crate) const READ_MODE: &str = "state.backend.fs.read-mode";
/// Memory for values of segments that were read lately.
pub(crate) const READ_CACHE: &str = "state.backend.fs.read-cache-size";
/// Memory for blocks that were read, where segments are not mapped.
pub(crate) const BLOCK_CACHE: &str = "state.backend.fs.block-cache-size";
/// How many segments a key group has before they are merged.
pub(crate) const MAX_SEGMENTS: &str = "state.backend.fs.max-segments";
/// How fast merging may write.
pub(crate) const MERGE_RATE: &str = "state.backend.fs.merge-rate";

/// Whether what was restored is read in the background.
pub(crate) const HYDRATE: &str = "state.backend.fs.hydrate";

/// All of them, as the registry wants them.
pub(crate) const KEYS: [&str; 7] =
    [WRITE_BUFFER, READ_MODE, READ_CACHE, BLOCK_CACHE, MAX_SEGMENTS, MERGE_RATE, HYDRATE];

const BUFFER_BOUNDS: RangeInclusive<u64> = 4 << 10..=1 << 40;
const READ_CACHE_BOUNDS: RangeInclusive<u64> = 0..=1 << 40;
const CACHE_BOUNDS: RangeInclusive<u64> = 64 << 10..=1 << 40;
const SEGMENT_BOUNDS: RangeInclusive<u64> = 2..=1000;
const RATE_BOUNDS: RangeInclusive<u64> = 64 << 10..=1 << 40;

/// The settings of the backend.
///
/// | setting | value | default |
/// |---|---|---|
/// | `state.backend.fs.write-buffer-size` | size, 4 kb to 1 tb | 512 mb |
/// | `state.backend.fs.read-mode` | `mmap`, `pread` | `mmap` |
/// | `state.backend.fs.read-cache-size` | size, 0 to 1 tb; 0 for none | 64 mb |
/// | `state.backend.fs.block-cache-size` | size, 64 kb to 1 tb; used with `pread` | 64 mb |
/// | `state.backend.fs.max-segments` | 2 to 1000 | 8 |
/// | `state.backend.fs.merge-rate` | size per second, 64 kb to 1 tb | 64 mb |
/// | `state.backend.fs.hydrate` | `true`, `false` | `false` |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsOptions {
    /// Memory of the write layer in bytes: half of it takes writes, while the other half is written
    /// to a segment.
    pub write_buffer_bytes: u64,
    /// How segments are read.
    pub read_mode: ReadMode,
    /// Memory for values of segments that were read lately, in bytes at most; 0 for none. It is taken as
    /// it is used. Entries of up to 248 bytes, key and value together, are kept there.
    pub read_cache_bytes: u64,
    /// Memory for blocks that were read, in bytes. Used where segments are not mapped.
    pub block_cache_bytes: u64,
    /// Segments of a key group from which on they are merged; at a checkpoint, those with small sections
    /// count less, down to an eighth.
    pub max_segments: usize,
    /// Bytes per second that merging may write.
    pub merge_bytes_per_second: u64,
    /// Whether a thread reads and verifies all that was restored, once and as fast as it can, beside the first
    /// accesses, which then need not wait for it. For state that fits into the page cache, where there are
    /// cores to spare. What it finds damaged is told to who reads it.
    pub hydrate: bool,
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            write_buffer_bytes: 512 << 20,
            read_mode: ReadMode::Mapped,
            read_cache_bytes: 64 << 20,
            block_cache_bytes: 64 << 20,
            max_segments: 8,
            merge_bytes_per_second: 64 << 20,
            hydrate: false,
        }
    }
}

impl FsOptions {
    /// Reads the options from settings.
    ///
    /// # Errors
    /// `InvalidInput`, naming the setting and what it takes.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let default = Self::default();
        let read_mode = match settings.get(READ_MODE) {
            None | Some("mmap") => ReadMode::Mapped,
            Some("pread") => ReadMode::Pread,
            Some(other) => {
                return Err(Error::invalid_input(format!(
                    "{READ_MODE} is {other:?}; choose mmap or pread"
                )));
            }
        };
        let (buffer, cache) = (default.write_buffer_bytes, default.block_cache_bytes);
        let reads = default.read_cache_bytes;
        let (segments, rate) = (default.max_segments as u64, default.merge_bytes_per_second);
        let segments = settings.number(MAX_SEGMENTS, segments, SEGMENT_BOUNDS)?;
        Ok(Self {
            write_buffer_bytes: settings.size(WRITE_BUFFER, buffer, BUFFER_BOUNDS)?,
            read_mode,
            read_cache_bytes: settings.size(READ_CACHE, reads, READ_CACHE_BOUNDS)?,
            block_cache_bytes: settings.size(BLOCK_CACHE, cache, CACHE_BOUNDS)?,
            max_segments: usize::try_from(segments).unwrap_or(default.max_segments),
            merge_bytes_per_second: settings.size(MERGE_RATE, rate, RATE_BOUNDS)?,
            hydrate: settings.flag(HYDRATE, default.hydrate)?,
        })
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput`, naming the setting and its bounds.
    pub fn validate(&self) -> Result<()> {
        let bounds = [
            (WRITE_BUFFER, self.write_buffer_bytes, BUFFER_BOUNDS),
            (READ_CACHE, self.read_cache_bytes, READ_CACHE_BOUNDS),
            (BLOCK_CACHE, self.block_cache_bytes, CACHE_BOUNDS),
            (MAX_SEGMENTS, self.max_segments as u64, SEGMENT_BOUNDS),
            (MERGE_RATE, self.merge_bytes_per_second, RATE_BOUNDS),
        ];
        for (key, value, bounds) in bounds {
            if !bounds.contains(&value) {
                let (least, most) = (bounds.start(), bounds.end());
                let text = format!("{key} is {value}; it must be from {least} to {most}");
                return Err(Error::invalid_input(text));
            }
        }
        Ok(())
    }
}
