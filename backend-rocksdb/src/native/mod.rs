//! Native snapshots: RocksDB's own files, of which an increment uploads only those that are new.
//!
//! `FORMAT.md`, section 5, says what such a snapshot consists of. [`link`] gives the files of a database second names,
//! [`upload`] makes a snapshot of them and of [`names`], [`adopt`] takes them into a directory again, [`found`] begins a
//! store's database with them, [`graft`] adds what other snapshots have: their tables as they are ([`whole`]), or entry by
//! entry ([`copy`]); [`tables`] are what RocksDB tells of them, [`tidy`] compacts what was cut off.
//!
//! # Invariants
//! N1. RocksDB never changes a table or a blob file that is complete. Second names make it outlive the database that wrote it.
//! N2. A label is one of RocksDB's names of three kinds, or `STATES`, before it becomes part of a path.
//! N3. A database has nothing but entries, so that databases of different key groups overlap only where one has been cut.
//! N4. Tables that are linked are not read as a whole: RocksDB verifies the checksum of each block that it reads,
//!     and at opening that all tables of the manifest are there, with their lengths. What is copied is compared
//!     with the snapshot.

mod adopt;
mod copy;
mod found;
mod graft;
mod link;
mod names;
mod tables;
mod tidy;
mod upload;
mod whole;

use alluvium_state_api::snapshot::{FileFormat, FileLocation, KeyedSnapshot, SnapshotFile};
use alluvium_state_api::{Error, KeyGroupRange, RestorePart, Result};

pub(crate) use found::found;
pub(crate) use graft::graft;
pub(crate) use link::Linked;
pub(crate) use names::{Numbers, numbers_of};
pub(crate) use tidy::{Cut, tidy};
pub(crate) use upload::Native;

/// The file that names the manifest.
const CURRENT: &str = "CURRENT";
/// The file that tells the numbers of states.
const STATES: &str = "STATES";

/// A native snapshot of which a store takes some key groups.
#[derive(Debug)]
pub(crate) struct Former<'a> {
    pub(crate) part: &'a RestorePart,
    /// What is wanted of it.
    pub(crate) range: KeyGroupRange,
    /// The numbers of its states.
    pub(crate) numbers: Numbers,
}

impl Former<'_> {
    /// The files to which later increments may refer where they are.
    fn referable(&self) -> impl Iterator<Item = &SnapshotFile> {
        self.part.snapshot.files.iter().filter(|file| {
            Role::of(&file.label).is_some_and(Role::is_lasting)
                && !matches!(file.stored.location, FileLocation::Own(_))
        })
    }
}

/// What one of RocksDB's files is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Sorted entries; never changed once it is complete (N1).
    Table,
    /// Large values, to which tables refer; never changed either.
    Blob,
    /// Which tables make up the database.
    Manifest,
    /// The name of the manifest.
    Current,
    /// Which state has which number; ours, and not of the database.
    States,
}

impl Role {
    /// What the file of this name is, if it is one of a native snapshot (N2).
    fn of(name: &str) -> Option<Self> {
        let is_number = |text: &str| {
            (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if name == CURRENT {
            Some(Self::Current)
        } else if name == STATES {
            Some(Self::States)
        } else if name.strip_suffix(".sst").is_some_and(is_number) {
            Some(Self::Table)
        } else if name.strip_suffix(".blob").is_some_and(is_number) {
            Some(Self::Blob)
        } else if name.strip_prefix("MANIFEST-").is_some_and(is_number) {
            Some(Self::Manifest)
        } else {
            None
        }
    }

    /// Whether a complete file is never changed (N1), so that several snapshots may have it.
    const fn is_lasting(self) -> bool {
        matches!(self, Self::Table | Self::Blob)
    }
}

/// Whether a snapshot consists of RocksDB's files.
///
/// # Errors
/// `Incompatible` for those of another backend or layout; `Corrupted` for a mixture, and where a file is missing or is none
/// of a database.
pub(crate) fn is_native(snapshot: &KeyedSnapshot) -> Result<bool> {
    let native = |format| format == FileFormat::Native;
    let count = snapshot.files.iter().filter(|file| native(file.format)).count();
    if count == 0 {
        return Ok(false);
    }
    if &*snapshot.backend != crate::BACKEND_NAME {
        return Err(Error::incompatible(format!(
            "native files of the backend {:?} can be restored by that backend only; take a savepoint",
            snapshot.backend
        )));
    }
    let refuse = |what: &str| Err(Error::corrupted(format!("{what} in a native snapshot")));
    if count < snapshot.files.len() {
        return refuse("state files are");
    }
    let mut labels: Vec<&str> = snapshot.files.iter().map(|file| &*file.label).collect();
    labels.sort_unstable();
    if labels.windows(2).any(|pair| pair.first() == pair.last()) {
        return refuse("two files have one name");
    }
    let roles: Option<Vec<Role>> = labels.iter().map(|label| Role::of(label)).collect();
    let Some(roles) = roles else {
        return refuse("a file is called as none of RocksDB's");
    };
    let count = |role| roles.iter().filter(|other| **other == role).count();
    if (count(Role::Current), count(Role::Manifest)) != (1, 1) {
        return refuse("there are not one CURRENT and one MANIFEST");
    }
    if count(Role::States) == 0 {
        return Err(Error::incompatible(
            "a native snapshot has no file STATES, as those of layout 1; restore it with the version of Alluvium that \
             wrote it, and take a savepoint",
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn only_names_of_rocksdb_are_taken() {
        assert_eq!(Role::of("CURRENT"), Some(Role::Current));
        assert_eq!(Role::of("STATES"), Some(Role::States));
        assert_eq!(Role::of("000012.sst"), Some(Role::Table));
        assert_eq!(Role::of("000013.blob"), Some(Role::Blob));
        assert_eq!(Role::of("MANIFEST-000004"), Some(Role::Manifest));
        for name in [
            "",
            "LOCK",
            ".sst",
            "../1.sst",
            "a.sst",
            "MANIFEST-",
            "MANIFEST-1/",
            "1.sst\0",
            "000001.log",
        ] {
            assert_eq!(Role::of(name), None, "{name:?}");
        }
    }
}
