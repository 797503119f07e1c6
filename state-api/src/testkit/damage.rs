//! Damaged and missing files: a sample of what [`corruption`](super::corruption) does in full.

use super::corruption::{Budget, examine, verify_files};
use super::harness::{Harness, Kit};
use crate::random::{OsRandomness, Randomness};

/// Flipped bytes, cuts, extensions, swapped and missing files: an error or the same content.
pub fn damage_is_noticed_or_changes_nothing<H: Harness>(kit: &Kit<H>) {
    let budget = Budget { flips: 1_000, seed: OsRandomness.next_u64(), memory: false };
    examine(kit, budget, verify_files).assert_good(budget);
}
