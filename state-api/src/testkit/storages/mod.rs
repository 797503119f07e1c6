//! The conformance suite of storages: does a [`CheckpointStorage`] keep its promises?
//!
//! # Role
//! Every rule of [`storage::checkpoint`](crate::storage::checkpoint) is a case here: a checkpoint's
//! life, one winner, published is whole, only one's own is removed, pointers, savepoints, deletion,
//! surveys. Whoever writes a storage says how it is opened, and gets one test for each case:
//!
//! ```ignore
//! use alluvium_state_api::storage_suite;
//! use alluvium_state_api::testkit::storages::{Opening, StorageHarness, StorageProfile};
//!
//! #[derive(Debug, Default)]
//! struct Mine { /* a place of its own, removed when it is dropped */ }
//!
//! impl StorageHarness for Mine {
//!     fn profile(&self) -> StorageProfile { PROFILE }
//!     fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>> { .. }
//!     fn place(&self, name: &str) -> String { .. }
//!     fn everything(&self) -> Vec<String> { .. }
//!     fn put(&self, pointer: &str, bytes: &[u8]) { .. }
//!     fn remove(&self, pointer: &str) { .. }
//! }
//!
//! const PROFILE: StorageProfile = StorageProfile::in_places("mine");
//! storage_suite!(Mine, PROFILE);
//! ```
//!
//! # Invariants
//! 1. One list generates the tests of every storage. What a storage is not for is in its
//!    [`StorageProfile`], which its own test states a second time.
//! 2. Cases match on kinds of errors, never on texts, and never wait for time to pass.
//! 3. At a case's end [`StorageHarness::everything`] shows what was left behind, uploads that were
//!    begun and not ended included.

pub mod attempts;
pub mod content;
pub mod files;
pub mod lifecycle;
pub mod pointers;
pub mod races;
pub mod removal;
pub mod savepoints;
pub mod strays;

mod directory;
mod list;

use std::fmt::Debug;
use std::sync::Arc;

use crate::Result;
use crate::snapshot::FileName;
use crate::storage::{CheckpointStorage, InlinePolicy};

pub use directory::Directory;
pub use list::STORAGE_CASES;

/// What a storage is for.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question that has nothing to do with the rest"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageProfile {
    /// For messages.
    pub name: &'static str,
    /// Whether files lie beside the metadata in places that anybody can look at: directories, or
    /// prefixes of names. Without, everything is inline and dies with the process.
    pub places: bool,
    /// Whether a survey says when files were last changed.
    pub ages: bool,
    /// Whether a savepoint without a target and without a configured place is kept all the same.
    pub keeps_savepoints: bool,
    /// Whether the harness can let a process die in the middle, see [`StorageHarness::open_dying`].
    pub dies: bool,
}

impl StorageProfile {
    /// A storage in directories or below prefixes.
    pub const fn in_places(name: &'static str) -> Self {
        Self { name, places: true, ages: true, keeps_savepoints: false, dies: false }
    }

    /// A storage in the process, all of it inline.
    pub const fn in_process(name: &'static str) -> Self {
        Self { name, places: false, ages: false, keeps_savepoints: true, dies: false }
    }

    /// The same with a harness that can let a process die in the middle.
    #[must_use]
    pub const fn dying(self) -> Self {
        Self { dies: true, ..self }
    }
}

/// What a storage is opened with.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opening<'a> {
    /// Whose checkpoints.
    pub job: &'a FileName,
    /// The configured place for savepoints, as [`StorageHarness::place`] returned it.
    pub savepoints: Option<&'a str>,
}

impl<'a> Opening<'a> {
    /// Of `job`, without a place for savepoints.
    pub const fn of(job: &'a FileName) -> Self {
        Self { job, savepoints: None }
    }
}

/// Opens a storage for the cases. Each value has an empty place of its own for the jobs.
pub trait StorageHarness: Debug + Default + Sync {
    /// What this storage is for.
    fn profile(&self) -> StorageProfile;

    /// Opens the storage of a job, as a new process would: what earlier ones published is there.
    ///
    /// # Errors
    /// What the storage returns.
    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn CheckpointStorage>>;

    /// As [`open`](Self::open), in a process that dies after `operations` more of what its storage is
    /// made of, be it system calls or requests: from then on nothing happens and everything fails.
    /// `None` where that cannot be arranged, as the profile says.
    ///
    /// # Errors
    /// What the storage returns.
    fn open_dying(
        &self,
        opening: &Opening<'_>,
        operations: u64,
    ) -> Result<Option<Arc<dyn CheckpointStorage>>> {
        let _ = (opening, operations);
        Ok(None)
    }

    /// By what the place `name` beside the jobs is named to this storage: a path or a URL, without a
    /// slash at its end. Nothing is there yet.
    fn place(&self, name: &str) -> String;

    /// Names of all files or objects there are, of every job and in every [`place`](Self::place),
    /// and of uploads that were begun and not ended.
    fn everything(&self) -> Vec<String>;

    /// Writes a file, as somebody else would, at `<pointer of a checkpoint or savepoint>/<name>` or
    /// below a [`place`](Self::place), and replaces one that is there.
    fn put(&self, pointer: &str, bytes: &[u8]);

    /// Removes the file that [`put`](Self::put) names in the same way.
    fn remove(&self, pointer: &str);
}

/// The job of most cases.
///
/// # Panics
/// Never: the name is good.
pub fn job() -> FileName {
    FileName::new("a1b2c3d4e5f6").unwrap()
}

/// Opens the storage of [`job`].
///
/// # Panics
/// If it cannot be opened.
pub fn open<H: StorageHarness>(harness: &H) -> Arc<dyn CheckpointStorage> {
    harness.open(&Opening::of(&job())).unwrap()
}

/// A length that goes into a file and not inline, if the storage has files at all.
pub(crate) fn beyond_inline(policy: InlinePolicy) -> usize {
    match policy {
        InlinePolicy::Small { threshold_bytes } => usize::try_from(threshold_bytes + 1).unwrap(),
        InlinePolicy::Everything { .. } => 1 << 10,
    }
}
