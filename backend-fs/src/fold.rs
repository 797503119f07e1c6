//! Which key groups an increment writes in full.
//!
//! # Why
//! A restore reads what was overwritten, too, and asks segments that have nothing. To merge all of them
//! now and then is a spike in bytes and time; so each increment takes up everything that a few key
//! groups have in older segments, which then no longer count for these.
//!
//! # Cost
//! Where c bytes change between checkpoints, about `c * 100 / (2 * MOST_PERCENT)` more are written, and at
//! most [`MOST_FOLDED`] times c. Where that is less than a key group costs, one is folded at one of so many
//! checkpoints that they pay for it together. So few large key groups are folded, too.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_state_api::{CheckpointId, KeyGroup, KeyGroupRange};

use crate::member::Member;

/// What newer segments may have, in percent of what the oldest one of each key group has.
const MOST_PERCENT: u64 = 21;
/// Bytes that may be written in full, for each that changed.
const MOST_FOLDED: u64 = 4;

/// What a key group has.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    group: KeyGroup,
    /// In the oldest segment.
    oldest: u64,
    newer: u64,
}

/// The key groups of `all` (oldest first) to fold into the increment of so many bytes that a checkpoint
/// writes, ascending.
pub(crate) fn worth_folding(
    all: &[Arc<Member>],
    range: KeyGroupRange,
    (checkpoint, changed): (CheckpointId, u64),
) -> Vec<KeyGroupRange> {
    let chosen = choose(bytes_by_group(all, range), (checkpoint.get(), changed));
    range.runs_where(|group| chosen.contains(&group))
}

fn choose(mut groups: Vec<Bytes>, (checkpoint, changed): (u64, u64)) -> BTreeSet<KeyGroup> {
    let sum = |of: fn(&Bytes) -> u64| groups.iter().map(of).fold(0, u64::saturating_add);
    let most = sum(|group| group.oldest) / 100 * MOST_PERCENT;
    // What changed is newer, too.
    let mut newer = sum(|group| group.newer).saturating_add(changed);
    let mut budget = changed.saturating_mul(MOST_FOLDED);
    // By what is gained, in percent of what it costs.
    groups.sort_by_key(|group| Reverse(group.newer.saturating_mul(100) / group.oldest.max(1)));
    // Multiples of the golden section are spread evenly over 0 to 1, here 2^32, also every second one of them.
    let lot = checkpoint.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let mut chosen = BTreeSet::new();
    for group in groups.iter().filter(|group| group.newer > 0) {
        let cost = group.oldest.saturating_add(group.newer);
        let its_turn = || u128::from(lot) * u128::from(cost) < u128::from(budget) << 32;
        if newer <= most || (cost > budget && !(chosen.is_empty() && its_turn())) {
            break;
        }
        newer = newer.saturating_sub(group.newer);
        budget = budget.saturating_sub(cost);
        chosen.insert(group.group);
    }
    chosen
}

fn bytes_by_group(all: &[Arc<Member>], range: KeyGroupRange) -> Vec<Bytes> {
    let mut groups: Vec<Bytes> =
        range.iter().map(|group| Bytes { group, oldest: 0, newer: 0 }).collect();
    let index = |group: KeyGroup| usize::from(group.index().saturating_sub(range.start()));
    for member in all {
        let mut here = vec![0u64; groups.len()];
        for section in member.segment().state_file().sections() {
            if range.contains(section.group)
                && member.is_live(section.group)
                && let Some(bytes) = here.get_mut(index(section.group))
            {
                *bytes = bytes.saturating_add(section.stored_bytes());
            }
        }
        for (group, bytes) in groups.iter_mut().zip(here) {
            let to = if group.oldest == 0 { &mut group.oldest } else { &mut group.newer };
            *to = to.saturating_add(bytes);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What increments of so many bytes per key group wrote at most, and the most that was newer, both in
    /// percent of what all key groups have.
    fn run(groups: u16, whole: u64, changed: u64) -> (u64, u64) {
        let group = |group| Bytes { group: KeyGroup::new(group), oldest: whole, newer: 0 };
        let mut all: Vec<Bytes> = (0..groups).map(group).collect();
        let percent = |bytes: u64| bytes * 100 / (whole * u64::from(groups));
        let (mut most_written, mut most_newer) = (0, 0);
        for checkpoint in 1..=400 {
            let chosen = choose(all.clone(), (2 * checkpoint, changed * u64::from(groups)));
            for group in &mut all {
                let folded = chosen.contains(&group.group);
                group.newer = if folded { 0 } else { group.newer + changed };
            }
            let written = chosen.len() as u64 * whole + changed * u64::from(groups);
            most_written = most_written.max(percent(written));
            most_newer = most_newer.max(percent(all.iter().map(|group| group.newer).sum()));
        }
        (most_written, most_newer)
    }

    #[test]
    fn what_is_newer_stays_a_fraction_whatever_the_number_of_key_groups() {
        for (groups, most) in [(1, 110), (2, 70), (4, 45), (16, 30), (128, 26)] {
            for changed in [1, 10, 50] {
                let (written, newer) = run(groups, 1000, changed);
                assert!(newer <= most, "{newer} % are newer, of {groups} groups after {changed}");
                let one = 100 / u64::from(groups) + changed / 10;
                let few = changed / 2 + 1;
                assert!(written <= one.max(few), "{written} % at once, of {groups} groups");
            }
        }
    }
}
