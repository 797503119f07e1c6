//! Every golden checkpoint of every format version is found to be right, and a changed one is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_state_api::format::{MIN_READABLE, VERSION};

use alluvium_state_api::Result;
use alluvium_state_api::storage::local::open_pointer;
use alluvium_state_api::vfs::{FileSystem, RealFs};

use crate::verify::{Verification, verify_stored};

fn verify(path: &Path) -> Result<Verification> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    verify_stored(open_pointer(&fs, path.to_str().unwrap())?)
}

/// The golden checkpoints that the memory backend wrote.
fn golden(version: u16) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(format!("../backend-memory/tests/golden/v{version}"))
}

/// The metadata of all checkpoints below a directory.
fn metadata_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found =
        entries.flat_map(|path| if path.is_dir() { metadata_below(&path) } else { vec![path] });
    found.filter(|path| path.ends_with("_metadata")).collect()
}

#[test]
fn golden_checkpoints_of_all_versions_are_right() {
    for version in MIN_READABLE..=VERSION {
        let all = metadata_below(&golden(version));
        assert!(all.len() >= 16, "{} checkpoints of version {version}", all.len());
        for path in all {
            let found = verify(&path).unwrap();
            assert!(found.is_right(), "{}: {:?}", path.display(), found.problems);
            // Chains are recorded by their number of entries alone.
            let chain = found.files.iter().any(|file| file.form == "increment");
            let digests = found.states.iter().all(|state| state.digest.is_some());
            assert!(digests || chain, "{}", path.display());
            assert!(found.states.iter().all(|state| state.compared && state.entries > 0));
            assert_eq!(found.states.len(), 2 * 2 * 15, "{}", path.display());
        }
    }
}

#[test]
fn a_golden_checkpoint_with_one_bit_flipped_is_wrong() {
    let specimen = golden(VERSION).join("full-none/golden/chk-3");
    for entry in std::fs::read_dir(&specimen).unwrap() {
        let damaged = entry.unwrap().file_name();
        let copy = tempfile::tempdir().unwrap();
        let copy = copy.path().join("chk-3");
        std::fs::create_dir(&copy).unwrap();
        for file in std::fs::read_dir(&specimen).unwrap() {
            let file = file.unwrap();
            let mut bytes = std::fs::read(file.path()).unwrap();
            if file.file_name() == damaged {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            std::fs::write(copy.join(file.file_name()), bytes).unwrap();
        }
        let right = verify(&copy).is_ok_and(|found| found.is_right());
        assert!(!right, "{} was changed", damaged.display());
    }
}
