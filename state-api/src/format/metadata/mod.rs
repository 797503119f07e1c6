//! `_metadata`: what a checkpoint or savepoint consists of, in one checksummed file.
//!
//! # Role
//! The coordinator of the crate `checkpoint` writes it last and atomically; restore, `inspect`,
//! `verify` and everything else begin with it. All structures are in FORMAT.md 3.
//!
//! # Layout
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | magic `\x89ALVM\r\n\x1a` |
//! | 8 | `u16` | version |
//! | 10 | 6 bytes | reserved |
//! | 16 | `u32` | compatible feature bits |
//! | 20 | `u32` | incompatible feature bits |
//! | 24 | `u64` | length T of the whole file |
//! | 32 | record | checkpoint |
//! | T - 16 | `u128` | XXH3-128 of 0 .. T - 16 |
//!
//! # Invariants
//! * I1 Equal metadata encodes to equal bytes: operators ascend by uid and subtasks by index.
//! * I2 What decodes would encode to the same bytes, unless it has extensions of a later version.
//! * I3 File names are single safe components; nothing in the file can leave its directories.

mod check;
mod keyed;
mod operator;

pub use operator::{OperatorState, SubtaskState, SubtaskStatistics};

use super::checksum::file_checksum;
use super::features::{
    FRAMES, INCREMENTAL, METADATA_COMPATIBLE, METADATA_INCOMPATIBLE, NATIVE, ORIGIN, VERSION,
    check_incompatible, check_version,
};
use super::wire::{Input, out_of_range, put_bytes, put_record, put_varint};
use crate::snapshot::{FileFormat, KeyedSnapshot, SnapshotKind};
use crate::{CheckpointId, Error, Result};

const MAGIC: [u8; 8] = *b"\x89ALVM\r\n\x1a";
const PREFIX_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 16;
const WHAT: &str = "the checkpoint metadata";

/// Whether it is a checkpoint or a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckpointKind {
    /// Taken by the coordinator, deleted when it is subsumed.
    Checkpoint,
    /// Taken and deleted by the user; self-contained.
    Savepoint,
}

/// A checkpoint or savepoint as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointMetadata {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// Checkpoint or savepoint.
    pub kind: CheckpointKind,
    /// The job that took it.
    pub job: Box<str>,
    /// When it was triggered, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The attempt that wrote it: random, so that two writers never agree by accident.
    pub attempt: u128,
    /// Bytes of the application for the whole job.
    pub application: Vec<u8>,
    /// What it cost.
    pub statistics: CheckpointStatistics,
    /// The operators; encoded in the order of their uids.
    pub operators: Vec<OperatorState>,
    /// The snapshot that the job has taken over with this checkpoint, and deletes with it. Savepoints
    /// and copies have none.
    pub origin: Option<Origin>,
}

/// A snapshot that a checkpoint was claimed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// By what the storage opens it.
    pub pointer: Box<str>,
    /// XXH3-128 of its metadata: what is there with another checksum is somebody else's.
    pub checksum: u128,
}

/// What a checkpoint cost, over all subtasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStatistics {
    /// From the trigger to completion, in microseconds.
    pub duration_us: u64,
    /// Bytes that it wrote.
    pub bytes_new: u64,
    /// Bytes that a restore reads.
    pub bytes_full: u64,
    /// Entries of all states.
    pub entries: u64,
}

impl CheckpointMetadata {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for metadata that a reader would refuse:
    /// operators with the same uid, subtasks with the same index, ranges that do not fit, inline
    /// files whose length or checksum differ.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let sorted = self.sorted();
        check::metadata(&sorted).map_err(|error| {
            Error::invalid_input(error.message()).with_operation("encode checkpoint metadata")
        })?;
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.compatible_bits().to_le_bytes());
        out.extend_from_slice(&self.incompatible_bits().to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        put_record(&mut out, |out| put_metadata(out, &sorted));
        let total = (out.len() + CHECKSUM_BYTES) as u64;
        if let Some(slot) = out.get_mut(24..PREFIX_BYTES) {
            slot.copy_from_slice(&total.to_le_bytes());
        }
        let checksum = file_checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        debug_assert_eq!(Self::decode(&out).ok(), Some(sorted), "what is written can be read");
        Ok(out)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// `Corrupted` for anything that [`encode`](Self::encode) would not write, `Unsupported` for a
    /// newer version or unknown features.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut prefix = Input::new(bytes, false);
        if prefix.take(8, "magic").ok() != Some(&MAGIC[..]) {
            return Err(Error::corrupted("this is not the metadata of an Alluvium checkpoint"));
        }
        check_version(WHAT, prefix.u16("version")?)?;
        let reserved = prefix.take(6, "reserved")?;
        let (compatible, incompatible) = (prefix.u32("features")?, prefix.u32("features")?);
        let length = prefix.u64("length")?;
        if length != bytes.len() as u64 {
            return Err(Error::corrupted(format!(
                "the metadata has {} bytes, and was written with {length}",
                bytes.len()
            )));
        }
        let (content, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| Error::corrupted("the metadata is cut off"))?;
        if file_checksum(content) != u128::from_le_bytes(*checksum) {
            return Err(Error::corrupted("the metadata's checksum differs"));
        }
        check_incompatible(WHAT, incompatible, METADATA_INCOMPATIBLE)?;
        let body = content
            .get(PREFIX_BYTES..)
            .ok_or_else(|| Error::corrupted("the metadata is cut off"))?;
        let mut input = Input::new(body, compatible & !METADATA_COMPATIBLE != 0);
        let metadata = input.record("checkpoint", |input| metadata(input, compatible))?;
        input.end("metadata")?;
        check::metadata(&metadata)?;
        let bits = (metadata.compatible_bits(), metadata.incompatible_bits());
        if reserved.iter().any(|byte| *byte != 0)
            || bits != (compatible & METADATA_COMPATIBLE, incompatible)
        {
            return Err(Error::corrupted("the metadata contradicts its feature bits"));
        }
        Ok(metadata)
    }

    /// All keyed snapshots in it, with their operator and subtask.
    pub fn keyed(&self) -> impl Iterator<Item = (&OperatorState, &SubtaskState, &KeyedSnapshot)> {
        self.operators.iter().flat_map(|operator| {
            operator.subtasks.iter().filter_map(move |subtask| {
                subtask.keyed.as_ref().map(|keyed| (operator, subtask, keyed))
            })
        })
    }

    fn compatible_bits(&self) -> u32 {
        let framed =
            |keyed: &KeyedSnapshot| keyed.files.iter().any(|file| file.frame_checksum.is_some());
        let origin = if self.origin.is_some() { ORIGIN } else { 0 };
        let frames = self.keyed().any(|(_, _, keyed)| framed(keyed));
        origin | if frames { FRAMES } else { 0 }
    }

    fn incompatible_bits(&self) -> u32 {
        let native = |keyed: &KeyedSnapshot| {
            keyed.files.iter().any(|file| file.format == FileFormat::Native)
        };
        self.keyed().fold(0, |bits, (_, _, keyed)| {
            let incremental = keyed.kind == SnapshotKind::Incremental;
            bits | if native(keyed) { NATIVE } else { 0 }
                | if incremental { INCREMENTAL } else { 0 }
        })
    }

    /// The same metadata in the order in which it is encoded.
    fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.operators.sort_by(|a, b| a.uid.as_bytes().cmp(b.uid.as_bytes()));
        for operator in &mut sorted.operators {
            operator.subtasks.sort_by_key(|subtask| subtask.index);
        }
        sorted
    }
}

fn put_metadata(out: &mut Vec<u8>, metadata: &CheckpointMetadata) {
    put_varint(out, metadata.checkpoint.get());
    out.push(match metadata.kind {
        CheckpointKind::Checkpoint => 0,
        CheckpointKind::Savepoint => 1,
    });
    put_bytes(out, metadata.job.as_bytes());
    out.extend_from_slice(&metadata.timestamp_ms.to_le_bytes());
    out.extend_from_slice(&metadata.attempt.to_le_bytes());
    put_bytes(out, &metadata.application);
    let statistics = &metadata.statistics;
    put_record(out, |out| {
        for number in [
            statistics.duration_us,
            statistics.bytes_new,
            statistics.bytes_full,
            statistics.entries,
        ] {
            put_varint(out, number);
        }
    });
    let features = metadata.compatible_bits();
    put_varint(out, metadata.operators.len() as u64);
    for operator in &metadata.operators {
        put_record(out, |out| operator::put(out, operator, features));
    }
    if let Some(origin) = &metadata.origin {
        put_bytes(out, origin.pointer.as_bytes());
        out.extend_from_slice(&origin.checksum.to_le_bytes());
    }
}

fn metadata(input: &mut Input<'_>, compatible: u32) -> Result<CheckpointMetadata> {
    let checkpoint = CheckpointId::new(input.varint("checkpoint id")?);
    let kind = match input.u8("checkpoint kind")? {
        0 => CheckpointKind::Checkpoint,
        1 => CheckpointKind::Savepoint,
        other => return Err(out_of_range("checkpoint kind", u64::from(other))),
    };
    let job = input.string("job id")?.into();
    let timestamp_ms = input.u64("timestamp")?;
    let attempt = input.u128("attempt")?;
    let application = input.bytes("application bytes of the job")?.to_vec();
    let statistics = input.record("statistics", |input| {
        Ok(CheckpointStatistics {
            duration_us: input.varint("duration")?,
            bytes_new: input.varint("new bytes")?,
            bytes_full: input.varint("full bytes")?,
            entries: input.varint("entries")?,
        })
    })?;
    let count = input.count(operator::LEAST_BYTES, "number of operators")?;
    let mut operators = Vec::with_capacity(count);
    for _ in 0..count {
        operators.push(input.record("operator", |input| operator::read(input, compatible))?);
    }
    let origin = if compatible & ORIGIN == 0 {
        None
    } else {
        let pointer = input.string("pointer of the origin")?.into();
        Some(Origin { pointer, checksum: input.u128("checksum of the origin")? })
    };
    Ok(CheckpointMetadata {
        checkpoint,
        kind,
        job,
        timestamp_ms,
        attempt,
        application,
        statistics,
        operators,
        origin,
    })
}
