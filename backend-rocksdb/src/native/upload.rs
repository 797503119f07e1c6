//! [`Native`]: the rest of an incremental snapshot. Tables and blob files that the confirmed base has are referenced, new ones
//! given to the storage: by a second name where both are in one file system, small ones by their bytes, so that they
//! may go inline. Manifest and `CURRENT` are the snapshot's own.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_state_api::format::StateFileSpec;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::{
    EntryCount, FileFormat, FileLocation, FileName, KeyedSnapshot, SnapshotContext, SnapshotFile,
    SnapshotKind, StateSummary, StoredFile,
};
use alluvium_state_api::storage::{
    FileReader, FileScope, InlinePolicy, SnapshotSource, read_pieces,
};
use alluvium_state_api::{KeyGroupRange, Result};
use xxhash_rust::xxh3::Xxh3;

use super::names::encode;
use super::{Linked, Role, STATES};
use crate::chain::Uploads;
use crate::states::State;

/// What an incremental snapshot is made of.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) linked: Linked,
    pub(crate) base: Option<Arc<Uploads>>,
}

impl Native {
    /// Gives the storage what the base lacks, and returns the snapshot with the tables that later ones may refer to.
    /// `states` are in the order of the specification.
    ///
    /// # Errors
    /// Those of the storage; `Unavailable` where a file cannot be read; `Cancelled`.
    pub(crate) fn upload(
        &self,
        spec: &StateFileSpec,
        states: &[State],
        context: SnapshotContext<'_>,
    ) -> Result<(KeyedSnapshot, Uploads)> {
        let (mut files, mut uploads) = (Vec::new(), Uploads::new());
        let (mut bytes_new, mut bytes_full) = (0u64, 0u64);
        for (name, role, length) in self.linked.files()? {
            context.cancel.check()?;
            let known = self.base.as_ref().and_then(|base| base.get(&*name));
            let known = known.filter(|file| file.stored.length == length);
            let file = if let Some(file) = known {
                file.clone()
            } else {
                bytes_new = bytes_new.saturating_add(length);
                self.give(&name, role, length, context)?
            };
            bytes_full = bytes_full.saturating_add(length);
            let file = SnapshotFile { live: live(spec), ..file };
            if role.is_lasting() {
                uploads.insert(name.into(), file.clone());
            }
            files.push(file);
        }
        let names = spec.states.iter().map(|meta| &*meta.name);
        let noted = encode(states.iter().map(|state| state.id).zip(names));
        let mut writer = context.sink.create(FileScope::Own)?;
        writer.write(&noted)?;
        files.push(SnapshotFile { live: live(spec), ..described(STATES, writer.finish()?) });
        let length = noted.len() as u64;
        (bytes_new, bytes_full) =
            (bytes_new.saturating_add(length), bytes_full.saturating_add(length));
        context.progress.add(0, length);
        let summary = |(meta, state): (&StateMeta, &State)| StateSummary {
            meta: meta.clone(),
            entries: EntryCount::Estimate(state.entries()),
            digest: None,
        };
        let snapshot = KeyedSnapshot {
            backend: crate::BACKEND_NAME.into(),
            kind: match self.base {
                Some(_) => SnapshotKind::Incremental,
                None => SnapshotKind::Full,
            },
            key: spec.key.clone(),
            groups: spec.groups,
            range: spec.range,
            states: spec.states.iter().zip(states).map(summary).collect(),
            files,
            bytes_new,
            bytes_full,
        };
        Ok((snapshot, uploads))
    }

    /// Gives a file to the storage.
    fn give(
        &self,
        name: &str,
        role: Role,
        length: u64,
        context: SnapshotContext<'_>,
    ) -> Result<SnapshotFile> {
        let scope = if role.is_lasting() { FileScope::Shared } else { FileScope::Own };
        let by_bytes = !role.is_lasting()
            || match context.sink.inline_policy() {
                InlinePolicy::Small { threshold_bytes } => length <= threshold_bytes,
                InlinePolicy::Everything { .. } => true,
            };
        let reader = self.linked.read(name, length)?;
        context.progress.add(0, length);
        if by_bytes {
            let mut writer = context.sink.create(scope)?;
            read_pieces(&*reader, 0..length, |bytes| {
                context.cancel.check()?;
                writer.write(bytes)
            })?;
            return Ok(described(name, writer.finish()?));
        }
        let mut hasher = Xxh3::new();
        read_pieces(&*reader, 0..length, |bytes| {
            context.cancel.check()?;
            hasher.update(bytes);
            Ok(())
        })?;
        let checksum = hasher.digest128();
        let location = FileLocation::Own(FileName::new(name)?);
        let file = described(name, StoredFile { location, length, checksum });
        let source = OneFile { linked: &self.linked, name };
        Ok(described(name, context.sink.import(&file, &source, scope)?))
    }
}

/// A file of a snapshot.
fn described(name: &str, stored: StoredFile) -> SnapshotFile {
    SnapshotFile {
        stored,
        frame_checksum: None,
        format: FileFormat::Native,
        label: name.into(),
        live: Vec::new(),
    }
}

/// The key groups for which all files count.
fn live(spec: &StateFileSpec) -> Vec<KeyGroupRange> {
    Some(spec.range).filter(|range| !range.is_empty()).into_iter().collect()
}

/// The file of this name among those of a database, as the source of itself.
#[derive(Debug)]
struct OneFile<'a> {
    linked: &'a Linked,
    name: &'a str,
}

impl SnapshotSource for OneFile<'_> {
    fn open(&self, file: &SnapshotFile) -> Result<Box<dyn FileReader>> {
        self.linked.read(self.name, file.stored.length)
    }

    fn local_path(&self, _: &SnapshotFile) -> Option<PathBuf> {
        Some(self.linked.path_of(self.name))
    }
}
