//! Reading checkpoints in directories: their metadata, their files, and pointers to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discard::require_directory;
use super::layout::{METADATA, SHARED, parse_checkpoint};
use crate::snapshot::{FileLocation, SnapshotFile};
use crate::storage::checkpoint::MAX_METADATA_BYTES;
use crate::storage::reader::{InlineReader, open_file};
use crate::storage::{FileReader, SnapshotSource, StoredCheckpoint};
use crate::vfs::{EntryKind, FileSystem};
use crate::{Error, Result};

/// Files of one checkpoint or savepoint.
#[derive(Debug)]
pub(super) struct LocalSource {
    fs: Arc<dyn FileSystem>,
    own: PathBuf,
    shared: Option<PathBuf>,
}

impl LocalSource {
    /// The checkpoint or savepoint in `own`. Only directories named as checkpoints have shared files
    /// beside them.
    pub(super) fn new(fs: Arc<dyn FileSystem>, own: PathBuf) -> Self {
        let is_checkpoint = own.file_name().and_then(parse_checkpoint).is_some();
        let job = own.parent().filter(|_| is_checkpoint);
        let shared = job.map(|job| job.join(SHARED));
        Self { fs, own, shared }
    }

    fn path(&self, file: &SnapshotFile) -> Option<PathBuf> {
        match &file.stored.location {
            FileLocation::Inline(_) => None,
            FileLocation::Own(name) => Some(self.own.join(name.as_str())),
            FileLocation::Shared(name) => {
                self.shared.as_ref().map(|shared| shared.join(name.as_str()))
            }
        }
    }
}

impl SnapshotSource for LocalSource {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        let stored = &file.stored;
        if let (FileLocation::Shared(_), Some(shared)) = (&stored.location, &self.shared) {
            require_directory(&*self.fs, shared)?;
        }
        match (self.path(file), &stored.location) {
            (Some(path), _) => open_file(&*self.fs, &path, stored.length),
            (None, FileLocation::Inline(bytes)) => InlineReader::open(bytes, stored),
            (None, FileLocation::Own(name) | FileLocation::Shared(name)) => {
                Err(Error::not_found(format!(
                    "{name} is a shared file of a job, but this is no checkpoint in the job's \
                     directory; copy checkpoints out with `alluvium checkpoints`"
                ))
                .with_path(&self.own))
            }
        }
    }

    fn local_path(&self, file: &SnapshotFile) -> Option<PathBuf> {
        // Under a path of a file system elsewhere there may be another file here.
        if self.fs.url_prefix().is_empty() { self.path(file) } else { None }
    }
}

/// Reads all of a metadata file.
pub(super) fn read_metadata(fs: &dyn FileSystem, path: &Path) -> Result<Vec<u8>> {
    read_bounded(fs, path, MAX_METADATA_BYTES)
}

/// Reads all of a file that describes others, unless it is longer than any that we write.
pub(super) fn read_bounded(fs: &dyn FileSystem, path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = fs.open(path).map_err(|error| Error::io("open", path, error))?;
    let length = file.length().map_err(|error| Error::io("metadata", path, error))?;
    let mut bytes = Vec::new();
    let capacity = usize::try_from(length).ok().filter(|_| length <= most);
    let reserved = capacity.filter(|&capacity| bytes.try_reserve_exact(capacity).is_ok());
    let Some(capacity) = reserved else {
        return Err(
            Error::corrupted(format!("{length} bytes are too many for metadata")).with_path(path)
        );
    };
    bytes.resize(capacity, 0);
    let read = file.read_exact_at(0, &mut bytes);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::corrupted("the metadata became shorter while it was read").with_path(path)
        }
        _ => Error::io("read", path, error),
    })?;
    Ok(bytes)
}

/// The pointer to what is in directory `own`.
pub(super) fn pointer_to(fs: &dyn FileSystem, own: &Path) -> String {
    format!("{}{}", fs.url_prefix(), own.to_string_lossy())
}

/// Opens the checkpoint in directory `own`.
pub(super) fn open_directory(fs: &Arc<dyn FileSystem>, own: PathBuf) -> Result<StoredCheckpoint> {
    let metadata = read_metadata(&**fs, &own.join(METADATA))?;
    let pointer = pointer_to(&**fs, &own);
    let source = Arc::new(LocalSource::new(Arc::clone(fs), own));
    Ok(StoredCheckpoint { pointer, metadata, source })
}

/// Opens a checkpoint or savepoint: `pointer` is its directory or the `_metadata` in it, as a path or
/// a `file:` URL; in a file system with a [`url_prefix`](FileSystem::url_prefix), as a URL that begins
/// with it.
///
/// # Errors
/// `InvalidInput` where that is no such thing, `NotFound` where nothing complete is there,
/// `Corrupted`, `Unavailable`.
pub fn open_pointer(fs: &Arc<dyn FileSystem>, pointer: &str) -> Result<StoredCheckpoint> {
    open_directory(fs, locate(&**fs, pointer)?)
}

/// The directory that a pointer points to; it holds metadata.
pub(super) fn locate(fs: &dyn FileSystem, pointer: &str) -> Result<PathBuf> {
    let path = path_of(fs, pointer)?;
    let own = directory_of(fs, pointer)?;
    let metadata = own.join(METADATA);
    match fs.metadata(&metadata) {
        Ok(found) if found.kind == EntryKind::File => Ok(own),
        Ok(_) => Err(Error::invalid_input("the metadata is no regular file").with_path(metadata)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Err(diagnose(fs, path)),
            _ => Err(Error::io("metadata", &metadata, error)),
        },
    }
}

/// The directory that a pointer means, without a slash at the end, whatever is there.
pub(super) fn directory_of(fs: &dyn FileSystem, pointer: &str) -> Result<PathBuf> {
    let path = path_of(fs, pointer)?;
    let own = match path.file_name() {
        Some(name) if name == METADATA => path.parent().unwrap_or(Path::new(".")),
        _ => path,
    };
    Ok(own.components().collect())
}

/// The path that a pointer means.
pub(super) fn path_of<'p>(fs: &dyn FileSystem, pointer: &'p str) -> Result<&'p Path> {
    let path = if fs.url_prefix().is_empty() {
        plain_path(pointer)?
    } else {
        // Not repeated either, where it is another one.
        pointer.strip_prefix(fs.url_prefix()).filter(|path| path.starts_with('/')).ok_or_else(
            || {
                Error::invalid_input(format!(
                    "this is no URL of a place below {}/",
                    fs.url_prefix()
                ))
            },
        )?
    };
    if path.contains('\0') {
        return Err(Error::invalid_input("the path contains a zero byte"));
    }
    Ok(Path::new(path))
}

fn plain_path(pointer: &str) -> Result<&str> {
    let path = match pointer.split_once("://") {
        Some(("file", path)) => path,
        // Not repeated: somebody may have written credentials into it.
        Some(_) => {
            return Err(Error::invalid_input(
                "a URL of another scheme than file:// is no local path; open it with the storage of \
                 its scheme",
            ));
        }
        None => pointer,
    };
    if path.trim().is_empty() {
        return Err(Error::invalid_input(
            "the path is empty; give the directory of a checkpoint or savepoint",
        ));
    }
    Ok(path)
}

/// Why there is no metadata at a path.
fn diagnose(fs: &dyn FileSystem, path: &Path) -> Error {
    let error = match fs.metadata(path).map(|found| found.kind) {
        Ok(EntryKind::Directory) => {
            let inside = fs.list(path).unwrap_or_default();
            let newest = inside.iter().filter_map(|entry| parse_checkpoint(&entry.name)).max();
            match newest {
                Some(id) => Error::not_found(format!(
                    "this is the directory of a job; give one of its checkpoints, such as \
                     {}",
                    pointer_to(fs, &path.join(super::layout::checkpoint_name(id)))
                )),
                None => Error::not_found(
                    "the directory holds no _metadata: it is no checkpoint or savepoint, or was \
                     never completed",
                ),
            }
        }
        Ok(EntryKind::File) => Error::invalid_input(
            "this is a file; give the directory of a checkpoint or savepoint, or the _metadata in \
             it",
        ),
        _ => Error::not_found("there is no checkpoint or savepoint here; check the path"),
    };
    error.with_path(path)
}
