//! Reads and verifies the blocks of chosen sections, in the order of the file.
//!
//! # Role
//! One cursor per thread; what is chosen may be a range of key groups or a single section. Blocks
//! are handed out only after checksum, caps, structure and counts were checked; nothing of the next
//! section, nor the end, is told before a section's counts and digest agreed with the index. Lookups
//! are checked and passed over.
//!
//! # Failure
//! `Corrupted` with path, offset, state and key group. A caller that loaded earlier blocks of the
//! section throws its work away.
//!
//! # Cost
//! Reads of up to 1 MiB over adjacent extents (gaps of up to 32 KiB are read through); memory for
//! that window and one decompressed block. Blocks that are not compressed are not copied again.

use super::audit::{Audit, RawBlock};
use super::block::{BLOCK_HEADER_BYTES, BlockContent, BlockHeader};
use super::compress;
use super::digest::Digester;
use super::header::FileForm;
use super::index::{Extent, Section};
use super::lookup::LookupCheck;
use super::reader::StateFile;
use super::records::{Block, BlockKind};
use super::window::Window;
use crate::snapshot::Compression;
use crate::{EntryKey, Error, Result};

/// Bytes between two extents that are read rather than skipped.
const MOST_GAP_BYTES: u64 = 32 << 10;

/// An extent to read.
#[derive(Clone, Copy, Debug)]
struct Step {
    extent: Extent,
    /// Index of the section among the chosen ones.
    slot: usize,
    /// Up to where it is worth reading at once.
    run_end: u64,
}

/// A chosen section and what was seen of it.
#[derive(Debug)]
struct Slot<'f> {
    section: &'f Section,
    audit: Audit,
    /// What was seen of its lookups, if it has some.
    lookups: Option<Box<LookupCheck>>,
    blocks: u64,
    bytes_left: u64,
}

/// Reads blocks; see [`StateFile::blocks`].
#[derive(Debug)]
pub struct BlockCursor<'f> {
    file: &'f StateFile,
    steps: Vec<Step>,
    /// The extents before this one were read.
    step: usize,
    /// Where the next block begins, if it is inside the current extent.
    position: u64,
    slots: Vec<Slot<'f>>,
    window: Window,
    raw: Vec<u8>,
    digester: Digester,
}

impl<'f> BlockCursor<'f> {
    pub(crate) fn new(file: &'f StateFile, select: impl Fn(&Section) -> bool) -> Self {
        let mut slots = Vec::new();
        let mut steps = Vec::new();
        for section in file.sections.iter().filter(|section| select(section)) {
            let step = |extent: &Extent| Step {
                extent: *extent,
                slot: slots.len(),
                run_end: extent.end(),
            };
            steps.extend(section.extents.iter().map(step));
            slots.push(Slot {
                section,
                audit: Audit::default(),
                lookups: file.lookups.then(Box::default),
                blocks: 0,
                bytes_left: section.stored_bytes(),
            });
        }
        steps.sort_unstable_by_key(|step| step.extent.offset);
        let mut next: Option<Step> = None;
        for step in steps.iter_mut().rev() {
            if let Some(next) = next {
                let gap = next.extent.offset.saturating_sub(step.extent.end());
                if gap <= MOST_GAP_BYTES {
                    step.run_end = next.run_end;
                }
            }
            next = Some(*step);
        }
        Self {
            file,
            steps,
            step: 0,
            position: 0,
            slots,
            window: Window::default(),
            raw: Vec::new(),
            digester: Digester::default(),
        }
    }

    /// The next block, or `None` after the last.
    ///
    /// # Errors
    /// `Corrupted` where anything differs; `Unavailable` where reading fails.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        loop {
            let Some(&step) = self.steps.get(self.step) else {
                return Ok(None);
            };
            let offset = self.position.max(step.extent.offset);
            let (file, Some(slot)) = (self.file, self.slots.get_mut(step.slot)) else {
                return Err(Error::bug("an extent without its section"));
            };
            let section = slot.section;
            let checked = load(file, &step, offset, &mut self.window).and_then(|header| {
                let raw = raw(&header, offset, &self.window, &mut self.raw)?;
                slot.check(file, &header, (raw, offset), &mut self.digester)?;
                Ok(header)
            });
            let header = checked.map_err(|error| file.locate(error, section, offset))?;
            self.position = offset + (BLOCK_HEADER_BYTES + header.stored_length) as u64;
            if self.position >= step.extent.end() {
                self.step += 1;
            }
            if let BlockContent::Entries(kind) = header.content {
                return self.block(&header, kind, offset).map(Some);
            }
        }
    }

    /// The block at `offset`, which was checked.
    fn block(&self, header: &BlockHeader, kind: BlockKind, offset: u64) -> Result<Block<'_>> {
        let layout = self.file.layouts.get(usize::from(header.state));
        let in_place = header.compression == Compression::None;
        let stored = self.window.get(offset + BLOCK_HEADER_BYTES as u64, header.stored_length);
        Ok(Block {
            layout: layout.ok_or_else(|| Error::bug("a section without its state"))?,
            kind,
            state: header.state,
            group: header.group,
            count: header.count,
            raw: if in_place { stored } else { &self.raw },
        })
    }
}

/// The raw bytes of the block at `offset`: in the window, or decompressed.
fn raw<'a>(
    header: &BlockHeader,
    offset: u64,
    window: &'a Window,
    decompressed: &'a mut Vec<u8>,
) -> Result<&'a [u8]> {
    let stored = window.get(offset + BLOCK_HEADER_BYTES as u64, header.stored_length);
    if header.compression == Compression::None {
        return if header.raw_length == stored.len() { Ok(stored) } else { Err(misfit()) };
    }
    decompressed.clear();
    compress::decompress(header.compression, stored, header.raw_length, decompressed)?;
    Ok(decompressed)
}

/// Reads the block at `offset` into the window and verifies what it says of itself.
fn load(file: &StateFile, step: &Step, offset: u64, window: &mut Window) -> Result<BlockHeader> {
    let left = step.extent.end().saturating_sub(offset);
    let fits = |length: usize| length as u64 <= left;
    if !fits(BLOCK_HEADER_BYTES) {
        return Err(Error::corrupted("blocks do not fill their extent"));
    }
    window.load(&*file.reader, offset, BLOCK_HEADER_BYTES, step.run_end)?;
    let Some(&bytes) = window.get(offset, BLOCK_HEADER_BYTES).first_chunk() else {
        return Err(Error::bug("the window is shorter than what was loaded"));
    };
    let header = BlockHeader::decode(&bytes)?;
    let Some(length) =
        header.stored_length.checked_add(BLOCK_HEADER_BYTES).filter(|length| fits(*length))
    else {
        return Err(Error::corrupted("a block is longer than its extent"));
    };
    window.load(&*file.reader, offset, length, step.run_end)?;
    header.verify(&bytes, window.get(offset + BLOCK_HEADER_BYTES as u64, header.stored_length))?;
    Ok(header)
}

impl Slot<'_> {
    /// Checks the block at `offset` against section and file form, and the section after its last block.
    fn check(
        &mut self,
        file: &StateFile,
        header: &BlockHeader,
        (raw, offset): (&[u8], u64),
        digester: &mut Digester,
    ) -> Result<()> {
        if (header.state, header.group) != (self.section.state, self.section.group) {
            return Err(Error::corrupted("a block of another section"));
        }
        match (header.content, &mut self.lookups) {
            (BlockContent::Entries(kind), _) => {
                self.check_entries(file, header, kind, (raw, offset), digester)
            }
            (BlockContent::LookupPage, Some(lookups)) => {
                lookups.page(raw, header.count, offset).map_err(Error::corrupted)
            }
            (BlockContent::Directory, Some(lookups)) => {
                lookups.directory(raw, header.count).map_err(Error::corrupted)
            }
            (_, None) => Err(Error::corrupted("only files with lookups have blocks of this kind")),
        }?;
        self.blocks += 1;
        let length = (BLOCK_HEADER_BYTES + header.stored_length) as u64;
        self.bytes_left = self.bytes_left.saturating_sub(length);
        if self.bytes_left == 0 { self.complete(header) } else { Ok(()) }
    }

    fn check_entries(
        &mut self,
        file: &StateFile,
        header: &BlockHeader,
        kind: BlockKind,
        (raw, offset): (&[u8], u64),
        digester: &mut Digester,
    ) -> Result<()> {
        let form = file.spec.form;
        if kind != BlockKind::Entries && form != FileForm::Increment {
            return Err(Error::corrupted("only increments remove entries or append to lists"));
        }
        let Some(layout) = file.layouts.get(usize::from(header.state)) else {
            return Err(Error::bug("a section without its state"));
        };
        let ordered = form == FileForm::Canonical || file.lookups;
        let block = RawBlock { kind, count: header.count, raw, ordered };
        let Some(lookups) = &mut self.lookups else {
            return self.audit.block(layout, block, digester, None).map_err(Error::corrupted);
        };
        let mut begins = |offset: usize, key: EntryKey<'_>| lookups.entry(kind, offset, key);
        let checked = self.audit.block(layout, block, digester, Some(&mut begins));
        checked
            .and_then(|()| lookups.block(kind, header.count, raw, offset))
            .map_err(Error::corrupted)
    }

    /// Compares what was seen with what the index says, after the block with this header.
    fn complete(&mut self, last: &BlockHeader) -> Result<()> {
        if let Some(lookups) = self.lookups.take() {
            let length = (BLOCK_HEADER_BYTES + last.stored_length) as u64;
            if !lookups.is_complete() || length != self.section.directory_bytes {
                return Err(Error::corrupted("the directory is not where the index says"));
            }
        }
        let (section, audit) = (self.section, &self.audit);
        let compared = [
            ("blocks", self.blocks, section.blocks),
            ("entries", audit.entries, section.entries),
            ("elements", audit.elements, section.elements),
            ("tombstones", audit.tombstones, section.tombstones),
        ];
        for (what, found, wanted) in compared {
            if found != wanted {
                return Err(Error::corrupted(format!(
                    "{found} {what} instead of the recorded {wanted}"
                )));
            }
        }
        if audit.digest != section.digest.0 && !cfg!(canary = "section-digest") {
            return Err(Error::corrupted("the content's digest differs from the recorded one"));
        }
        Ok(())
    }
}

#[cold]
fn misfit() -> Error {
    Error::corrupted("an uncompressed block has two lengths")
}
