//! Taking a file of another snapshot over, byte by byte: what every storage can do.
//!
//! A storage that can do it without reading the file (a second name in one file system, a copy inside
//! an object store) does so in its own [`SnapshotSink::import`], and comes back to this where it cannot.

use xxhash_rust::xxh3::Xxh3;

use super::reader::InlineReader;
use super::{FileScope, SnapshotSink, SnapshotSource, read_pieces, verify_checksum};
use crate::snapshot::{FileLocation, SnapshotFile, StoredFile};
use crate::{Error, Result};

/// What is already inline: the same bytes, whose length and checksum are compared.
pub(super) fn inline(file: &SnapshotFile) -> Result<Option<StoredFile>> {
    let stored = &file.stored;
    let FileLocation::Inline(bytes) = &stored.location else {
        return Ok(None);
    };
    verify_checksum(&*InlineReader::open(bytes, stored)?, stored.checksum)?;
    Ok(Some(stored.clone()))
}

/// Copies `file` into a new one of `sink`. The bytes are compared with what is recorded before the new
/// file is finished, so that a damaged one leaves nothing.
pub(super) fn copy<S: SnapshotSink + ?Sized>(
    sink: &S,
    file: &SnapshotFile,
    from: &dyn SnapshotSource,
    scope: FileScope,
) -> Result<StoredFile> {
    if let Some(stored) = inline(file)? {
        return Ok(stored);
    }
    let (reader, mut writer) = (from.open(file)?, sink.create(scope)?);
    let (length, mut hasher) = (reader.len(), Xxh3::new());
    read_pieces(&*reader, 0..length, |bytes| {
        hasher.update(bytes);
        writer.write(bytes)
    })?;
    check(file, length, hasher.digest128())?;
    let stored = writer.finish()?;
    check(file, stored.length, stored.checksum)?;
    Ok(stored)
}

fn check(file: &SnapshotFile, length: u64, checksum: u128) -> Result<()> {
    let expected = &file.stored;
    if (length, checksum) == (expected.length, expected.checksum) {
        return Ok(());
    }
    Err(Error::corrupted(format!(
        "{:?} has {length} bytes with checksum {checksum:032x} instead of {} with {:032x}; it was not \
         taken over, use another snapshot",
        expected.location, expected.length, expected.checksum
    )))
}
