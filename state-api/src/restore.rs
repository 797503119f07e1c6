//! Restoring from state files: the loop that every store needs.
//!
//! A snapshot consists of parts (one per former subtask), each of a chain of files, oldest first, each
//! with the key groups that still count in it. [`restore_records`] walks them in the order in which
//! they are to be applied and hands out verified records with the store's own slots. A store that
//! loads files in parallel, or maps them, does the same by its own means.

use std::path::PathBuf;
use std::sync::Arc;

use crate::directory::StateDirectory;
use crate::env::{OpenEnv, RestorePart};
use crate::format::{FileForm, Record, StateFile};
use crate::schema::StateMeta;
use crate::snapshot::{Digest, FileFormat, FileLocation, KeyedSnapshot, SnapshotFile};
use crate::storage::{FileReader, verify_checksum};
use crate::store::Slot;
use crate::{Error, KeyGroup, KeyGroupRange, Result};

/// Receives the records to apply: the state's slot, the key group, the record.
pub type VisitRecord<'f> = dyn FnMut(Slot, KeyGroup, Record<'_>) -> Result<()> + 'f;

/// Takes up the states of everything that is to be restored and visits the records of the store's key
/// groups, oldest file first, as they are to be applied: entries and first pieces of lists replace,
/// tombstones remove, appends append. A fresh start visits nothing.
///
/// Checksums, counts and digests are verified before the last record of a section is visited. After an
/// error, what was loaded so far is to be thrown away.
///
/// # Errors
/// What the visitor returns; `Incompatible` where a part does not fit or has native files of another
/// backend; `Corrupted`, `NotFound`, `Unavailable` where reading fails.
pub fn restore_records(
    env: &OpenEnv,
    states: &mut StateDirectory,
    visit: &mut VisitRecord<'_>,
) -> Result<()> {
    let plan = env.restore_plan()?;
    for state in env.restore.iter().flat_map(|part| &part.snapshot.states) {
        states.adopt(&state.meta)?;
    }
    for (part, range) in env.restore.iter().zip(plan) {
        restore_part(part, range, states, visit)?;
    }
    Ok(())
}

/// The same for the key groups of `range` that one part has; `states` knows the part's states already.
///
/// # Errors
/// As [`restore_records`].
pub fn restore_part(
    part: &RestorePart,
    range: KeyGroupRange,
    states: &StateDirectory,
    visit: &mut VisitRecord<'_>,
) -> Result<()> {
    for file in &part.snapshot.files {
        let wanted = || file.live.iter().map(|live| live.intersection(range));
        if wanted().all(KeyGroupRange::is_empty) {
            continue;
        }
        let opened = open_state_file(part, file)?;
        for wanted in wanted() {
            visit_file(&opened, wanted, states, visit)?;
        }
    }
    Ok(())
}

/// Opens a state file of a part, and makes sure that it is the one that the snapshot means, which reads
/// header, index and footer. Only where the snapshot says nothing of these, because an earlier version
/// wrote it or the file is inline, are they compared with the digests of what the file holds, or where it
/// is one of several, all its bytes with their checksum.
///
/// # Errors
/// `Incompatible` for a native file; `Corrupted`, `NotFound`, `Unavailable`.
pub fn open_state_file(part: &RestorePart, file: &SnapshotFile) -> Result<StateFile> {
    open_state_file_through(part, file, || part.source.open(file))
}

/// The same for who has the file under another name: `open` opens it there.
///
/// # Errors
/// As [`open_state_file`]; what `open` returns.
pub fn open_state_file_through(
    part: &RestorePart,
    file: &SnapshotFile,
    open: impl FnOnce() -> Result<Box<dyn FileReader>>,
) -> Result<StateFile> {
    let path = match &file.stored.location {
        FileLocation::Inline(_) => PathBuf::from("inline"),
        FileLocation::Own(name) | FileLocation::Shared(name) => PathBuf::from(name.as_str()),
    };
    if file.format != FileFormat::State {
        return Err(Error::incompatible(format!(
            "a native file of the backend {:?} can be restored by that backend only; take a savepoint",
            part.snapshot.backend
        ))
        .with_path(path));
    }
    let reader: Arc<dyn FileReader> = open()?.into();
    let opened = StateFile::open(Arc::clone(&reader), &path)?;
    let (spec, snapshot) = (opened.spec(), &part.snapshot);
    if spec.key != snapshot.key || spec.groups != snapshot.groups {
        let text = "the file has other keys or key groups than the snapshot says";
        return Err(Error::corrupted(text).with_path(path));
    }
    let by_frame = file.frame_checksum.map(|expected| expected == opened.frame_checksum());
    match by_frame.or_else(|| is_the_whole(snapshot, file, &opened)) {
        Some(true) => {}
        Some(false) => {
            let text = "the file holds something else than the snapshot says";
            return Err(Error::corrupted(text).with_path(path));
        }
        None => verify_checksum(&*reader, file.stored.checksum)
            .map_err(|error| error.with_path(path))?,
    }
    Ok(opened)
}

/// Whether a file holds what its snapshot says, by the digests of its index, which are compared with
/// the content when that is read; `None` where the snapshot says nothing of this file alone. Another
/// file of the same job may be right in itself, and as long.
fn is_the_whole(snapshot: &KeyedSnapshot, file: &SnapshotFile, opened: &StateFile) -> Option<bool> {
    let alone = snapshot.files.len() == 1 && file.live.as_slice() == [snapshot.range];
    if !alone || opened.spec().form == FileForm::Increment {
        return None;
    }
    let totals = opened.totals(snapshot.range);
    let held = |name: &str| {
        let id = opened.spec().states.iter().position(|state| *state.name == *name);
        id.and_then(|id| totals.get(id)).map_or(Digest::default(), |totals| totals.digest)
    };
    let mut right = true;
    for state in &snapshot.states {
        right &= held(&state.meta.name) == state.digest?;
    }
    Some(right)
}

fn visit_file(
    file: &StateFile,
    range: KeyGroupRange,
    states: &StateDirectory,
    visit: &mut VisitRecord<'_>,
) -> Result<()> {
    let slot = |meta: &StateMeta| states.find(&meta.name);
    let slots: Vec<Option<Slot>> = file.spec().states.iter().map(slot).collect();
    let mut blocks = file.blocks(range);
    while let Some(block) = blocks.next_block()? {
        let slot = slots.get(usize::from(block.state())).copied().flatten();
        let unknown = || Error::corrupted("a file holds a state that its snapshot does not list");
        let slot = slot.ok_or_else(unknown)?;
        for record in block.records() {
            visit(slot, block.group(), record)?;
        }
    }
    Ok(())
}
