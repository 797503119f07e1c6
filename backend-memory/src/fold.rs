//! Which key groups an increment writes in full.
//!
//! # Why
//! Entries that an increment overwrites stay behind in older files, where a restore reads them, too.
//! Instead of rewriting everything now and then, each increment writes *some key groups in full*: those
//! with the most such garbage, so that what a restore reads stays near [`MOST_READ_PERCENT`] of the state,
//! and those that were not written for so long that a chain would have more than [`MOST_FILES`] files.
//!
//! # Cost
//! With c % changed per checkpoint about 2c % more, and with next to no change what it takes to write each
//! key group once in dozens of increments. No increment pays for others:
//! * F1. For garbage it writes [`MOST_FOLDED`] times what changed at most; but one key group at least, once
//!   what is too much would have paid for it.
//! * F2. For the number of files it writes `1 / (MOST_FILES - MANY_FILES)` of the key groups at most.

use std::cmp::Reverse;

use alluvium_state_api::{KeyGroup, KeyGroupRange};

use crate::chain::{Base, ChainFile};

/// What a restore may read, in percent of a full snapshot, where changes pay for it (F1).
const MOST_READ_PERCENT: u64 = 121;
/// Bytes that may be written in full for the sake of garbage, for each that changed.
const MOST_FOLDED: u64 = 4;

/// Files in a chain from which on the oldest key groups are written anew, and at most.
const MANY_FILES: u64 = 32;
const MOST_FILES: u64 = 64;

/// What an increment writes, and what it keeps of its base.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By key group of the range: is it written in full?
    pub(crate) full: Vec<bool>,
    /// The files of the base that still count.
    pub(crate) kept: Vec<ChainFile>,
}

impl Plan {
    /// That of an increment that holds what changed and nothing else, and keeps no files.
    pub(crate) fn changes_alone(range: KeyGroupRange) -> Self {
        Self { full: vec![false; usize::from(range.len())], kept: Vec::new() }
    }
}

/// What a key group has in the chain.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Which of the range.
    at: usize,
    bytes: u64,
    /// What it has in full, about: what the newest full pass over it wrote, or all of it where that is little.
    whole: u64,
    /// Files that count for it.
    files: u64,
    full: bool,
}

impl Group {
    fn of(base: &Base, range: KeyGroupRange, at: usize, group: KeyGroup) -> Self {
        let live = base.files.iter().filter(|file| file.is_live(group));
        let bytes = live.clone().map(|file| file.live_bytes(range, group)).sum();
        let written = base.files.iter().filter_map(|file| file.group_bytes.get(at)).copied();
        let (whole, files) = (written.max().unwrap_or(0), live.count() as u64);
        Self { at, bytes, whole, files, full: false }
    }
}

/// The key groups of a chain.
#[derive(Debug)]
pub(crate) struct Groups(Vec<Group>);

impl Groups {
    /// Those of the chain of `base`.
    pub(crate) fn of(base: &Base, range: KeyGroupRange) -> Self {
        let groups = range.iter().enumerate();
        Self(groups.map(|(at, group)| Group::of(base, range, at, group)).collect())
    }

    /// Bytes that a full snapshot would have had at the time of the base.
    pub(crate) fn full_bytes(&self) -> u64 {
        self.0.iter().map(|group| group.whole).fold(0, u64::saturating_add)
    }

    /// The plan of an increment on `base`, of which these are the groups, with about so many changed bytes.
    pub(crate) fn plan(mut self, base: &Base, range: KeyGroupRange, changed: u64) -> Plan {
        self.fold_garbage(changed);
        self.fold_oldest();
        let full = self.full();
        let kept = base.files.iter().filter_map(|file| file.without(range, &full)).collect();
        Plan { full, kept }
    }

    /// Chooses those with the most garbage (F1).
    fn fold_garbage(&mut self, changed: u64) {
        let full_bytes = self.full_bytes();
        let share = |whole: u64| {
            let share = u128::from(changed) * u128::from(whole) / u128::from(full_bytes.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let sum = self.0.iter().map(|group| group.bytes).fold(changed, u64::saturating_add);
        let most = full_bytes.saturating_mul(MOST_READ_PERCENT) / 100;
        let mut excess = sum.saturating_sub(most);
        let mut budget = changed.saturating_mul(MOST_FOLDED);
        let mut first = excess.saturating_mul(MOST_FOLDED);
        let garbage = |group: &Group| {
            let bytes = group.bytes.saturating_add(share(group.whole));
            bytes.saturating_sub(group.whole)
        };
        let gain = |group: &Group| garbage(group).saturating_mul(1000) / group.whole.max(1);
        self.0.sort_by_key(|group| Reverse(gain(group)));
        for group in &mut self.0 {
            let (garbage, cost) = (garbage(group), group.whole.saturating_sub(share(group.whole)));
            if excess == 0 || garbage == 0 || cost > budget.max(first) {
                break;
            }
            group.full = true;
            excess = excess.saturating_sub(garbage);
            (budget, first) = (budget.saturating_sub(cost), 0);
        }
    }

    /// Chooses those for which the most files count, so many that the number of these stays within its
    /// bound though no increment after this one chooses more of them than its share (F2): of the others, the
    /// i-th may have `MOST_FILES - i / share` files, as it will be its turn in so many increments. What has
    /// nothing costs nothing, but holds files, too.
    fn fold_oldest(&mut self) {
        let most_files = self.0.iter().map(|group| group.files).max().unwrap_or(0);
        let (mut left, empty): (Vec<Group>, Vec<Group>) =
            self.0.iter().filter(|group| !group.full).partition(|group| group.bytes > 0);
        let groups = self.0.len().saturating_sub(empty.len()) as u64;
        let share_of = |files: u64| {
            let share = files.saturating_mul(groups) / (MOST_FILES - MANY_FILES);
            usize::try_from(share).unwrap_or(usize::MAX)
        };
        left.sort_by_key(|group| Reverse((group.files, group.bytes)));
        let late = |(i, group): (usize, &Group)| {
            (i + 1).saturating_sub(share_of(MOST_FILES.saturating_sub(group.files)))
        };
        let due = left.iter().enumerate().map(late).max().unwrap_or(0);
        left.truncate(due);
        if most_files >= MANY_FILES {
            left.extend(empty);
        }
        for group in &mut self.0 {
            group.full |= left.iter().any(|due| due.at == group.at);
        }
    }

    /// By key group of the range, what was chosen.
    fn full(&self) -> Vec<bool> {
        let mut full = vec![false; self.0.len()];
        for group in &self.0 {
            if let Some(full) = full.get_mut(group.at) {
                *full = group.full;
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alluvium_state_api::CheckpointId;
    use alluvium_state_api::snapshot::{FileFormat, FileLocation, SnapshotFile, StoredFile};

    use super::*;

    const GROUP: u64 = 10_000;

    /// A chain of a store whose state stays as large as it is.
    struct Chain {
        range: KeyGroupRange,
        /// By key group.
        whole: Vec<u64>,
        files: Vec<ChainFile>,
    }

    /// What came of an increment, in parts per thousand of a full snapshot.
    #[derive(Clone, Copy, Debug)]
    struct Outcome {
        written: u64,
        read: u64,
        files: usize,
    }

    impl Chain {
        fn of(groups: u16) -> Self {
            Self::of_some(groups, 1)
        }

        /// Of these key groups only one in so many has entries.
        fn of_some(groups: u16, one_in: u16) -> Self {
            let range = KeyGroupRange::new(10, 10 + groups).unwrap();
            let whole = (0..groups).map(|at| if at % one_in == 0 { GROUP } else { 0 });
            let mut chain = Self { range, whole: whole.collect(), files: Vec::new() };
            chain.push(chain.whole.clone());
            chain
        }

        fn push(&mut self, bytes: Vec<u64>) {
            let location = FileLocation::Inline(Arc::new([]));
            let length = bytes.iter().sum();
            let file = SnapshotFile {
                stored: StoredFile { location, length, checksum: 0 },
                frame_checksum: None,
                format: FileFormat::State,
                label: "".into(),
                live: vec![self.range],
            };
            self.files.push(ChainFile { file, group_bytes: bytes.into() });
        }

        /// An increment after so many parts per thousand changed.
        fn increment(&mut self, changed: u64) -> Outcome {
            let files = std::mem::take(&mut self.files);
            let base = Base::new(CheckpointId::new(1), Vec::new(), files).unwrap();
            let state = self.whole.iter().sum::<u64>();
            let groups = Groups::of(&base, self.range);
            let plan = groups.plan(&base, self.range, state * changed / 1000);
            self.files = plan.kept;
            let bytes = plan.full.iter().zip(&self.whole);
            let bytes = bytes.map(|(full, all)| if *full { *all } else { all * changed / 1000 });
            self.push(bytes.collect());
            let bytes = |file: &ChainFile| {
                self.range.iter().map(|group| file.live_bytes(self.range, group)).sum::<u64>()
            };
            Outcome {
                written: self.files.last().map(bytes).unwrap() * 1000 / state,
                read: self.files.iter().map(bytes).sum::<u64>() * 1000 / state,
                files: self.files.len(),
            }
        }

        fn increments(&mut self, changed: u64, count: usize) -> Vec<Outcome> {
            (0..count).map(|_| self.increment(changed)).collect()
        }
    }

    fn most<T: Ord>(all: &[Outcome], of: impl Fn(&Outcome) -> T) -> T {
        all.iter().map(of).max().unwrap()
    }

    fn average_written(all: &[Outcome]) -> u64 {
        all.iter().map(|one| one.written).sum::<u64>() / all.len() as u64
    }

    #[test]
    fn churn_stays_within_the_bounds() {
        for (changed, average, single) in
            [(1, 16, 33), (10, 34, 50), (50, 160, 250), (200, 600, 840), (1000, 1000, 1000)]
        {
            let all = Chain::of(128).increments(changed, 400);
            let (read, files) = (most(&all, |one| one.read), most(&all, |one| one.files));
            assert!(read <= 1215, "a restore reads {read} after changes of {changed}");
            assert!(files <= 64, "{files} files after changes of {changed}");
            let (written, largest) = (average_written(&all), most(&all, |one| one.written));
            assert!(written <= average, "{written} are written on average for {changed}");
            assert!(largest <= single, "{largest} are written at once for {changed}");
        }
    }

    #[test]
    fn no_increment_pays_for_those_before_it() {
        for large in [100, 200, 500, 1000] {
            let mut chain = Chain::of(128);
            for _ in 0..10 {
                chain.increments(large, 3);
                let small = most(&chain.increments(1, 5), |one| one.written);
                assert!(small <= 10, "{small} are written for 1 after {large}");
                let some = most(&chain.increments(10, 5), |one| one.written);
                assert!(some <= 60, "{some} are written for 10 after {large}");
            }
        }
    }

    #[test]
    fn small_changes_pay_for_their_garbage_together() {
        let mut chain = Chain::of(128);
        chain.increment(200);
        let all = chain.increments(1, 31);
        let read = most(&all, |one| one.read);
        assert!(read <= 1215, "a restore reads {read}");
    }

    #[test]
    fn few_key_groups_are_written_one_at_a_time() {
        for groups in [1, 2, 4, 8, 31, 33] {
            for changed in [1, 10] {
                let all = Chain::of(groups).increments(changed, 400);
                let one = 1000 / u64::from(groups);
                let largest = most(&all, |one| one.written);
                assert!(largest <= changed + one + 33, "{largest} at once of {groups} groups");
                let written = average_written(&all);
                assert!(written <= 35 + changed, "{written} on average of {groups} groups");
                let (read, files) = (most(&all, |one| one.read), most(&all, |one| one.files));
                assert!(read <= 1330 && files <= 64, "{read} in {files} files of {groups} groups");
            }
        }
    }

    #[test]
    fn key_groups_without_entries_cost_nothing() {
        let all = Chain::of_some(128, 32).increments(1, 400);
        let (files, largest) = (most(&all, |one| one.files), most(&all, |one| one.written));
        assert!(files <= 64, "{files} files");
        assert!(largest <= 251, "{largest} are written at once");
        assert!(average_written(&all) <= 20, "{} on average", average_written(&all));
    }
}
