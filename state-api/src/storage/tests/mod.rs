//! Tests of storage: a coordinator's life over every file system, and power cuts at every operation.

mod crash;
mod disposal;
mod expected;
mod import;
mod lifecycle;
mod memory;
mod places;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{LocalOptions, LocalStorage};
use super::*;
use crate::random::{OsRandomness, SeededRandomness};
use crate::snapshot::{FileFormat, FileLocation, FileName, SnapshotFile};
use crate::vfs::{FileSystem, MemoryFs, RealFs};
use crate::{CheckpointId, Result};

pub(super) const JOB: &str = "a1b2c3d4e5f6";

pub(super) fn job() -> FileName {
    FileName::new(JOB).unwrap()
}

pub(super) fn id(number: u64) -> CheckpointId {
    CheckpointId::new(number)
}

pub(super) fn open(fs: &Arc<dyn FileSystem>, directory: &Path) -> Result<LocalStorage> {
    let options = LocalOptions::default();
    LocalStorage::open(Arc::clone(fs), Arc::new(OsRandomness), directory, &job(), options)
}

/// Runs a test in a directory of the real file system and of one in memory.
pub(super) fn everywhere(test: impl Fn(Arc<dyn FileSystem>, PathBuf)) {
    let dir = tempfile::tempdir().unwrap();
    test(Arc::new(RealFs), dir.path().to_path_buf());
    test(Arc::new(MemoryFs::new()), PathBuf::from("/"));
}

/// Bytes that differ from file to file.
pub(super) fn content(seed: u64, length: usize) -> Vec<u8> {
    use crate::random::Randomness;
    let random = SeededRandomness::new(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(super) fn write(
    sink: &dyn SnapshotSink,
    scope: FileScope,
    bytes: &[u8],
) -> Result<SnapshotFile> {
    let mut writer = sink.create(scope)?;
    for piece in bytes.chunks(10_000) {
        writer.write(piece)?;
    }
    let stored = writer.finish()?;
    Ok(SnapshotFile {
        stored,
        frame_checksum: None,
        format: FileFormat::State,
        label: "".into(),
        live: Vec::new(),
    })
}

/// Metadata of a test: a line for each file, and an end.
pub(super) fn encode(files: &[SnapshotFile]) -> Vec<u8> {
    use std::fmt::Write;
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

pub(super) fn decode(metadata: &[u8]) -> Result<Vec<SnapshotFile>, String> {
    let text = std::str::from_utf8(metadata).map_err(|error| error.to_string())?;
    let lines = text.strip_suffix("end").ok_or("the metadata has no end")?;
    let file = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let name = |word: &str| FileName::new(word).unwrap();
        let location = match words[0] {
            "own" => FileLocation::Own(name(words[3])),
            "shared" => FileLocation::Shared(name(words[3])),
            _ => {
                let byte = |i| u8::from_str_radix(&words[3][i..i + 2], 16).unwrap();
                FileLocation::Inline((0..words[3].len()).step_by(2).map(byte).collect())
            }
        };
        let (length, checksum) = (words[1].parse(), u128::from_str_radix(words[2], 16));
        let (length, checksum) = (length.unwrap(), checksum.unwrap());
        let stored = StoredFile { location, length, checksum };
        SnapshotFile {
            stored,
            frame_checksum: None,
            format: FileFormat::State,
            label: "".into(),
            live: Vec::new(),
        }
    };
    Ok(lines.lines().map(file).collect())
}

/// Whether every file that the metadata names is there and is what it was.
pub(super) fn check_whole(checkpoint: &StoredCheckpoint) -> Result<(), String> {
    for file in decode(&checkpoint.metadata)? {
        let reader = checkpoint.source.open(&file);
        let verified = reader.and_then(|reader| verify_checksum(&*reader, file.stored.checksum));
        verified.map_err(|error| format!("{}: {error}", checkpoint.pointer))?;
    }
    Ok(())
}

pub(super) fn read_all(source: &dyn SnapshotSource, file: &SnapshotFile) -> Vec<u8> {
    let reader = source.open(file).unwrap();
    let mut bytes = vec![0; usize::try_from(reader.len()).unwrap()];
    reader.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Takes checkpoint `number` with one file of each kind.
pub(super) fn take(storage: &dyn CheckpointStorage, number: u64) -> Result<Vec<SnapshotFile>> {
    let attempt = storage.begin(id(number))?;
    let files = write_three(&*attempt.sink(), number)?;
    attempt.publish(&encode(&files))?;
    Ok(files)
}

pub(super) fn write_three(sink: &dyn SnapshotSink, seed: u64) -> Result<Vec<SnapshotFile>> {
    Ok(vec![
        write(sink, FileScope::Own, &content(seed, 30_000))?,
        write(sink, FileScope::Shared, &content(seed + 1_000, 50_000))?,
        write(sink, FileScope::Shared, &content(seed + 2_000, 20))?,
    ])
}

/// Every file below a directory.
pub(super) fn files_below(fs: &dyn FileSystem, directory: &Path) -> Vec<PathBuf> {
    use crate::vfs::EntryKind;
    let mut found = Vec::new();
    for entry in fs.list(directory).unwrap() {
        let path = directory.join(entry.name);
        match entry.metadata.kind {
            EntryKind::Directory => found.extend(files_below(fs, &path)),
            _ => found.push(path),
        }
    }
    found
}
