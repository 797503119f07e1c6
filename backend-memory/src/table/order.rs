//! The order in which a plain entry is changed, and the one in which it is copied meanwhile.
//!
//! # Role
//! While a snapshot copies entries that own nothing, the writer goes on changing their values in place,
//! without a lock, and without a version that either side would have to load from a cache line of its own:
//! the generation byte, which the probe has loaded with the tags, serves as one. It never returns to what
//! it was, and the two sides go over it in opposite directions.
//!
//! # Invariants
//! Z1. The first change of an entry in an epoch keeps the entry in the logs of all snapshots that may
//!     need it, then sets its generation, and then its value ([`before_change`]). Later changes in that
//!     epoch come behind the generation, too.
//! Z2. A copy takes values, then generations, and only then looks at the end of the log ([`copy`]).
//! Z3. So a copy with a generation from before a change has the value from before it, all of it; and who
//!     copied the generation of a change finds its record in the log.

use crate::sync::{Ordering, fence};

/// What precedes the first change of an entry's value in an epoch (Z1). Does not go on, and returns
/// `false`, where the entry could not be kept.
#[inline]
pub(super) fn before_change(keep: impl FnOnce() -> bool, set_generation: impl FnOnce()) -> bool {
    let kept = keep();
    if kept {
        fence(Ordering::Release);
        set_generation();
        fence(Ordering::Release);
    }
    kept
}

/// Copies entries that may be changing (Z2).
pub(super) fn copy(values: impl FnOnce(), generations: impl FnOnce()) {
    values();
    fence(Ordering::Acquire);
    generations();
    fence(Ordering::Acquire);
}
