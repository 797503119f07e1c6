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

/// Bytes outside the slots at which a shard splits.
pub(super) const SPLIT_BYTES: usize = 64 << 10;

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

/// Should the shard be split, rather than grow?
pub(super) fn wants_split(meta: &Meta) -> bool {
    let limit = SPLIT_MIN.saturating_add(stagger(meta, SPLIT_MAX - SPLIT_MIN));
    meta.len >= limit || (meta.bytes > SPLIT_BYTES && meta.len >= SPLIT_BYTES_MIN)
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

/// Depth of a table that is to take `len` entries.
pub(super) fn depth_for(len: usize) -> u32 {
    let shards = len / (SPLIT_MIN as usize);
    if shards == 0 { 0 } else { shards.ilog2().min(ROUTE_BITS) }
}
