use alluvium_state_api::format::{FileForm, StateFileSpec, StateFileWriter, WrittenStateFile};
use alluvium_state_api::snapshot::{CancelToken, Compression, Progress, SnapshotContext};
use alluvium_state_api::storage::{FileScope, SnapshotSink};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{
    CheckpointId, Descriptor, ErrorKind, KeyedBackend, MaxParallelism, ValueDescriptor,
};

use super::*;

const GROUPS: u32 = 200;
const FIRST: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("first");
const SECOND: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("second");

/// One section is larger than a piece may be in memory, many key groups are empty.
fn write_piece(piece: Piece, sections: &mut dyn Sections) -> Result<()> {
    for group in piece.groups.iter().filter(|group| group.index() % 3 != 1) {
        sections.section(piece.state, group)?;
        let (count, length) = match (piece.state, group.index()) {
            (0, 150 | 180) | (1, 3 | 6 | 9 | 12 | 30) => (30, 200_000),
            (_, index) => (u64::from(index), 50),
        };
        for key in 0..count {
            let key = key.to_be_bytes();
            sections.put(EntryKey::new(&key, 8, 8)?, &vec![1; length])?;
        }
    }
    Ok(())
}

/// A file that `write` writes.
fn file(
    form: FileForm,
    write: impl FnOnce(&mut SequentialWriter, &[Piece]) -> Result<()>,
) -> Result<WrittenStateFile> {
    let groups = MaxParallelism::new(GROUPS).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let spec = StateFileSpec::new(&space, vec![FIRST.meta(), SECOND.meta()], form);
    let sink = TestStorage::default().sink(CheckpointId::new(1));
    let (cancel, progress) = (CancelToken::default(), Progress::default());
    let sink: &dyn SnapshotSink = &sink;
    let context = SnapshotContext { sink, cancel: &cancel, progress: &progress };
    let writer = StateFileWriter::create(&context, FileScope::Own, spec, Compression::None)?;
    let mut writer = writer.into_sequential();
    write(&mut writer, &pieces(2, groups.all())?)?;
    writer.finish()
}

#[test]
fn the_bytes_are_those_of_one_thread() {
    for form in [FileForm::Canonical, FileForm::Full] {
        let alone = |writer: &mut SequentialWriter, pieces: &[Piece]| {
            pieces.iter().try_for_each(|piece| write_piece(*piece, writer))
        };
        let alone = file(form, alone).unwrap().stored;
        for helpers in [0, 1, 3] {
            let together = |writer: &mut SequentialWriter, pieces: &[Piece]| {
                write_with(helpers, pieces, &write_piece, writer, 0)
            };
            let together = file(form, together).unwrap().stored;
            assert_eq!((together.length, together.checksum), (alone.length, alone.checksum));
        }
    }
}

#[test]
fn an_error_of_any_thread_ends_the_work() {
    for failing in [0, 1, 77, 130, 199] {
        let write = |piece: Piece, sections: &mut dyn Sections| {
            if piece.state == 1 && piece.groups.contains(KeyGroup::new(failing)) {
                return Err(Error::corrupted("here"));
            }
            write_piece(piece, sections)
        };
        let failed =
            file(FileForm::Canonical, |writer, pieces| write_with(3, pieces, &write, writer, 0));
        let error = failed.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupted, "here"), "{failing}");
    }
}

#[test]
fn pieces_have_every_key_group_once() {
    for (start, end) in [(0, 1), (3, 130), (0, 128), (0, 129), (0, 32_768)] {
        let groups = KeyGroupRange::new(start, end).unwrap();
        let pieces = pieces(2, groups).unwrap();
        assert!(pieces.len() <= 2 * usize::from(PIECES));
        let all =
            pieces.iter().flat_map(|piece| piece.groups.iter().map(|group| (piece.state, group)));
        assert!(all.eq((0..2).flat_map(|state| groups.iter().map(move |group| (state, group)))));
    }
}
