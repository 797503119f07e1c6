//! The plain computation beside a side: whether all reads agree, and what only it can tell.
//!
//! It plays the accesses that the side has played, once, after the side is done: how many entries there were,
//! which part of the keys changed between snapshots, and what a restored side must read.

use std::collections::HashSet;

use super::source::Source;
use crate::workload::{Access, Plain, Shape, Target};
use crate::{Outcome, float};

/// The most reads of a restored side.
const MOST_READS: usize = 100_000;

/// Numbers of accesses, those that fill the state included, after which something is to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Where the state was full.
    pub(super) filled: u64,
    /// Where snapshots were taken, in their order.
    pub(super) snapshots: Vec<u64>,
    /// Where a restored side stands; none where there is none.
    pub(super) restored: Option<u64>,
}

/// A read, and the digest of what it must read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) read: Access,
    pub(super) digest: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Of all reads.
    pub(super) digest: u64,
    /// Entries where the state was full.
    pub(super) entries: u64,
    /// For each snapshot, which part of the keys that there were then had changed since the last one. A key counts
    /// once for each of its windows and kinds of state.
    pub(super) churn: Vec<Option<f64>>,
    /// In no order that follows the keys.
    pub(super) probes: Vec<Probe>,
}

impl Checked {
    /// Compares what a side has read.
    ///
    /// # Errors
    /// Where it is something else.
    pub(super) fn compare(&self, side: &impl Target) -> Outcome<()> {
        let (wanted, found) = (self.digest, side.digest());
        if wanted == found {
            return Ok(());
        }
        Err(format!(
            "it has read something else than the plain computation: {found:016x} instead of {wanted:016x}"
        )
        .into())
    }
}

/// Plays so many accesses that fill the state and that follow.
pub(super) fn play(
    source: &Source,
    shape: &Shape,
    (filled, ran): (u64, u64),
    marks: &Marks,
) -> Outcome<Checked> {
    let (fill, run) = source.accesses(shape)?;
    let all = fill.take(usize::try_from(filled)?).chain(run.take(usize::try_from(ran)?));
    let (mut plain, mut checked) = (Plain::default(), Checked::default());
    let mut changed = None::<HashSet<(u64, Option<u64>, &str)>>;
    let mut snapshots = marks.snapshots.iter().copied().peekable();
    for (number, access) in (0..).zip(all.map(Some).chain([None])) {
        if number == marks.filled {
            checked.entries = plain.entries();
        }
        while snapshots.next_if_eq(&number).is_some() {
            let part = changed.as_ref().map(|changed| {
                let held =
                    changed.iter().filter(|(key, window, state)| plain.holds(*key, *window, state));
                float(held.count() as u64) / float(plain.len().max(1) as u64)
            });
            checked.churn.push(part);
            changed = Some(HashSet::new());
        }
        if Some(number) == marks.restored {
            for read in plain.reads(MOST_READS) {
                let digest = plain.peek(&read)?;
                checked.probes.push(Probe { read, digest });
            }
        }
        let Some(access) = access else { break };
        if let Some(changed) = changed.as_mut().filter(|_| access.operation.writes()) {
            changed.insert((access.key, access.window, access.operation.state()));
        }
        plain.apply(&access)?;
    }
    checked.digest = plain.digest();
    Ok(checked)
}
