//! Readers of snapshot files, and the check of a whole file.

use std::fmt::{self, Debug};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::{FileReader, SnapshotSource};
use crate::snapshot::{FileLocation, SnapshotFile, StoredFile};
use crate::vfs::{EntryKind, FileSystem, ReadFile};
use crate::{Error, Result};

/// How much [`read_pieces`] reads at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Hands the bytes of `range` to `take`, in order, at most 1 MiB at a time, which is the memory that it
/// needs.
///
/// # Errors
/// What the reader and `take` return.
///
/// ```
/// use alluvium_state_api::Result;
/// use alluvium_state_api::storage::{FileReader, read_pieces};
///
/// fn bytes_of(reader: &dyn FileReader) -> Result<Vec<u8>> {
///     let mut bytes = Vec::new();
///     read_pieces(reader, 0..reader.len(), |piece| {
///         bytes.extend_from_slice(piece);
///         Ok(())
///     })?;
///     Ok(bytes)
/// }
/// ```
pub fn read_pieces(
    reader: &dyn FileReader,
    range: Range<u64>,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let part = |left: u64| usize::try_from(left).map_or(PIECE_BYTES, |n| n.min(PIECE_BYTES));
    let mut piece = vec![0; part(range.end.saturating_sub(range.start))];
    let mut offset = range.start;
    while offset < range.end {
        let bytes = piece.get_mut(..part(range.end - offset)).unwrap_or_default();
        reader.read_exact_at(offset, bytes)?;
        take(bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}

/// Reads all of `reader` and compares its XXH3-128 with `expected`.
///
/// # Errors
/// `Corrupted` where they differ, and what the reader returns.
pub fn verify_checksum(reader: &dyn FileReader, expected: u128) -> Result<()> {
    let mut hasher = Xxh3::new();
    read_pieces(reader, 0..reader.len(), |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let found = hasher.digest128();
    if found != expected {
        return Err(Error::corrupted(format!(
            "checksum of the file is {found:032x} instead of {expected:032x}; restore from another \
             checkpoint"
        )));
    }
    Ok(())
}

/// A file that travelled in the metadata.
pub(super) struct InlineReader(Arc<[u8]>);

impl Debug for InlineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InlineReader({} bytes)", self.0.len())
    }
}

impl InlineReader {
    /// Wraps inline bytes, whose number must be `stored`'s length.
    pub(super) fn open(bytes: &Arc<[u8]>, stored: &StoredFile) -> Result<Box<dyn FileReader>> {
        check_length(bytes.len() as u64, stored.length)?;
        Ok(Box::new(Self(Arc::clone(bytes))))
    }
}

impl FileReader for InlineReader {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(buffer.len());
        match self.0.get(range) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(ends_early(offset)),
        }
        Ok(())
    }
}

/// A file in a file system, whose length was compared through the descriptor that is read.
#[derive(Debug)]
struct StoredReader {
    file: Box<dyn ReadFile>,
    length: u64,
    path: PathBuf,
}

/// Opens a file of a snapshot in a file system, `expected` bytes long: the length is compared through the
/// descriptor that is read.
///
/// # Errors
/// `NotFound`; `Corrupted` for another length and for what is no regular file; `Unavailable`.
pub fn open_file(fs: &dyn FileSystem, path: &Path, expected: u64) -> Result<Box<dyn FileReader>> {
    let file = fs.open(path).map_err(|error| cannot_open(fs, path, error))?;
    let length = file.length().map_err(|error| Error::io("metadata", path, error))?;
    check_length(length, expected).map_err(|error| error.with_path(path))?;
    Ok(Box::new(StoredReader { file, length, path: path.to_path_buf() }))
}

impl FileReader for StoredReader {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        // The system refuses offsets beyond its own limit with another error.
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err(ends_early(offset).with_path(&self.path));
        }
        self.file.read_exact_at(offset, buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                ends_early(offset).with_path(&self.path)
            } else {
                Error::io("read", &self.path, error).with_offset(offset)
            }
        })
    }

    fn as_file(&self) -> Option<&std::fs::File> {
        self.file.as_file()
    }
}

/// Something else than a regular file under the name of one is no failure that passes.
#[cold]
fn cannot_open(fs: &dyn FileSystem, path: &Path, error: io::Error) -> Error {
    match fs.metadata(path) {
        Ok(found) if found.kind != EntryKind::File => Error::corrupted(format!(
            "this has to be a file of the snapshot but is a {:?}; restore from another checkpoint",
            found.kind
        ))
        .with_path(path)
        .with_source(error),
        _ => Error::io("open", path, error),
    }
}

/// Files of a checkpoint that has no directory: all are inline.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineSource;

impl SnapshotSource for InlineSource {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        match &file.stored.location {
            FileLocation::Inline(bytes) => InlineReader::open(bytes, &file.stored),
            location => Err(Error::not_found(format!(
                "{location:?} is in a directory, but this checkpoint has none"
            ))),
        }
    }
}

fn check_length(found: u64, expected: u64) -> Result<()> {
    if found != expected {
        return Err(Error::corrupted(format!(
            "the file has {found} bytes instead of {expected}; restore from another checkpoint"
        )));
    }
    Ok(())
}

fn ends_early(offset: u64) -> Error {
    Error::corrupted("the file ends before the bytes that were asked for").with_offset(offset)
}
