//! Writing one snapshot file: in memory while it is small, then in a file of a random name.
//!
//! # Invariants
//! 1. A file is registered with its attempt only after it was synced, and only while the attempt is
//!    open; until then the writer removes it.
//! 2. After a failed write or sync, wherever it happened, the file is lost.

use std::mem;
use std::sync::Arc;

use super::attempt::Site;
use super::layout::{create_file, create_fresh};
use super::stream::Stream;
use crate::format::file_checksum;
use crate::snapshot::{FileLocation, StoredFile};
use crate::storage::{FileScope, FileWriter};
use crate::{Error, Result};

pub(super) struct LocalWriter {
    site: Arc<Site>,
    scope: FileScope,
    length: u64,
    /// All bytes while they are few.
    inline: Vec<u8>,
    file: Option<OpenFile>,
    lost: bool,
}

struct OpenFile {
    location: FileLocation,
    stream: Stream,
}

impl LocalWriter {
    pub(super) fn new(site: Arc<Site>, scope: FileScope) -> Self {
        Self { site, scope, length: 0, inline: Vec::new(), file: None, lost: false }
    }

    /// The file, which takes over what was kept in memory.
    fn open_file(&mut self) -> Result<&mut Stream> {
        if self.file.is_none() {
            let ground = &self.site.ground;
            let (directory, shared) = self.site.directory_of(self.scope);
            let (name, path, file) = create_fresh(
                directory,
                || ground.file_name(),
                |path| create_file(&*ground.fs, path),
            )?;
            let location =
                if shared { FileLocation::Shared(name) } else { FileLocation::Own(name) };
            let stream = Stream::new(path, file, &ground.options);
            self.file = Some(OpenFile { location, stream });
        }
        let file = self.file.as_mut().ok_or_else(|| Error::bug("a file was just created"))?;
        file.stream.write(&mem::take(&mut self.inline))?;
        Ok(&mut file.stream)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.site.check_open()?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        let threshold = self.site.ground.options.inline_threshold_bytes;
        if self.file.is_none() && self.length <= threshold {
            self.inline.extend_from_slice(bytes);
            return Ok(());
        }
        self.open_file()?.write(bytes)
    }

    fn make_ready(&mut self, bytes: u64) -> Result<()> {
        self.site.check_open()?;
        let site = Arc::clone(&self.site);
        let options = &site.ground.options;
        let from = options.bypass_cache_from_bytes.max(options.inline_threshold_bytes);
        if options.bypass_cache_from_bytes == 0 || bytes <= from {
            return Ok(());
        }
        self.open_file()?.bypass_cache(options)
    }

    /// Runs `step` unless the file is lost, which it is if that fails.
    fn step(&mut self, step: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.check()?;
        let result = step(self).map_err(|error| self.site.explain(error));
        self.lost = result.is_err();
        result
    }

    fn check(&self) -> Result<()> {
        if self.lost {
            return Err(Error::unavailable("the file was lost with an earlier failed write"));
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<StoredFile> {
        self.check()?;
        self.site.check_open()?;
        let (location, checksum) = match &mut self.file {
            None => {
                let bytes = mem::take(&mut self.inline);
                let checksum = file_checksum(&bytes);
                (FileLocation::Inline(bytes.into()), checksum)
            }
            Some(OpenFile { location, stream }) => {
                let checksum = stream.finish()?;
                self.site.register(stream.path())?;
                (location.clone(), checksum)
            }
        };
        self.file = None;
        Ok(StoredFile { location, length: self.length, checksum })
    }
}

impl FileWriter for LocalWriter {
    fn expect(&mut self, bytes: u64) -> Result<()> {
        self.step(|this| this.make_ready(bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.step(|this| this.append(bytes))
    }

    fn finish(mut self: Box<Self>) -> Result<StoredFile> {
        self.complete().map_err(|error| self.site.explain(error))
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if let Some(OpenFile { stream, .. }) = self.file.take() {
            let path = stream.path().to_path_buf();
            drop(stream);
            self.site.remove_unfinished(&path);
        }
    }
}
