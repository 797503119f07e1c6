//! The footer of a state file, its last 40 bytes.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | `u64` | offset of the index |
//! | 8 | `u64` | length of the index |
//! | 16 | `u64` | length of the file |
//! | 24 | `u32` | CRC32C of the index |
//! | 28 | `u32` | CRC32C of 0 .. 28 |
//! | 32 | 8 bytes | magic `ALVS-END` |
//!
//! # Invariants
//! * I1 The index ends where the footer begins, and the file where the footer ends.

use super::checksum::crc32c;
use super::wire::Input;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"ALVS-END";
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 40;
const CHECKED_BYTES: usize = 28;

/// Where the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "all of it is about the index")]
pub(crate) struct Footer {
    pub(crate) index_offset: u64,
    pub(crate) index_length: u64,
    pub(crate) index_checksum: u32,
}

impl Footer {
    /// Encodes the footer.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let file_length = self.index_offset + self.index_length + FOOTER_BYTES as u64;
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        for number in [self.index_offset, self.index_length, file_length] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.index_checksum.to_le_bytes());
        let checksum = crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        debug_assert_eq!(
            Self::decode(out.first_chunk().unwrap_or(&[0; FOOTER_BYTES]), file_length).ok(),
            Some(*self),
            "what was written is what will be read"
        );
        out
    }

    /// Decodes the footer of a file of `file_length` bytes.
    pub(crate) fn decode(bytes: &[u8; FOOTER_BYTES], file_length: u64) -> Result<Self> {
        let mut input = Input::new(bytes, false);
        let (index_offset, index_length, length) =
            (input.u64("footer")?, input.u64("footer")?, input.u64("footer")?);
        let (index_checksum, checksum) = (input.u32("footer")?, input.u32("footer")?);
        if input.take(8, "footer")? != MAGIC {
            return Err(Error::corrupted(
                "this is not a complete Alluvium state file: it does not end with a footer",
            ));
        }
        if crc32c(bytes.get(..CHECKED_BYTES).unwrap_or_default()) != checksum {
            return Err(Error::corrupted("the footer's checksum differs"));
        }
        let end = index_offset
            .checked_add(index_length)
            .and_then(|end| end.checked_add(FOOTER_BYTES as u64));
        if length != file_length || end != Some(file_length) {
            return Err(Error::corrupted(format!(
                "the file has {file_length} bytes, and was written with {length}"
            )));
        }
        Ok(Self { index_offset, index_length, index_checksum })
    }
}
