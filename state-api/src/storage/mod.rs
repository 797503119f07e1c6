//! Where the files of snapshots go and come from.
//!
//! A snapshot task writes through a [`SnapshotSink`] and a restoring store reads through a
//! [`SnapshotSource`]; neither knows whether that is a directory, the checkpoint's metadata or an
//! object store. The coordinator speaks to a job's [`CheckpointStorage`], of which there are two here:
//! [`local`] is durable storage in a directory over [`crate::vfs`], [`memory`] lives in the process.

pub mod checkpoint;
mod import;
pub mod local;
pub mod memory;
mod phase;
mod places;
mod reader;
mod remains;
mod survey;

use std::fmt::Debug;
use std::fs::File;
use std::path::PathBuf;

pub use checkpoint::{CheckpointAttempt, CheckpointStorage, StoredCheckpoint};
pub use phase::Phase;
pub use places::SavepointPlaces;
pub use reader::{InlineSource, open_file, read_pieces, verify_checksum};
pub use remains::{MAX_REMAINS_BYTES, are_remains, decode_remains, encode_remains};
pub use survey::{
    Survey, SurveyedCheckpoint, SurveyedFile, SurveyedPlace, SurveyedSavepoint, is_drawn,
    is_savepoint_of, savepoint_name,
};

use crate::Result;
use crate::snapshot::{SnapshotFile, StoredFile};

/// Whether a file belongs to one checkpoint or may be referenced by later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileScope {
    /// Lives and dies with its checkpoint or savepoint.
    Own,
    /// May be referenced by later incremental checkpoints.
    Shared,
}

/// What may travel inside the checkpoint's metadata instead of in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlinePolicy {
    /// There is a directory: files of at most `threshold_bytes` go inline.
    Small {
        /// The largest file that goes inline, in bytes.
        threshold_bytes: u64,
    },
    /// There is no directory: everything goes inline, at most `limit_bytes` for each state.
    Everything {
        /// The most that one state of one subtask may have in a snapshot, in bytes.
        limit_bytes: u64,
    },
}

/// Takes the files of one snapshot of one subtask.
pub trait SnapshotSink: Debug + Send + Sync {
    /// Begins a file with a fresh random name.
    ///
    /// # Errors
    /// `Unavailable` where the storage fails.
    fn create(&self, scope: FileScope) -> Result<Box<dyn FileWriter>>;

    /// What goes inline.
    fn inline_policy(&self) -> InlinePolicy;

    /// Takes a file of another snapshot over under a fresh random name, durably; what `from` holds is
    /// not touched. The new file is this snapshot's own: either may be deleted without the other. What
    /// is inline stays inline.
    ///
    /// # Errors
    /// Those of [`SnapshotSource::open`]; `Corrupted` where the content is not what is recorded, as far
    /// as it had to be read; those of [`create`](Self::create) and of the file's writer.
    fn import(
        &self,
        file: &SnapshotFile,
        from: &dyn SnapshotSource,
        scope: FileScope,
    ) -> Result<StoredFile> {
        import::copy(self, file, from, scope)
    }
}

/// Writes one file. Dropping it unfinished discards the file.
pub trait FileWriter: Send {
    /// Says that some `bytes` more are to come, to be read rarely, so that the writer can make ready for a
    /// long file, and keep it out of caches. A hint, given before the first bytes, or a few at most, from a
    /// thread whose priority is the snapshot's.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn expect(&mut self, bytes: u64) -> Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `Unavailable`. The file is then lost: it is neither retried nor finished.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the file durable and says where it is. A file that is small enough may end up inline.
    ///
    /// # Errors
    /// `Unavailable`; the file is then discarded.
    fn finish(self: Box<Self>) -> Result<StoredFile>;
}

/// Gives access to the files of one snapshot.
pub trait SnapshotSource: Debug + Send + Sync {
    /// Opens a file, whose length is compared with the recorded one.
    ///
    /// # Errors
    /// `NotFound`, `Corrupted` (another length), `Unavailable`.
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>>;

    /// Where the file is in the local file system, for those who can give it a second name instead of
    /// copying it; `None` where it is in none. Nothing is looked up: the file may be missing.
    fn local_path(&self, file: &SnapshotFile) -> Option<PathBuf> {
        let _ = file;
        None
    }
}

/// Reads one file at any offset, from any thread.
pub trait FileReader: Debug + Send + Sync {
    /// The file's length in bytes.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `Corrupted` where the file ends before; `Unavailable`.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// The operating system's file, for the memory map; `None` where there is none.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

#[cfg(test)]
mod tests;
