//! What the report says of each checkpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium_state_api::CheckpointId;
use alluvium_state_api::snapshot::SnapshotKind;

use super::report::{CheckpointReport, millis};
use super::subtask::Acknowledgement;

/// The figures of the checkpoints of a run.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// What is known of those under way.
    under_way: BTreeMap<CheckpointId, UnderWay>,
    /// The completed ones, in order.
    completed: Vec<CheckpointReport>,
}

#[derive(Debug)]
struct UnderWay {
    position: u64,
    given: Duration,
    sync: Duration,
    background: Duration,
    bytes_new: u64,
    bytes_full: u64,
    kind: &'static str,
}

impl Figures {
    /// A checkpoint of the records before `position` began at `given`.
    pub(super) fn began(
        &mut self,
        id: CheckpointId,
        savepoint: bool,
        position: u64,
        given: Duration,
    ) {
        let kind = if savepoint { "savepoint" } else { "full" };
        let zero = Duration::ZERO;
        let (sync, background, bytes_new, bytes_full) = (zero, zero, 0, 0);
        let figures = UnderWay { position, given, sync, background, bytes_new, bytes_full, kind };
        self.under_way.insert(id, figures);
    }

    /// A subtask's part.
    pub(super) fn take(&mut self, done: &Acknowledgement) {
        let Some(figures) = self.under_way.get_mut(&done.checkpoint) else { return };
        figures.sync = figures.sync.max(done.sync);
        figures.background = figures.background.max(done.background);
        figures.bytes_new = figures.bytes_new.saturating_add(done.snapshot.bytes_new);
        figures.bytes_full = figures.bytes_full.saturating_add(done.snapshot.bytes_full);
        if done.snapshot.kind == SnapshotKind::Incremental {
            figures.kind = "incremental";
        }
    }

    /// It is complete.
    pub(super) fn completed(&mut self, id: CheckpointId, now: Duration) -> CheckpointReport {
        let figures = self.under_way.remove(&id);
        let of = |read: fn(&UnderWay) -> u64| figures.as_ref().map_or(0, read);
        let time =
            |read: fn(&UnderWay) -> Duration| millis(figures.as_ref().map_or(Duration::ZERO, read));
        let given = figures.as_ref().map_or(now, |figures| figures.given);
        let report = CheckpointReport {
            id: id.get(),
            kind: figures.as_ref().map_or("full", |figures| figures.kind),
            position: of(|figures| figures.position),
            sync_ms: time(|figures| figures.sync),
            async_ms: time(|figures| figures.background),
            duration_ms: millis(now.saturating_sub(given)),
            bytes_new: of(|figures| figures.bytes_new),
            bytes_full: of(|figures| figures.bytes_full),
        };
        self.completed.push(report.clone());
        report
    }

    /// It will never be complete. Returns whether it was a savepoint.
    pub(super) fn aborted(&mut self, id: CheckpointId) -> bool {
        self.under_way.remove(&id).is_some_and(|figures| figures.kind == "savepoint")
    }

    /// Nothing is under way any more.
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
    }

    /// The completed ones, in order.
    pub(super) fn into_completed(self) -> Vec<CheckpointReport> {
        self.completed
    }
}
