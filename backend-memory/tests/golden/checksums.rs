//! The list of all files of a set with their XXH3-128, as `xxhsum -H2` prints and checks it.

use std::fmt::Write;
use std::path::Path;

use alluvium_state_api::format::file_checksum;

use super::files_below;

/// The name of the list.
pub(super) const LIST: &str = "CHECKSUMS.xxh128";

/// The list of what is there now.
pub(super) fn of(set: &Path) -> String {
    let mut list = String::new();
    for path in files_below(set) {
        let name = path.strip_prefix(set).unwrap().to_str().unwrap();
        if name != LIST {
            let checksum = file_checksum(&std::fs::read(&path).unwrap());
            writeln!(list, "{checksum:032x}  {name}").unwrap();
        }
    }
    list
}
