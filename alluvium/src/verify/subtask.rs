//! One subtask: its files, and whether together they hold what the metadata says.

use std::collections::BTreeMap;

use alluvium_state_api::format::{FileForm, StateFile};
use alluvium_state_api::snapshot::{EntryCount, KeyedSnapshot, SnapshotFile, StateSummary};
use alluvium_state_api::storage::SnapshotSource;
use alluvium_state_api::{Error, KeyGroupRange, Result};

use super::file::{self, Content};
use super::replay::Replay;
use super::{FileVerdict, StateVerdict, Verification};

/// Which subtask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) operator: &'a str,
    pub(super) subtask: u32,
    pub(super) source: &'a dyn SnapshotSource,
}

/// Entries and digest of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) entries: u64,
    pub(super) digest: u128,
}

/// What the files of a subtask hold, by the name of the state.
pub(super) type Contents = BTreeMap<Box<str>, Held>;

/// Checks all files of a subtask, and what they hold together.
pub(super) fn verify(place: Place<'_>, snapshot: &KeyedSnapshot, found: &mut Verification) {
    let mut readable = Some(Vec::new());
    for file in &snapshot.files {
        let checked = file::verify(place.source, snapshot, file);
        found.files.push(FileVerdict {
            operator: place.operator.to_owned(),
            subtask: place.subtask,
            name: file::name(file),
            form: checked.as_ref().map_or("unknown", Content::form),
            bytes: file.stored.length,
            ok: checked.is_ok(),
        });
        match checked {
            Ok(Content::State(state)) => {
                if let Some(files) = &mut readable {
                    files.push((file, state));
                }
            }
            Ok(Content::Native) => readable = None,
            Err(error) => {
                readable = None;
                let name = file::name(file);
                found.problems.push(format!("{}, file {name}: {error}", place.name()));
            }
        }
    }
    let contents = readable.map(|files| contents(&files));
    let contents = match contents {
        Some(Err(error)) => {
            found.problems.push(format!("{}: {error}", place.name()));
            None
        }
        Some(Ok(contents)) => Some(contents),
        None => None,
    };
    compare(place, snapshot, contents.as_ref(), found);
}

impl Place<'_> {
    fn name(self) -> String {
        format!("operator {:?}, subtask {}", self.operator, self.subtask)
    }
}

fn compare(
    place: Place<'_>,
    snapshot: &KeyedSnapshot,
    contents: Option<&Contents>,
    found: &mut Verification,
) {
    for summary in &snapshot.states {
        let name = &summary.meta.name;
        let held = contents.map(|held| held.get(name).copied().unwrap_or_default());
        let problem = held.and_then(|held| difference(summary, held));
        found.states.push(StateVerdict {
            operator: place.operator.to_owned(),
            subtask: place.subtask,
            state: name.to_string(),
            kind: summary.meta.kind.name(),
            entries: summary.entries.get(),
            digest: summary.digest.map(|digest| digest.to_string()),
            compared: held.is_some(),
            ok: problem.is_none(),
        });
        if let Some(problem) = problem {
            found.problems.push(format!("{}, state {name}: {problem}", place.name()));
        }
    }
    for name in contents.into_iter().flat_map(Contents::keys) {
        if !snapshot.states.iter().any(|summary| summary.meta.name == *name) {
            let problem = format!("{}: a state {name} that the metadata lacks", place.name());
            found.problems.push(problem);
        }
    }
}

/// How the content differs from what was recorded.
fn difference(summary: &StateSummary, held: Held) -> Option<String> {
    if let EntryCount::Exact(entries) = summary.entries
        && entries != held.entries
    {
        return Some(format!("{} entries instead of {entries}", held.entries));
    }
    let digest = summary.digest?;
    (digest.0 != held.digest)
        .then(|| format!("content digest {:032x} instead of {digest}", held.digest))
}

/// What files hold together: summed up from their indexes where they do not overlap, else by
/// applying them one after the other.
fn contents(files: &[(&SnapshotFile, Box<StateFile>)]) -> Result<Contents> {
    let full = files.iter().all(|(_, file)| file.spec().form != FileForm::Increment);
    if full && are_disjoint(files.iter().flat_map(|(file, _)| &file.live)) {
        return Ok(summed(files));
    }
    let mut replay = Replay::default();
    for (file, state) in files {
        for live in &file.live {
            replay.apply(state, *live).map_err(|error: Error| error.with_path(file::name(file)))?;
        }
    }
    Ok(replay.contents())
}

fn summed(files: &[(&SnapshotFile, Box<StateFile>)]) -> Contents {
    let mut contents = Contents::new();
    for (file, state) in files {
        for live in &file.live {
            for (meta, totals) in state.spec().states.iter().zip(state.totals(*live)) {
                let held = contents.entry(meta.name.clone()).or_default();
                held.entries = held.entries.saturating_add(totals.entries);
                held.digest = held.digest.wrapping_add(totals.digest.0);
            }
        }
    }
    contents
}

fn are_disjoint<'a>(ranges: impl Iterator<Item = &'a KeyGroupRange>) -> bool {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|range| range.start());
    ranges.windows(2).all(|pair| match pair {
        [left, right] => left.end() <= right.start(),
        _ => true,
    })
}
