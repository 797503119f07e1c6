//! Checksums: CRC32C of headers, blocks, index and footer; XXH3-128 of whole files, of their frames, and
//! of contents.
//!
//! CRC32C (Castagnoli) keeps Hamming distance 4 up to 256 MiB, where CRC-32 of zlib falls to 3 within a
//! 64 KiB block; x86-64 and aarch64 have instructions for it. XXH3-128 recognises whole files and
//! sums contents up ([`super::digest`]).

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// CRC32C of two pieces, one after the other.
pub(crate) fn crc32c_of(first: &[u8], second: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(first), second)
}

/// CRC32C.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// XXH3-128 with seed 0: the checksum of whole files, as in
/// [`StoredFile`](crate::snapshot::StoredFile).
pub fn file_checksum(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// XXH3-128 of all of a state file but its blocks: the pieces one after the other.
pub(crate) fn frame_checksum(header: &[u8], index: &[u8], footer: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    for piece in [header, index, footer] {
        hasher.update(piece);
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c_of(b"1234", b"56789"), 0xe306_9283);
        assert_eq!(file_checksum(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        assert_eq!(frame_checksum(b"ab", b"", b"c"), file_checksum(b"abc"));
    }
}
