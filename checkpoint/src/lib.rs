//! The life of a checkpoint: coordinator, retention, savepoints, restore planning, orphans.
//!
//! # Role
//! A runtime embeds a [`Coordinator`] in its master and stops writing this by hand. The coordinator
//! knows operators by uid and storages by their trait; it knows no backend, starts no thread, and
//! reads no clock but the one it is given, so that a run can be repeated.
//!
//! | step | call | what the runtime does with it |
//! |---|---|---|
//! | start, recover, rescale | [`Coordinator::start`] | opens each subtask's store with its [`SubtaskPlan`] |
//! | every now and then | [`Coordinator::tick`] | triggers where a checkpoint is due |
//! | trigger | [`Coordinator::trigger`] | hands the [`CheckpointPlan`] to every subtask, at one point of the stream |
//! | subtask is done | [`Coordinator::acknowledge`], [`Coordinator::decline`] | |
//! | after each of these | [`Coordinator::notifications`] | tells every subtask, in order |
//! | stop with a savepoint | [`Trigger::stop_with_savepoint`] | subtasks hold behind the barrier until they are told |
//! | the job has ended | [`Coordinator::shut_down`] | notes the end durably before this call |
//!
//! # What it promises
//! 1. What is `Completed` is durable and whole: every file was found before the metadata appeared.
//! 2. A file that a retained checkpoint uses is never deleted, and never anything of someone else's;
//!    deletion is decided from manifests, and happens after the newer checkpoint is durable.
//! 3. A crash at any instant leaves the previous checkpoint or the new one, and at worst orphans,
//!    which [`collect_orphans`] finds.
//! 4. With [`Trigger::stop_with_savepoint`] either the savepoint is complete and the job has ended, or
//!    the job goes on. Nothing is deleted at the end of a job before [`Coordinator::shut_down`].
//! 5. Numbers of completed checkpoints ascend across restarts; the storage alone is enough to go on.
//!
//! # Where checkpoints go
//! [`open_storage`] opens what `state.checkpoints.dir` names: a directory, the memory of the process, or
//! an object store. Without features there is no C and no network in this crate:
//!
//! | feature | brings |
//! |---|---|
//! | `object-store` | `object::ObjectStorage` over any store of the crate `object_store`; `StorageEnv::with_object_store` |
//! | `s3`, `gcs`, `azure` | Amazon S3 and the like, Google Cloud Storage, Azure Blob Storage, by URL |
//!
//! # A runtime with two workers
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::mpsc::channel;
//! use alluvium_checkpoint::{
//!     Acknowledged, Components, Coordinator, OperatorSpec, Options, StartFrom, SubtaskAck, Trigger,
//! };
//! use alluvium_state_api::clock::ManualClock;
//! use alluvium_state_api::random::SeededRandomness;
//! use alluvium_state_api::snapshot::FileName;
//! use alluvium_state_api::storage::memory::MemoryStorage;
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let job = FileName::new("word-count")?;
//! let randomness = Arc::new(SeededRandomness::new(7));
//! let components = Components {
//!     storage: Arc::new(MemoryStorage::new(job.clone(), randomness.clone())),
//!     clock: Arc::new(ManualClock::at(0)),
//!     randomness,
//! };
//! let mut coordinator = Coordinator::open(job, Options::default(), components)?;
//! let operators = [OperatorSpec::new("counts", 2)];
//! let start = coordinator.start(&operators, StartFrom::Newest, Default::default())?;
//! assert_eq!(start.restored, None);                               // nothing there: a fresh start
//! assert_eq!(start.operators[0].subtasks[1].range.to_string(), "64..128");
//!
//! // The source has read 1000 records; that is where to go on from.
//! let plan = coordinator.trigger(Trigger::checkpoint().with_application("1000"))?;
//! let (to_master, acks) = channel();
//! std::thread::scope(|scope| {
//!     for subtask in 0..2 {
//!         let (to_master, _plan) = (to_master.clone(), plan.clone());
//!         scope.spawn(move || {
//!             // store.snapshot(&plan.request)?.run(SnapshotContext { sink: &*plan.sink, .. })?
//!             let ack = SubtaskAck::application(format!("worker {subtask}"));
//!             to_master.send((subtask, ack)).expect("the master listens");
//!         });
//!     }
//! });
//! let mut outcomes = Vec::new();
//! for (subtask, ack) in acks.try_iter() {
//!     outcomes.push(coordinator.acknowledge(plan.id, "counts", subtask, ack)?);
//! }
//! assert_eq!(outcomes, [Acknowledged::Accepted { missing: 1 }, Acknowledged::Completed]);
//! for notification in coordinator.notifications() {
//!     assert!(notification.is_completed());        // each store: checkpoint_completed(plan.id)
//! }
//!
//! // A worker dies; the job starts again, with three subtasks.
//! let operators = [OperatorSpec::new("counts", 3)];
//! let start = coordinator.start(&operators, StartFrom::Newest, Default::default())?;
//! assert_eq!(start.application, b"1000");
//! assert_eq!((start.operators[0].former.len(), start.operators[0].subtasks.len()), (2, 3));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod claim;
mod completed;
mod coordinator;
pub mod driver;
mod ended;
#[cfg(any(feature = "object-store", feature = "hdfs"))]
mod executor;
mod export;
mod files;
#[cfg(feature = "hdfs")]
pub mod hdfs;
mod history;
#[cfg(feature = "object-store")]
pub mod object;
mod operator;
mod options;
mod orphans;
mod pending;
mod rehash;
mod report;
mod restore;
mod savepoint;
mod storage;
mod summary;
mod trigger;

pub use alluvium_state_api::settings::Retention;
pub use completed::CompletedCheckpoint;
pub use coordinator::{Components, Coordinator, Done, StartFrom, Tick, Work, WorkKind};
pub use ended::{Ended, JobEnd, Leftovers};
pub use export::{ExportOptions, Exported, export};
pub use history::{CheckpointRecord, FileCounts, History, SubtaskRecord};
pub use operator::{MAX_UID_BYTES, Operator, OperatorSpec};
pub use options::Options;
pub use orphans::{OrphanOptions, Orphans, Stray, collect_orphans};
pub use rehash::{
    DEFAULT_REHASH_MEMORY_BYTES, RehashOptions, Rehashed, RehashedOperator, RehashedState, rehash,
};
pub use report::{AbortReason, Acknowledged, Notification, SubtaskAck};
pub use restore::{
    ClaimMode, OperatorPlan, RestoreOptions, RestorePlan, RestorePoint, SubtaskPlan,
};
pub use savepoint::{check_disposable, dispose_savepoint};
pub use storage::{Directory, Environment, StorageEnv, local_path, open_pointer, open_storage};
pub use summary::{Figures, Spread, Summary};
pub use trigger::{Application, CheckpointPlan, Trigger};
