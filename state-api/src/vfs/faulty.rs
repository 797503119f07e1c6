//! A file system that fails, or loses power, at the N-th operation.
//!
//! # Role
//! Wraps another [`FileSystem`]. A test runs a script once to count its operations, then once for
//! each of them with a [`Fault`] there, and looks at what the script says and at what is left. Every
//! operation is recorded with its path and outcome.
//!
//! # Invariants
//! 1. Operations are numbered from 1, in the order in which they begin; operations on handles count
//!    as well.
//! 2. After a [`Fault::PowerCut`] nothing succeeds and nothing reaches the wrapped file system.
//! 3. Early write-back is not offered, so that a script's operations do not depend on threads.

mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirectoryEntry, FileSystem, Metadata, ReadFile, WriteFile};
pub use trace::{Operation, TraceEntry};

/// `EIO`: the device failed.
pub const EIO: i32 = 5;
/// `ENOSPC`: the device is full.
pub const ENOSPC: i32 = 28;
/// `EINVAL`: among others, what a file system answers to `RENAME_NOREPLACE` when it lacks it.
pub const EINVAL: i32 = 22;

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen and fails with this error number.
    Fails(i32),
    /// It happens, but reports this error number.
    HappensButFails(i32),
    /// A request over a network whose answer did not come: an exclusive rename reports this error number,
    /// and happens when [`FaultyFs::catch_up`] is called. Anything else happens but fails.
    HappensLater(i32),
    /// A read or write moves half of the bytes (at least one); other operations are unharmed.
    Short,
    /// It does not happen, and neither does anything after it.
    PowerCut,
}

/// A [`FileSystem`] with faults at chosen operations; clones share counter, faults and trace.
#[derive(Clone, Debug)]
pub struct FaultyFs {
    inner: Arc<dyn FileSystem>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: BTreeMap<u64, Fault>,
    left_out: BTreeSet<Operation>,
    /// Exclusive renames that are still under way.
    late: Vec<(PathBuf, PathBuf)>,
    without_power: bool,
    trace: Vec<TraceEntry>,
}

/// How an admitted operation is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Normal,
    Skipped,
    Short,
    FailsAfter(i32),
    FailsBefore(i32),
}

impl FaultyFs {
    /// Wraps `inner`, without faults so far.
    pub fn new(inner: Arc<dyn FileSystem>) -> Self {
        Self { inner, shared: Arc::default() }
    }

    /// The same with `fault` at operation `number`, counted from 1.
    #[must_use]
    pub fn with_fault(self, number: u64, fault: Fault) -> Self {
        self.shared.lock().faults.insert(number, fault);
        self
    }

    /// The same, but `operation` is left out and called a success: for canaries, which show that a
    /// test would notice. Meant for syncs and removals.
    #[must_use]
    pub fn leaving_out(self, operation: Operation) -> Self {
        self.shared.lock().left_out.insert(operation);
        self
    }

    /// How many operations were begun.
    pub fn operations(&self) -> u64 {
        self.shared.lock().trace.len() as u64
    }

    /// Everything that happened so far, in order.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.shared.lock().trace.clone()
    }

    /// Files that were written, synced, renamed or linked after a write or sync of them had
    /// failed. Must be empty, see invariant 4 of [`vfs`](super).
    pub fn retried(&self) -> Vec<PathBuf> {
        trace::retried(&self.shared.lock().trace)
    }

    /// Carries out what was late, as far as it can be by now.
    pub fn catch_up(&self) {
        let late = std::mem::take(&mut self.shared.lock().late);
        for (from, to) in late {
            drop(self.inner.rename_no_replace(&from, &to));
        }
    }

    fn admit(&self, operation: Operation, path: &Path) -> io::Result<(usize, Course)> {
        let mut shared = self.shared.lock();
        let index = shared.trace.len();
        let fault = shared.faults.get(&(index as u64 + 1)).copied();
        let left_out = shared.left_out.contains(&operation);
        shared.trace.push(TraceEntry { operation, path: path.to_path_buf(), error: None });
        shared.without_power |= fault == Some(Fault::PowerCut);
        let error = match fault {
            _ if shared.without_power => io::Error::other("the power was cut"),
            Some(Fault::Fails(number)) => io::Error::from_raw_os_error(number),
            Some(Fault::HappensButFails(number)) => return Ok((index, Course::FailsAfter(number))),
            Some(Fault::HappensLater(number)) => return Ok((index, Course::FailsBefore(number))),
            Some(Fault::Short) => return Ok((index, Course::Short)),
            _ if left_out => return Ok((index, Course::Skipped)),
            _ => return Ok((index, Course::Normal)),
        };
        record(&mut shared, index, &error);
        Err(error)
    }

    fn run<T>(
        &self,
        operation: Operation,
        path: &Path,
        action: impl FnOnce(Course) -> io::Result<T>,
    ) -> io::Result<T> {
        let (index, course) = self.admit(operation, path)?;
        let mut result = action(course);
        if let (Course::FailsAfter(number) | Course::FailsBefore(number), Ok(_)) = (course, &result)
        {
            result = Err(io::Error::from_raw_os_error(number));
        }
        if let Err(error) = &result {
            record(&mut self.shared.lock(), index, error);
        }
        result
    }

    /// For operations without a result, which can be left out.
    fn effect(
        &self,
        operation: Operation,
        path: &Path,
        action: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.run(operation, path, |course| match course {
            Course::Skipped => Ok(()),
            _ => action(),
        })
    }

    fn handle<F>(&self, path: &Path, inner: F) -> FaultyFile<F> {
        FaultyFile { fs: self.clone(), path: path.to_path_buf(), inner }
    }
}

fn record(shared: &mut Shared, index: usize, error: &io::Error) {
    if let Some(entry) = shared.trace.get_mut(index) {
        entry.error = Some(error.kind());
    }
}

impl FileSystem for FaultyFs {
    fn url_prefix(&self) -> &str {
        self.inner.url_prefix()
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = self.run(Operation::CreateNew, path, |_| self.inner.create_new(path))?;
        Ok(Box::new(self.handle(path, file)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = self.run(Operation::OpenAppend, path, |_| self.inner.open_append(path))?;
        Ok(Box::new(self.handle(path, file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = self.run(Operation::Open, path, |_| self.inner.open(path))?;
        Ok(Box::new(self.handle(path, file)))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.run(Operation::Metadata, path, |_| self.inner.metadata(path))
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>> {
        self.run(Operation::Metadata, path, |_| self.inner.modified_ms(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.run(Operation::List, path, |_| self.inner.list(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.effect(Operation::CreateDir, path, || self.inner.create_dir(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.effect(Operation::SyncDirectory, path, || self.inner.sync_directory(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect(Operation::Rename, from, || self.inner.rename(from, to))
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::RenameNoReplace, from, |course| match course {
            Course::Skipped => Ok(()),
            Course::FailsBefore(_) => {
                self.shared.lock().late.push((from.to_path_buf(), to.to_path_buf()));
                Ok(())
            }
            _ => self.inner.rename_no_replace(from, to),
        })
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.effect(Operation::HardLink, original, || self.inner.hard_link(original, link))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.effect(Operation::RemoveFile, path, || self.inner.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.effect(Operation::RemoveDir, path, || self.inner.remove_dir(path))
    }
}

#[derive(Debug)]
struct FaultyFile<F> {
    fs: FaultyFs,
    path: PathBuf,
    inner: F,
}

fn moved(length: usize, course: Course) -> usize {
    if course == Course::Short { length.div_ceil(2) } else { length }
}

impl io::Write for FaultyFile<Box<dyn WriteFile>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fs.run(Operation::Write, &self.path, |course| {
            if course == Course::Skipped {
                return Ok(bytes.len());
            }
            let bytes = bytes.get(..moved(bytes.len(), course)).unwrap_or_default();
            self.inner.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteFile for FaultyFile<Box<dyn WriteFile>> {
    fn sync(&mut self) -> io::Result<()> {
        self.fs.effect(Operation::SyncFile, &self.path, || self.inner.sync())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.fs.effect(Operation::Write, &self.path, || self.inner.skip(bytes))
    }

    fn bypass_cache(&mut self) -> io::Result<bool> {
        self.fs.run(Operation::BypassCache, &self.path, |course| match course {
            Course::Skipped => Ok(false),
            _ => self.inner.bypass_cache(),
        })
    }
}

impl ReadFile for FaultyFile<Box<dyn ReadFile>> {
    fn length(&self) -> io::Result<u64> {
        self.fs.run(Operation::Metadata, &self.path, |_| self.inner.length())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.fs.run(Operation::Read, &self.path, |course| {
            let length = moved(buffer.len(), course);
            let buffer = buffer.get_mut(..length).unwrap_or_default();
            self.inner.read_at(offset, buffer)
        })
    }
}
