//! Keyed state, its states and its files in `_metadata`.
//!
//! | structure | fields |
//! |---|---|
//! | keyed state | string backend, `u8` kind, record key identity, `u16` key groups, `u16` x 2 range, varint new bytes, varint full bytes, varint number of states, record each, varint number of files, record each |
//! | state | record state, `u8` exact, varint entries, `u8` has digest, `u128` digest? |
//! | file | `u8` location, bytes content or string name, varint length, `u128` checksum, `u8` format, string label, varint number of live ranges, `u16` x 2 each; with FRAMES: `u8` has frame checksum, `u128` frame checksum? |

use super::super::features::FRAMES;
use super::super::schema::{self, LEAST_STATE_BYTES, invalid};
use super::super::wire::{Input, out_of_range, put_bytes, put_record, put_varint};
use crate::snapshot::{
    Digest, EntryCount, FileFormat, FileLocation, FileName, KeyedSnapshot, SnapshotFile,
    SnapshotKind, StateSummary, StoredFile,
};
use crate::{KeyGroupRange, MaxParallelism, Result};

const LEAST_FILE_BYTES: usize = 23;
const LEAST_RANGE_BYTES: usize = 4;

pub(super) fn put(out: &mut Vec<u8>, keyed: &KeyedSnapshot, features: u32) {
    put_bytes(out, keyed.backend.as_bytes());
    out.push(match keyed.kind {
        SnapshotKind::Full => 0,
        SnapshotKind::Incremental => 1,
        SnapshotKind::Canonical => 2,
    });
    put_record(out, |out| schema::put_key(out, &keyed.key));
    out.extend_from_slice(&keyed.groups.get().to_le_bytes());
    put_range(out, keyed.range);
    put_varint(out, keyed.bytes_new);
    put_varint(out, keyed.bytes_full);
    put_varint(out, keyed.states.len() as u64);
    for state in &keyed.states {
        put_record(out, |out| put_summary(out, state));
    }
    put_varint(out, keyed.files.len() as u64);
    for file in &keyed.files {
        put_record(out, |out| put_file(out, file, features));
    }
}

pub(super) fn read(input: &mut Input<'_>, features: u32) -> Result<KeyedSnapshot> {
    let backend = input.string("backend")?.to_owned().into();
    let kind = match input.u8("snapshot kind")? {
        0 => SnapshotKind::Full,
        1 => SnapshotKind::Incremental,
        2 => SnapshotKind::Canonical,
        other => return Err(out_of_range("snapshot kind", u64::from(other))),
    };
    let key = input.record("key identity", schema::key)?;
    let groups = MaxParallelism::new(u32::from(input.u16("key groups")?)).map_err(invalid)?;
    let range = range(input)?;
    let (bytes_new, bytes_full) = (input.varint("new bytes")?, input.varint("full bytes")?);
    let count = input.count(LEAST_STATE_BYTES, "number of states")?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        states.push(input.record("state summary", summary)?);
    }
    let count = input.count(LEAST_FILE_BYTES, "number of files")?;
    let mut files = Vec::with_capacity(count);
    for _ in 0..count {
        files.push(input.record("file", |input| file(input, features))?);
    }
    Ok(KeyedSnapshot { backend, kind, key, groups, range, states, files, bytes_new, bytes_full })
}

fn put_range(out: &mut Vec<u8>, range: KeyGroupRange) {
    out.extend_from_slice(&range.start().to_le_bytes());
    out.extend_from_slice(&range.end().to_le_bytes());
}

fn range(input: &mut Input<'_>) -> Result<KeyGroupRange> {
    let (start, end) = (input.u16("first key group")?, input.u16("last key group")?);
    KeyGroupRange::new(start, end).map_err(invalid)
}

fn put_summary(out: &mut Vec<u8>, state: &StateSummary) {
    put_record(out, |out| schema::put_state(out, &state.meta));
    out.push(u8::from(matches!(state.entries, EntryCount::Exact(_))));
    put_varint(out, state.entries.get());
    out.push(u8::from(state.digest.is_some()));
    if let Some(digest) = state.digest {
        out.extend_from_slice(&digest.0.to_le_bytes());
    }
}

fn summary(input: &mut Input<'_>) -> Result<StateSummary> {
    let meta = input.record("state", schema::state)?;
    let exact = input.flag("count flag")?;
    let count = input.varint("entries")?;
    let digest =
        if input.flag("digest flag")? { Some(Digest(input.u128("digest")?)) } else { None };
    Ok(StateSummary {
        meta,
        entries: if exact { EntryCount::Exact(count) } else { EntryCount::Estimate(count) },
        digest,
    })
}

fn put_file(out: &mut Vec<u8>, file: &SnapshotFile, features: u32) {
    let (location, content) = match &file.stored.location {
        FileLocation::Inline(bytes) => (0, &bytes[..]),
        FileLocation::Own(name) => (1, name.as_str().as_bytes()),
        FileLocation::Shared(name) => (2, name.as_str().as_bytes()),
    };
    out.push(location);
    put_bytes(out, content);
    put_varint(out, file.stored.length);
    out.extend_from_slice(&file.stored.checksum.to_le_bytes());
    out.push(match file.format {
        FileFormat::State => 0,
        FileFormat::Native => 1,
    });
    put_bytes(out, file.label.as_bytes());
    put_varint(out, file.live.len() as u64);
    for live in &file.live {
        put_range(out, *live);
    }
    if features & FRAMES != 0 {
        out.push(u8::from(file.frame_checksum.is_some()));
        if let Some(checksum) = file.frame_checksum {
            out.extend_from_slice(&checksum.to_le_bytes());
        }
    }
}

fn file(input: &mut Input<'_>, features: u32) -> Result<SnapshotFile> {
    let name = |input: &mut Input<'_>| FileName::new(input.string("file name")?).map_err(invalid);
    let location = match input.u8("file location")? {
        0 => FileLocation::Inline(input.bytes("inline file")?.into()),
        1 => FileLocation::Own(name(input)?),
        2 => FileLocation::Shared(name(input)?),
        other => return Err(out_of_range("file location", u64::from(other))),
    };
    let stored = StoredFile {
        location,
        length: input.varint("file length")?,
        checksum: input.u128("file checksum")?,
    };
    let format = match input.u8("file format")? {
        0 => FileFormat::State,
        1 => FileFormat::Native,
        other => return Err(out_of_range("file format", u64::from(other))),
    };
    let label = input.string("file label")?.into();
    let count = input.count(LEAST_RANGE_BYTES, "number of live ranges")?;
    let mut live = Vec::with_capacity(count);
    for _ in 0..count {
        live.push(range(input)?);
    }
    let has_frame = features & FRAMES != 0 && input.flag("frame checksum flag")?;
    let frame_checksum = if has_frame { Some(input.u128("frame checksum")?) } else { None };
    Ok(SnapshotFile { stored, frame_checksum, format, label, live })
}
