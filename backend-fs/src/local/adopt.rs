//! Taking a file of a snapshot into the private directory: a second name for it where both are in one
//! file system, a copy otherwise.
//!
//! Snapshot files are never written again, and who removes either name does no harm to the other. A
//! link reads nothing; blocks are verified when they are first used. A copy is compared with the
//! recorded checksum, since it passes by anyway.

use alluvium_state_api::snapshot::{SnapshotFile, StoredFile};
use alluvium_state_api::storage::SnapshotSource;
use alluvium_state_api::vfs::must_be_copied;
use alluvium_state_api::{Error, Result};

use super::{LocalDirectory, LocalFile};

/// How much is copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

impl LocalDirectory {
    /// Takes `file` into the directory. What `source` holds is not touched.
    ///
    /// # Errors
    /// Those of [`SnapshotSource::open`]; `Corrupted` where a copy is not what is recorded;
    /// `Unavailable` where the file system fails.
    pub(crate) fn adopt(
        &self,
        file: &SnapshotFile,
        source: &dyn SnapshotSource,
    ) -> Result<LocalFile> {
        match self.link(file, source)? {
            Some(linked) => Ok(linked),
            None => self.copy(file, source),
        }
    }

    /// A second name; `None` where the file has to be copied.
    fn link(&self, file: &SnapshotFile, source: &dyn SnapshotSource) -> Result<Option<LocalFile>> {
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
                // What was linked, not what was found under the name before.
                drop(linked.read(file.stored.length)?);
                Ok(Some(linked))
            }
        }
    }

    fn copy(&self, file: &SnapshotFile, source: &dyn SnapshotSource) -> Result<LocalFile> {
        let reader = source.open(file)?;
        let (copy, mut writer) = self.create()?;
        let (mut offset, length) = (0_u64, reader.len());
        let part = |left: u64| usize::try_from(left).map_or(CHUNK_BYTES, |n| n.min(CHUNK_BYTES));
        let mut chunk = vec![0; part(length)];
        while offset < length {
            let bytes = chunk.get_mut(..part(length - offset)).unwrap_or_default();
            reader.read_exact_at(offset, bytes)?;
            writer.write(bytes)?;
            offset += bytes.len() as u64;
        }
        check(&writer.finish()?, &file.stored)?;
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
