//! What a sequence consists of, and how it is generated.
//!
//! A step is decoded from a few small numbers, so that generating is cheap and shrinking goes towards
//! the first key, the first window, the simplest operation.

use proptest::prelude::*;

use crate::snapshot::{Compression, SnapshotKind};

/// How many keys there are.
pub(in crate::testkit) const KEYS: u8 = 10;
/// How many namespaces there are.
pub(super) const WINDOWS: u8 = 3;
/// How many texts there are.
pub(super) const TEXTS: u8 = 6;

/// What happens to the tasks of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All run at once.
    Now,
    /// They are held.
    Later,
    /// They are dropped.
    Dropped,
    /// One is cancelled, the others run.
    Cancelled,
    /// The storage of one fails at the n-th operation, the others run.
    Failing(u8),
}

/// The states whose namespaces can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mergeable {
    /// The list.
    Events,
    /// The reducing state.
    Fold,
    /// The aggregating state.
    Trail,
}

/// One step. Keys, windows and texts are indexes into small tables; `None` clears or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named after what they are")]
pub enum Step {
    /// Reads everything that a key has.
    Look { key: u8 },
    /// Value without namespace.
    Count { key: u8, value: Option<u8> },
    /// Read-modify-write that clears at a certain value.
    Bump { key: u8 },
    /// Value in a namespace.
    Name { key: u8, window: u8, text: Option<u8> },
    /// Appends to a list.
    Log { key: u8, texts: Vec<u8> },
    /// Replaces a list.
    SetLog { key: u8, texts: Vec<u8> },
    /// Appends to a list in a namespace, or clears it.
    Events { key: u8, window: u8, values: Option<Vec<u8>> },
    /// Reducing state.
    Sum { key: u8, value: Option<u8> },
    /// Reducing state in a namespace.
    Fold { key: u8, window: u8, value: Option<u8> },
    /// Aggregating state in a namespace.
    Trail { key: u8, window: u8, value: Option<u8> },
    /// Inserts into a map, or removes from it.
    Page { key: u8, page: u8, value: Option<u8> },
    /// Read-modify-write of a map entry.
    BumpPage { key: u8, page: u8 },
    /// Keeps the even values of a map and doubles them.
    RetainPages { key: u8 },
    /// Clears a map.
    ClearPages { key: u8 },
    /// Inserts into a map in a namespace, or removes from it.
    Grid { key: u8, window: u8, entry: u8, text: Option<u8> },
    /// Clears a map in a namespace.
    ClearGrid { key: u8, window: u8 },
    /// Merges namespaces.
    Merge { what: Mergeable, key: u8, target: u8, sources: Vec<u8> },
    /// Batched reads.
    ReadMany { keys: Vec<u8> },
    /// Batched updates.
    BumpMany { keys: Vec<u8> },
    /// Batched folds.
    SumMany { keys: Vec<u8> },
    /// Takes a snapshot in all subtasks.
    Snapshot { kind: SnapshotKind, compression: Compression, fate: Fate },
    /// Decides about a snapshot that was held.
    Finish { which: u8, fate: Fate },
    /// Tells the stores that a checkpoint completed; again, perhaps, or late.
    Complete { which: u8 },
    /// Tells the stores that a checkpoint was aborted, whether its tasks have run or not.
    Abort { which: u8 },
    /// Notifies of a checkpoint that nobody knows.
    Unknown { complete: bool },
    /// Replaces the stores by ones that are restored from a completed snapshot.
    Restore { which: u8, parallelism: u8, as_base: bool, look: bool },
    /// Compares everything.
    Compare,
}

/// Relative frequencies of the kinds of steps, in the order of [`decode`].
const WEIGHTS: [u8; 27] =
    [4, 8, 8, 6, 8, 3, 8, 6, 9, 8, 9, 4, 2, 3, 7, 3, 9, 3, 4, 3, 10, 5, 8, 2, 1, 5, 1];

/// Any step.
pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let total: u8 = WEIGHTS.iter().sum();
    (0..total, 0..KEYS, 0..WINDOWS, any::<u8>(), any::<u16>()).prop_map(
        |(pick, key, window, small, bits)| {
            let mut rest = pick;
            let kind = WEIGHTS.iter().position(|weight| match rest.checked_sub(*weight) {
                Some(left) => {
                    rest = left;
                    false
                }
                None => true,
            });
            decode(kind.unwrap_or(0), key, window, small, bits)
        },
    )
}

/// Up to `most` numbers below `limit`.
fn few(mut bits: u16, limit: u8, most: u16) -> Vec<u8> {
    let count = bits % (most + 1);
    bits /= most + 1;
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(u8::try_from(bits % u16::from(limit)).unwrap_or(0));
        bits = (bits / u16::from(limit)) ^ bits.rotate_left(7);
    }
    numbers
}

fn fate(small: u8, later: Fate) -> Fate {
    match small % 16 {
        0..=7 => Fate::Now,
        8..=11 => later,
        12 | 13 => Fate::Failing(small / 16),
        14 => Fate::Cancelled,
        _ => Fate::Dropped,
    }
}

fn decode(kind: usize, key: u8, window: u8, small: u8, bits: u16) -> Step {
    let [low, high] = bits.to_le_bytes();
    // Few keys have windows, so that those of one key are often filled together.
    let windowed = matches!(kind, 3 | 6 | 8 | 9 | 14..=16);
    let key = if windowed { key % 3 } else { key };
    let value = (small % 6 != 5).then_some(low % 7);
    let text = (small % 6 != 5).then_some(low % TEXTS);
    match kind {
        1 => Step::Count { key, value },
        2 => Step::Bump { key },
        3 => Step::Name { key, window, text },
        4 => Step::Log { key, texts: few(bits, TEXTS, 3) },
        5 => Step::SetLog { key, texts: few(bits, TEXTS, 3) },
        6 => Step::Events { key, window, values: (small % 5 != 4).then(|| few(bits, 7, 3)) },
        7 => Step::Sum { key, value },
        8 => Step::Fold { key, window, value },
        9 => Step::Trail { key, window, value },
        10 => Step::Page { key, page: high % TEXTS, value },
        11 => Step::BumpPage { key, page: high % TEXTS },
        12 => Step::RetainPages { key },
        13 => Step::ClearPages { key },
        14 => Step::Grid { key, window, entry: high % 4, text },
        15 => Step::ClearGrid { key, window },
        16 => {
            let what = match small % 3 {
                0 => Mergeable::Events,
                1 => Mergeable::Fold,
                _ => Mergeable::Trail,
            };
            Step::Merge { what, key, target: window, sources: few(bits, WINDOWS, 4) }
        }
        17 => Step::ReadMany { keys: few(bits, KEYS, 12) },
        18 => Step::BumpMany { keys: few(bits, KEYS, 12) },
        19 => Step::SumMany { keys: few(bits, KEYS, 12) },
        20 => Step::Snapshot {
            kind: match low % 5 {
                0..=2 => SnapshotKind::Incremental,
                3 => SnapshotKind::Full,
                _ => SnapshotKind::Canonical,
            },
            compression: *Compression::ALL.get(usize::from(high)).unwrap_or(&Compression::None),
            fate: fate(small, Fate::Later),
        },
        21 => Step::Finish { which: low, fate: fate(small, Fate::Now) },
        22 => Step::Complete { which: low / 64 },
        23 => Step::Abort { which: low },
        24 => Step::Unknown { complete: small.is_multiple_of(2) },
        25 => Step::Restore {
            which: low / 64,
            parallelism: 1 + high % 3,
            as_base: !small.is_multiple_of(4),
            look: small % 8 < 4,
        },
        26 => Step::Compare,
        _ => Step::Look { key },
    }
}
