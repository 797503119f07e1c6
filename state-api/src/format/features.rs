//! Versions and feature bits of both formats.
//!
//! | file | compatible bits | incompatible bits |
//! |---|---|---|
//! | state | 0 CANONICAL | 0 INCREMENT, 1 STAMPS, 2 LOOKUPS, 8 SNAPPY, 9 LZ4, 10 ZSTD |
//! | `_metadata` | 0 ORIGIN, 1 FRAMES | 0 NATIVE, 1 INCREMENTAL |
//!
//! An unknown incompatible bit or a version out of range is refused; an unknown compatible bit makes
//! records extensible (FORMAT.md 1).

use crate::snapshot::Compression;
use crate::{Error, Result};

/// The version that is written.
pub const VERSION: u16 = 1;
/// The oldest version that is read.
pub const MIN_READABLE: u16 = 1;

pub(crate) const CANONICAL: u32 = 1 << 0;
pub(crate) const STATE_COMPATIBLE: u32 = CANONICAL;

pub(crate) const INCREMENT: u32 = 1 << 0;
pub(crate) const STAMPS: u32 = 1 << 1;
pub(crate) const LOOKUPS: u32 = 1 << 2;
const SNAPPY: u32 = 1 << 8;
const LZ4: u32 = 1 << 9;
const ZSTD: u32 = 1 << 10;
pub(crate) const STATE_INCOMPATIBLE: u32 = INCREMENT | STAMPS | LOOKUPS | SNAPPY | LZ4 | ZSTD;

pub(crate) const ORIGIN: u32 = 1 << 0;
pub(crate) const FRAMES: u32 = 1 << 1;
pub(crate) const METADATA_COMPATIBLE: u32 = ORIGIN | FRAMES;
pub(crate) const NATIVE: u32 = 1 << 0;
pub(crate) const INCREMENTAL: u32 = 1 << 1;
pub(crate) const METADATA_INCOMPATIBLE: u32 = NATIVE | INCREMENTAL;

/// The feature bit of a compression in state files.
pub(crate) const fn compression_bit(compression: Compression) -> u32 {
    match compression {
        Compression::None => 0,
        Compression::Snappy => SNAPPY,
        Compression::Lz4 => LZ4,
        Compression::Zstd => ZSTD,
    }
}

/// The feature bits of all compressions in state files.
pub(crate) const COMPRESSIONS: u32 = SNAPPY | LZ4 | ZSTD;

/// Refuses a version that this build does not read.
pub(crate) fn check_version(what: &str, version: u16) -> Result<()> {
    if (MIN_READABLE..=VERSION).contains(&version) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "{what} has format version {version}; this build reads {MIN_READABLE} to {VERSION}, use one \
         that knows it"
    )))
}

/// Refuses incompatible bits that this build does not know.
pub(crate) fn check_incompatible(what: &str, bits: u32, known: u32) -> Result<()> {
    let unknown = bits & !known;
    if unknown == 0 {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "{what} needs features {unknown:#x} that this build does not know; use a newer one"
    )))
}
