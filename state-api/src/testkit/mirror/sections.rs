//! Canonical files: the same bytes from both stores, section by section.

use std::sync::Arc;

use crate::KeyGroup;
use crate::format::{BufferReader, StateFile};
use crate::snapshot::Compression;

/// Panics unless two canonical snapshots are the same: file by file the same bytes; if compressed, at
/// least the same content.
pub(super) fn compare(first: &[Arc<[u8]>], second: &[Arc<[u8]>], compression: Compression) {
    assert_eq!(first.len(), second.len(), "files of the two canonical snapshots");
    for (one, other) in first.iter().zip(second).filter(|(one, other)| one != other) {
        compare_sections(one, other);
        assert_ne!(compression, Compression::None, "same content, other bytes");
    }
}

/// Panics at the first section that is not the same.
fn compare_sections(first: &Arc<[u8]>, second: &Arc<[u8]>) {
    let [first, second] = [first, second].map(open);
    assert_eq!(first.spec(), second.spec(), "headers of the two canonical snapshots");
    let names = |file: &StateFile| -> Vec<(u16, KeyGroup)> {
        file.sections().iter().map(|section| (section.state, section.group)).collect()
    };
    assert_eq!(names(&first), names(&second), "sections of the two canonical snapshots");
    for (state, group) in names(&first) {
        let [one, other] = [&first, &second].map(|file| records(file, state, group));
        let name = &first.spec().states[usize::from(state)].name;
        assert_eq!(one, other, "the section of state {name:?} and key group {group}");
    }
}

fn open(bytes: &Arc<[u8]>) -> StateFile {
    StateFile::open(BufferReader::over(Arc::clone(bytes)), "canonical").expect("a state file")
}

/// What the blocks of a section say, a text for each record.
fn records(file: &StateFile, state: u16, group: KeyGroup) -> Vec<Vec<String>> {
    let mut blocks = file.blocks_where(|section| (section.state, section.group) == (state, group));
    let mut found = Vec::new();
    while let Some(block) = blocks.next_block().expect("a block") {
        found.push(block.records().map(|record| format!("{record:?}")).collect());
    }
    found
}
