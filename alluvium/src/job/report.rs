//! What a run did and found. Serialised as it stands by `alluvium run --json`.

use std::time::Duration;

use alluvium_state_api::CheckpointId;
use serde::Serialize;

use super::audit::Audit;
use super::course::Job;
use super::spec::Course;
use crate::source::{Column, Counts};

/// The result of a run that came to its end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The backend's own name.
    pub(crate) backend: String,
    /// The input, and its columns with a role.
    pub(crate) input: String,
    pub(crate) key: String,
    pub(crate) measure: Option<String>,
    pub(crate) category: Option<String>,
    /// How it ran.
    pub(crate) mode: &'static str,
    pub(crate) parallelism: u32,
    pub(crate) rescale_to: u32,
    pub(crate) max_parallelism: u16,
    pub(crate) checkpoint_every: u64,
    /// Where checkpoints are; `None` where they were removed with the temporary directory.
    pub(crate) checkpoint_dir: Option<String>,
    /// The job's id: the name of its directory there.
    pub(crate) job: String,
    /// The checkpoint of an earlier run that this one went on from, and the record behind it.
    pub(crate) resumed_from: Option<u64>,
    pub(crate) resumed_at: Option<u64>,
    /// Records of the input, and what became of them: `read` = `records` + `skipped`.
    pub(crate) read: u64,
    /// Records that were processed.
    pub(crate) records: u64,
    pub(crate) skipped: u64,
    pub(crate) skipped_without_key: u64,
    pub(crate) skipped_not_a_bid: u64,
    /// Processed records that had no measure.
    pub(crate) without_measure: u64,
    /// The verification.
    pub(crate) keys: u64,
    pub(crate) compared: u64,
    pub(crate) mismatches: u64,
    pub(crate) mismatch_examples: Vec<String>,
    /// `records` by the wall time of processing, crash, recovery, savepoint and rescale included;
    /// the independent recomputation and the verification are not, nor records before `resumed_at`.
    pub(crate) records_per_s: f64,
    pub(crate) processing_ms: f64,
    /// Completed checkpoints and the savepoint, in order.
    pub(crate) checkpoints: Vec<CheckpointReport>,
    /// The crash, and the recovery from it; `None` where an earlier run was past it.
    pub(crate) crashed_at: Option<u64>,
    pub(crate) snapshots_dropped: u64,
    pub(crate) recovered_from: Option<u64>,
    pub(crate) records_replayed: u64,
    pub(crate) recovery_ms: f64,
    /// The savepoint, and the rescale from it; `None` where an earlier run was past it.
    pub(crate) savepoint: Option<String>,
    pub(crate) rescaled_at: Option<u64>,
    pub(crate) rescale_ms: f64,
}

/// A completed checkpoint, or the savepoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CheckpointReport {
    pub(crate) id: u64,
    /// `full`, `incremental` or `savepoint`.
    pub(crate) kind: &'static str,
    /// The records that it covers, skipped ones included.
    pub(crate) position: u64,
    /// The longest synchronous part of a subtask.
    pub(crate) sync_ms: f64,
    /// The longest part in the background of a subtask.
    pub(crate) async_ms: f64,
    /// From the order until it was durable.
    pub(crate) duration_ms: f64,
    /// Bytes that it wrote.
    pub(crate) bytes_new: u64,
    /// Bytes that a restore from it reads.
    pub(crate) bytes_full: u64,
}

/// What the turning points were like.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The checkpoint of an earlier run, and its position.
    pub(super) resumed: Option<(CheckpointId, u64)>,
    pub(super) crashed_at: Option<u64>,
    pub(super) snapshots_dropped: u64,
    pub(super) recovered_from: Option<CheckpointId>,
    pub(super) records_replayed: u64,
    pub(super) recovery: Duration,
    /// Where the savepoint is, and its number.
    pub(super) savepoint: Option<String>,
    pub(super) rescaled_from: Option<CheckpointId>,
    pub(super) rescaled_at: Option<u64>,
    pub(super) rescale: Duration,
}

/// What there is to report besides what was asked for.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) backend: &'static str,
    pub(super) job: String,
    /// What the recomputation counted, and what the job did.
    pub(super) expected: Counts,
    pub(super) counts: Counts,
    /// The counts where this run began.
    pub(super) before: Counts,
    pub(super) audit: Audit,
    pub(super) turns: Turns,
    pub(super) processing: Duration,
    pub(super) checkpoints: Vec<CheckpointReport>,
}

impl Report {
    /// The report of `job`.
    pub(super) fn of(job: &Job<'_>, course: &Course, finding: Finding) -> Self {
        let Finding { counts, mut audit, turns, .. } = finding;
        if counts != finding.expected {
            let expected = finding.expected;
            audit.mismatch(|| format!("the input was read as {expected:?} and then as {counts:?}"));
        }
        let (spec, selection) = (job.spec, job.source.selection());
        let name = |column: Option<&Column>| column.map(|column| column.name.clone());
        Self {
            backend: finding.backend.to_owned(),
            input: job.source.name().to_owned(),
            key: selection.key.name.clone(),
            measure: name(selection.measure.as_ref()),
            category: name(selection.category.as_ref()),
            mode: spec.mode.name(),
            parallelism: spec.parallelism,
            rescale_to: spec.rescale_to,
            max_parallelism: spec.max_parallelism.get(),
            checkpoint_every: course.checkpoint_every,
            checkpoint_dir: spec.settings.checkpoint_dir().map(str::to_owned),
            job: finding.job,
            resumed_from: turns.resumed.map(|(id, _)| id.get()),
            resumed_at: turns.resumed.map(|(_, position)| position),
            read: counts.records,
            records: counts.kept(),
            skipped: counts.skipped(),
            skipped_without_key: counts.without_key,
            skipped_not_a_bid: counts.not_a_bid,
            without_measure: counts.without_measure,
            keys: audit.keys,
            compared: audit.compared,
            mismatches: audit.mismatches,
            mismatch_examples: audit.described,
            records_per_s: per_second(
                counts.kept().saturating_sub(finding.before.kept()),
                finding.processing,
            ),
            processing_ms: millis(finding.processing),
            checkpoints: finding.checkpoints,
            crashed_at: turns.crashed_at,
            snapshots_dropped: turns.snapshots_dropped,
            recovered_from: turns.recovered_from.map(CheckpointId::get),
            records_replayed: turns.records_replayed,
            recovery_ms: millis(turns.recovery),
            savepoint: turns.savepoint,
            rescaled_at: turns.rescaled_at,
            rescale_ms: millis(turns.rescale),
        }
    }

    /// Whether everything was as it must be.
    pub(crate) fn is_right(&self) -> bool {
        self.mismatches == 0
    }
}

/// A duration in milliseconds, to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a rate, for people; exact below 2^53 records")]
fn per_second(records: u64, time: Duration) -> f64 {
    (records as f64 / time.as_secs_f64().max(1e-9)).round()
}
