//! `_metadata`: round trips, determinism, damage, hostile content.

use proptest::prelude::*;

use super::model::{Numbers, random_spec};
use crate::format::features::METADATA_COMPATIBLE;
use crate::format::{
    CheckpointKind, CheckpointMetadata, CheckpointStatistics, FileForm, OperatorState, Origin,
    SubtaskState, SubtaskStatistics, file_checksum,
};
use crate::snapshot::{
    Digest, EntryCount, FileFormat, FileLocation, FileName, KeyedSnapshot, SnapshotFile,
    SnapshotKind, StateSummary, StoredFile,
};
use crate::{CheckpointId, ErrorKind, KeyGroupRange, MaxParallelism};

fn file(numbers: &mut Numbers, groups: MaxParallelism) -> SnapshotFile {
    let length = numbers.below(50);
    let bytes = numbers.bytes(length);
    let name = FileName::new(&format!("file-{:016x}.state", numbers.next())).unwrap();
    let (length, checksum) = (bytes.len() as u64, file_checksum(&bytes));
    let (location, length, checksum) = match numbers.below(3) {
        0 => (FileLocation::Inline(bytes.into()), length, checksum),
        1 => (FileLocation::Own(name), numbers.next(), u128::from(numbers.next())),
        _ => (FileLocation::Shared(name), numbers.next(), u128::from(numbers.next())),
    };
    let middle = numbers.below(usize::from(groups.get())) as u16;
    let ranges = [(0, middle), (middle + 1, groups.get())];
    let live = ranges.into_iter().filter(|(start, end)| start < end);
    SnapshotFile {
        stored: StoredFile { location, length, checksum },
        frame_checksum: None,
        format: [FileFormat::State, FileFormat::Native][numbers.below(2)],
        label: ["", "000012.sst"][numbers.below(2)].into(),
        live: live.map(|(start, end)| KeyGroupRange::new(start, end).unwrap()).collect(),
    }
}

fn keyed(numbers: &mut Numbers, groups: MaxParallelism) -> KeyedSnapshot {
    let spec = random_spec(numbers, FileForm::Canonical);
    let states = spec.states.into_iter().map(|meta| StateSummary {
        meta,
        entries: match numbers.below(2) {
            0 => EntryCount::Exact(numbers.next()),
            _ => EntryCount::Estimate(numbers.next()),
        },
        digest: (numbers.below(2) == 0).then(|| Digest(u128::from(numbers.next()) << 7)),
    });
    let states = states.collect();
    let kinds = [SnapshotKind::Full, SnapshotKind::Incremental, SnapshotKind::Canonical];
    KeyedSnapshot {
        backend: "memory".into(),
        kind: kinds[numbers.below(3)],
        key: spec.key,
        groups,
        range: groups.all(),
        states,
        files: (0..numbers.below(4)).map(|_| file(numbers, groups)).collect(),
        bytes_new: numbers.next(),
        bytes_full: numbers.next(),
    }
}

fn metadata(seed: u64) -> CheckpointMetadata {
    let numbers = &mut Numbers(seed);
    let operators = (0..numbers.below(4)).map(|index| {
        let groups = MaxParallelism::new(128).unwrap();
        let subtasks = (0..numbers.below(4) as u16).map(|index| SubtaskState {
            index: index * 2,
            keyed: (numbers.below(3) > 0).then(|| keyed(numbers, groups)),
            application: numbers.bytes(index.into()),
            statistics: SubtaskStatistics {
                sync_us: numbers.next(),
                async_us: numbers.next(),
                start_delay_us: numbers.next(),
                bytes_new: numbers.next(),
                bytes_full: numbers.next(),
                entries: numbers.next(),
            },
        });
        OperatorState {
            uid: format!("operator-{index}").into(),
            max_parallelism: groups,
            parallelism: 8,
            subtasks: subtasks.collect(),
            application: numbers.bytes(index),
        }
    });
    CheckpointMetadata {
        operators: operators.collect(),
        checkpoint: CheckpointId::new(numbers.next()),
        kind: [CheckpointKind::Checkpoint, CheckpointKind::Savepoint][numbers.below(2)],
        job: "job-7".into(),
        timestamp_ms: numbers.next(),
        attempt: u128::from(numbers.next()) << 50,
        application: numbers.bytes(5),
        statistics: CheckpointStatistics {
            duration_us: numbers.next(),
            bytes_new: numbers.next(),
            bytes_full: numbers.next(),
            entries: numbers.next(),
        },
        origin: None,
    }
}

/// The specimen of the golden file of claimed checkpoints.
pub(super) fn claimed() -> CheckpointMetadata {
    let origin = Origin { pointer: "/flights/job-6/chk-41".into(), checksum: 0x1234_5678 << 64 };
    let kind = CheckpointKind::Checkpoint;
    CheckpointMetadata { kind, origin: Some(origin), ..sample() }
}

/// Gives those files a frame checksum that may have one, except some.
fn framed(mut metadata: CheckpointMetadata) -> CheckpointMetadata {
    let mut number = 0_u32;
    for file in files_of(&mut metadata) {
        let inline = matches!(file.stored.location, FileLocation::Inline(_));
        if !inline && file.format == FileFormat::State {
            number += 1;
            let missing = number.is_multiple_of(3);
            file.frame_checksum = (!missing).then_some((u128::from(number) << 100) + 77);
        }
    }
    metadata
}

fn files_of(metadata: &mut CheckpointMetadata) -> impl Iterator<Item = &mut SnapshotFile> {
    let subtasks = metadata.operators.iter_mut().flat_map(|operator| &mut operator.subtasks);
    subtasks.filter_map(|subtask| subtask.keyed.as_mut()).flat_map(|keyed| &mut keyed.files)
}

/// The specimen of the golden file of checkpoints with frame checksums: some files have one, some not.
pub(super) fn with_frames() -> CheckpointMetadata {
    let rich =
        |m: &CheckpointMetadata| m.keyed().map(|(_, _, k)| k.files.len()).sum::<usize>() > 12;
    framed((0..10_000).map(metadata).find(rich).unwrap())
}

/// The specimen of the golden file.
pub(super) fn sample() -> CheckpointMetadata {
    let rich = |m: &CheckpointMetadata| m.keyed().map(|(_, _, k)| k.files.len()).sum::<usize>() > 5;
    (0..10_000).map(metadata).find(rich).unwrap()
}

/// What is recorded of it beside the golden file: a line each for the checkpoint, operators, subtasks,
/// states and files.
pub(super) fn text_of_metadata(metadata: &CheckpointMetadata) -> String {
    let mut lines = vec![format!(
        "{:?} {} of {}, at {}, attempt {}, application {:?}, {:?}",
        metadata.kind,
        metadata.checkpoint,
        metadata.job,
        metadata.timestamp_ms,
        metadata.attempt,
        metadata.application,
        metadata.statistics
    )];
    for operator in &metadata.operators {
        lines.push(format!(
            "operator {}: {} key groups, parallelism {}, application {:?}",
            operator.uid, operator.max_parallelism, operator.parallelism, operator.application
        ));
        for subtask in &operator.subtasks {
            lines.push(format!(
                "subtask {}: application {:?}, {:?}",
                subtask.index, subtask.application, subtask.statistics
            ));
            lines.extend(subtask.keyed.iter().flat_map(lines_of_keyed));
        }
    }
    let origin = metadata.origin.iter();
    lines.extend(origin.map(|origin| format!("origin {} {:x}", origin.pointer, origin.checksum)));
    lines.join("\n") + "\n"
}

fn lines_of_keyed(keyed: &KeyedSnapshot) -> Vec<String> {
    let mut lines = vec![format!(
        "{:?} by {}: keys {} {}, key groups {} of {}, {} new and {} full bytes",
        keyed.kind,
        keyed.backend,
        keyed.key.codec,
        keyed.key.hash,
        keyed.range,
        keyed.groups,
        keyed.bytes_new,
        keyed.bytes_full
    )];
    lines.extend(keyed.states.iter().map(|state| {
        let meta = &state.meta;
        let optional =
            |schema: &Option<_>| schema.as_ref().map_or(String::new(), |s| format!("{s}"));
        format!(
            "state {}, {}: {} | {} | {}, limit {}, stamped {}, {:?}, digest {:?}",
            meta.name,
            meta.kind.name(),
            optional(&meta.namespace),
            optional(&meta.map_key),
            meta.value,
            meta.size_limit,
            meta.stamped,
            state.entries,
            state.digest
        )
    }));
    lines.extend(keyed.files.iter().map(|file| {
        let content = match &file.stored.location {
            FileLocation::Inline(bytes) => format!("{bytes:?}"),
            _ => "elsewhere".to_owned(),
        };
        let frame = file.frame_checksum.map(|frame| format!(", frame {frame:032x}"));
        format!(
            "file {:?}, {content}: {} bytes, checksum {:032x}{}, {:?} {:?}, live {:?}",
            file.stored.location,
            file.stored.length,
            file.stored.checksum,
            frame.unwrap_or_default(),
            file.format,
            file.label,
            file.live
        )
    }));
    lines
}

/// Repairs the checksum after a change.
fn reseal(bytes: &mut [u8]) {
    let content = bytes.len() - 16;
    let checksum = file_checksum(&bytes[..content]);
    bytes[content..].copy_from_slice(&checksum.to_le_bytes());
}

proptest! {
    #[test]
    fn metadata_round_trips(seed: u64, frames: bool) {
        let metadata = if frames { framed(metadata(seed)) } else { metadata(seed) };
        let bytes = metadata.encode().unwrap();
        prop_assert_eq!(CheckpointMetadata::decode(&bytes).unwrap(), metadata.clone());
        let mut shuffled = metadata;
        shuffled.operators.reverse();
        shuffled.operators.iter_mut().for_each(|operator| operator.subtasks.reverse());
        prop_assert_eq!(shuffled.encode().unwrap(), bytes);
    }

    #[test]
    fn nothing_that_a_liar_writes_panics(seed in 0u64..50, at: prop::sample::Index, byte: u8) {
        let mut bytes = framed(metadata(seed)).encode().unwrap();
        let at = at.index(bytes.len() - 16);
        bytes[at] = byte;
        reseal(&mut bytes);
        let features = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
        let extended = features & !METADATA_COMPATIBLE != 0;
        if let (Ok(decoded), false) = (CheckpointMetadata::decode(&bytes), extended) {
            prop_assert_eq!(decoded.encode().unwrap(), bytes);
        }
    }
}

#[test]
fn an_origin_is_kept_by_checkpoints_and_refused_elsewhere() {
    let whole = claimed();
    let bytes = whole.encode().unwrap();
    assert_eq!(bytes[16..20], [1, 0, 0, 0]);
    assert_eq!(CheckpointMetadata::decode(&bytes).unwrap(), whole);
    let savepoint = CheckpointMetadata { kind: CheckpointKind::Savepoint, ..whole.clone() };
    assert_eq!(savepoint.encode().unwrap_err().kind(), ErrorKind::InvalidInput);
    for pointer in ["", "a\0b", "line\n", &"x".repeat(4097)] {
        let origin = Some(Origin { pointer: pointer.into(), checksum: 0 });
        let metadata = CheckpointMetadata { origin, ..whole.clone() };
        assert_eq!(metadata.encode().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // The bit and the field go together.
    for (mut bytes, bit) in [(bytes, 0), (sample().encode().unwrap(), 1)] {
        bytes[16] = bit;
        reseal(&mut bytes);
        assert_eq!(CheckpointMetadata::decode(&bytes).unwrap_err().kind(), ErrorKind::Corrupted);
    }
}

#[test]
fn frame_checksums_are_kept_and_refused_where_they_mean_nothing() {
    let whole = with_frames();
    let bytes = whole.encode().unwrap();
    assert_eq!(bytes[16..20], [2, 0, 0, 0]);
    assert_eq!(CheckpointMetadata::decode(&bytes).unwrap(), whole);
    let refused: [fn(&SnapshotFile) -> bool; 2] = [
        |file| matches!(file.stored.location, FileLocation::Inline(_)),
        |file| file.format == FileFormat::Native,
    ];
    for may_have_none in refused {
        let mut metadata = whole.clone();
        files_of(&mut metadata).find(|file| may_have_none(file)).unwrap().frame_checksum = Some(1);
        assert_eq!(metadata.encode().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // The bit and the fields go together.
    for (mut bytes, bit) in [(bytes, 0), (sample().encode().unwrap(), 2)] {
        bytes[16] = bit;
        reseal(&mut bytes);
        assert_eq!(CheckpointMetadata::decode(&bytes).unwrap_err().kind(), ErrorKind::Corrupted);
    }
}

#[test]
fn who_does_not_know_of_frame_checksums_reads_the_rest() {
    let mut bytes = with_frames().encode().unwrap();
    // A bit that nobody knows in place of this one: what a version before it sees.
    bytes[16] = 0x80;
    reseal(&mut bytes);
    let mut expected = with_frames();
    files_of(&mut expected).for_each(|file| file.frame_checksum = None);
    assert_eq!(CheckpointMetadata::decode(&bytes).unwrap(), expected);
}

#[test]
fn every_flip_cut_and_extension_is_noticed() {
    let bytes = framed(claimed()).encode().unwrap();
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        assert!(CheckpointMetadata::decode(&damaged).is_err(), "byte {index}");
        let error = CheckpointMetadata::decode(&bytes[..index]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
    }
    assert!(CheckpointMetadata::decode(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn contradictions_are_refused_in_both_directions() {
    type Change = fn(&mut CheckpointMetadata);
    let changes: [Change; 10] = [
        |m| m.operators[1].uid = m.operators[0].uid.clone(),
        |m| m.operators[0].uid = "".into(),
        |m| m.operators[0].parallelism = 0,
        |m| m.operators[0].parallelism = 129,
        |m| with_subtask(m).subtasks[0].index = 8,
        |m| {
            let operator = with_subtask(m);
            operator.subtasks.push(operator.subtasks[0].clone());
        },
        |m| keyed_of(m).groups = MaxParallelism::new(64).unwrap(),
        |m| keyed_of(m).range = KeyGroupRange::new(0, 129).unwrap(),
        |m| {
            let state = keyed_of(m).states[0].clone();
            keyed_of(m).states.push(state);
        },
        |m| {
            let live = KeyGroupRange::new(0, 4).unwrap();
            let file = SnapshotFile {
                stored: StoredFile {
                    location: FileLocation::Inline(vec![1].into()),
                    length: 2,
                    checksum: 0,
                },
                frame_checksum: None,
                format: FileFormat::State,
                label: "".into(),
                live: vec![live, live],
            };
            keyed_of(m).files.push(file);
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut metadata = sample();
        change(&mut metadata);
        let error = metadata.encode().expect_err(&format!("change {index}"));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

fn with_subtask(metadata: &mut CheckpointMetadata) -> &mut OperatorState {
    metadata.operators.iter_mut().find(|operator| !operator.subtasks.is_empty()).unwrap()
}

fn keyed_of(metadata: &mut CheckpointMetadata) -> &mut KeyedSnapshot {
    let subtasks = metadata.operators.iter_mut().flat_map(|operator| &mut operator.subtasks);
    subtasks.into_iter().find_map(|subtask| subtask.keyed.as_mut()).unwrap()
}

#[test]
fn unsafe_names_are_refused() {
    let mut metadata = sample();
    let keyed = keyed_of(&mut metadata);
    keyed.files.truncate(1);
    keyed.files[0].stored.location = FileLocation::Shared(FileName::new("abcdefgh").unwrap());
    let bytes = metadata.encode().unwrap();
    let at = bytes.windows(8).position(|window| window == b"abcdefgh").unwrap();
    for name in [b"../../..", b"/etc/abc", b"a/../../", b".hidden.", b"nul\0nul\0", b"a\\b\\c\\dx"]
    {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(name);
        reseal(&mut bytes);
        assert_eq!(CheckpointMetadata::decode(&bytes).unwrap_err().kind(), ErrorKind::Corrupted);
    }
}
