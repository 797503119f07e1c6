//! One attempt at a checkpoint or savepoint in a directory: who may still write, what was written,
//! and how it ends.
//!
//! # Invariants
//! 1. `finished` lists exactly the files that this attempt wrote and synced; unfinished ones belong
//!    to their writers, which remove them.
//! 2. Publication and abort exclude each other; the second to come sees how the first ended.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::import as local_import;
use super::layout::{Ground, METADATA, cannot_write, unless_missing};
use super::publish::publish;
use super::source::{LocalSource, pointer_to};
use super::writer::LocalWriter;
use crate::snapshot::{FileLocation, SnapshotFile, StoredFile};
use crate::storage::{
    CheckpointAttempt, FileScope, FileWriter, InlinePolicy, Phase, SnapshotSink, SnapshotSource,
    import,
};
use crate::{CheckpointId, Error, ErrorKind, Result};

/// The place of one checkpoint or savepoint, and what this attempt did there.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) ground: Arc<Ground>,
    /// The directory of the checkpoint or savepoint.
    pub(super) own: PathBuf,
    /// The job's shared files; `None` for savepoints.
    pub(super) shared: Option<PathBuf>,
    /// Which checkpoint it is, for messages.
    pub(super) checkpoint: Option<CheckpointId>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    phase: Phase,
    finished: Vec<PathBuf>,
    /// Metadata on its way, which a late rename may still reveal.
    draft: Option<PathBuf>,
}

impl Site {
    pub(super) fn new(
        ground: Arc<Ground>,
        own: PathBuf,
        shared: Option<PathBuf>,
        checkpoint: Option<CheckpointId>,
    ) -> Self {
        Self { ground, own, shared, checkpoint, record: Mutex::default() }
    }

    /// Where a file goes, and whether that is the directory of shared files.
    pub(super) fn directory_of(&self, scope: FileScope) -> (&Path, bool) {
        match (&self.shared, scope) {
            (Some(shared), FileScope::Shared) => (shared, true),
            _ => (&self.own, false),
        }
    }

    /// Fails once the attempt is over.
    pub(super) fn check_open(&self) -> Result<()> {
        self.record.lock().phase.check_open()
    }

    /// Takes a durable file over from its writer.
    pub(super) fn register(&self, path: &Path) -> Result<()> {
        let mut record = self.record.lock();
        record.phase.check_open()?;
        record.finished.push(path.to_path_buf());
        Ok(())
    }

    /// Where the metadata is before it is revealed.
    pub(super) fn remember_draft(&self, draft: &Path) {
        self.record.lock().draft = Some(draft.to_path_buf());
    }

    /// Removes a writer's unfinished file, and the directory if it was the last thing in the place
    /// of an aborted attempt. What cannot be removed is an orphan that nothing names.
    pub(super) fn remove_unfinished(&self, path: &Path) {
        let fs = &self.ground.fs;
        let removed = fs.remove_file(path);
        if removed.is_ok() && self.record.lock().phase.is_aborted() {
            drop(fs.remove_dir(&self.own));
        }
    }

    /// Adds which checkpoint an error is about. A directory that went missing because the attempt
    /// was aborted meanwhile is told as that.
    pub(super) fn explain(&self, error: Error) -> Error {
        let error = match self.check_open() {
            Err(over) if error.kind() == ErrorKind::Unavailable => over.with_source(error),
            _ => error,
        };
        self.name(error)
    }

    /// Adds which checkpoint an error is about.
    fn name(&self, error: Error) -> Error {
        match self.checkpoint {
            Some(id) => error.with_checkpoint(id),
            None => error,
        }
    }
}

#[derive(Debug)]
struct LocalSink(Arc<Site>);

impl SnapshotSink for LocalSink {
    fn create(&self, scope: FileScope) -> Result<Box<dyn FileWriter>> {
        self.0.check_open().map_err(|error| self.0.explain(error))?;
        Ok(Box::new(LocalWriter::new(Arc::clone(&self.0), scope)))
    }

    fn inline_policy(&self) -> InlinePolicy {
        InlinePolicy::Small { threshold_bytes: self.0.ground.options.inline_threshold_bytes }
    }

    fn import(
        &self,
        file: &SnapshotFile,
        from: &dyn SnapshotSource,
        scope: FileScope,
    ) -> Result<StoredFile> {
        let take = || {
            if let Some(linked) = local_import::link(&self.0, file, from, scope)? {
                return Ok(linked);
            }
            let copied = import::copy(self, file, from, scope)?;
            if !matches!(copied.location, FileLocation::Inline(_)) {
                local_import::sync_names(&self.0, scope)?;
            }
            Ok(copied)
        };
        take().map_err(|error| self.0.explain(error))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct LocalAttempt {
    site: Arc<Site>,
    pointer: String,
    /// Held while the attempt is published or aborted.
    ending: Mutex<()>,
}

impl LocalAttempt {
    pub(super) fn new(site: Site) -> Self {
        let pointer = pointer_to(&*site.ground.fs, &site.own);
        Self { site: Arc::new(site), pointer, ending: Mutex::new(()) }
    }

    /// Takes back metadata whose publication was indeterminate.
    fn take_back(&self, metadata: &[u8]) -> Result<()> {
        let (fs, own) = (&*self.site.ground.fs, &self.site.own);
        let path = own.join(METADATA);
        let unclear = |error: Error| {
            let message = "metadata that may be published could not be taken back; abort again";
            Error::indeterminate(message).with_path(&path).with_source(error)
        };
        // First: from here on a late rename comes to nothing.
        if let Some(draft) = &self.site.record.lock().draft {
            let removed = unless_missing(fs.remove_file(draft));
            removed.map_err(|error| unclear(cannot_write("remove", draft, error)))?;
        }
        match super::source::read_metadata(fs, &path) {
            Ok(found) if found == metadata => {
                let removed = unless_missing(fs.remove_file(&path));
                removed.map_err(|error| unclear(cannot_write("remove", &path, error)))?;
            }
            // Another attempt's.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unclear(error)),
        }
        // A place that is missing was removed by somebody else, with all that was in it.
        let synced = unless_missing(fs.sync_directory(own));
        synced.map_err(|error| unclear(cannot_write("fsync", own, error)))?;
        self.site.record.lock().phase.settle(false);
        Ok(())
    }

    fn remove_files(&self) -> Result<()> {
        let (fs, own) = (&*self.site.ground.fs, &self.site.own);
        let finished = mem::take(&mut self.site.record.lock().finished);
        let mut left = Vec::new();
        let mut failure = None;
        for path in finished {
            if let Err(error) = unless_missing(fs.remove_file(&path)) {
                failure = failure.or(Some(cannot_write("remove", &path, error)));
                left.push(path);
            }
        }
        self.site.record.lock().finished = left;
        if let Some(error) = failure {
            return Err(error);
        }
        match unless_missing(fs.remove_dir(own)) {
            // Another attempt's files, or those of writers that have not noticed yet.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result.map_err(|error| cannot_write("remove", own, error)),
        }
    }
}

impl CheckpointAttempt for LocalAttempt {
    fn sink(&self) -> Arc<dyn SnapshotSink> {
        Arc::new(LocalSink(Arc::clone(&self.site)))
    }

    fn source(&self) -> Arc<dyn SnapshotSource> {
        let fs = Arc::clone(&self.site.ground.fs);
        Arc::new(LocalSource::new(fs, self.site.own.clone()))
    }

    fn pointer(&self) -> &str {
        &self.pointer
    }

    fn publish(&self, metadata: &[u8]) -> Result<()> {
        let _ending = self.ending.lock();
        let begun = self.site.record.lock().phase.begin_publication();
        let result = begun.and_then(|()| {
            let result = publish(&self.site, metadata);
            self.site.record.lock().phase.end_publication(metadata, &result);
            result
        });
        result.map_err(|error| self.site.name(error))
    }

    fn abort(&self) -> Result<()> {
        let _ending = self.ending.lock();
        let end = || {
            let unclear = self.site.record.lock().phase.begin_abort()?;
            if let Some(metadata) = unclear {
                self.take_back(&metadata)?;
            }
            self.remove_files()
        };
        end().map_err(|error| self.site.name(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandomness;
    use crate::storage::local::LocalOptions;
    use crate::vfs::MemoryFs;

    #[test]
    fn a_file_that_was_synced_while_the_attempt_ended_is_not_taken_over() {
        let fs = Arc::new(MemoryFs::new());
        let (randomness, options) = (Arc::new(OsRandomness), LocalOptions::default());
        let ground = Arc::new(Ground { fs, randomness, options });
        let attempt = LocalAttempt::new(Site::new(ground, PathBuf::from("/own"), None, None));
        let path = Path::new("/own/file");
        attempt.site.register(path).unwrap();
        attempt.abort().unwrap();
        let refused = attempt.site.register(path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Cancelled);
    }
}
