//! What the cases write, and how they find it again: files of random bytes, and metadata that lists
//! them, one line each.

use std::fmt::Write;
use std::sync::Arc;

use crate::random::{Randomness, SeededRandomness};
use crate::snapshot::{FileFormat, FileLocation, FileName, SnapshotFile, StoredFile};
use crate::storage::{
    CheckpointAttempt, CheckpointStorage, FileScope, SnapshotSink, SnapshotSource,
    StoredCheckpoint, verify_checksum,
};
use crate::{CheckpointId, Result};

/// Checkpoint `number`.
pub fn id(number: u64) -> CheckpointId {
    CheckpointId::new(number)
}

/// Bytes that differ from seed to seed.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let random = SeededRandomness::new(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A file as a manifest would name it.
pub fn named(stored: StoredFile) -> SnapshotFile {
    SnapshotFile {
        stored,
        frame_checksum: None,
        format: FileFormat::State,
        label: "".into(),
        live: Vec::new(),
    }
}

/// Writes a file in pieces.
///
/// # Errors
/// Those of the sink and its writer.
pub fn write(sink: &dyn SnapshotSink, scope: FileScope, bytes: &[u8]) -> Result<SnapshotFile> {
    let mut writer = sink.create(scope)?;
    for piece in bytes.chunks(10_000) {
        writer.write(piece)?;
    }
    Ok(named(writer.finish()?))
}

/// Writes a file of the checkpoint's own, a shared one, and one that is small enough to go inline.
///
/// # Errors
/// Those of the sink and its writers.
pub fn write_three(sink: &dyn SnapshotSink, seed: u64) -> Result<Vec<SnapshotFile>> {
    Ok(vec![
        write(sink, FileScope::Own, &content(seed, 30_000))?,
        write(sink, FileScope::Shared, &content(seed + 1_000, 50_000))?,
        write(sink, FileScope::Shared, &content(seed + 2_000, 20))?,
    ])
}

/// Writes the three files and publishes them.
///
/// # Errors
/// Those of the attempt.
pub fn publish_three(attempt: &dyn CheckpointAttempt, seed: u64) -> Result<Vec<SnapshotFile>> {
    let files = write_three(&*attempt.sink(), seed)?;
    attempt.publish(&encode(&files))?;
    Ok(files)
}

/// Takes checkpoint `number` with three files.
///
/// # Errors
/// Those of the storage.
pub fn take(storage: &dyn CheckpointStorage, number: u64) -> Result<Vec<SnapshotFile>> {
    publish_three(&*storage.begin(id(number))?, number)
}

/// Metadata of a case: a line for each file, and an end.
///
/// # Panics
/// Never.
pub fn encode(files: &[SnapshotFile]) -> Vec<u8> {
    let mut text = String::new();
    for SnapshotFile { stored, .. } in files {
        let kind = match &stored.location {
            FileLocation::Inline(_) => "inline",
            FileLocation::Own(_) => "own",
            FileLocation::Shared(_) => "shared",
        };
        write!(text, "{kind} {} {:x} ", stored.length, stored.checksum).unwrap();
        match &stored.location {
            FileLocation::Inline(bytes) => {
                bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            }
            FileLocation::Own(name) | FileLocation::Shared(name) => text += name.as_str(),
        }
        text += "\n";
    }
    (text + "end").into_bytes()
}

/// The files that [`encode`] listed.
///
/// # Errors
/// Says what is wrong with the text.
///
/// # Panics
/// If a line is not one of [`encode`]'s.
pub fn decode(metadata: &[u8]) -> Result<Vec<SnapshotFile>, String> {
    let text = std::str::from_utf8(metadata).map_err(|error| error.to_string())?;
    let lines = text.strip_suffix("end").ok_or("the metadata has no end")?;
    let file = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let location = match words[0] {
            "own" => FileLocation::Own(FileName::new(words[3]).unwrap()),
            "shared" => FileLocation::Shared(FileName::new(words[3]).unwrap()),
            _ => {
                let byte = |i| u8::from_str_radix(&words[3][i..i + 2], 16).unwrap();
                FileLocation::Inline((0..words[3].len()).step_by(2).map(byte).collect())
            }
        };
        let length = words[1].parse().unwrap();
        let checksum = u128::from_str_radix(words[2], 16).unwrap();
        named(StoredFile { location, length, checksum })
    };
    Ok(lines.lines().map(file).collect())
}

/// Whether every file that the metadata names is there and is what it was.
///
/// # Errors
/// Says which is not.
pub fn check_whole(checkpoint: &StoredCheckpoint) -> Result<(), String> {
    for file in decode(&checkpoint.metadata)? {
        let reader = checkpoint.source.open(&file);
        let verified = reader.and_then(|reader| verify_checksum(&*reader, file.stored.checksum));
        verified.map_err(|error| format!("{}: {error}", checkpoint.pointer))?;
    }
    Ok(())
}

/// All bytes of a file.
///
/// # Panics
/// If it cannot be read.
pub fn read_all(source: &dyn SnapshotSource, file: &SnapshotFile) -> Vec<u8> {
    let reader = source.open(file).unwrap();
    let mut bytes = vec![0; usize::try_from(reader.len()).unwrap()];
    reader.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// The names of those files that are not inline: the checkpoint's own, and the shared ones.
pub fn names(files: &[SnapshotFile]) -> (Vec<FileName>, Vec<FileName>) {
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for file in files {
        match &file.stored.location {
            FileLocation::Own(name) => own.push(name.clone()),
            FileLocation::Shared(name) => shared.push(name.clone()),
            FileLocation::Inline(_) => {}
        }
    }
    (own, shared)
}

/// Asserts that checkpoint `number` is there and whole.
///
/// # Panics
/// If it is not.
pub fn assert_whole(storage: &Arc<dyn CheckpointStorage>, number: u64) {
    check_whole(&storage.load(id(number)).unwrap()).unwrap();
}
