//! What must hold of what is left, whatever happened.
//!
//! | | rule |
//! |---|---|
//! | I1 | a checkpoint that was called complete is there, or as many newer ones as are retained |
//! | I2 | whatever is listed restores to exactly what the job held when it was taken |
//! | I3 | every file that published metadata names is there with its length and checksum |
//! | I4 | after one clean-up pass the job's directory holds the published metadata, their files, and nothing else |
//! | I8 | an operation that failed made its stage fail; nothing was retried on a file that was lost |
//!
//! Content that was verified (metadata and all checksums) and restored before is not restored again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::harness::{Harness, Kit};
use super::content::{KEYS, Rows};
use super::job::{Kind, Ledger};
use super::master::{Master, Place, RETAINED, key_groups};
use crate::env::RestorePart;
use crate::format::metadata::CheckpointMetadata;
use crate::snapshot::{FileLocation, KeyedSnapshot};
use crate::storage::{CheckpointStorage, StoredCheckpoint, verify_checksum};
use crate::vfs::faulty::{Operation, TraceEntry};
use crate::vfs::{EntryKind, FileSystem};
use crate::{CheckpointId, Error, Result};

/// Looks at what is left; remembers what it has restored.
#[derive(Debug, Default)]
pub struct Checker {
    seen: BTreeSet<u64>,
    /// How many snapshots were restored and compared.
    pub restores: u64,
}

fn text(what: &str) -> impl Fn(Error) -> String {
    move |error| format!("{what}: {error:?}")
}

impl Checker {
    /// Checks I1 to I4, given what the job was told.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check<H: Harness, M: Master>(
        &mut self,
        place: &Place,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let storage = place.storage().map_err(text("the storage does not open"))?;
        let before = self.listed::<H>(&*storage, ledger)?;
        for id in ledger.completed.keys().filter(|id| !before.contains(id)) {
            let newer = before.iter().filter(|other| *other > id).count();
            if newer < RETAINED {
                return Err(format!("I1: checkpoint {id} was completed but is gone"));
            }
        }
        self.savepoints::<H>(place, &*storage, ledger)?;
        let mut master = M::open(place).map_err(text("the master does not open"))?;
        master.collect().map_err(text("the clean-up pass fails"))?;
        if self.listed::<H>(&*storage, ledger)? != before {
            return Err("I1: the clean-up pass removed a checkpoint".into());
        }
        no_leak(place, &*storage)
    }

    /// I2: what was called aborted is gone, once there was time to take it back.
    ///
    /// # Errors
    /// What is there all the same.
    pub fn check_aborted(place: &Place, ledger: &Ledger) -> Result<(), String> {
        let storage = place.storage().map_err(text("the storage does not open"))?;
        let listed = storage.list().map_err(text("the storage cannot be listed"))?;
        match listed.iter().find(|id| ledger.aborted.contains(id)) {
            Some(id) => Err(format!("I2: checkpoint {id} was called aborted but is there")),
            None => Ok(()),
        }
    }

    /// I2 and I3 of everything that is listed.
    fn listed<H: Harness>(
        &mut self,
        storage: &dyn CheckpointStorage,
        ledger: &Ledger,
    ) -> Result<BTreeSet<CheckpointId>, String> {
        let listed = storage.list().map_err(text("the storage cannot be listed"))?;
        for id in &listed {
            let stored = storage.load(*id).map_err(text("I2: a listed checkpoint"))?;
            self.whole::<H>(&stored, ledger).map_err(|why| format!("checkpoint {id}: {why}"))?;
        }
        Ok(listed.into_iter().collect())
    }

    /// Every completed savepoint is there, no deleted one is, and every one that opens is whole.
    fn savepoints<H: Harness>(
        &mut self,
        place: &Place,
        storage: &dyn CheckpointStorage,
        ledger: &Ledger,
    ) -> Result<(), String> {
        for pointer in ledger.savepoints.keys() {
            storage.open_pointer(pointer).map_err(text("I1: a completed savepoint"))?;
        }
        if ledger.disposed.iter().any(|pointer| storage.open_pointer(pointer).is_ok()) {
            return Err("I2: a savepoint that was deleted is there".into());
        }
        for entry in place.fs.list(&place.savepoints()).unwrap_or_default() {
            let pointer = place.savepoints().join(entry.name);
            if let Ok(stored) = storage.open_pointer(&pointer.to_string_lossy()) {
                self.whole::<H>(&stored, ledger).map_err(|why| format!("savepoint: {why}"))?;
            }
        }
        Ok(())
    }

    fn whole<H: Harness>(
        &mut self,
        stored: &StoredCheckpoint,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let metadata =
            CheckpointMetadata::decode(&stored.metadata).map_err(text("I2: metadata"))?;
        let keyed: Vec<_> = metadata.keyed().map(|(_, _, keyed)| keyed.clone()).collect();
        for file in keyed.iter().flat_map(|keyed| &keyed.files) {
            let reader = stored.source.open(file).map_err(text("I3: a file"))?;
            verify_checksum(&*reader, file.stored.checksum).map_err(text("I3: a file"))?;
        }
        if !self.seen.insert(crate::hash_bytes(&stored.metadata)) {
            return Ok(());
        }
        self.restores += 1;
        let image = ledger.image(&metadata.application).ok_or("I2: a snapshot that nobody took")?;
        let parallelism = 1 + u32::try_from(self.restores % 3).unwrap_or(0);
        let mut owned = 0;
        let kit = Kit::<H>::new();
        let restored = restore(&kit, stored, &keyed, parallelism).map_err(text("I2"))?;
        for (mut backend, rows) in restored {
            owned += rows.compare::<H>(&mut backend, image).map_err(|why| format!("I2: {why}"))?;
        }
        if owned == KEYS { Ok(()) } else { Err(format!("I2: {owned} of {KEYS} keys")) }
    }
}

type Restored<H> = Vec<(super::super::harness::Backend<H>, Rows)>;

fn restore<H: Harness>(
    kit: &Kit<H>,
    stored: &StoredCheckpoint,
    keyed: &[KeyedSnapshot],
    parallelism: u32,
) -> Result<Restored<H>> {
    let groups = key_groups()?;
    let mut restored = Vec::new();
    for subtask in 0..parallelism {
        let range = groups.range_of(subtask, parallelism)?;
        let meets = |snapshot: &&KeyedSnapshot| !snapshot.range.intersection(range).is_empty();
        let part = |snapshot: &KeyedSnapshot| RestorePart {
            snapshot: snapshot.clone(),
            source: Arc::clone(&stored.source),
            base: None,
        };
        let parts = keyed.iter().filter(meets).map(part).collect();
        let mut backend = kit.try_open(groups, range, parts)?;
        let rows = Rows::open::<H>(&mut backend)?;
        restored.push((backend, rows));
    }
    Ok(restored)
}

/// I4: the files below the job's directory are those that published metadata name.
fn no_leak(place: &Place, storage: &dyn CheckpointStorage) -> Result<(), String> {
    let mut wanted = BTreeSet::new();
    for id in storage.list().map_err(text("the storage cannot be listed"))? {
        let stored = storage.load(id).map_err(text("a listed checkpoint"))?;
        let metadata = CheckpointMetadata::decode(&stored.metadata).map_err(text("metadata"))?;
        let own = PathBuf::from(&stored.pointer);
        wanted.insert(own.join("_metadata"));
        for file in metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files) {
            match &file.stored.location {
                FileLocation::Inline(_) => {}
                FileLocation::Own(name) => drop(wanted.insert(own.join(name.as_str()))),
                FileLocation::Shared(name) => {
                    wanted.insert(place.job().join("shared").join(name.as_str()));
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    files_below(&*place.fs, &place.job(), &mut found).map_err(|error| error.to_string())?;
    // The file with which a storage that was opened tried whether it can write.
    found.retain(|path| path.parent() != Some(&*place.job()) || !is_draft(path));
    match (found.difference(&wanted).next(), wanted.difference(&found).next()) {
        (None, None) => Ok(()),
        (Some(leaked), _) => Err(format!("I4: nothing refers to {}", leaked.display())),
        (_, Some(missing)) => Err(format!("I3: {} is missing", missing.display())),
    }
}

fn files_below(
    fs: &dyn FileSystem,
    directory: &Path,
    found: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    for entry in fs.list(directory)? {
        let path = directory.join(entry.name);
        match entry.metadata.kind {
            EntryKind::Directory => files_below(fs, &path, found)?,
            _ => drop(found.insert(path)),
        }
    }
    Ok(())
}

fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".metadata-"))
}

/// I8: operation `number`, into which an error was injected that nobody may take for a success, made
/// the stage fail in which it was, unless it only deletes.
pub(super) fn not_swallowed(
    ledger: &Ledger,
    trace: &[TraceEntry],
    number: u64,
    injected: i32,
) -> Result<(), String> {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let Some(entry) = index.checked_sub(1).and_then(|index| trace.get(index)) else {
        return Ok(());
    };
    // It may have failed before anything was injected, for there is a file of that name, say.
    if entry.error != Some(io::Error::from_raw_os_error(injected).kind()) {
        return Ok(());
    }
    let stage = ledger.stages.iter().find(|stage| (stage.from..=stage.to).contains(&number));
    let Some(stage) = stage else {
        return Err(format!("I8: {entry:?} belongs to no stage"));
    };
    if stage.failed || only_deletes(&stage.kind, entry) || is_room_for_a_marker(entry) {
        return Ok(());
    }
    Err(format!("I8: {entry:?} failed, and {:?} succeeded all the same", stage.kind))
}

/// A full disk keeps nobody from deleting: the marker of a disposal is then left out.
fn is_room_for_a_marker(entry: &TraceEntry) -> bool {
    let full = entry.error == Some(io::ErrorKind::StorageFull);
    full && entry.path.file_name().is_some_and(|name| name == ".metadata-disposed")
}

fn only_deletes(kind: &Kind, entry: &TraceEntry) -> bool {
    if matches!(entry.operation, Operation::RemoveFile | Operation::RemoveDir) {
        return !matches!(kind, Kind::Start | Kind::Dispose);
    }
    match kind {
        Kind::Delete => true,
        // Older checkpoints are deleted once the new one is published.
        Kind::Complete(pointer) => {
            let is_shared = entry.path.ends_with("shared");
            let is_old = !entry.path.starts_with(pointer)
                && entry.path.iter().any(|name| name.to_string_lossy().starts_with("chk-"));
            is_old || (is_shared && entry.operation == Operation::Metadata)
        }
        _ => false,
    }
}
