//! Writing one snapshot file: in memory while it is small, then in a file of a random name.
//!
//! # Invariants
//! 1. A file is registered with its attempt only after it was synced, and only while the attempt is
//!    open; until then the writer removes it.
//! 2. After a failed write or sync, also one of the early write-back, the file is lost.
//!
//! # Cost
//! Bytes are hashed once and copied at most once: pieces as large as the buffer go straight to the
//! file. A long file is pushed to the disk while it is written, by one helper thread at a time, so
//! that the disk works from the beginning and the final sync is short.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use xxhash_rust::xxh3::Xxh3;

use super::attempt::Site;
use super::layout::{cannot_write, create_fresh};
use crate::snapshot::{FileLocation, StoredFile};
use crate::storage::{FileScope, FileWriter};
use crate::vfs::WriteFile;
use crate::{Error, Result};

pub(super) struct LocalWriter {
    site: Arc<Site>,
    scope: FileScope,
    hasher: Xxh3,
    length: u64,
    buffer: Vec<u8>,
    file: Option<OpenFile>,
    lost: bool,
}

struct OpenFile {
    location: FileLocation,
    path: PathBuf,
    file: Box<dyn WriteFile>,
    early: EarlyWriteBack,
}

impl LocalWriter {
    pub(super) fn new(site: Arc<Site>, scope: FileScope) -> Self {
        let (hasher, buffer) = (Xxh3::new(), Vec::new());
        Self { site, scope, hasher, length: 0, buffer, file: None, lost: false }
    }

    fn create_file(&mut self) -> Result<&mut OpenFile> {
        if self.file.is_none() {
            let ground = &self.site.ground;
            let (directory, shared) = self.site.directory_of(self.scope);
            let (name, path, file) =
                create_fresh(directory, || ground.file_name(), |path| ground.fs.create_new(path))?;
            let location =
                if shared { FileLocation::Shared(name) } else { FileLocation::Own(name) };
            let early = EarlyWriteBack::every(ground.options.write_back_bytes);
            self.file = Some(OpenFile { location, path, file, early });
        }
        self.file.as_mut().ok_or_else(|| Error::bug("a file was just created"))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.site.check_open()?;
        let options = &self.site.ground.options;
        let threshold = options.inline_threshold_bytes;
        let capacity = usize::try_from(options.write_buffer_bytes).unwrap_or(usize::MAX);
        self.hasher.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
        let fits = self.buffer.len().saturating_add(bytes.len()) < capacity;
        if (self.file.is_none() && self.length <= threshold) || (self.file.is_some() && fits) {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        let mut buffer = mem::take(&mut self.buffer);
        let open = self.create_file()?;
        open.write(&buffer)?;
        buffer.clear();
        if bytes.len() < capacity {
            buffer.extend_from_slice(bytes);
        } else {
            open.write(bytes)?;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn complete(&mut self) -> Result<StoredFile> {
        if self.lost {
            return Err(Error::unavailable("the file was lost with an earlier failed write"));
        }
        self.site.check_open()?;
        let buffer = mem::take(&mut self.buffer);
        let location = match &mut self.file {
            None => FileLocation::Inline(buffer.into()),
            Some(open) => {
                open.write(&buffer)?;
                open.sync()?;
                self.site.register(&open.path)?;
                open.location.clone()
            }
        };
        self.file = None;
        Ok(StoredFile { location, length: self.length, checksum: self.hasher.digest128() })
    }
}

impl FileWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.lost {
            return Err(Error::unavailable("the file was lost with an earlier failed write"));
        }
        let result = self.append(bytes).map_err(|error| self.site.explain(error));
        self.lost = result.is_err();
        result
    }

    fn finish(mut self: Box<Self>) -> Result<StoredFile> {
        self.complete().map_err(|error| self.site.explain(error))
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if let Some(OpenFile { path, file, early, .. }) = self.file.take() {
            drop(early);
            drop(file);
            self.site.remove_unfinished(&path);
        }
    }
}

impl OpenFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let result = self.file.write_all(bytes);
        let result = result.and_then(|()| self.early.after(bytes.len() as u64, &*self.file));
        result.map_err(|error| cannot_write("write", &self.path, error))
    }

    fn sync(&mut self) -> Result<()> {
        let result = self.early.wait().and_then(|()| self.file.sync());
        result.map_err(|error| cannot_write("fsync", &self.path, error))
    }
}

/// Pushes a growing file to the disk from a helper thread, whenever enough was written.
struct EarlyWriteBack {
    every: u64,
    since: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl EarlyWriteBack {
    /// After every so many bytes; never if that is 0.
    fn every(bytes: u64) -> Self {
        Self { every: bytes, since: 0, running: None }
    }

    fn after(&mut self, written: u64, file: &dyn WriteFile) -> io::Result<()> {
        self.since = self.since.saturating_add(written);
        let due = self.every > 0 && self.since >= self.every;
        if !due || self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        self.since = 0;
        if let Some(handle) = file.write_back()? {
            // Without a thread the final sync does it all.
            let builder = thread::Builder::new().name("write-back".into());
            self.running = builder.spawn(move || handle.run()).ok();
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the write-back thread panicked")),
        }
    }
}

impl Drop for EarlyWriteBack {
    fn drop(&mut self) {
        // The file is being discarded; so is what its write-back says.
        drop(self.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::WriteBack;

    #[derive(Debug)]
    struct FailingWriteBack;

    impl io::Write for FailingWriteBack {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl WriteFile for FailingWriteBack {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn write_back(&self) -> io::Result<Option<Box<dyn WriteBack>>> {
            Ok(Some(Box::new(Self)))
        }
    }

    impl WriteBack for FailingWriteBack {
        fn run(self: Box<Self>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_failed_early_write_back_loses_the_file_though_the_final_sync_would_succeed() {
        let open = |every| OpenFile {
            location: FileLocation::Inline([].into()),
            path: PathBuf::from("/file"),
            file: Box::new(FailingWriteBack),
            early: EarlyWriteBack::every(every),
        };
        let mut file = open(10);
        file.write(&[0; 9]).unwrap();
        file.write(&[0; 1]).unwrap();
        assert!(file.sync().is_err());
        let mut never = open(0);
        never.write(&[0; 100]).unwrap();
        never.sync().unwrap();
    }
}
