//! Asking for a checkpoint, and what comes back to hand to the subtasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_state_api::CheckpointId;
use alluvium_state_api::snapshot::{CancelToken, SnapshotRequest};
use alluvium_state_api::storage::SnapshotSink;

use crate::ended::JobEnd;

/// A checkpoint or savepoint that is asked for.
///
/// Bytes of the application travel in the metadata: of the job and of operators here (a source
/// position at the barrier, say) or with
/// [`Coordinator::set_application`](crate::Coordinator::set_application), of subtasks with their
/// acknowledgement.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    pub(crate) form: Form,
    pub(crate) application: Application,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Checkpoint,
    /// A checkpoint that builds on nothing.
    Full,
    Savepoint {
        target: Option<String>,
        /// How the job ends with it.
        ends: Option<JobEnd>,
    },
}

impl Form {
    pub(crate) const fn is_savepoint(&self) -> bool {
        matches!(self, Self::Savepoint { .. })
    }

    pub(crate) const fn ends(&self) -> Option<JobEnd> {
        match self {
            Self::Savepoint { ends, .. } => *ends,
            Self::Checkpoint | Self::Full => None,
        }
    }
}

impl Trigger {
    /// A checkpoint of the kind in the options.
    #[must_use]
    pub fn checkpoint() -> Self {
        Self::default()
    }

    /// A checkpoint that is full even where they are incremental.
    #[must_use]
    pub fn full_checkpoint() -> Self {
        Self { form: Form::Full, ..Self::default() }
    }

    /// A savepoint in a new directory below `target`, or below the configured one. It waits neither
    /// for a pause nor for other checkpoints, is self-contained, and is never deleted by the job.
    #[must_use]
    pub fn savepoint(target: Option<&str>) -> Self {
        Self::savepoint_that_ends(target, None)
    }

    /// A savepoint with which the job [finishes](JobEnd::Finished), unless it is aborted.
    ///
    /// Its metadata decides, which is published as a whole or not at all:
    ///
    /// 1. **Subtasks hold.** A subtask that is handed a plan with [`CheckpointPlan::ends`] takes its
    ///    part as of any savepoint. It takes no record from behind the barrier, though, and shows
    ///    the outside nothing, until it is told how this savepoint ended.
    /// 2. **Told `Completed`**, it closes. What it had prepared for the outside it may commit now: the
    ///    savepoint is durable. The master notes the end, and where the savepoint is, and calls
    ///    [`Coordinator::shut_down`](crate::Coordinator::shut_down).
    /// 3. **Told `Aborted`** (a subtask declined, time ran out, the storage failed, somebody aborted
    ///    it), it goes on with the record behind the barrier as if nothing had been.
    ///
    /// While the stream is held nothing else can be triggered. What was triggered before may still
    /// complete, and is aborted if the job ends first.
    ///
    /// **A master that dies in between** leaves the savepoint published or not, and all checkpoints:
    /// none is deleted before `shut_down`. A master that notes [`CheckpointPlan::pointer`] durably
    /// before it hands out the plan, and forgets it before it tells anybody `Aborted`, knows where to
    /// go on: where there is a note, from
    /// [`StartFrom::Pointer`](crate::StartFrom::Pointer), and if that is `NotFound`, from
    /// [`StartFrom::Newest`](crate::StartFrom::Newest). Without notes it starts from the newest
    /// checkpoint, as after any crash, and records before the barrier are processed again.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use alluvium_checkpoint::*;
    /// # use alluvium_state_api::{clock::ManualClock, random::SeededRandomness};
    /// # use alluvium_state_api::{snapshot::FileName, storage::memory::MemoryStorage};
    /// # fn main() -> alluvium_state_api::Result<()> {
    /// # let job = FileName::new("job")?;
    /// # let randomness = Arc::new(SeededRandomness::new(7));
    /// # let storage = Arc::new(MemoryStorage::new(job.clone(), randomness.clone()));
    /// # let components = Components { storage, clock: Arc::new(ManualClock::at(0)), randomness };
    /// # let mut coordinator = Coordinator::open(job, Options::default(), components)?;
    /// # coordinator.start(&[OperatorSpec::new("counts", 1)], StartFrom::Nothing, Default::default())?;
    /// let plan = coordinator.trigger(Trigger::stop_with_savepoint(None))?;
    /// assert_eq!(plan.ends, Some(JobEnd::Finished));          // so the subtask holds the stream
    /// coordinator.acknowledge(plan.id, "counts", 0, SubtaskAck::default())?;
    /// assert!(coordinator.notifications().all(|told| told.is_completed()));
    /// assert_eq!(coordinator.ended(), Some(JobEnd::Finished));
    /// // The runtime notes that the job has ended, and where the savepoint is; then:
    /// let ended = coordinator.shut_down(JobEnd::Finished)?;
    /// assert!(ended.retained.is_empty() && ended.leftovers.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stop_with_savepoint(target: Option<&str>) -> Self {
        Self::savepoint_that_ends(target, Some(JobEnd::Finished))
    }

    /// A savepoint with which the job is [cancelled](JobEnd::Cancelled), unless it is aborted. It
    /// differs from [`stop_with_savepoint`](Self::stop_with_savepoint) in which checkpoints stay.
    #[must_use]
    pub fn cancel_with_savepoint(target: Option<&str>) -> Self {
        Self::savepoint_that_ends(target, Some(JobEnd::Cancelled))
    }

    fn savepoint_that_ends(target: Option<&str>, ends: Option<JobEnd>) -> Self {
        let target = target.map(str::to_owned);
        Self { form: Form::Savepoint { target, ends }, ..Self::default() }
    }

    /// The same with bytes of the job.
    #[must_use]
    pub fn with_application(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.application.job = bytes.into();
        self
    }

    /// The same with bytes of one operator.
    #[must_use]
    pub fn with_operator_application(mut self, uid: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.application = self.application.with_operator(uid, bytes);
        self
    }
}

/// Bytes of the application at the barrier of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    pub(crate) job: Vec<u8>,
    pub(crate) operators: BTreeMap<Box<str>, Vec<u8>>,
}

impl Application {
    /// Bytes of the job.
    #[must_use]
    pub fn job(bytes: impl Into<Vec<u8>>) -> Self {
        Self { job: bytes.into(), operators: BTreeMap::new() }
    }

    /// The same with bytes of one operator.
    #[must_use]
    pub fn with_operator(mut self, uid: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.operators.insert(uid.into(), bytes.into());
        self
    }

    /// What there is replaces what was there.
    pub(crate) fn merge(&mut self, newer: Self) {
        if !newer.job.is_empty() {
            self.job = newer.job;
        }
        self.operators.extend(newer.operators);
    }

    pub(crate) fn take_operator(&mut self, uid: &str) -> Vec<u8> {
        self.operators.remove(uid).unwrap_or_default()
    }
}

/// A checkpoint under way: what each subtask needs to take its part. Clones share the token.
#[derive(Clone, Debug)]
pub struct CheckpointPlan {
    /// Its number.
    pub id: CheckpointId,
    /// What each store is asked for.
    pub request: SnapshotRequest,
    /// Where the files of all subtasks go.
    pub sink: Arc<dyn SnapshotSink>,
    /// Cancelled when the checkpoint is aborted; pass it to the snapshot tasks.
    pub cancel: CancelToken,
    /// By what it can be opened once it is complete.
    pub pointer: String,
    /// How the job ends once this savepoint is complete. Where there is an end, subtasks hold the
    /// stream behind the barrier until they are told, see [`Trigger::stop_with_savepoint`].
    pub ends: Option<JobEnd>,
}
