//! Files of each version, written once and read for ever; beside them, as plain text, what they hold.
//!
//! A new format version needs a new directory. This writes it, and refuses where there is one:
//! `cargo test -p alluvium-state-api format::tests::golden -- --ignored`. Checkpoints as a whole are in
//! `backend-memory/tests/golden`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::damage::parts;
use super::lookups::{Mapped, find_all, many_pages, with_lookups};
use super::metadata::{claimed, sample, text_of_metadata, with_frames};
use super::model::{
    Content, How, Item, Numbers, bytes_of, options, random_content, random_spec, read, repetitive,
    write,
};
use crate::format::{
    CheckpointMetadata, FileForm, MIN_READABLE, StateFileSpec, VERSION, WriteOptions, file_checksum,
};
use crate::schema::StateKind;
use crate::snapshot::Compression;

/// The checksums of all files of a set, as `xxhsum -H2` prints and checks them.
const LIST: &str = "CHECKSUMS.xxh128";

const METADATA: &str = "checkpoint._metadata";
const METADATA_TEXT: &str = "checkpoint.txt";

fn set_of(version: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

fn sets() -> impl Iterator<Item = PathBuf> {
    (MIN_READABLE..=VERSION).map(set_of)
}

/// What the files of a form hold, whatever their compression.
fn text_name(specimen: &str) -> String {
    format!("{}.txt", specimen.split_once('-').unwrap().0)
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

fn state_file(form: FileForm, options: WriteOptions) -> (Vec<u8>, Content) {
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
    let ordered = form == FileForm::Canonical || options.lookups;
    let how = if ordered { How::Sequential } else { How::Scatter(4096) };
    (bytes_of(&write(&content, &spec, how, options, 1).unwrap()), content)
}

/// One entry a line: state, key group, key, namespace, map key, and what is said of it.
fn text_of(content: &Content) -> String {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |s, byte| s + &format!("{byte:02x}"));
    let all = |elements: &[Vec<u8>]| {
        let shown: Vec<_> = elements.iter().map(|element| hex(element)).collect();
        format!("[{}]", shown.join(" "))
    };
    let mut text = String::new();
    for ((state, group), section) in content {
        for ((key, namespace, map_key), item) in section {
            let item = match item {
                Item::Value(value) => hex(value),
                Item::List(elements) => all(elements),
                Item::Append(first, elements) => format!("from {first} on {}", all(elements)),
                Item::Removed => "removed".to_owned(),
                Item::MapRemoved => "map removed".to_owned(),
            };
            let parts = [key, namespace, map_key].map(|part| hex(part)).join(" | ");
            writeln!(text, "{state} | {group} | {parts} | {item}").unwrap();
        }
    }
    text
}

fn checksums(set: &Path) -> String {
    let entries = std::fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| !path.ends_with(LIST)).collect();
    files.sort_unstable();
    files.iter().fold(String::new(), |list, path| {
        let checksum = file_checksum(&std::fs::read(path).unwrap());
        list + &format!("{checksum:032x}  {}\n", path.file_name().unwrap().to_str().unwrap())
    })
}

#[test]
fn golden_files_are_read() {
    for set in sets() {
        for (name, form, _) in specimens() {
            let (spec, content) = read(&std::fs::read(set.join(&name)).unwrap()).unwrap();
            let recorded = std::fs::read_to_string(set.join(text_name(&name))).unwrap();
            assert_eq!(spec.form, form);
            assert_eq!(text_of(&content), recorded, "{name}");
        }
        let metadata = CheckpointMetadata::decode(&std::fs::read(set.join(METADATA)).unwrap());
        let recorded = std::fs::read_to_string(set.join(METADATA_TEXT)).unwrap();
        assert_eq!(text_of_metadata(&metadata.unwrap()), recorded);
    }
}

#[test]
fn the_newest_version_has_all_golden_files() {
    let set = set_of(VERSION);
    assert!(set.is_dir(), "format version {VERSION} has no golden files; write and commit them");
    for (name, form, compression) in specimens() {
        let bytes = std::fs::read(set.join(&name)).unwrap();
        assert_eq!(bytes[8..10], VERSION.to_le_bytes(), "{name}");
        let features = u32::from_le_bytes(bytes[20..24].try_into().unwrap());
        let expected = [0, 1 << 8, 1 << 9, 1 << 10][compression as usize];
        assert_eq!(features & 0x700, expected, "{name} is compressed as its name says");
        assert_eq!(features & 1 == 1, form == FileForm::Increment, "{name}");
    }
    let bytes = std::fs::read(set.join(METADATA)).unwrap();
    assert_eq!(bytes[8..10], VERSION.to_le_bytes());
}

#[test]
fn no_golden_file_was_changed() {
    for set in sets() {
        let recorded = std::fs::read_to_string(set.join(LIST)).unwrap();
        assert_eq!(recorded, checksums(&set), "golden files are never edited, added or removed");
    }
}

#[test]
fn what_is_written_today_equals_the_golden_files() {
    let set = set_of(VERSION);
    for (name, form, compression) in specimens() {
        let (bytes, content) = state_file(form, options(compression));
        let recorded = std::fs::read_to_string(set.join(text_name(&name))).unwrap();
        assert_eq!(text_of(&content), recorded, "{name}");
        // Compressors may improve; everything else is frozen.
        if compression == Compression::None {
            assert!(bytes == std::fs::read(set.join(&name)).unwrap(), "{name}");
        }
    }
    assert!(std::fs::read(set.join(METADATA)).unwrap() == sample().encode().unwrap());
}

#[test]
#[ignore = "writes the golden files of a new format version"]
fn write_the_golden_files_of_this_version() {
    let set = set_of(VERSION);
    std::fs::create_dir(&set).expect("golden files are never overwritten");
    let write = |name: &str, bytes: &[u8]| std::fs::write(set.join(name), bytes).unwrap();
    for (name, form, compression) in specimens() {
        let (bytes, content) = state_file(form, options(compression));
        write(&name, &bytes);
        write(&text_name(&name), text_of(&content).as_bytes());
    }
    write(METADATA, &sample().encode().unwrap());
    write(METADATA_TEXT, text_of_metadata(&sample()).as_bytes());
    write(LIST, checksums(&set).as_bytes());
}

/// Later additions to version 1, each in a set of its own: those of a version are never added to.
fn additions() -> [(PathBuf, CheckpointMetadata); 2] {
    let set = |name| set_of(1).with_file_name(name);
    [(set("v1-origin"), claimed()), (set("v1-frames"), with_frames())]
}

#[test]
fn golden_checkpoints_with_additions_are_read_and_written() {
    for (set, today) in additions() {
        let recorded = std::fs::read_to_string(set.join(LIST)).unwrap();
        assert_eq!(recorded, checksums(&set), "golden files are never edited, added or removed");
        let bytes = std::fs::read(set.join(METADATA)).unwrap();
        let metadata = CheckpointMetadata::decode(&bytes).unwrap();
        let text = std::fs::read_to_string(set.join(METADATA_TEXT)).unwrap();
        assert_eq!(text_of_metadata(&metadata), text);
        assert!(bytes == today.encode().unwrap());
    }
}

#[test]
#[ignore = "writes the golden checkpoint of each addition that has none yet"]
fn write_the_golden_checkpoints_with_additions() {
    for (set, today) in additions().into_iter().filter(|(set, _)| !set.exists()) {
        std::fs::create_dir(&set).unwrap();
        std::fs::write(set.join(METADATA), today.encode().unwrap()).unwrap();
        std::fs::write(set.join(METADATA_TEXT), text_of_metadata(&today)).unwrap();
        std::fs::write(set.join(LIST), checksums(&set)).unwrap();
    }
}

/// The files with lookups, a later addition to version 1.
fn lookups() -> (PathBuf, [(&'static str, FileForm); 2]) {
    let forms = [("full", FileForm::Full), ("increment", FileForm::Increment)];
    (set_of(1).with_file_name("v1-lookups"), forms)
}

#[test]
fn golden_files_with_lookups_are_read_and_written() {
    let (set, forms) = lookups();
    let recorded = std::fs::read_to_string(set.join(LIST)).unwrap();
    assert_eq!(recorded, checksums(&set), "golden files are never edited, added or removed");
    for (name, form) in forms {
        let bytes = std::fs::read(set.join(format!("{name}.state"))).unwrap();
        let (spec, content) = read(&bytes).unwrap();
        let text = std::fs::read_to_string(set.join(format!("{name}.txt"))).unwrap();
        assert_eq!((spec.form, text_of(&content)), (form, text), "{name}");
        assert!(bytes == state_file(form, with_lookups()).0, "{name}");
        let kinds: BTreeSet<_> = parts(&bytes).1.iter().map(|(start, _)| bytes[*start]).collect();
        let all = if form == FileForm::Full { vec![1, 5, 6] } else { (1..=6).collect() };
        assert!(kinds.into_iter().eq(all), "{name} has blocks of all kinds");
        find_all(&Mapped::new(bytes).unwrap(), &content);
    }
}

#[test]
fn a_file_of_many_pages_is_what_it_was_when_lookups_were_frozen() {
    let checksum = 336_995_922_577_429_711_628_786_900_605_490_085_572;
    assert_eq!(file_checksum(&many_pages().0), checksum);
}

#[test]
#[ignore = "writes the golden files with lookups, if there are none yet"]
fn write_the_golden_files_with_lookups() {
    let (set, forms) = lookups();
    std::fs::create_dir(&set).expect("golden files are never overwritten");
    for (name, form) in forms {
        let (bytes, content) = state_file(form, with_lookups());
        std::fs::write(set.join(format!("{name}.state")), bytes).unwrap();
        std::fs::write(set.join(format!("{name}.txt")), text_of(&content)).unwrap();
    }
    std::fs::write(set.join(LIST), checksums(&set)).unwrap();
}
