//! [`Side`]: what a session needs of a backend or a peer besides accesses.

use alluvium_state_api::snapshot::SnapshotKind;

use super::report::Taken;
use crate::Outcome;
use crate::workload::Target;

/// Plays accesses for as long as it is told to.
pub(super) type Beside<'a, S> = &'a mut dyn FnMut(&mut S, &dyn Fn() -> bool) -> Outcome<()>;

/// See the module.
pub(super) trait Side: Target + Sized {
    /// Takes a snapshot, and has accesses played meanwhile; it is confirmed. None where there are no snapshots.
    fn snapshot(&mut self, kind: SnapshotKind, beside: Beside<'_, Self>) -> Outcome<Option<Taken>>;
}
