//! Which files a checkpoint refers to.
//!
//! Deletion and verification ask only this, and only manifests (the snapshots in the metadata)
//! answer: there is no count kept beside them that could drift (T8 of the reliability notes).

use std::collections::{BTreeMap, BTreeSet};

use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::{FileLocation, FileName, KeyedSnapshot, SnapshotFile};
use alluvium_state_api::storage::SnapshotSource;
use alluvium_state_api::{Error, Result};

/// Length and checksum of a file.
type Identity = (u64, u128);

/// Where a file is that is not inline: whether among the shared ones, and its name.
pub(crate) type Place = (bool, FileName);

/// The place of a file; `None` for one that is inline.
pub(crate) fn place(location: &FileLocation) -> Option<Place> {
    match location {
        FileLocation::Inline(_) => None,
        FileLocation::Own(name) => Some((false, name.clone())),
        FileLocation::Shared(name) => Some((true, name.clone())),
    }
}

/// Shared files by name: names are random, so a name stands for one content for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedFiles(BTreeMap<FileName, Identity>);

impl SharedFiles {
    /// Those of a checkpoint.
    pub(crate) fn of(metadata: &CheckpointMetadata) -> Result<Self> {
        let mut files = Self::default();
        files.add_all(files_of(keyed_of(metadata)))?;
        Ok(files)
    }

    /// Those of some snapshots.
    pub(crate) fn of_snapshots<'a>(
        snapshots: impl Iterator<Item = &'a KeyedSnapshot>,
    ) -> Result<Self> {
        let mut files = Self::default();
        files.add_all(files_of(snapshots))?;
        Ok(files)
    }

    fn add_all<'a>(&mut self, files: impl Iterator<Item = &'a SnapshotFile>) -> Result<()> {
        for file in files {
            if let FileLocation::Shared(name) = &file.stored.location {
                let identity = (file.stored.length, file.stored.checksum);
                let known = self.0.entry(name.clone()).or_insert(identity);
                if *known != identity {
                    return Err(differs(name));
                }
            }
        }
        Ok(())
    }

    /// Whether `file` is among them.
    ///
    /// # Errors
    /// `Corrupted` where it is, with another length or checksum.
    pub(crate) fn holds(&self, name: &FileName, identity: Identity) -> Result<bool> {
        match self.0.get(name) {
            Some(known) if *known != identity => Err(differs(name)),
            known => Ok(known.is_some()),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &FileName> {
        self.0.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that are not in `used`.
    pub(crate) fn unused(&self, used: &BTreeSet<FileName>) -> Vec<FileName> {
        let names = self.0.keys();
        names.filter(|name| !used.contains(*name)).cloned().collect()
    }
}

#[cold]
fn differs(name: &FileName) -> Error {
    Error::corrupted(format!(
        "shared file {name} is referenced with two different lengths or checksums"
    ))
}

/// The keyed snapshots of a checkpoint.
pub(crate) fn keyed_of(metadata: &CheckpointMetadata) -> impl Iterator<Item = &KeyedSnapshot> {
    metadata.keyed().map(|(_, _, keyed)| keyed)
}

fn files_of<'a>(
    snapshots: impl Iterator<Item = &'a KeyedSnapshot>,
) -> impl Iterator<Item = &'a SnapshotFile> {
    snapshots.flat_map(|snapshot| snapshot.files.iter())
}

/// The files that belong to the checkpoint alone.
pub(crate) fn own_files(metadata: &CheckpointMetadata) -> Vec<FileName> {
    let mut names = BTreeSet::new();
    for file in files_of(keyed_of(metadata)) {
        if let FileLocation::Own(name) = &file.stored.location {
            names.insert(name.clone());
        }
    }
    names.into_iter().collect()
}

/// The files of `metadata` of which it is not known that they are there: all but shared ones that a
/// retained checkpoint uses. Each is named once.
///
/// # Errors
/// `Corrupted` where a shared one is known with another length or checksum.
pub(crate) fn unknown<'a>(
    metadata: &CheckpointMetadata,
    retained: &(impl Iterator<Item = &'a SharedFiles> + Clone),
) -> Result<Vec<SnapshotFile>> {
    let (mut seen, mut unknown) = (BTreeSet::new(), Vec::new());
    for file in files_of(keyed_of(metadata)) {
        let Some(place) = place(&file.stored.location) else {
            continue;
        };
        if !seen.insert(place.clone()) {
            continue;
        }
        let identity = (file.stored.length, file.stored.checksum);
        let mut known = false;
        if let (true, name) = &place {
            for files in retained.clone() {
                known |= files.holds(name, identity)?;
            }
        }
        if !known {
            unknown.push(file.clone());
        }
    }
    Ok(unknown)
}

/// Checks that files are there, by opening them, which compares their lengths.
///
/// # Errors
/// `NotFound`, `Corrupted`, `Unavailable`.
pub(crate) fn open_all(files: &[SnapshotFile], source: &dyn SnapshotSource) -> Result<()> {
    files.iter().try_for_each(|file| source.open(file).map(drop))
}

/// Checks that every file of `metadata` is there: a shared one that a retained checkpoint uses is,
/// everything else is opened.
///
/// # Errors
/// `NotFound`, `Corrupted`, `Unavailable`.
pub(crate) fn verify<'a>(
    metadata: &CheckpointMetadata,
    retained: &(impl Iterator<Item = &'a SharedFiles> + Clone),
    source: &dyn SnapshotSource,
) -> Result<()> {
    open_all(&unknown(metadata, retained)?, source)
}
