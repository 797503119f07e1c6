//! What files take of a disk.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::Outcome;

/// The blocks that the files below a path take, in bytes, by the numbers that the file system knows them by.
pub(super) fn files(path: &Path) -> Outcome<BTreeMap<u64, u64>> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = std::fs::metadata(&path)?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        } else {
            found.insert(metadata.ino(), (metadata.blocks() * 512).min(metadata.len()));
        }
    }
    Ok(found)
}
