//! Operators and subtasks in `_metadata`.
//!
//! | structure | fields |
//! |---|---|
//! | operator | string uid, `u16` maximum parallelism, `u16` parallelism, bytes of the application, varint number of subtasks, record each |
//! | subtask | `u16` index, `u8` has keyed state, record keyed state?, bytes of the application, record statistics |
//! | statistics | varint each: synchronous us, asynchronous us, start delay us, new bytes, full bytes, entries |

use super::super::schema::invalid;
use super::super::wire::{Input, put_bytes, put_record, put_varint};
use super::keyed;
use crate::snapshot::KeyedSnapshot;
use crate::{MaxParallelism, Result};

/// The fewest bytes of an encoded operator.
pub(super) const LEAST_BYTES: usize = 8;
const LEAST_SUBTASK_BYTES: usize = 11;

/// The state of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorState {
    /// The operator's identity across restarts and versions of the job; not empty.
    pub uid: Box<str>,
    /// The number of its key groups.
    pub max_parallelism: MaxParallelism,
    /// The number of its subtasks, at most the number of key groups.
    pub parallelism: u16,
    /// Bytes of the application for the operator as a whole.
    pub application: Vec<u8>,
    /// Its subtasks; encoded in the order of their indices. One that has nothing may be missing.
    pub subtasks: Vec<SubtaskState>,
}

/// The state of one subtask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtaskState {
    /// Its index, below the operator's parallelism.
    pub index: u16,
    /// Its keyed state.
    pub keyed: Option<KeyedSnapshot>,
    /// Bytes of the application for the subtask, such as source positions.
    pub application: Vec<u8>,
    /// What its snapshot cost.
    pub statistics: SubtaskStatistics,
}

/// What a subtask's snapshot cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubtaskStatistics {
    /// The synchronous part, in microseconds.
    pub sync_us: u64,
    /// The asynchronous part, in microseconds.
    pub async_us: u64,
    /// From the trigger to the start of the synchronous part, in microseconds.
    pub start_delay_us: u64,
    /// Bytes that it wrote.
    pub bytes_new: u64,
    /// Bytes that a restore reads.
    pub bytes_full: u64,
    /// Entries of all states.
    pub entries: u64,
}

pub(super) fn put(out: &mut Vec<u8>, operator: &OperatorState, features: u32) {
    put_bytes(out, operator.uid.as_bytes());
    out.extend_from_slice(&operator.max_parallelism.get().to_le_bytes());
    out.extend_from_slice(&operator.parallelism.to_le_bytes());
    put_bytes(out, &operator.application);
    put_varint(out, operator.subtasks.len() as u64);
    for subtask in &operator.subtasks {
        put_record(out, |out| put_subtask(out, subtask, features));
    }
}

pub(super) fn read(input: &mut Input<'_>, features: u32) -> Result<OperatorState> {
    let uid = input.string("operator uid")?.into();
    let max_parallelism =
        MaxParallelism::new(u32::from(input.u16("maximum parallelism")?)).map_err(invalid)?;
    let parallelism = input.u16("parallelism")?;
    let application = input.bytes("application bytes of the operator")?.to_vec();
    let count = input.count(LEAST_SUBTASK_BYTES, "number of subtasks")?;
    let mut subtasks = Vec::with_capacity(count);
    for _ in 0..count {
        subtasks.push(input.record("subtask", |input| subtask(input, features))?);
    }
    Ok(OperatorState { uid, max_parallelism, parallelism, application, subtasks })
}

fn put_subtask(out: &mut Vec<u8>, subtask: &SubtaskState, features: u32) {
    out.extend_from_slice(&subtask.index.to_le_bytes());
    out.push(u8::from(subtask.keyed.is_some()));
    if let Some(keyed) = &subtask.keyed {
        put_record(out, |out| keyed::put(out, keyed, features));
    }
    put_bytes(out, &subtask.application);
    let statistics = &subtask.statistics;
    put_record(out, |out| {
        for number in [
            statistics.sync_us,
            statistics.async_us,
            statistics.start_delay_us,
            statistics.bytes_new,
            statistics.bytes_full,
            statistics.entries,
        ] {
            put_varint(out, number);
        }
    });
}

fn subtask(input: &mut Input<'_>, features: u32) -> Result<SubtaskState> {
    let index = input.u16("subtask index")?;
    let keyed = if input.flag("keyed state flag")? {
        Some(input.record("keyed state", |input| keyed::read(input, features))?)
    } else {
        None
    };
    let application = input.bytes("application bytes of the subtask")?.to_vec();
    let statistics = input.record("subtask statistics", |input| {
        Ok(SubtaskStatistics {
            sync_us: input.varint("synchronous time")?,
            async_us: input.varint("asynchronous time")?,
            start_delay_us: input.varint("start delay")?,
            bytes_new: input.varint("new bytes")?,
            bytes_full: input.varint("full bytes")?,
            entries: input.varint("entries")?,
        })
    })?;
    Ok(SubtaskState { index, keyed, application, statistics })
}
