//! What must hold of every set, and of the newest one.

use std::collections::HashSet;
use std::path::Path;

use alluvium_state_api::format::{BlockKind, CheckpointKind, MIN_READABLE, VERSION};
use alluvium_state_api::snapshot::{
    CancelToken, Compression, FileLocation, Progress, SnapshotContext, SnapshotKind,
    SnapshotRequest,
};
use alluvium_state_api::testkit::TestStorage;
use alluvium_state_api::{
    AggregatingState, CheckpointId, KeyedBackend, KeyedStore, ListState, ReducingState, ValueState,
    open_state_file,
};

use super::read::{Published, published};
use super::states::{AGGREGATING, LIST, MAP, REDUCING, VALUE, VALUE_IN, word_of};
use super::{
    KINDS, Kind, ROUNDS, checksums, content, set_of, specimen, specimens, specimens_of_additions,
    write,
};

/// Everything that was ever published under a version that is still read.
fn all(mut visit: impl FnMut(&Published, &str)) {
    for version in MIN_READABLE..=VERSION {
        let set = set_of(version);
        for (kind, compression) in specimens() {
            all_of(&set, kind, compression, &mut visit);
        }
    }
    for (set, kind, compression) in specimens_of_additions() {
        all_of(&set, kind, compression, &mut visit);
    }
}

fn all_of(
    set: &Path,
    kind: Kind,
    compression: Compression,
    visit: &mut impl FnMut(&Published, &str),
) {
    for published in published(&specimen(set, kind, compression)) {
        let number = published.metadata.checkpoint.get();
        let expected = std::fs::read_to_string(content(set, number)).unwrap();
        visit(&published, &expected);
    }
}

#[test]
fn the_memory_backend_restores_them_at_any_parallelism() {
    all(|published, expected| {
        for parallelism in [1, 2, 3, 5] {
            let restored = published.restored(parallelism);
            assert_eq!(restored, *expected, "{} by {parallelism}", published.path.display());
        }
    });
}

#[test]
fn the_format_modules_decode_them() {
    all(|published, expected| {
        assert_eq!(published.decoded(), *expected, "{}", published.path.display());
    });
}

#[test]
fn bytes_of_the_application_come_back() {
    all(|published, _| {
        let metadata = &published.metadata;
        let position = format!("position {}", metadata.checkpoint.get() * 1000);
        assert_eq!(metadata.application, position.as_bytes());
        for operator in &metadata.operators {
            assert_eq!(operator.application, format!("all of {}", operator.uid).as_bytes());
            for subtask in &operator.subtasks {
                let text = format!("subtask {} of {}", subtask.index, operator.uid);
                assert_eq!(subtask.application, text.as_bytes());
            }
        }
    });
}

#[test]
fn operators_go_on_with_what_they_held() {
    all(|published, _| {
        let operator = &published.metadata.operators[1];
        let mut found = 0;
        for store in published.stores(operator, 2) {
            let mut backend = KeyedBackend::<String, _>::new(store).unwrap();
            let (value, list) = (backend.open(VALUE).unwrap(), backend.open(LIST).unwrap());
            let (windows, map) = (backend.open(VALUE_IN).unwrap(), backend.open(MAP).unwrap());
            let reducing = backend.open(REDUCING).unwrap();
            let aggregating = backend.open(AGGREGATING).unwrap();
            for word in (0..6).map(word_of) {
                let Ok(mut cx) = backend.at(&word) else { continue };
                let Some(old) = cx.value(value).get().unwrap() else { continue };
                found += 1;
                cx.value(value).set(&(old + 1)).unwrap();
                assert_eq!(cx.value(value).get().unwrap(), Some(old + 1));
                let before = cx.list(list).get().unwrap();
                assert!(before[0].contains(" sheep, "));
                cx.list(list).add(&"one more".to_owned()).unwrap();
                assert_eq!(cx.list(list).get().unwrap().len(), before.len() + 1);
                let sum = cx.reducing(reducing).get().unwrap().unwrap();
                cx.reducing(reducing).add(1).unwrap();
                assert_eq!(cx.reducing(reducing).get().unwrap(), Some(sum * 31 + 1));
                let trail = cx.aggregating(aggregating).get().unwrap().unwrap();
                cx.aggregating(aggregating).add(1).unwrap();
                assert_ne!(cx.aggregating(aggregating).get().unwrap().unwrap(), trail);
                assert!(cx.map(map).get(&0).unwrap().unwrap().contains(" sheep, "));
                assert!(cx.within(&3).unwrap().value(windows).get().unwrap().is_some());
            }
        }
        assert!(found >= 4, "{found} words hold something");
    });
}

#[test]
fn the_newest_format_version_has_a_complete_set() {
    let set = set_of(VERSION);
    assert!(set.is_dir(), "format version {VERSION} has no golden files; write and commit them");
    for (kind, compression) in specimens() {
        let all = published(&specimen(&set, kind, compression));
        let numbers: Vec<u64> = all.iter().map(|one| one.metadata.checkpoint.get()).collect();
        let chain = kind.form == SnapshotKind::Incremental && !kind.inline;
        let expected = if chain { (1..=ROUNDS).collect() } else { vec![ROUNDS] };
        assert_eq!(numbers, expected, "{}, {}", kind.name, compression.name());
        check_specimen(kind, compression, all.last().unwrap());
    }
}

/// A specimen is of the kind and compression that its name says, and everything that can be in one is.
fn check_specimen(kind: Kind, compression: Compression, published: &Published) {
    let metadata = &published.metadata;
    let savepoint = kind.form == SnapshotKind::Canonical;
    assert_eq!(metadata.kind == CheckpointKind::Savepoint, savepoint);
    let mut blocks = HashSet::new();
    for (operator, subtask, snapshot) in metadata.keyed() {
        assert_eq!((operator.parallelism, snapshot.kind), (2, kind.form), "{}", subtask.index);
        assert_eq!(snapshot.files.len() > 1, kind.form == SnapshotKind::Incremental);
        assert_eq!(snapshot.states.len(), super::states::metas().len());
        let parts = published.parts(operator);
        let part = &parts[usize::from(subtask.index)];
        for file in &snapshot.files {
            let fits = match file.stored.location {
                FileLocation::Inline(_) => kind.inline,
                FileLocation::Own(_) => kind.name == "full" || kind.name == "savepoint",
                FileLocation::Shared(_) => kind.name == "chain",
            };
            assert!(fits, "{:?} in {}", file.stored.location, kind.name);
            let mut header = [0; 24];
            let reader = published.source.open(file).unwrap();
            reader.read_exact_at(0, &mut header).unwrap();
            let (version, features) = (u32::from(header[8]), u32::from(header[21]));
            assert_eq!(version, u32::from(VERSION));
            assert_eq!(features, (1 << compression as u32) >> 1, "{}", compression.name());
            let state_file = open_state_file(part, file).unwrap();
            let mut cursor = state_file.blocks(snapshot.range);
            while let Some(block) = cursor.next_block().unwrap() {
                blocks.insert(block.kind());
            }
        }
    }
    let mut expected = HashSet::from([BlockKind::Entries]);
    if kind.form == SnapshotKind::Incremental {
        expected.extend([BlockKind::Tombstones, BlockKind::ListAppends, BlockKind::MapRemovals]);
    }
    assert_eq!(blocks, expected, "{}", kind.name);
}

#[test]
fn no_golden_file_was_changed() {
    let additions = specimens_of_additions().map(|(set, ..)| set);
    for set in (MIN_READABLE..=VERSION).map(set_of).chain(additions) {
        let list = std::fs::read_to_string(set.join(checksums::LIST)).unwrap();
        assert_eq!(list, checksums::of(&set), "golden files are never edited, added or removed");
    }
}

#[test]
fn the_canonical_form_is_written_as_it_was() {
    let kind = KINDS[3];
    for published in published(&specimen(&set_of(VERSION), kind, Compression::None)) {
        for operator in &published.metadata.operators {
            let stores = published.stores(operator, 2);
            for (part, mut store) in published.parts(operator).iter().zip(stores) {
                let (storage, id) = (TestStorage::default(), CheckpointId::new(9));
                let (sink, cancel) = (storage.sink(id), CancelToken::default());
                let progress = Progress::default();
                let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
                let task = store.snapshot(&SnapshotRequest::new(id, SnapshotKind::Canonical));
                let now = task.unwrap().run(context).unwrap();
                let golden = part.source.open(&part.snapshot.files[0]).unwrap();
                let mut bytes = vec![0; usize::try_from(golden.len()).unwrap()];
                golden.read_exact_at(0, &mut bytes).unwrap();
                assert!(*storage.read(id, &now.files[0]).unwrap() == *bytes, "{}", operator.uid);
                assert_eq!(now.states, part.snapshot.states);
            }
        }
    }
}

#[test]
#[ignore = "writes the golden files of a new format version"]
fn write_the_set_of_this_version() {
    write::write_set(&set_of(VERSION), specimens());
}

#[test]
fn the_chain_with_frame_checksums_has_one_of_each_file() {
    let mut numbers = Vec::new();
    let (set, kind, compression) = specimens_of_additions().next().unwrap();
    for published in published(&specimen(&set, kind, compression)) {
        numbers.push(published.metadata.checkpoint.get());
        let mut files = published.metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
        assert!(files.all(|file| file.frame_checksum.is_some()), "{}", published.path.display());
    }
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
#[ignore = "writes the golden files of each addition that has none yet"]
fn write_the_sets_of_additions() {
    for (set, kind, compression) in specimens_of_additions().filter(|(set, ..)| !set.exists()) {
        write::write_set(&set, [(kind, compression)]);
    }
}
