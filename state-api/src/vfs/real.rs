//! The operating system's file system (Unix).
//!
//! Symbolic links in the last component are refused by the kernel itself (`O_NOFOLLOW`), so nothing
//! can be swapped between a check and the opening. [`rustix`] is there for that flag and for
//! `renameat2(RENAME_NOREPLACE)`; both are safe calls without C.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{
    BYPASS_ALIGNMENT, DirectoryEntry, EntryKind, FileSystem, Metadata, ReadFile, WriteBack,
    WriteFile,
};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl FileSystem for RealFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(Appended::new(file, 0)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = open_regular(OpenOptions::new().append(true), path)?;
        let end = file.metadata()?.len();
        Ok(Box::new(Appended::new(file, end)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = open_regular(OpenOptions::new().read(true), path)?;
        Ok(Box::new(RealFile { file }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::symlink_metadata(path).map(|metadata| Metadata::of(&metadata))
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>> {
        // A new name for an old file changes the file's status only, and makes it as young as a copy.
        let found = fs::symlink_metadata(path)?;
        let written = (found.mtime(), found.mtime_nsec());
        let (seconds, nanoseconds) = written.max((found.ctime(), found.ctime_nsec()));
        let milliseconds =
            seconds.checked_mul(1_000).map(|ms| ms.saturating_add(nanoseconds / 1_000_000));
        Ok(milliseconds.and_then(|ms| u64::try_from(ms).ok()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => entries.push(DirectoryEntry {
                    name: entry.file_name(),
                    metadata: Metadata::of(&metadata),
                }),
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let flags = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
        OpenOptions::new().read(true).custom_flags(flags).open(path)?.sync_all()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file system that others are given")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(target_os = "linux")]
    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn rename_no_replace(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        fs::hard_link(original, link)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file system that others are given")]
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}

/// Opens without following a link, without waiting for a pipe's other end, and refuses whatever is
/// no regular file, through the opened descriptor.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    match Metadata::of(&file.metadata()?).kind {
        EntryKind::File => Ok(file),
        EntryKind::Directory => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

impl Metadata {
    fn of(metadata: &fs::Metadata) -> Self {
        let kind = if metadata.is_file() {
            EntryKind::File
        } else if metadata.is_dir() {
            EntryKind::Directory
        } else if metadata.is_symlink() {
            EntryKind::Symlink
        } else {
            EntryKind::Other
        };
        let length = if kind == EntryKind::File { metadata.len() } else { 0 };
        Self { kind, length }
    }
}

/// A file that is read, or pushed to the disk.
#[derive(Debug)]
struct RealFile {
    file: File,
}

impl ReadFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

impl WriteBack for RealFile {
    fn run(self: Box<Self>) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A file that is appended to.
#[derive(Debug)]
struct Appended {
    file: File,
    end: u64,
    /// Writes go past the page cache.
    bypasses: bool,
}

impl Appended {
    fn new(file: File, end: u64) -> Self {
        Self { file, end, bypasses: false }
    }

    fn is_aligned(&self, bytes: &[u8]) -> bool {
        let multiple = |number: usize| number.is_multiple_of(BYPASS_ALIGNMENT);
        multiple(bytes.as_ptr().addr())
            && multiple(bytes.len())
            && self.end.is_multiple_of(BYPASS_ALIGNMENT as u64)
    }

    fn write_through_cache(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bypasses = false;
        bypass_cache(&self.file, false)?;
        self.file.write(bytes)
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let invalid = |error: &io::Error| error.kind() == io::ErrorKind::InvalidInput;
        let written = match self.bypasses {
            false => self.file.write(bytes),
            true if !self.is_aligned(bytes) => self.write_through_cache(bytes),
            true => match self.file.write(bytes) {
                // The disk has larger blocks; nothing was written.
                Err(error) if invalid(&error) => self.write_through_cache(bytes),
                result => result,
            },
        }?;
        self.end = self.end.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for Appended {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let end = self.end.checked_add(bytes).ok_or(io::ErrorKind::FileTooLarge)?;
        self.file.set_len(end)?;
        self.end = end;
        Ok(())
    }

    fn write_back(&self) -> io::Result<Option<Box<dyn WriteBack>>> {
        // Both descriptors share one open file, whose error state is reported once: here or there.
        let file = self.file.try_clone()?;
        Ok(Some(Box::new(RealFile { file })))
    }

    fn bypass_cache(&mut self) -> io::Result<bool> {
        self.bypasses = match bypass_cache(&self.file, true) {
            Ok(()) => cfg!(target_os = "linux"),
            // What a file system without `O_DIRECT` answers.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => false,
            Err(error) => return Err(error),
        };
        Ok(self.bypasses)
    }
}

/// Sets whether writes go past the page cache, on Linux.
#[cfg(target_os = "linux")]
fn bypass_cache(file: &File, on: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn bypass_cache(_: &File, _: bool) -> io::Result<()> {
    Ok(())
}
