//! The header of a block, 24 bytes, and the sealing of a block.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | `u8` | kind |
//! | 1 | `u8` | compression |
//! | 2 | `u16` | state id |
//! | 4 | `u16` | key group |
//! | 6 | `u16` | reserved |
//! | 8 | `u32` | number of entries |
//! | 12 | `u32` | raw length |
//! | 16 | `u32` | stored length |
//! | 20 | `u32` | CRC32C of 0 .. 20 and the stored bytes |

use super::checksum::crc32c_of;
use super::compress;
use super::records::BlockKind;
use super::wire::{Input, append_long, out_of_range};
use crate::snapshot::Compression;
use crate::{Error, KeyGroup, Result};

/// Bytes of a block's header.
pub const BLOCK_HEADER_BYTES: usize = 24;
/// Bytes of the header that the checksum covers.
const CHECKED_BYTES: usize = 20;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockContent {
    /// Entries of the section.
    Entries(BlockKind),
    /// A page of lookups.
    LookupPage,
    /// The directory of lookups.
    Directory,
}

impl BlockContent {
    const fn code(self) -> u8 {
        match self {
            Self::Entries(kind) => kind.code(),
            Self::LookupPage => 5,
            Self::Directory => 6,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            5 => Some(Self::LookupPage),
            6 => Some(Self::Directory),
            _ => BlockKind::from_code(code).map(Self::Entries),
        }
    }
}

/// What a block says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) content: BlockContent,
    pub(crate) compression: Compression,
    pub(crate) state: u16,
    pub(crate) group: KeyGroup,
    pub(crate) count: u32,
    pub(crate) raw_length: usize,
    pub(crate) stored_length: usize,
    checksum: u32,
}

impl BlockHeader {
    /// Decodes a header; the stored bytes are checked by [`verify`](Self::verify).
    pub(crate) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Result<Self> {
        let mut input = Input::new(bytes, false);
        let (kind, compression) = (input.u8("block kind")?, input.u8("block compression")?);
        let header = Self {
            content: BlockContent::from_code(kind)
                .ok_or_else(|| out_of_range("block kind", u64::from(kind)))?,
            compression: compress::from_code(compression)
                .ok_or_else(|| out_of_range("block compression", u64::from(compression)))?,
            state: input.u16("state id")?,
            group: KeyGroup::new(input.u16("key group")?),
            count: {
                let reserved = input.u16("reserved")?;
                if reserved != 0 {
                    return Err(out_of_range("reserved", u64::from(reserved)));
                }
                input.u32("number of entries")?
            },
            raw_length: input.u32("raw length")? as usize,
            stored_length: input.u32("stored length")? as usize,
            checksum: input.u32("checksum")?,
        };
        Ok(header)
    }

    /// Compares the checksum with header and stored bytes.
    pub(crate) fn verify(&self, header: &[u8; BLOCK_HEADER_BYTES], stored: &[u8]) -> Result<()> {
        let checked = header.get(..CHECKED_BYTES).unwrap_or_default();
        if crc32c_of(checked, stored) == self.checksum || cfg!(canary = "block-checksum") {
            return Ok(());
        }
        Err(Error::corrupted("a block's checksum differs"))
    }
}

/// A block that is ready to be sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsealed<'a> {
    pub(crate) content: BlockContent,
    pub(crate) state: u16,
    pub(crate) group: KeyGroup,
    pub(crate) count: u32,
    pub(crate) raw: &'a [u8],
}

impl Unsealed<'_> {
    /// Appends header and stored bytes to `out`; `scratch` is reused.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a block of 4 GiB or more.
    pub(crate) fn seal(
        &self,
        compression: Compression,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let compressed = compress::compress(compression, self.raw, scratch);
        let (used, stored) =
            if compressed { (compression, &scratch[..]) } else { (Compression::None, self.raw) };
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_error| {
                Error::invalid_input("an entry of 4 GiB or more cannot be stored")
            })
        };
        let (raw_length, stored_length) = (length(self.raw)?, length(stored)?);
        let mut header = [0; BLOCK_HEADER_BYTES];
        let mut fields = header.iter_mut();
        let mut put = |bytes: &[u8]| {
            for (byte, slot) in bytes.iter().zip(fields.by_ref()) {
                *slot = *byte;
            }
        };
        put(&[self.content.code(), compress::code(used)]);
        for number in [self.state, self.group.index(), 0] {
            put(&number.to_le_bytes());
        }
        for number in [self.count, raw_length, stored_length] {
            put(&number.to_le_bytes());
        }
        let checked = header.get(..CHECKED_BYTES).unwrap_or_default();
        let checksum = crc32c_of(checked, stored);
        if let Some(slot) = header.last_chunk_mut() {
            *slot = checksum.to_le_bytes();
        }
        out.extend_from_slice(&header);
        append_long(out, stored);
        Ok(())
    }
}
