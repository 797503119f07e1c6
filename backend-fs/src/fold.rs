//! Which key groups an increment writes in full.
//!
//! # Why
//! A restore reads what was overwritten, too, and asks segments that have nothing. To merge all of them
//! now and then is a spike in bytes and time; so each increment takes up everything that a few key
//! groups have in older segments, which then no longer count for these.
//!
//! # Cost
//! Where c bytes change between checkpoints, about `c * 100 / (2 * MOST_PERCENT)` more are written, and at
//! most [`MOST_FOLDED`] times c.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_state_api::{KeyGroup, KeyGroupRange};

use crate::member::Member;

/// What newer segments may have, in percent of what the oldest one of each key group has.
const MOST_PERCENT: u64 = 22;
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

/// The key groups of `all` (oldest first) to fold into an increment of so many bytes, ascending.
pub(crate) fn worth_folding(
    all: &[Arc<Member>],
    range: KeyGroupRange,
    changed: u64,
) -> Vec<KeyGroupRange> {
    let mut groups = bytes_by_group(all, range);
    let sum = |of: fn(&Bytes) -> u64| groups.iter().map(of).fold(0, u64::saturating_add);
    let most = sum(|group| group.oldest) / 100 * MOST_PERCENT;
    // What changed is newer, too.
    let mut newer = sum(|group| group.newer).saturating_add(changed);
    let mut budget = changed.saturating_mul(MOST_FOLDED);
    // By what is gained, in percent of what it costs.
    groups.sort_by_key(|group| Reverse(group.newer.saturating_mul(100) / group.oldest.max(1)));
    let mut chosen = BTreeSet::new();
    for group in groups.iter().filter(|group| group.newer > 0) {
        let cost = group.oldest.saturating_add(group.newer);
        if newer <= most || cost > budget {
            break;
        }
        newer = newer.saturating_sub(group.newer);
        budget -= cost;
        chosen.insert(group.group);
    }
    range.runs_where(|group| chosen.contains(&group))
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
