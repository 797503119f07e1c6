//! Memory maps of files: the one place where a file's bytes are lent without having been read.
//!
//! # Invariants
//! * P1 A mapped file is not changed, nor cut, while the map is alive. Files of a
//!   [`FileSystem`](super::FileSystem) are only ever appended to (invariant 1 of [`vfs`](super)), and
//!   owners map files of private directories only, once they are complete. Another process that
//!   cuts the file nevertheless makes the next access a `SIGBUS`; who cannot rule that out (network
//!   mounts) reads instead of mapping.
//! * P2 The map has exactly the bytes that the file had, asked through the descriptor that is mapped.
//!
//! Renaming or unlinking the file leaves the map as it is. The map is private and read-only.
#![expect(unsafe_code, reason = "the language cannot know that nobody changes a file")]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

use memmap2::{Advice, Mmap, MmapOptions};

/// Of a file up to this size, the system may read what follows a page that is touched.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A whole file in memory, read by the system as its pages are touched. Of a file of more than 1 MiB each page is
/// read by itself, without those that follow it, for state that is larger than memory is read all over.
#[derive(Debug)]
pub struct Mapping(Mmap);

impl Mapping {
    /// Maps all of a file that is `length` bytes long: what [`ReadFile::as_file`](super::ReadFile::as_file)
    /// or [`FileReader::as_file`](crate::storage::FileReader::as_file) returned.
    ///
    /// The caller keeps P1: the file is complete, and nobody changes it as long as the map is there.
    ///
    /// # Errors
    /// `InvalidData` where the file has another length; the operating system's error where it cannot
    /// be mapped.
    pub fn of(file: &File, length: u64) -> io::Result<Self> {
        let found = file.metadata()?.len();
        let bytes = usize::try_from(length).ok().filter(|_| found == length).ok_or_else(|| {
            let text = format!("the file has {found} bytes instead of {length}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let mut options = MmapOptions::new();
        options.len(bytes);
        // SAFETY: P1 and P2: the file has these bytes, nobody cuts or changes it, and the map is
        // handed out as shared bytes only.
        let map = unsafe { options.map_copy_read_only(file) }?;
        let map = Self(map);
        if bytes > READ_AHEAD_BYTES {
            map.advise(Advice::Random, 0..bytes);
        }
        Ok(map)
    }

    /// Says that these bytes are about to be read, all of them: what is not in the page cache is then read
    /// at once. Costs a call of the system; of a large map nothing else is read ahead.
    pub fn will_need(&self, range: Range<u64>) {
        let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        self.advise(Advice::WillNeed, at(range.start)..at(range.end));
    }

    /// It is advice: where the system does not take it, pages are read as they are touched.
    fn advise(&self, advice: Advice, range: Range<usize>) {
        let length = range.end.min(self.len()).saturating_sub(range.start);
        if length > 0 {
            drop(self.0.advise_range(advice, range.start, length));
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{FileSystem, ReadFile, RealFs};
    use super::*;

    fn written(path: &Path, bytes: &[u8]) -> Box<dyn ReadFile> {
        RealFs.create_new(path).unwrap().write_all(bytes).unwrap();
        RealFs.open(path).unwrap()
    }

    #[test]
    fn a_map_outlives_name_and_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let (path, content) = (directory.path().join("file"), b"content".repeat(1_000));
        let file = written(&path, &content);
        let map = Mapping::of(file.as_file().unwrap(), content.len() as u64).unwrap();
        drop(file);
        // Also of what is not there.
        for range in [0..1, 6_999..7_000, 10..u64::MAX, 8_000..9_000] {
            map.will_need(range);
        }
        assert_eq!(*map, *content);
        RealFs.rename(&path, &directory.path().join("renamed")).unwrap();
        RealFs.remove_file(&directory.path().join("renamed")).unwrap();
        assert_eq!(*map, *content);
    }

    #[test]
    fn a_file_of_another_length_is_not_mapped() {
        let directory = tempfile::tempdir().unwrap();
        let file = written(&directory.path().join("file"), b"content");
        for length in [0, 6, 8, u64::MAX] {
            let refused = Mapping::of(file.as_file().unwrap(), length).map(drop);
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let empty = written(&directory.path().join("empty"), b"");
        assert!(Mapping::of(empty.as_file().unwrap(), 0).unwrap().is_empty());
    }
}
