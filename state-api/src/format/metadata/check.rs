//! The rules that `_metadata` obeys beyond its structure (FORMAT.md 3), for both directions.

use super::super::checksum::file_checksum;
use super::{CheckpointKind, CheckpointMetadata, OperatorState, Origin};
use crate::snapshot::{FileFormat, FileLocation, KeyedSnapshot, SnapshotFile};
use crate::{Error, KeyGroupRange, MaxParallelism, Result};

/// The longest pointer of an origin: what a path can have.
const MAX_POINTER_BYTES: usize = 4096;

/// Checks everything.
pub(super) fn metadata(metadata: &CheckpointMetadata) -> Result<()> {
    let uids = metadata.operators.iter().map(|operator| operator.uid.as_bytes());
    if !ascends(uids) {
        return refuse("operators do not ascend strictly by uid".to_owned());
    }
    if let Some(origin) = &metadata.origin {
        self::origin(metadata.kind, origin)?;
    }
    metadata.operators.iter().try_for_each(operator)
}

fn origin(kind: CheckpointKind, origin: &Origin) -> Result<()> {
    if kind != CheckpointKind::Checkpoint {
        return refuse(
            "a savepoint has an origin, which only a job's own checkpoint has".to_owned(),
        );
    }
    let pointer = &origin.pointer;
    if !(1..=MAX_POINTER_BYTES).contains(&pointer.len()) || pointer.chars().any(char::is_control) {
        return refuse(format!(
            "the pointer of the origin must have 1 to {MAX_POINTER_BYTES} bytes and no control \
             characters"
        ));
    }
    Ok(())
}

fn operator(operator: &OperatorState) -> Result<()> {
    let uid = &operator.uid;
    if uid.is_empty() {
        return refuse("an operator has an empty uid".to_owned());
    }
    if operator.parallelism == 0 || operator.parallelism > operator.max_parallelism.get() {
        return refuse(format!(
            "operator {uid:?} has parallelism {} of at most {}",
            operator.parallelism, operator.max_parallelism
        ));
    }
    if !ascends(operator.subtasks.iter().map(|subtask| subtask.index)) {
        return refuse(format!("subtasks of operator {uid:?} do not ascend strictly"));
    }
    for subtask in &operator.subtasks {
        if subtask.index >= operator.parallelism {
            return refuse(format!("operator {uid:?} has no subtask {}", subtask.index));
        }
        if let Some(keyed) = &subtask.keyed {
            if keyed.groups != operator.max_parallelism {
                return refuse(format!("key groups of operator {uid:?} are not its maximum"));
            }
            self::keyed(keyed)?;
        }
    }
    Ok(())
}

fn keyed(keyed: &KeyedSnapshot) -> Result<()> {
    within(keyed.range, keyed.groups)?;
    if !ascends(keyed.states.iter().map(|state| state.meta.name.as_bytes())) {
        return refuse("states do not ascend strictly by name".to_owned());
    }
    keyed.states.iter().try_for_each(|state| state.meta.validate())?;
    keyed.files.iter().try_for_each(|file| self::file(file, keyed.groups))
}

fn file(file: &SnapshotFile, groups: MaxParallelism) -> Result<()> {
    let same = match &file.stored.location {
        FileLocation::Inline(bytes) => {
            file.stored.length == bytes.len() as u64 && file.stored.checksum == file_checksum(bytes)
        }
        FileLocation::Own(_) | FileLocation::Shared(_) => true,
    };
    if !same {
        return refuse("an inline file's length or checksum differs".to_owned());
    }
    let inline = matches!(file.stored.location, FileLocation::Inline(_));
    if file.frame_checksum.is_some() && (inline || file.format != FileFormat::State) {
        return refuse("a file that is inline or no state file has a frame checksum".to_owned());
    }
    let mut end = None;
    for live in &file.live {
        within(*live, groups)?;
        if live.is_empty() || end >= Some(live.start()) {
            return refuse(
                "live key groups of a file are not ascending, separate ranges".to_owned(),
            );
        }
        end = Some(live.end());
    }
    Ok(())
}

fn within(range: KeyGroupRange, groups: MaxParallelism) -> Result<()> {
    if range.end() <= groups.get() {
        return Ok(());
    }
    refuse(format!("key groups {range} are not within {groups}"))
}

fn ascends<T: PartialOrd>(items: impl Iterator<Item = T>) -> bool {
    let mut before = None;
    for item in items {
        if before.as_ref().is_some_and(|before| *before >= item) {
            return false;
        }
        before = Some(item);
    }
    true
}

#[cold]
fn refuse(what: String) -> Result<()> {
    Err(Error::corrupted(what))
}
