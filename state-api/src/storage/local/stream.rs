//! The bytes of one file on their way to the disk: through the page cache ([`Cached`]), or past it
//! ([`Direct`]) if it is known from the beginning that there will be many.
//!
//! # Invariants
//! 1. After the first error nothing more is written.

use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::LocalOptions;
use super::cached::Cached;
use super::direct::Direct;
use super::layout::cannot_write;
use crate::Result;
use crate::vfs::WriteFile;

/// See the module.
pub(super) struct Stream {
    path: PathBuf,
    /// Of what was written: hashed while it is in the caches of whoever writes.
    hasher: Box<Xxh3>,
    /// None after an error, and in the end.
    lane: Option<Lane>,
}

enum Lane {
    Cached(Cached),
    Direct(Direct),
}

/// The file, and how much was written to it.
pub(super) struct Target {
    pub(super) file: Box<dyn WriteFile>,
    written: u64,
}

impl Target {
    pub(super) fn new(file: Box<dyn WriteFile>) -> Self {
        Self { file, written: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        self.file.write_all(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }
}

impl Stream {
    pub(super) fn new(path: PathBuf, file: Box<dyn WriteFile>, options: &LocalOptions) -> Self {
        let lane = Some(Lane::Cached(Cached::new(Target::new(file), options)));
        Self { path, hasher: Box::new(Xxh3::new()), lane }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn lane(&mut self) -> io::Result<Lane> {
        self.lane.take().ok_or_else(|| io::Error::other("the file is lost or finished"))
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        let written = self.lane().and_then(|mut lane| {
            match &mut lane {
                Lane::Cached(cached) => cached.write(bytes)?,
                Lane::Direct(direct) => direct.write(bytes)?,
            }
            Ok(lane)
        });
        self.lane = Some(written.map_err(|error| cannot_write("write", &self.path, error))?);
        Ok(())
    }

    /// Makes ready for a long file, if nothing was written so far.
    pub(super) fn bypass_cache(&mut self, options: &LocalOptions) -> Result<()> {
        let lane = self.lane().and_then(|lane| bypass(lane, options));
        self.lane = Some(lane.map_err(|error| cannot_write("write", &self.path, error))?);
        Ok(())
    }

    /// Writes what is left, makes the file durable and returns its checksum.
    pub(super) fn finish(&mut self) -> Result<u128> {
        let ended = self.lane().and_then(|lane| match lane {
            Lane::Cached(cached) => cached.end(),
            Lane::Direct(direct) => direct.end(),
        });
        let mut target = ended.map_err(|error| cannot_write("write", &self.path, error))?;
        target.file.sync().map_err(|error| cannot_write("fsync", &self.path, error))?;
        Ok(self.hasher.digest128())
    }
}

fn bypass(lane: Lane, options: &LocalOptions) -> io::Result<Lane> {
    let cached = match lane {
        Lane::Cached(cached) => cached,
        direct @ Lane::Direct(_) => return Ok(direct),
    };
    let (target, buffer) = match cached.untouched() {
        Ok(untouched) => untouched,
        Err(written) => return Ok(Lane::Cached(written)),
    };
    let mut lane = match Direct::start(target, options)? {
        Ok(direct) => Lane::Direct(direct),
        Err(target) => Lane::Cached(Cached::new(target, options)),
    };
    match &mut lane {
        Lane::Cached(cached) => cached.write(&buffer)?,
        Lane::Direct(direct) => direct.write(&buffer)?,
    }
    Ok(lane)
}
