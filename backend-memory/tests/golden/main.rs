//! Checkpoints and savepoints that the memory backend wrote, kept for ever.
//!
//! `v1/` holds what format version 1 wrote: for each kind of snapshot and each compression a job's
//! directory, and as plain text what each checkpoint must hold (`content-<number>.txt`). Nothing in
//! there is ever edited. Every later version restores all of it, at any parallelism. `v1-frames/` is a
//! chain that was written once frame checksums were recorded.
//!
//! A new format version needs a new directory. This writes it, and refuses where there is one:
//!
//! ```text
//! cargo test -p alluvium-backend-memory --test golden -- --ignored
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod checksums;
mod model;
mod read;
mod states;
mod tests;
mod write;

use std::path::{Path, PathBuf};

use alluvium_state_api::snapshot::{Compression, SnapshotKind};

/// The number of key groups of each operator.
const GROUPS: u32 = 5;

/// How many checkpoints a job took.
const ROUNDS: u64 = 3;

/// A kind of snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    form: SnapshotKind,
    /// Whether files go into the metadata.
    inline: bool,
}

const KINDS: [Kind; 4] = [
    Kind { name: "full", form: SnapshotKind::Full, inline: false },
    Kind { name: "chain", form: SnapshotKind::Incremental, inline: false },
    Kind { name: "inline", form: SnapshotKind::Incremental, inline: true },
    Kind { name: "savepoint", form: SnapshotKind::Canonical, inline: false },
];

/// All that a complete set has.
fn specimens() -> impl Iterator<Item = (Kind, Compression)> {
    KINDS.into_iter().flat_map(|kind| Compression::ALL.map(|compression| (kind, compression)))
}

/// The set of a format version.
fn set_of(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// What came to a version later, in sets of their own: those of a version are never added to.
const ADDITIONS: [&str; 1] = ["v1-frames"];

/// What a set of an addition has.
fn specimens_of_additions() -> impl Iterator<Item = (PathBuf, Kind, Compression)> {
    let kind = KINDS[1];
    ADDITIONS.into_iter().map(move |name| (set_of(1).with_file_name(name), kind, Compression::None))
}

/// A specimen of a set.
fn specimen(set: &Path, kind: Kind, compression: Compression) -> PathBuf {
    set.join(format!("{}-{}", kind.name, compression.name()))
}

/// What checkpoint `number` of every specimen holds.
fn content(set: &Path, number: u64) -> PathBuf {
    set.join(format!("content-{number}.txt"))
}

/// All files below a directory, by path.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}
