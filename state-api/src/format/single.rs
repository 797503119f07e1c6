//! Reads single blocks and entries of a file with lookups, from bytes that the caller has.
//!
//! # Role
//! A backend that leaves its state in files maps them, or reads pieces of them. It has each block verified
//! once, before it believes it, and decodes single entries where a [`Place`](super::Place) says that
//! they are.
//!
//! # Failure
//! `Corrupted`, whatever the bytes are; an entry that was never verified is decoded to something that
//! lies within the given bytes, or refused.
//!
//! # Example
//! ```
//! use alluvium_state_api::format::{BufferReader, BufferWriter, FileForm, LookupPage, Record, StateFile,
//!     StateFileSpec, StateFileWriter, WriteOptions};
//! use alluvium_state_api::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
//! use alluvium_state_api::snapshot::FileLocation;
//! use alluvium_state_api::{EntryKey, KeyGroup, MaxParallelism, Result, entry_hash_of};
//!
//! # fn main() -> Result<()> {
//! # let codec = CodecSchema { codec: "native".into(), version: 1, shape: "u64".into(), width: Some(8) };
//! # let groups = MaxParallelism::new(128)?;
//! # let spec = StateFileSpec {
//! #     key: KeyIdentity { codec: codec.clone(), hash: "xxh3/1".into() },
//! #     groups,
//! #     range: groups.all(),
//! #     states: vec![StateMeta { name: "count".into(), kind: StateKind::Value, namespace: None,
//! #         map_key: None, value: codec, size_limit: 1 << 20, stamped: false }],
//! #     form: FileForm::Full,
//! # };
//! let mut options = WriteOptions::default();
//! options.lookups = true;
//! let mut writer = StateFileWriter::new(BufferWriter::boxed(), spec, options)?.into_sequential();
//! writer.section(0, KeyGroup::new(5))?;
//! for n in 0..1000u64 {
//!     writer.put(EntryKey::new(&n.to_be_bytes(), 8, 8)?, &(2 * n).to_le_bytes())?;
//! }
//! let written = writer.finish()?;
//! # let FileLocation::Inline(map) = &written.stored.location else { panic!() };
//! # let bytes = |range: std::ops::Range<u64>| &map[range.start as usize..range.end as usize];
//!
//! // Once for the file, the section, the page, and the block: `bytes` are those of a mapped file.
//! let file = StateFile::open(BufferReader::of(&written.stored)?, "example")?;
//! let section = &file.sections()[0];
//! let at = file.lookups(section).expect("it was written with lookups");
//! let directory = file.directory(section, bytes(at.clone()))?;
//!
//! let wanted = 77u64.to_be_bytes();
//! let wanted = EntryKey::new(&wanted, 8, 8)?;
//! let hash = entry_hash_of(wanted);
//! let page = directory.page_of(hash);
//! file.verify_page(section, &directory, page, bytes(directory.page(page)))?;
//!
//! // For each read:
//! let page = LookupPage::new(bytes(directory.buckets(page)));
//! let mut found = None;
//! for place in page.candidates(hash) {
//!     let block = directory.block(bytes(at.clone()), place.block).expect("there is such a block");
//!     // If it was not verified before:
//!     file.verify_block(section, bytes(block.range()), block.at)?;
//!     let layout = file.layout(section.state).expect("there is such a state");
//!     let raw = bytes(block.raw_range());
//!     if let (Record::Entry(key, value), _) = layout.record_at(block.kind, raw, place.offset as usize)?
//!         && key == wanted
//!     {
//!         found = Some(value);
//!     }
//! }
//! assert_eq!(found, Some(&154u64.to_le_bytes()[..]));
//! # Ok(())
//! # }
//! ```

use std::ops::Range;

use super::block::{BLOCK_HEADER_BYTES, BlockContent, BlockHeader};
use super::header::FileForm;
use super::index::Section;
use super::layout::EntryLayout;
use super::lookup::{DATA_BLOCK_BYTES, Directory, LookupPage};
use super::reader::StateFile;
use super::records::{Block, BlockKind, Record};
use crate::snapshot::Compression;
use crate::{Error, Result};

impl StateFile {
    /// Where the block of a section's directory is, header included; `None` in files without lookups.
    pub fn lookups(&self, section: &Section) -> Option<Range<u64>> {
        let end = section.extents.last().filter(|_| self.lookups)?.end();
        Some(end.saturating_sub(section.directory_bytes)..end)
    }

    /// Verifies and decodes the directory of a section, given all [bytes](Self::lookups) of its block.
    ///
    /// # Errors
    /// `Corrupted` for anything but an undamaged directory of this section that makes sense.
    pub fn directory(&self, section: &Section, bytes: &[u8]) -> Result<Directory> {
        let at = self.lookups(section).map_or(0, |range| range.start);
        let decoded = || {
            let (header, stored) = checked(section, bytes)?;
            let Some(extent) = section.extents.first() else {
                return Err(Error::corrupted("a section has no bytes"));
            };
            if header.content != BlockContent::Directory {
                return Err(Error::corrupted("a directory is a block of another kind"));
            }
            Directory::decode(stored, header.count, at, *extent)
        };
        decoded().map_err(|error| self.locate(error, section, at))
    }

    /// Verifies a lookup page, given all [bytes](Directory::page) of its block.
    ///
    /// # Errors
    /// `Corrupted` for anything but an undamaged page of this section that makes sense.
    pub fn verify_page<'a>(
        &self,
        section: &Section,
        directory: &Directory,
        page: u32,
        bytes: &'a [u8],
    ) -> Result<LookupPage<'a>> {
        let at = directory.page(page).start;
        let decoded = || {
            let (header, stored) = checked(section, bytes)?;
            if header.content != BlockContent::LookupPage {
                return Err(Error::corrupted("a lookup page is a block of another kind"));
            }
            let page = LookupPage::decode(stored, header.count, at).map_err(Error::corrupted)?;
            if page.buckets() != directory.buckets_of_page() {
                return Err(Error::corrupted("a lookup page differs from its directory"));
            }
            Ok(page)
        };
        decoded().map_err(|error| self.locate(error, section, at))
    }

    /// Verifies a data block, given all [bytes](super::DataBlock::range) of it and where it is: checksum,
    /// header, and that its entries fill it. Order and digest are checked where
    /// [everything](Self::verify) is read.
    ///
    /// # Errors
    /// `Corrupted` for anything but an undamaged data block of this section.
    pub fn verify_block<'a>(
        &'a self,
        section: &Section,
        bytes: &'a [u8],
        at: u64,
    ) -> Result<Block<'a>> {
        let verified = || {
            let (header, raw) = checked(section, bytes)?;
            let block = self.block_of(&header, raw)?;
            if raw.len() > DATA_BLOCK_BYTES && block.count > 1 {
                return Err(Error::corrupted("a data block is too long for lookups"));
            }
            block.check_filled()?;
            Ok(block)
        };
        verified().map_err(|error| self.locate(error, section, at))
    }

    /// Verifies the data block with which `bytes` begin, some of a section from `at` in the file on. `None`
    /// where they begin with a lookup page: those come after all data blocks. Who goes from block to block
    /// in this way compares what they have with the counts of the section.
    ///
    /// # Errors
    /// As [`verify_block`](Self::verify_block).
    pub fn first_block<'a>(
        &'a self,
        section: &Section,
        bytes: &'a [u8],
        at: u64,
    ) -> Result<Option<Block<'a>>> {
        let length = || {
            let header = BlockHeader::decode(split(bytes)?.0)?;
            let length = header.stored_length.checked_add(BLOCK_HEADER_BYTES);
            Ok((header.content != BlockContent::LookupPage).then_some(length).flatten())
        };
        match length().map_err(|error| self.locate(error, section, at))? {
            Some(length) => {
                let block = bytes.get(..length).unwrap_or_default();
                self.verify_block(section, block, at).map(Some)
            }
            None => Ok(None),
        }
    }

    /// A data block that was verified before, given all bytes of it.
    ///
    /// # Errors
    /// `Corrupted` if the header makes no sense, as that of a verified block does.
    pub fn block_at<'a>(&'a self, bytes: &'a [u8]) -> Result<Block<'a>> {
        let (header, stored) = split(bytes)?;
        self.block_of(&BlockHeader::decode(header)?, stored)
    }

    /// How entries of a state lie in its blocks; `None` if there is no such state.
    #[inline]
    pub fn layout(&self, state: u16) -> Option<&EntryLayout> {
        self.layouts.get(usize::from(state))
    }

    fn block_of<'a>(&'a self, header: &BlockHeader, raw: &'a [u8]) -> Result<Block<'a>> {
        let &BlockHeader { content: BlockContent::Entries(kind), state, group, count, .. } = header
        else {
            return Err(Error::corrupted("a data block is a block of another kind"));
        };
        let layout =
            self.layout(state).ok_or_else(|| Error::corrupted("there is no such state"))?;
        if count == 0 || (kind != BlockKind::Entries && self.spec.form != FileForm::Increment) {
            return Err(Error::corrupted("a data block is empty, or not of this form of files"));
        }
        Ok(Block { layout, kind, state, group, count, raw })
    }
}

/// Header and stored bytes of a block that passed its checksum, belongs to the section and is not
/// compressed.
fn checked<'a>(section: &Section, bytes: &'a [u8]) -> Result<(BlockHeader, &'a [u8])> {
    let (bytes, stored) = split(bytes)?;
    let header = BlockHeader::decode(bytes)?;
    if [header.stored_length, header.raw_length] != [stored.len(); 2]
        || header.compression != Compression::None
    {
        return Err(Error::corrupted("a block has another length than its directory says"));
    }
    header.verify(bytes, stored)?;
    if (header.state, header.group) != (section.state, section.group) {
        return Err(Error::corrupted("a block of another section"));
    }
    Ok((header, stored))
}

fn split(bytes: &[u8]) -> Result<(&[u8; BLOCK_HEADER_BYTES], &[u8])> {
    bytes.split_first_chunk().ok_or_else(|| Error::corrupted("a block is shorter than its header"))
}

impl<'a> Block<'a> {
    /// The entry that begins at `offset` in the raw bytes, and where the next one does.
    ///
    /// # Errors
    /// As [`EntryLayout::record_at`].
    #[inline]
    pub fn record_at(&self, offset: usize) -> Result<(Record<'a>, usize)> {
        self.layout.record_at(self.kind, self.raw, offset)
    }

    /// The raw bytes, in which offsets count.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Checks that entries fill the block and are as many as it says.
    fn check_filled(&self) -> Result<()> {
        let mut offset = 0;
        if let Some((fixed, raw)) = self.fixed() {
            let length = (self.count as usize).checked_mul(fixed.entry_bytes());
            return if length == Some(raw.len()) { Ok(()) } else { Err(no_record()) };
        }
        for _ in 0..self.count {
            (_, offset) = self.record_at(offset)?;
        }
        if offset == self.raw.len() { Ok(()) } else { Err(no_record()) }
    }
}

impl EntryLayout {
    /// The entry that begins at `offset` in the raw bytes of a block of `kind`, and where the next one
    /// does.
    ///
    /// # Errors
    /// `Corrupted` if no entry can begin there, or it does not end in the block.
    #[inline]
    pub fn record_at<'a>(
        &self,
        kind: BlockKind,
        raw: &'a [u8],
        offset: usize,
    ) -> Result<(Record<'a>, usize)> {
        if let (Some(fixed), BlockKind::Entries) = (&self.fixed, kind) {
            let entry = raw.get(offset..).and_then(|rest| rest.split_at_checked(fixed.key_bytes()));
            let (key, rest) = entry.ok_or_else(no_record)?;
            let key = fixed.entry_key(key).ok_or_else(no_record)?;
            let value = rest.get(..fixed.value).ok_or_else(no_record)?;
            return Ok((Record::Entry(key, value), offset + fixed.entry_bytes()));
        }
        self.any_record_at(kind, raw, offset)
    }

    fn any_record_at<'a>(
        &self,
        kind: BlockKind,
        raw: &'a [u8],
        offset: usize,
    ) -> Result<(Record<'a>, usize)> {
        let mut rest = raw.get(offset..).ok_or_else(no_record)?;
        let record = self.take_record(kind, &mut rest).ok_or_else(no_record)?;
        Ok((record, raw.len() - rest.len()))
    }
}

#[cold]
fn no_record() -> Error {
    Error::corrupted("there is no whole entry where one should be")
}
