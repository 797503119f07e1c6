//! Compression of one block, in both directions, with capped memory.
//!
//! | code | compression | stored bytes | cap on raw length |
//! |---|---|---|---|
//! | 0 | none | the raw bytes | |
//! | 1 | snappy | raw format | max(128 KiB, 24 x stored) |
//! | 2 | lz4 | block format, no size in front | max(128 KiB, 256 x stored) |
//! | 3 | zstd | one frame, window at most 8 MiB, no dictionary | max(128 KiB, 1024 x stored) |
//!
//! # Invariants
//! * I1 What the encoder returns passes the decoder's cap; otherwise it returns "leave it as it is".
//! * I2 The decoder allocates nothing before the cap was checked, and yields exactly the raw length.
//!
//! # Cost
//! Pure Rust throughout. The zstd encoder is slow (about 70 MB/s); snappy and lz4 are 7 to 10 times
//! faster. Decoding zstd keeps tables and a window of the frame, at most 8 MiB.

use ruzstd::decoding::FrameDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::snapshot::Compression;
use crate::{Error, Result};

/// Raw bytes that a compressed block may always have, whatever its stored length: 128 KiB.
const ALWAYS_PLAUSIBLE_BYTES: u64 = 128 << 10;

/// The largest window of a zstd frame, in bytes.
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;

/// The code of a compression in files.
pub(crate) const fn code(compression: Compression) -> u8 {
    match compression {
        Compression::None => 0,
        Compression::Snappy => 1,
        Compression::Lz4 => 2,
        Compression::Zstd => 3,
    }
}

/// The compression with this code.
pub(crate) fn from_code(code: u8) -> Option<Compression> {
    Compression::ALL.into_iter().find(|known| self::code(*known) == code)
}

const fn ratio(compression: Compression) -> u64 {
    match compression {
        Compression::None => 1,
        Compression::Snappy => 24,
        Compression::Lz4 => 256,
        Compression::Zstd => 1024,
    }
}

/// Whether a block may be as large as it says (FORMAT.md 2.4).
pub(crate) fn plausible(compression: Compression, raw: usize, stored: usize) -> bool {
    let (raw, stored) = (raw as u64, stored as u64);
    match compression {
        Compression::None => raw == stored,
        _ => raw <= ALWAYS_PLAUSIBLE_BYTES.max(stored.saturating_mul(ratio(compression))),
    }
}

/// Compresses `raw` into `out` (replacing what is there); `false` if it is better stored as it is.
pub(crate) fn compress(compression: Compression, raw: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let done = match compression {
        Compression::None => false,
        Compression::Snappy => {
            out.resize(snap::raw::max_compress_len(raw.len()), 0);
            let length = snap::raw::Encoder::new().compress(raw, out).ok();
            out.truncate(length.unwrap_or(0));
            length.is_some_and(|length| length > 0)
        }
        Compression::Lz4 => {
            out.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
            let length = lz4_flex::block::compress_into(raw, out).ok();
            out.truncate(length.unwrap_or(0));
            length.is_some_and(|length| length > 0)
        }
        Compression::Zstd => {
            *out = compress_to_vec(raw, CompressionLevel::Fastest);
            true
        }
    };
    done && out.len() < raw.len() && plausible(compression, raw.len(), out.len())
}

/// Decompresses `stored` into `out` (replacing what is there), which then has `raw_length` bytes.
///
/// # Errors
/// [`Corrupted`](crate::ErrorKind::Corrupted).
pub(crate) fn decompress(
    compression: Compression,
    stored: &[u8],
    raw_length: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    if !plausible(compression, raw_length, stored.len()) {
        return Err(Error::corrupted(format!(
            "a {} block of {} bytes cannot hold {raw_length} bytes",
            compression.name(),
            stored.len()
        )));
    }
    out.clear();
    out.resize(raw_length, 0);
    let length = match compression {
        Compression::None => {
            out.copy_from_slice(stored);
            raw_length
        }
        Compression::Snappy => snap::raw::Decoder::new()
            .decompress(stored, out)
            .map_err(|error| undecodable(compression, error))?,
        Compression::Lz4 => lz4_flex::block::decompress_into(stored, out)
            .map_err(|error| undecodable(compression, error))?,
        Compression::Zstd => {
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
            decoder.decode_all(stored, out).map_err(|error| undecodable(compression, error))?
        }
    };
    if length == raw_length {
        return Ok(());
    }
    Err(Error::corrupted(format!(
        "a {} block holds {length} bytes instead of {raw_length}",
        compression.name()
    )))
}

#[cold]
fn undecodable(
    compression: Compression,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::corrupted(format!("a {} block cannot be decompressed", compression.name()))
        .with_source(error)
}
