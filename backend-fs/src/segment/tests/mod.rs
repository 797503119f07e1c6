//! Segments of random content, read in every mode and compared with a model.

mod damage;
mod files;
mod model;
mod reads;

use std::path::Path;
use std::sync::Arc;

use alluvium_state_api::KeyGroupRange;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::vfs::{FileSystem, MemoryFs, RealFs};

use super::*;
use crate::local::LocalDirectory;
use model::Content;

/// How a segment is read, and over which file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Mapped,
    Pread,
    /// By a request to map where nothing can be mapped.
    Model,
}

impl Way {
    const ALL: [Self; 3] = [Self::Mapped, Self::Pread, Self::Model];

    fn mode(self) -> ReadMode {
        if self == Self::Pread { ReadMode::Pread } else { ReadMode::Mapped }
    }
}

/// A directory for segments, and what it is in.
struct Place {
    directory: LocalDirectory,
    _root: tempfile::TempDir,
}

impl Place {
    fn of(way: Way) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (fs, path): (Arc<dyn FileSystem>, _) = match way {
            Way::Model => (Arc::new(MemoryFs::new()), Path::new("/state").to_owned()),
            _ => (Arc::new(RealFs), root.path().join("state")),
        };
        let directory = LocalDirectory::open(fs, path, Arc::new(OsRandomness)).unwrap();
        Self { directory, _root: root }
    }

    /// A finished file with these bytes.
    fn put(&self, bytes: &[u8]) -> LocalFile {
        let (file, mut writer) = self.directory.create().unwrap();
        writer.write(bytes).unwrap();
        writer.finish().unwrap();
        file
    }

    fn open(&self, bytes: &[u8], way: Way, live: &[KeyGroupRange]) -> Result<Segment> {
        Segment::open(self.put(bytes), bytes.len() as u64, live, way.mode())
    }
}

/// A segment with all that `content` has, in each way.
fn in_every_way(content: &Content, mut check: impl FnMut(Way, &Segment)) {
    let bytes = content.written();
    for way in Way::ALL {
        let segment = Place::of(way).open(&bytes, way, &[content.groups()]).unwrap();
        assert_eq!(segment.is_mapped(), way == Way::Mapped);
        check(way, &segment);
    }
}

/// Caches of no size, of one that holds little, and of one that holds all.
fn caches() -> [BlockCache; 3] {
    [0, 20_000, 1 << 30].map(BlockCache::new)
}
