//! Snapshots while accesses go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{KeyHash, KeyedStore, StableHash};

use super::latency::{Latencies, Pace};
use super::report::Snapshot;
use crate::Outcome;
use crate::clock::{Stopwatch, timed};
use crate::disk::Disk;
use crate::workload::player::PlayedKey;
use crate::workload::{Access, Player};

/// Takes a snapshot of this kind on a second thread, and plays `accesses` until it is done; how many
/// were played. The snapshot is confirmed.
pub(super) fn take<S: KeyedStore, K: PlayedKey>(
    player: &mut Player<S, K>,
    kind: (&'static str, SnapshotKind),
    disk: &mut Disk,
    (pace, accesses): (Pace, &[Access]),
) -> Outcome<(Snapshot, usize)>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    let attempt = disk.begin()?;
    let request = SnapshotRequest::new(attempt.id, kind.1);
    let (task, sync_s) = timed(|| player.backend.snapshot(&request));
    let task = task?;
    let (done, mut latencies) = (AtomicBool::new(false), Latencies::new()?);
    let (taken, played) = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let watch = Stopwatch::start();
            let taken = attempt.run(task);
            let seconds = watch.seconds();
            done.store(true, Ordering::Release);
            taken.map(|taken| (taken, seconds))
        });
        let goes_on = || !done.load(Ordering::Acquire);
        let played = pace.play(player, accesses, &mut latencies, goes_on);
        (worker.join(), played)
    });
    let (taken, async_s) = taken.map_err(|_panic| "the snapshot's thread panicked")??;
    let played = played?;
    player.backend.checkpoint_completed(attempt.id)?;
    let snapshot = Snapshot {
        kind: kind.0,
        sync_ms: sync_s * 1e3,
        async_ms: async_s * 1e3,
        bytes_new: taken.bytes_new,
        bytes_full: taken.bytes_full,
        files: taken.files.len(),
        latencies,
    };
    Ok((snapshot, played))
}
