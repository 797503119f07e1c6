//! [`Side`]: what a session needs of a backend or a peer besides accesses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_state_api::snapshot::SnapshotKind;

use super::check::Probe;
use super::report::{Rescale, Restore, Taken};
use crate::Outcome;
use crate::clock::timed;
use crate::workload::Target;

/// What a restored side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// There is nothing to restore from.
    Nothing,
    /// What there was at the last snapshot.
    Snapshot,
    /// What there was at the end.
    End,
}

/// What restores have shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Restored {
    pub(super) restore: Option<Restore>,
    pub(super) rescale: Vec<Rescale>,
}

/// Runs `work` on a second thread and `play` on this one, which is told whether the other one goes on. What `work`
/// yields, and its seconds.
///
/// # Errors
/// Those of `play`, and where the thread panics.
pub(super) fn meanwhile<R: Send>(
    work: impl FnOnce() -> R + Send,
    play: impl FnOnce(&dyn Fn() -> bool) -> Outcome<()>,
) -> Outcome<(R, f64)> {
    let done = AtomicBool::new(false);
    let (worked, played) = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let worked = timed(work);
            done.store(true, Ordering::Release);
            worked
        });
        let played = play(&|| !done.load(Ordering::Acquire));
        (worker.join(), played)
    });
    let worked = worked.map_err(|_panic| "the snapshot's thread panicked")?;
    played?;
    Ok(worked)
}

/// Does the read of a probe.
///
/// # Errors
/// Where it reads something else.
pub(super) fn read(target: &mut impl Target, probe: &Probe) -> Outcome<()> {
    target.restart();
    target.apply(&probe.read)?;
    if target.digest() == probe.digest {
        return Ok(());
    }
    let read = probe.read;
    Err(format!("after a restore it reads something else than the plain computation: {read:?}")
        .into())
}

/// Plays accesses for as long as it is told to.
pub(super) type Beside<'a, S> = &'a mut dyn FnMut(&mut S, &dyn Fn() -> bool) -> Outcome<()>;

/// See the module.
pub(super) trait Side: Target + Sized {
    /// Takes a snapshot, and has accesses played meanwhile; it is confirmed. None where there are no snapshots.
    fn snapshot(&mut self, kind: SnapshotKind, beside: Beside<'_, Self>) -> Outcome<Option<Taken>>;

    /// Compactions, or merges of segments, that run at the moment; 0 where that is not known.
    fn compactions(&self) -> u32;

    /// What a restore would have: what there was at the last snapshot, or what there is now.
    fn stand(&self) -> Stand;

    /// Closes it, restores a fresh one from the last snapshot, and as another number of subtasks where it can be;
    /// all must read what the probes say.
    fn restore(self, probes: &[Probe]) -> Outcome<Restored>;
}
