//! Files of version 1, written once and read for ever.
//!
//! `cargo test -p alluvium-state-api format::tests::golden -- --ignored` writes those that are missing; files that
//! exist are never touched.

use std::path::PathBuf;

use super::metadata::sample;
use super::model::{
    Content, How, Numbers, bytes_of, options, random_content, random_spec, read, repetitive, write,
};
use crate::format::{CheckpointMetadata, FileForm, StateFileSpec};
use crate::schema::StateKind;
use crate::snapshot::Compression;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn specimens() -> impl Iterator<Item = (String, FileForm, Compression)> {
    let forms = [
        ("full", FileForm::Full),
        ("increment", FileForm::Increment),
        ("canonical", FileForm::Canonical),
    ];
    forms.into_iter().flat_map(|(name, form)| {
        Compression::ALL.map(|c| (format!("{name}-{}.state", c.name()), form, c))
    })
}

fn state_file(form: FileForm, compression: Compression) -> (Vec<u8>, Content) {
    let mut numbers = Numbers(2026);
    let telling = |spec: &StateFileSpec| {
        let has = |kind| spec.states.iter().any(|state| state.kind == kind);
        let stamped = spec.states.iter().any(|state| state.stamped);
        let variable = spec.states.iter().any(|state| state.value.width.is_none());
        stamped && variable && has(StateKind::List) && has(StateKind::Map)
    };
    let mut spec = random_spec(&mut numbers, form);
    while !telling(&spec) || spec.groups.get() == 128 {
        spec = random_spec(&mut numbers, form);
    }
    let content = repetitive(random_content(&mut numbers, &spec, 60, 60), &spec);
    let how = if form == FileForm::Canonical { How::Sequential } else { How::Scatter(4096) };
    (bytes_of(&write(&content, &spec, how, options(compression), 1).unwrap()), content)
}

#[test]
fn golden_files_are_read() {
    for (name, form, compression) in specimens() {
        let bytes = std::fs::read(path(&name)).unwrap();
        let (_, content) = read(&bytes).unwrap();
        assert_eq!(content, state_file(form, compression).1, "{name}");
    }
    let bytes = std::fs::read(path("checkpoint._metadata")).unwrap();
    assert_eq!(CheckpointMetadata::decode(&bytes).unwrap(), sample());
}

#[test]
fn what_is_written_today_equals_the_golden_files() {
    for (name, form, compression) in specimens() {
        // Compressors may improve; everything else is frozen.
        if compression == Compression::None {
            let bytes = std::fs::read(path(&name)).unwrap();
            assert!(bytes == state_file(form, compression).0, "{name}");
        }
    }
    let bytes = std::fs::read(path("checkpoint._metadata")).unwrap();
    assert!(bytes == sample().encode().unwrap());
}

#[test]
#[ignore = "writes golden files that do not exist yet"]
fn write_missing_golden_files() {
    let write = |name: &str, bytes: Vec<u8>| {
        let path = path(name);
        if !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    for (name, form, compression) in specimens() {
        write(&name, state_file(form, compression).0);
    }
    write("checkpoint._metadata", sample().encode().unwrap());
}
