//! The state of one operator as a snapshot has it: all files of all subtasks, open, and their records.

use std::sync::Arc;

use alluvium_state_api::format::{StateFile, StateTotals};
use alluvium_state_api::schema::{KeyIdentity, StateMeta};
use alluvium_state_api::snapshot::{CancelToken, Digest, EntryCount, KeyedSnapshot, SnapshotFile};
use alluvium_state_api::storage::SnapshotSource;
use alluvium_state_api::{
    Error, KeyGroup, KeyGroupRange, MaxParallelism, RestorePart, Result, StateDirectory,
    open_state_file,
};

use super::gather::Gatherer;
use super::placement::Placement;

/// An open file, and the key groups that count in it.
#[derive(Debug)]
struct LiveFile {
    file: StateFile,
    live: Vec<KeyGroupRange>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Input {
    /// Subtask by subtask, oldest first.
    files: Vec<LiveFile>,
    placement: Placement,
    pub(super) key: KeyIdentity,
    pub(super) groups: MaxParallelism,
    /// The states by name.
    pub(super) states: Vec<StateMeta>,
    /// What the snapshot says of each of them.
    pub(super) expected: Vec<Expected>,
}

/// What a snapshot says of a state over all subtasks, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    entries: Option<u64>,
    digest: Option<Digest>,
}

impl Input {
    /// Opens all files of an operator, whose `snapshots` cover its key groups.
    ///
    /// # Errors
    /// `Incompatible` for native files and for snapshots that do not belong together; `Unsupported` for
    /// keys that cannot be placed; `Corrupted`, `NotFound`, `Unavailable`.
    pub(super) fn open(
        snapshots: &[&KeyedSnapshot],
        source: &Arc<dyn SnapshotSource>,
    ) -> Result<Option<Self>> {
        let Some(first) = snapshots.first() else {
            return Ok(None);
        };
        let mut states = StateDirectory::default();
        for snapshot in snapshots {
            if snapshot.key != first.key {
                return Err(Error::incompatible(format!(
                    "keys were encoded by {} and placed by {} in one subtask, and by {} and {} in \
                     another",
                    first.key.codec, first.key.hash, snapshot.key.codec, snapshot.key.hash
                )));
            }
            for state in &snapshot.states {
                states.adopt(&state.meta)?;
            }
        }
        let placement = Placement::of(&first.key)?;
        let mut files = Vec::new();
        for snapshot in snapshots {
            for file in &snapshot.files {
                if let Some(opened) = open(snapshot, file, source, &states)? {
                    files.push(opened);
                }
            }
        }
        let states = states.metas();
        let expected = states.iter().map(|state| Expected::of(&state.name, snapshots)).collect();
        let (key, groups) = (first.key.clone(), first.groups);
        Ok(Some(Self { files, placement, key, groups, states, expected }))
    }

    /// Reads everything of the state `name` that may belong to `wanted` of the new `groups`.
    ///
    /// # Errors
    /// `Corrupted` where a key is not in the key group that it belongs to, and where files are damaged;
    /// `Cancelled`, `Unavailable`.
    pub(super) fn read(
        &self,
        name: &str,
        groups: MaxParallelism,
        wanted: KeyGroupRange,
        cancel: &CancelToken,
        gatherer: &mut Gatherer,
    ) -> Result<()> {
        for LiveFile { file, live } in &self.files {
            let Some(id) = file.spec().state_id(name) else {
                continue;
            };
            let mut blocks = file.blocks_where(|section| {
                section.state == id
                    && live.iter().any(|live| live.contains(section.group))
                    && may_meet(section.group, self.groups, wanted, groups)
            });
            while let Some(block) = blocks.next_block()? {
                cancel.check()?;
                let old = block.group();
                for record in block.records() {
                    let placement = self.placement.of_key(key_of(&record))?;
                    if self.groups.group_of(placement) != old {
                        return Err(Error::corrupted(
                            "a key lies in a key group that it does not belong to",
                        )
                        .with_key_group(old)
                        .with_state(name));
                    }
                    let group = groups.group_of(placement);
                    if wanted.contains(group) {
                        gatherer.add(group, record)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn open(
    snapshot: &KeyedSnapshot,
    file: &SnapshotFile,
    source: &Arc<dyn SnapshotSource>,
    states: &StateDirectory,
) -> Result<Option<LiveFile>> {
    if file.live.is_empty() {
        return Ok(None);
    }
    let source = Arc::clone(source);
    let part = RestorePart { snapshot: snapshot.clone(), source, base: None };
    let opened = open_state_file(&part, file)?;
    for meta in &opened.spec().states {
        let known = states.by_name().find(|(_, known)| known.name == meta.name);
        let (_, known) = known.ok_or_else(|| {
            Error::corrupted("a file has a state that its snapshot does not list")
                .with_state(meta.name.clone())
        })?;
        known.check_against(meta)?;
        if known.value.width != meta.value.width {
            let text = format!("its values are {} in a file and {} now", meta.value, known.value);
            return Err(Error::incompatible(text).with_state(meta.name.clone()));
        }
    }
    Ok(Some(LiveFile { file: opened, live: file.live.clone() }))
}

fn key_of<'a>(record: &alluvium_state_api::format::Record<'a>) -> &'a [u8] {
    use alluvium_state_api::format::Record;
    match record {
        Record::Entry(key, _) | Record::Tombstone(key) | Record::MapRemoval(key) => key.key(),
        Record::List(segment) | Record::Append(segment) => segment.key.key(),
    }
}

/// Whether some key of the old `group` can belong to `wanted` of the new groups: both are the same
/// number modulo the greatest common divisor of the numbers of groups.
fn may_meet(
    group: KeyGroup,
    old: MaxParallelism,
    wanted: KeyGroupRange,
    new: MaxParallelism,
) -> bool {
    let (mut divisor, mut rest) = (old.get(), new.get());
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let distance = (group.index() % divisor + divisor - wanted.start() % divisor) % divisor;
    distance < wanted.len()
}

impl Expected {
    fn of(name: &str, snapshots: &[&KeyedSnapshot]) -> Self {
        let mut sum = Self { entries: Some(0), digest: Some(Digest::default()) };
        let states = snapshots.iter().flat_map(|snapshot| &snapshot.states);
        for state in states.filter(|state| *state.meta.name == *name) {
            let exact = match state.entries {
                EntryCount::Exact(count) => Some(count),
                EntryCount::Estimate(_) => None,
            };
            sum.entries = sum.entries.zip(exact).map(|(sum, count)| sum.saturating_add(count));
            let digests = sum.digest.zip(state.digest);
            sum.digest = digests.map(|(sum, digest)| Digest(sum.0.wrapping_add(digest.0)));
        }
        sum
    }

    /// Compares what was written with what was said.
    ///
    /// # Errors
    /// `Corrupted` where it differs.
    pub(super) fn check(&self, written: &StateTotals) -> Result<()> {
        let right = self.entries.is_none_or(|entries| entries == written.entries)
            && self.digest.is_none_or(|digest| digest == written.digest);
        if right {
            return Ok(());
        }
        Err(Error::corrupted(format!(
            "the files hold {} entries with digest {}, and the snapshot says {self}",
            written.entries, written.digest
        )))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entries {
            Some(entries) => write!(f, "{entries}")?,
            None => write!(f, "nothing of their number")?,
        }
        match self.digest {
            Some(digest) => write!(f, " with {digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_left_out_only_where_no_key_can_meet() {
        let of = |count| MaxParallelism::new(count).unwrap();
        for (old, new) in [(128, 1), (128, 7), (128, 1000), (12, 18), (5, 5), (1, 128), (16, 64)] {
            let (old, new) = (of(old), of(new));
            for placement in 0..2_000_u32 {
                let (from, to) = (old.group_of(placement), new.group_of(placement));
                for length in [1, 2, 9] {
                    let start = to.index().saturating_sub(length - 1);
                    let end = start.saturating_add(length).min(new.get());
                    let wanted = KeyGroupRange::new(start, end).unwrap();
                    assert!(may_meet(from, old, wanted, new), "{old} {new} {placement} {wanted}");
                }
            }
        }
        // Of 16 old groups, one new one of 64 needs one.
        let one = KeyGroupRange::single(KeyGroup::new(33));
        let met: Vec<u16> =
            (0..16).filter(|g| may_meet(KeyGroup::new(*g), of(16), one, of(64))).collect();
        assert_eq!(met, [1]);
    }
}
