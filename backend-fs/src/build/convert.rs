//! Writes a segment from files whose entries are in any order: those of a layer, or of another backend.
//!
//! Each range of key groups is gathered, sorted and written; memory stays within a few times
//! [`PORTION_BYTES`], or the largest key group.

use alluvium_state_api::format::{
    FileForm, SequentialWriter, StateFile, StateFileSpec, StateFileWriter, WriteOptions,
    WrittenStateFile,
};
use alluvium_state_api::snapshot::CancelToken;
use alluvium_state_api::storage::FileWriter;
use alluvium_state_api::{Error, KeyGroupRange, ListSize, Result};

use super::gather::{Found, Gathered, Piece, Role, Says, portions};

/// Raw bytes that are sorted at a time.
const PORTION_BYTES: u64 = 4 << 20;

/// A file to convert, and what its records mean.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) file: &'a StateFile,
    pub(crate) role: Role,
}

/// Writes what the inputs have of the key groups in `ranges` (ascending) as one segment.
///
/// # Errors
/// `Corrupted` where an input is damaged; `Cancelled`; `Unavailable` where reading or writing fails.
pub(crate) fn convert(
    inputs: &[Input<'_>],
    ranges: &[KeyGroupRange],
    spec: StateFileSpec,
    to: Box<dyn FileWriter>,
    cancel: &CancelToken,
) -> Result<WrittenStateFile> {
    let ids: Vec<Vec<u16>> =
        inputs.iter().map(|input| ids_of(input.file, &spec)).collect::<Result<_>>()?;
    let files: Vec<&StateFile> = inputs.iter().map(|input| input.file).collect();
    let form = spec.form;
    let mut options = WriteOptions::default();
    options.lookups = true;
    options.cancel = cancel.clone();
    let mut writer = Writer {
        out: StateFileWriter::new(to, spec, options)?.into_sequential(),
        section: None,
        form,
    };
    let mut gathered = Gathered::default();
    for range in ranges {
        for portion in portions(&files, *range, PORTION_BYTES) {
            cancel.check()?;
            gathered.clear();
            for (input, ids) in inputs.iter().zip(&ids) {
                gathered.add(input.file, ids, portion, input.role)?;
            }
            gathered.sort();
            writer.write(&gathered)?;
        }
    }
    writer.out.finish()
}

/// The ids that the states of `file` have in `spec`.
fn ids_of(file: &StateFile, spec: &StateFileSpec) -> Result<Vec<u16>> {
    let id = |name: &str| spec.states.iter().position(|state| *state.name == *name);
    let states = file.spec().states.iter();
    states
        .map(|state| {
            id(&state.name).and_then(|id| u16::try_from(id).ok()).ok_or_else(|| {
                let text = "a file has a state that its snapshot does not list";
                Error::corrupted(text).with_state(state.name.clone())
            })
        })
        .collect()
}

/// Writes sorted records.
struct Writer {
    out: SequentialWriter,
    section: Option<(u16, u16)>,
    form: FileForm,
}

impl Writer {
    fn write(&mut self, gathered: &Gathered) -> Result<()> {
        let mut index = 0;
        while let Some(found) = gathered.get(index)? {
            let section = (found.state, found.group.index());
            if self.section != Some(section) {
                self.out.section(found.state, found.group)?;
                self.section = Some(section);
            }
            index = self.entry(gathered, index, &found)?;
        }
        Ok(())
    }

    /// Writes the entry that begins at `index`; returns where the next one does.
    fn entry(&mut self, gathered: &Gathered, index: usize, first: &Found<'_>) -> Result<usize> {
        let mut next = index + 1;
        match first.says {
            Says::MapRemoved => self.forget(first, true)?,
            Says::Value => self.out.put(first.key, first.bytes)?,
            Says::Elements(..) => return self.list(gathered, index, ListSize::default()),
            Says::Removed | Says::Mark => {
                let follower = gathered.get(next)?.filter(|other| other.same_entry(first));
                match follower.map(|other| other.says) {
                    // An entry that was written after it was removed: only the later counts.
                    Some(Says::Value) => {
                        if let Some(value) = follower {
                            self.out.put(value.key, value.bytes)?;
                        }
                        next += 1;
                    }
                    Some(Says::Elements(..)) => return self.list(gathered, next, first.base()?),
                    _ if first.says == Says::Mark
                        && first.bytes.len() > 1
                        && first.base()?.elements > 0 =>
                    {
                        return Err(Error::bug("a list was marked and has no elements above"));
                    }
                    _ => self.forget(first, false)?,
                }
            }
        }
        Ok(next)
    }

    /// Writes the list whose first piece is at `index`, and which has `base` below it.
    fn list(&mut self, gathered: &Gathered, index: usize, base: ListSize) -> Result<usize> {
        let mut next = index;
        let mut expected: Option<(Piece, u64)> = None;
        let begins = gathered.get(index)?;
        while let Some(piece) = gathered.get(next)? {
            let Says::Elements(kind, first) = piece.says else {
                break;
            };
            if begins.is_none_or(|begins| !begins.same_entry(&piece)) {
                break;
            }
            let elements = piece.elements()?;
            if expected.is_some_and(|expected| expected != (kind, first)) {
                return Err(Error::corrupted("pieces of a list do not follow one another")
                    .with_key_group(piece.group));
            }
            let at = base.elements.checked_add(first);
            let at = at.ok_or_else(|| Error::corrupted("a list of more than 2^64 elements"))?;
            if base.elements == 0 && kind == Piece::Whole {
                self.out.list(piece.key, at, elements)?;
            } else {
                self.out.append(piece.key, at, elements)?;
            }
            expected = Some((kind, first.saturating_add(elements.count())));
            next += 1;
        }
        Ok(next)
    }

    /// Writes that an entry or a map was removed; in a full file that is nothing.
    fn forget(&mut self, found: &Found<'_>, map: bool) -> Result<()> {
        match (self.form, map) {
            (FileForm::Increment, true) => self.out.remove_map(found.key),
            (FileForm::Increment, false) => self.out.remove(found.key),
            _ => Ok(()),
        }
    }
}
