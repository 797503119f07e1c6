//! A checkpoint under way: who has acknowledged, and what its metadata will say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::format::metadata::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, SubtaskState,
    SubtaskStatistics,
};
use alluvium_state_api::snapshot::{CancelToken, FileLocation, KeyedSnapshot, SnapshotKind};
use alluvium_state_api::storage::CheckpointAttempt;
use alluvium_state_api::{CheckpointId, Error, Result};

use crate::ended::JobEnd;
use crate::operator::Operator;
use crate::report::SubtaskAck;
use crate::trigger::Application;

/// An operator by its place in the list, and a subtask.
pub(crate) type Place = (usize, u32);

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: CheckpointId,
    pub(crate) kind: CheckpointKind,
    /// How the job ends once this is complete; `None` where it goes on.
    pub(crate) ends: Option<JobEnd>,
    pub(crate) attempt: Arc<dyn CheckpointAttempt>,
    pub(crate) cancel: CancelToken,
    pub(crate) started: Duration,
    pub(crate) deadline: Duration,
    pub(crate) time_ms: u64,
    /// Recognises the attempt in the metadata.
    pub(crate) token: u128,
    /// The checkpoints on which increments may build; they must not go away meanwhile.
    pub(crate) bases: BTreeSet<CheckpointId>,
    pub(crate) application: Application,
    pub(crate) expected: usize,
    pub(crate) acks: BTreeMap<Place, SubtaskAck>,
}

impl Pending {
    pub(crate) fn is_savepoint(&self) -> bool {
        self.kind == CheckpointKind::Savepoint
    }

    pub(crate) fn missing(&self) -> usize {
        self.expected.saturating_sub(self.acks.len())
    }

    /// Refuses an acknowledgement that contradicts its operator or the kind of checkpoint.
    pub(crate) fn check(&self, operator: &Operator, subtask: u32, ack: &SubtaskAck) -> Result<()> {
        let Some(keyed) = &ack.keyed else {
            return Ok(());
        };
        let refuse = |what: String| {
            let who = format!("subtask {subtask} of operator {:?}", operator.uid());
            Err(Error::invalid_input(format!("{who} acknowledged {what}")).with_checkpoint(self.id))
        };
        let range = operator.range_of(subtask)?;
        if keyed.groups != operator.groups() || keyed.range != range {
            return refuse(format!(
                "key groups {} of {}, but owns {range} of {}",
                keyed.range,
                keyed.groups,
                operator.groups()
            ));
        }
        let shares = |keyed: &KeyedSnapshot| {
            let mut locations = keyed.files.iter().map(|file| &file.stored.location);
            locations.any(|location| matches!(location, FileLocation::Shared(_)))
        };
        if self.is_savepoint() && (keyed.kind != SnapshotKind::Canonical || shares(keyed)) {
            return refuse(format!(
                "a {:?} snapshot for a savepoint, which must be canonical and share no files",
                keyed.kind
            ));
        }
        Ok(())
    }

    /// The metadata, all subtasks having acknowledged.
    pub(crate) fn metadata(
        &mut self,
        job: &str,
        operators: &[Operator],
        now: Duration,
    ) -> CheckpointMetadata {
        let mut acks = std::mem::take(&mut self.acks);
        let mut described: Vec<_> = operators
            .iter()
            .enumerate()
            .map(|(index, operator)| {
                let later = acks.split_off(&(index + 1, 0));
                let own = std::mem::replace(&mut acks, later);
                OperatorState {
                    uid: operator.uid().into(),
                    max_parallelism: operator.groups(),
                    parallelism: narrow(operator.parallelism()),
                    application: self.application.take_operator(operator.uid()),
                    subtasks: own
                        .into_iter()
                        .map(|((_, subtask), ack)| describe(subtask, ack))
                        .collect(),
                }
            })
            .collect();
        described.sort_by(|a, b| a.uid.cmp(&b.uid));
        let statistics = total(&described, now.saturating_sub(self.started));
        CheckpointMetadata {
            checkpoint: self.id,
            kind: self.kind,
            job: job.into(),
            timestamp_ms: self.time_ms,
            attempt: self.token,
            application: std::mem::take(&mut self.application.job),
            statistics,
            operators: described,
            origin: None,
        }
    }
}

fn describe(index: u32, ack: SubtaskAck) -> SubtaskState {
    let keyed = ack.keyed.as_ref();
    let entries = keyed.map_or(0, |keyed| {
        let counts = keyed.states.iter().map(|state| state.entries.get());
        counts.fold(0, u64::saturating_add)
    });
    let statistics = SubtaskStatistics {
        sync_us: ack.sync_us,
        async_us: ack.async_us,
        start_delay_us: ack.start_delay_us,
        bytes_new: keyed.map_or(0, |keyed| keyed.bytes_new),
        bytes_full: keyed.map_or(0, |keyed| keyed.bytes_full),
        entries,
    };
    SubtaskState {
        index: narrow(index),
        keyed: ack.keyed,
        application: ack.application,
        statistics,
    }
}

fn total(operators: &[OperatorState], duration: Duration) -> CheckpointStatistics {
    let mut total = CheckpointStatistics {
        duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        ..CheckpointStatistics::default()
    };
    for subtask in operators.iter().flat_map(|operator| &operator.subtasks) {
        let one = &subtask.statistics;
        total.bytes_new = total.bytes_new.saturating_add(one.bytes_new);
        total.bytes_full = total.bytes_full.saturating_add(one.bytes_full);
        total.entries = total.entries.saturating_add(one.entries);
    }
    total
}

/// A parallelism or an index of a subtask: both are bounded by the key groups, of which 2^15 exist.
fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
