//! Taking a file of a snapshot into the private directory: a second name for it where both are in one
//! file system, a copy otherwise.
//!
//! Snapshot files are never written again, and who removes either name does no harm to the other. A
//! link reads nothing; blocks are verified when they are first used. A copy is compared with the
//! recorded checksum, since it passes by anyway.
//!
//! Where only some key groups are wanted, only their sections are copied, with header, index and footer, each
//! to where it is in the original: between them the copy has gaps, which take no room on the disk. All that
//! it has is verified against its index, which is that of the original.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use alluvium_state_api::format::{Section, StateFile};
use alluvium_state_api::snapshot::{SnapshotFile, StoredFile};
use alluvium_state_api::storage::{FileReader, SnapshotSource, read_pieces};
use alluvium_state_api::vfs::must_be_copied;
use alluvium_state_api::{Error, KeyGroupRange, Result};

use super::{LocalDirectory, LocalFile, failed};

/// A file of a snapshot that is to be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// As the snapshot describes it.
    pub(crate) file: &'a SnapshotFile,
    /// Opened, and found to be the one that the snapshot means.
    pub(crate) opened: &'a StateFile,
    /// The key groups that are wanted of it.
    pub(crate) live: &'a [KeyGroupRange],
}

impl Wanted<'_> {
    fn has(&self, section: &Section) -> bool {
        self.live.iter().any(|range| range.contains(section.group))
    }
}

impl LocalDirectory {
    /// Gives a file a second name in the directory, and opens it; `None` where it has to be
    /// [copied](Self::copy), and where it is not as long as recorded: who opens it by its own name learns that.
    ///
    /// # Errors
    /// `Unavailable` where the file system fails.
    pub(crate) fn link(
        &self,
        file: &SnapshotFile,
        source: &dyn SnapshotSource,
    ) -> Result<Option<(LocalFile, Box<dyn FileReader>)>> {
        let Some(original) = source.local_path(file) else {
            return Ok(None);
        };
        let mut refused = false;
        let linked = self.fresh("link", |path| {
            let linked = self.0.fs.hard_link(&original, path);
            linked.inspect_err(|error| refused = must_be_copied(error))
        });
        match linked {
            Err(_) if refused => Ok(None),
            linked => {
                let (linked, ()) = linked?;
                let reader = linked.read(file.stored.length);
                Ok(reader.ok().map(|reader| (linked, reader)))
            }
        }
    }

    /// Copies what is wanted of a file into the directory. What it is copied from is not touched.
    ///
    /// # Errors
    /// `Corrupted` where the copy is not what is recorded; `Unavailable` where the file system fails.
    pub(crate) fn copy(&self, wanted: Wanted<'_>) -> Result<LocalFile> {
        let reader = wanted.opened.reader();
        let ranges = wanted.opened.ranges_of(|section| wanted.has(section));
        match ranges.as_slice() {
            [all] if *all == (0..reader.len()) => self.copy_all(wanted.file, reader),
            some => self.copy_some(wanted, some),
        }
    }

    fn copy_all(&self, file: &SnapshotFile, reader: &dyn FileReader) -> Result<LocalFile> {
        let (copy, mut writer) = self.create()?;
        read_pieces(reader, 0..reader.len(), |bytes| writer.write(bytes))?;
        check(&writer.finish()?, &file.stored)?;
        Ok(copy)
    }

    /// Copies these ranges of the file, each to where it is there.
    fn copy_some(&self, wanted: Wanted<'_>, ranges: &[Range<u64>]) -> Result<LocalFile> {
        let (mut copy, mut writer) = self.fresh("create", |path| self.0.fs.create_new(path))?;
        copy.has_gaps = true;
        let mut end = 0;
        for range in ranges {
            let skipped = writer.skip(range.start.saturating_sub(end));
            skipped.map_err(|error| failed("write", copy.path(), error))?;
            read_pieces(wanted.opened.reader(), range.clone(), |bytes| {
                writer.write_all(bytes).map_err(|error| failed("write", copy.path(), error))
            })?;
            end = range.end;
        }
        writer.sync().map_err(|error| failed("fsync", copy.path(), error))?;
        let read: Arc<dyn FileReader> = copy.read(wanted.file.stored.length)?.into();
        let copied = StateFile::open(read, copy.path())?;
        if copied.frame_checksum() != wanted.opened.frame_checksum() {
            let text = "the file changed while it was copied; restore from another checkpoint";
            return Err(Error::corrupted(text).with_path(copy.path()));
        }
        let mut blocks = copied.blocks_where(|section| wanted.has(section));
        while blocks.next_block()?.is_some() {}
        Ok(copy)
    }
}

fn check(found: &StoredFile, recorded: &StoredFile) -> Result<()> {
    if (found.length, found.checksum) == (recorded.length, recorded.checksum) {
        return Ok(());
    }
    Err(Error::corrupted(format!(
        "{:?} has {} bytes with checksum {:032x} instead of {} with {:032x}; restore from another \
         checkpoint",
        recorded.location, found.length, found.checksum, recorded.length, recorded.checksum
    )))
}
