//! Another number of key groups for state that exists: offline, from a snapshot to a savepoint.
//!
//! # Role
//! The number of key groups is fixed for the life of a job's state, and is the most subtasks that an
//! operator can have. Keys are stored, so every one of them can be placed anew: [`rehash`] reads a
//! checkpoint or savepoint and writes a canonical savepoint for another number. That one restores into
//! every backend, at any parallelism up to the new maximum.
//!
//! # What is kept
//! Everything but the places of keys: states with their schemas, limits and stamps, entries with
//! namespaces and map keys, lists element by element, bytes of the application, uids, the number, job and
//! time of the snapshot. Operators keep their number of subtasks where it fits, and the new maximum where
//! it does not. Operators that are not chosen are taken over as they are.
//!
//! # What it promises
//! 1. The result is what the job would have written itself: the same bytes as a canonical savepoint with
//!    that number of key groups.
//! 2. Number of entries and digest of every state are compared with those of the original, where the
//!    original knows them; neither depends on key groups. A difference is an error, and nothing is left.
//! 3. The original is only read. The result appears at once and whole.
//!
//! # Cost
//! Memory is [`RehashOptions::memory_bytes`], or the largest single list if that is more, and besides
//! it the index of every file (about 100 bytes for each state and key group that has something). No
//! working files are written. Instead, what does not fit into memory is read again: each state is read
//! once where its entries take at most a third of the budget, and otherwise about
//! `4 * its bytes / budget` times (an entry counts with some 60 bytes more than it has). Where the old
//! number of key groups and the new one have a common divisor, a pass that covers few key groups reads
//! only those old ones that can hold their keys. More than 64 subtasks, or more than a quarter of the budget
//! in MiB, are written in several rounds.

mod gather;
mod input;
mod output;
mod placement;

use std::collections::BTreeSet;

use alluvium_state_api::format::metadata::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, OperatorState, SubtaskState,
    SubtaskStatistics,
};
use alluvium_state_api::random::Randomness;
use alluvium_state_api::snapshot::{CancelToken, Compression, Digest, KeyedSnapshot};
use alluvium_state_api::storage::{CheckpointStorage, SnapshotSink};
use alluvium_state_api::{Error, MaxParallelism, Result};

use crate::export::{ExportOptions, Files, write_to};
use crate::operator::Operator;
use crate::restore::{RestorePoint, keyed};
use input::Input;
use output::Output;

/// Memory that [`rehash`] uses unless told otherwise: 256 MiB.
pub const DEFAULT_REHASH_MEMORY_BYTES: u64 = 256 << 20;

/// What [`rehash`] does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RehashOptions {
    /// The new number of key groups.
    pub groups: MaxParallelism,
    /// The uids of the operators that get it; `None` for all of them.
    pub operators: Option<BTreeSet<Box<str>>>,
    /// How much memory it may use, in bytes; see the costs of [`rehash`].
    pub memory_bytes: u64,
    /// How blocks of the result are compressed.
    pub compression: Compression,
    /// Stops the work from another thread; nothing is left then.
    pub cancel: CancelToken,
}

impl RehashOptions {
    /// All operators, [`DEFAULT_REHASH_MEMORY_BYTES`], no compression.
    pub fn new(groups: MaxParallelism) -> Self {
        Self {
            groups,
            operators: None,
            memory_bytes: DEFAULT_REHASH_MEMORY_BYTES,
            compression: Compression::None,
            cancel: CancelToken::default(),
        }
    }
}

/// What [`rehash`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rehashed {
    /// By what the savepoint can be opened.
    pub pointer: String,
    /// The operators that were chosen.
    pub operators: Vec<RehashedOperator>,
}

/// An operator under another number of key groups.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RehashedOperator {
    /// Its uid.
    pub uid: Box<str>,
    /// Key groups before and after.
    pub groups: (MaxParallelism, MaxParallelism),
    /// Subtasks before and after.
    pub parallelism: (u16, u16),
    /// Its states, by name.
    pub states: Vec<RehashedState>,
    /// How often a state was read, over all states; as many as there are states where all fit into
    /// memory.
    pub passes: u64,
}

/// A state under another number of key groups: the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RehashedState {
    /// Its name.
    pub name: Box<str>,
    /// Its entries.
    pub entries: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// Writes `point` as a canonical savepoint with another number of key groups to exactly `target`, a new
/// or empty place of `storage`. What is kept, and what it costs:
///
/// * everything but the places of keys is kept; see [`RehashOptions`] for what can be chosen;
/// * what does not fit into memory is read several times: of a state of n bytes all or parts of its
///   files about `1 + 4 * n / memory` times; nothing but the result is written.
///
/// # Errors
/// Nothing is at `target` then. `InvalidInput` for a uid that there is not, and where a subtask that
/// would be no more has bytes of the application; `Incompatible` for files in a backend's native format;
/// `Unsupported` where keys cannot be placed without their type; `Corrupted`, `NotFound`, `Unavailable`
/// where the original cannot be read; those of [`CheckpointStorage::begin_export`] and of
/// [`publish`](alluvium_state_api::storage::CheckpointAttempt::publish).
pub fn rehash(
    point: &RestorePoint,
    storage: &dyn CheckpointStorage,
    target: &str,
    options: &RehashOptions,
    randomness: &dyn Randomness,
) -> Result<Rehashed> {
    let metadata = point.metadata();
    let about = |error: Error| error.with_checkpoint(metadata.checkpoint);
    check_uids(metadata, options).map_err(about)?;
    let attempt = storage.begin_export(target)?;
    let rehashed = write_to(&*attempt, |sink| {
        let mut operators = Vec::new();
        let mut done = Vec::new();
        for operator in &metadata.operators {
            if !is_chosen(operator, options) {
                operators.push(taken_over(operator, point, sink, options)?);
                continue;
            }
            let (state, report) = operator_anew(operator, point, sink, options)
                .map_err(|error| of_operator(error, &operator.uid))?;
            operators.push(state);
            done.push(report);
        }
        let statistics = statistics(&operators);
        let metadata = CheckpointMetadata {
            kind: CheckpointKind::Savepoint,
            origin: None,
            attempt: randomness.next_u128(),
            statistics,
            operators,
            ..metadata.clone()
        };
        let pointer = attempt.pointer().to_owned();
        Ok((metadata, Rehashed { pointer, operators: done }))
    });
    rehashed.map_err(about)
}

fn is_chosen(operator: &OperatorState, options: &RehashOptions) -> bool {
    options.operators.as_ref().is_none_or(|uids| uids.contains(&operator.uid))
}

fn check_uids(metadata: &CheckpointMetadata, options: &RehashOptions) -> Result<()> {
    let known: BTreeSet<_> = metadata.operators.iter().map(|operator| &operator.uid).collect();
    let mut chosen = options.operators.iter().flatten();
    match chosen.find(|uid| !known.contains(uid)) {
        None => Ok(()),
        Some(unknown) => Err(Error::invalid_input(format!(
            "the snapshot has no operator with uid {unknown:?}; it has {known:?}"
        ))),
    }
}

/// An operator with its files as they are.
fn taken_over(
    operator: &OperatorState,
    point: &RestorePoint,
    sink: &dyn SnapshotSink,
    options: &RehashOptions,
) -> Result<OperatorState> {
    let mut operator = operator.clone();
    let options_of_files =
        ExportOptions { cancel: options.cancel.clone(), ..ExportOptions::default() };
    let snapshots = operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref());
    let files = Files::import(snapshots, point, sink, &options_of_files)?;
    for keyed in operator.subtasks.iter_mut().filter_map(|subtask| subtask.keyed.as_mut()) {
        files.relocate(keyed)?;
    }
    Ok(operator)
}

/// An operator with other key groups.
fn operator_anew(
    operator: &OperatorState,
    point: &RestorePoint,
    sink: &dyn SnapshotSink,
    options: &RehashOptions,
) -> Result<(OperatorState, RehashedOperator)> {
    let parallelism = operator.parallelism.min(options.groups.get());
    check_application(operator, parallelism)?;
    let snapshots = keyed(operator)?;
    let input = Input::open(&snapshots, point.source())?;
    let anew = Operator::new(&operator.uid, u32::from(parallelism), options.groups)?;
    let mut output = Output::default();
    let mut states = Vec::new();
    if let Some(input) = &input {
        output = output::write(input, &anew, sink, options)?;
        for ((state, expected), total) in
            input.states.iter().zip(&input.expected).zip(&output.totals)
        {
            expected.check(total).map_err(|error| error.with_state(state.name.clone()))?;
            let (name, entries, digest) = (state.name.clone(), total.entries, total.digest);
            states.push(RehashedState { name, entries, digest });
        }
    }
    let backend = snapshots.first().map(|snapshot| snapshot.backend.clone());
    for snapshot in &mut output.snapshots {
        snapshot.backend = backend.clone().unwrap_or_default();
    }
    let report = RehashedOperator {
        uid: operator.uid.clone(),
        groups: (operator.max_parallelism, options.groups),
        parallelism: (operator.parallelism, parallelism),
        states,
        passes: output.passes,
    };
    let state = OperatorState {
        uid: operator.uid.clone(),
        max_parallelism: options.groups,
        parallelism,
        application: operator.application.clone(),
        subtasks: subtasks(operator, parallelism, output.snapshots),
    };
    Ok((state, report))
}

/// Refuses to leave bytes of the application behind: nobody here knows what they mean.
fn check_application(operator: &OperatorState, parallelism: u16) -> Result<()> {
    let mut gone = operator.subtasks.iter().filter(|subtask| subtask.index >= parallelism);
    match gone.find(|subtask| !subtask.application.is_empty()) {
        None => Ok(()),
        Some(subtask) => Err(Error::invalid_input(format!(
            "it has {} subtasks and can have {parallelism} afterwards, but subtask {} has bytes of \
             the application, which would be lost; take a savepoint at parallelism {parallelism} or \
             below first, or choose other operators",
            operator.parallelism, subtask.index
        ))),
    }
}

/// The subtasks with their new snapshots, or without one.
fn subtasks(
    operator: &OperatorState,
    parallelism: u16,
    snapshots: Vec<KeyedSnapshot>,
) -> Vec<SubtaskState> {
    let mut snapshots = snapshots.into_iter();
    let mut subtasks = Vec::new();
    for index in 0..parallelism {
        let former = operator.subtasks.iter().find(|subtask| subtask.index == index);
        let keyed = snapshots.next();
        if former.is_none() && keyed.is_none() {
            continue;
        }
        let application = former.map(|former| former.application.clone()).unwrap_or_default();
        let statistics = keyed.as_ref().map(|keyed| SubtaskStatistics {
            bytes_new: keyed.bytes_new,
            bytes_full: keyed.bytes_full,
            entries: keyed.states.iter().map(|state| state.entries.get()).sum(),
            ..SubtaskStatistics::default()
        });
        let statistics = statistics.unwrap_or_default();
        subtasks.push(SubtaskState { index, keyed, application, statistics });
    }
    subtasks
}

fn statistics(operators: &[OperatorState]) -> CheckpointStatistics {
    let subtasks = operators.iter().flat_map(|operator| &operator.subtasks);
    subtasks.fold(CheckpointStatistics::default(), |sum, subtask| CheckpointStatistics {
        bytes_new: sum.bytes_new.saturating_add(subtask.statistics.bytes_new),
        bytes_full: sum.bytes_full.saturating_add(subtask.statistics.bytes_full),
        entries: sum.entries.saturating_add(subtask.statistics.entries),
        ..sum
    })
}

fn of_operator(error: Error, uid: &str) -> Error {
    let message = format!("operator {uid:?}: {}", error.message());
    let named = Error::new(error.kind(), message);
    let named = match error.state() {
        Some(state) => named.with_state(state),
        None => named,
    };
    let named = match error.path() {
        Some(path) => named.with_path(path),
        None => named,
    };
    named.with_source(error)
}
