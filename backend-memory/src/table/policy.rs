//! When shards grow, split and shrink, and how large they become.
//!
//! # Role
//! Uniform keys fill all shards at the same pace. If all had the same limits, all would split at
//! the same moment, and memory per entry would swing by a factor of two. So both limits vary from
//! shard to shard, and at any size of the table some have just grown and others are nearly full.
//!
//! # Invariants
//! P1. No shard has more entries than [`SPLIT_MAX`] for long, unless splitting cannot help: with
//!     keys whose hashes collide, or that an adversary found, [`may_split`] refuses, so that the
//!     directory stays smaller than the entries that it leads to. The shard grows instead.
//! P2. A rebuilt block has room for at least one more entry.

#![expect(clippy::integer_division, reason = "sizes are rounded on purpose")]

use super::hash::ROUTE_BITS;
use super::raw::capacity;
use super::tags::WIDTH;

/// Least and most entries at which a shard splits.
const SPLIT_MIN: u32 = 1024;
const SPLIT_MAX: u32 = 2 * SPLIT_MIN;

/// Least bytes outside the slots at which a shard that is full splits; the most are half as many again.
const SPLIT_BYTES: u32 = 44 << 10;

/// Bytes outside the slots at which a shard splits though it has room.
pub(super) const MOST_BYTES: usize = 128 << 10;

/// Fewest entries at which bytes count.
const SPLIT_BYTES_MIN: u32 = 32;

/// What the writer knows of a shard without looking at it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meta {
    /// Entries.
    pub(super) len: u32,
    /// Empty slots that may be filled.
    pub(super) room: u32,
    /// Bytes that keys and values have outside the slots.
    pub(super) bytes: usize,
    /// The lowest `depth` route bits of its keys.
    pub(super) pattern: u32,
    pub(super) depth: u32,
    /// What its generations count from (`shard.rs`, D1).
    pub(super) base: u32,
}

/// A number below `below` that looks random and is the same for the same shard.
fn stagger(meta: &Meta, below: u32) -> u32 {
    let mixed = (meta.pattern ^ (meta.depth << 26)).wrapping_mul(0x9e37_79b1);
    (mixed >> 12) % below
}

/// Should the shard be split, rather than grow? Asked when it is full, so that its entries are not moved once to grow and
/// soon afterwards to be split; and before only where a snapshot would copy much more of it than of others.
pub(super) fn wants_split(meta: &Meta) -> bool {
    let limit = SPLIT_MIN.saturating_add(stagger(meta, SPLIT_MAX - SPLIT_MIN));
    let bytes = if meta.room > 0 {
        MOST_BYTES
    } else {
        SPLIT_BYTES.saturating_add(stagger(meta, SPLIT_BYTES / 2)) as usize
    };
    meta.len >= limit || (meta.bytes > bytes && meta.len >= SPLIT_BYTES_MIN)
}

/// May the shard be split, in a table of `len` entries (P1)?
pub(super) fn may_split(meta: &Meta, len: usize) -> bool {
    let worth = len / 32;
    meta.depth < ROUTE_BITS && (1_usize << meta.depth) <= worth
}

/// Groups of a block for the shard's entries and some more (P2): filled to 58 to 67 %. Fuller blocks save memory and
/// have to be left sooner: at 68 to 75 % a table took 26.5 bytes for two numbers instead of 28.1, and a new key a fifth to
/// a third longer, since each is moved 5 times on its way, not 3.
pub(super) fn groups_for(meta: &Meta) -> u32 {
    let percent = 58_u32.saturating_add(stagger(meta, 10));
    let slots = u64::from(meta.len) * 100 / u64::from(percent);
    u32::try_from(slots / WIDTH as u64).unwrap_or(u32::MAX - 1).saturating_add(1)
}

/// Should the shard get a smaller block?
pub(super) fn wants_shrink(meta: &Meta, groups: u32) -> bool {
    groups > 2 && meta.len < capacity(groups) / 2
}

/// Bytes from which on a table is large: few in tests, so that theirs are both.
const LARGE: usize = if cfg!(test) { 1 << 16 } else { 4 << 20 };

/// Should a table that has so many bytes take its next blocks from regions (`regions.rs`)?
pub(super) fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

/// Depth of a table that is to take `len` entries with so many bytes outside the slots.
pub(super) fn depth_for(len: usize, bytes: usize) -> u32 {
    let by_bytes = (bytes / SPLIT_BYTES as usize).min(len / SPLIT_BYTES_MIN as usize);
    let shards = by_bytes.max(len / (SPLIT_MIN as usize));
    if shards == 0 { 0 } else { shards.ilog2().min(ROUTE_BITS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds entries with so many bytes outside the slots to one of sixteen shards until it has split a few times, each time
    /// going on with a half. Returns how many entries were moved for each that was added, and how many there were at splits.
    fn grown(pattern: u32, bytes: usize) -> (u32, Vec<u32>) {
        let mut meta = Meta { pattern, depth: 4, room: capacity(1), ..Meta::default() };
        let (mut added, mut moved, mut splits) = (0, 0, Vec::new());
        while splits.len() < 5 {
            if meta.room == 0 || meta.bytes > MOST_BYTES {
                moved += meta.len;
                if wants_split(&meta) {
                    splits.push(meta.len);
                    meta = Meta {
                        depth: meta.depth + 1,
                        len: meta.len / 2,
                        bytes: meta.bytes / 2,
                        ..meta
                    };
                }
                meta.room = capacity(groups_for(&meta)) - meta.len;
            }
            meta =
                Meta { len: meta.len + 1, room: meta.room - 1, bytes: meta.bytes + bytes, ..meta };
            added += 1;
        }
        (moved * 10 / added, splits)
    }

    #[test]
    fn entries_are_moved_few_times_whatever_they_hold() {
        for bytes in [0, 100, 240, 1000] {
            let (mut tenths, mut splits) = (0, Vec::new());
            for pattern in 0..16 {
                let (moved, at) = grown(pattern, bytes);
                tenths += moved;
                splits.extend(at);
            }
            assert!(tenths < 16 * 36, "{tenths} tenths of moves by 16 shards of {bytes} bytes");
            splits.sort_unstable();
            let (least, most) = (splits[0], splits[splits.len() - 1]);
            assert!(
                most * 10 > least * 13,
                "shards of {bytes} bytes split at {least} to {most} entries"
            );
            assert!(most as usize * bytes <= MOST_BYTES + bytes);
        }
    }

    #[test]
    fn a_shard_whose_values_grew_splits_before_it_is_full() {
        let meta = Meta { len: 100, room: 1, bytes: MOST_BYTES, ..Meta::default() };
        assert!(!wants_split(&meta) && wants_split(&Meta { bytes: MOST_BYTES + 1, ..meta }));
        assert!(!wants_split(&Meta { len: 31, bytes: MOST_BYTES + 1, ..meta }));
    }
}
