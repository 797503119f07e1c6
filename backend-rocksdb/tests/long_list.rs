//! One list of 3 GiB: it reaches its limit, is refused, and is read whole, also by a store that was restored from RocksDB's own
//! files, in bounded memory. Takes a minute and 8 GB of disk:
//! `scripts/test --release -p alluvium-backend-rocksdb --test long_list -- --ignored --nocapture`, with `TMPDIR` on a disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "its figures are what it is run for")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use alluvium_backend_rocksdb::RocksStore;
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, FileName, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::vfs::RealFs;
use alluvium_state_api::{
    CheckpointId, ErrorKind, KeyedBackend, ListDescriptor, ListState, MaxParallelism, OpenEnv,
    RestorePart,
};

type Backend = KeyedBackend<u64, RocksStore>;

const LIMIT: u64 = 3 << 30;
const LIST: ListDescriptor<Vec<u8>> = ListDescriptor::new("list").with_size_limit(LIMIT);
const ELEMENT_BYTES: usize = 16 << 10;
/// The default budget, and what else a process needs.
const MOST_RESIDENT: u64 = (512 << 20) + (128 << 20);

fn open(directory: &Path, parts: Vec<RestorePart>) -> Backend {
    let groups = MaxParallelism::new(8).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let env = OpenEnv::new(space).with_local_dir(directory).with_restore(parts);
    KeyedBackend::new(RocksStore::open(env).unwrap()).unwrap()
}

/// An element that does not compress, and tells its number.
fn set_element(element: &mut Vec<u8>, number: u64) {
    element.clear();
    let mut word = number;
    while element.len() < ELEMENT_BYTES {
        element.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number | 1);
    }
}

/// A figure of the kernel's for this process.
fn figure(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The list is full, which is told without reading it; and it is read whole.
fn check(backend: &mut Backend, added: u64) {
    let list = backend.open(LIST).unwrap();
    let mut element = Vec::new();
    set_element(&mut element, added);
    let before = figure("io", "rchar:");
    let error = backend.at(&1).unwrap().list(list).add(&element).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let size = backend.at(&1).unwrap().list(list).size().unwrap();
    let read = figure("io", "rchar:") - before;
    assert!(read < 4 << 20, "{read} bytes were read to refuse an element");
    assert_eq!(size.elements, added);
    let mut next = 0;
    let whole = backend.at(&1).unwrap().list(list).for_each(|found: Vec<u8>| {
        set_element(&mut element, next);
        assert!(found == element, "element {next}");
        next += 1;
        Ok(ControlFlow::Continue(()))
    });
    whole.unwrap();
    assert_eq!(next, added);
    let resident = figure("status", "VmHWM:") << 10;
    eprintln!("refused after reading {read} bytes; {resident} bytes were resident at most");
    assert!(resident < MOST_RESIDENT, "{resident} bytes were resident");
}

#[test]
#[ignore = "takes a minute and 8 GB of disk"]
fn a_list_of_three_gib_is_written_and_read() {
    let root = tempfile::tempdir().unwrap();
    let mut backend = open(&root.path().join("first"), Vec::new());
    let list = backend.open(LIST).unwrap();
    let (mut element, mut added) = (Vec::new(), 0);
    let refused = loop {
        set_element(&mut element, added);
        match backend.at(&1).unwrap().list(list).add(&element) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded, "{refused}");
    assert!(added * (ELEMENT_BYTES as u64 + 16) > LIMIT, "{added} elements");
    check(&mut backend, added);
    let job = FileName::new("job").unwrap();
    let (fs, randomness) = (Arc::new(RealFs), Arc::new(SeededRandomness::new(7)));
    let to = root.path().join("to");
    let storage = LocalStorage::open(fs, randomness, &to, &job, LocalOptions::default()).unwrap();
    let id = CheckpointId::new(1);
    let attempt = storage.begin(id).unwrap();
    let task = backend.snapshot(&SnapshotRequest::new(id, SnapshotKind::Incremental)).unwrap();
    let (sink, cancel, progress) = (attempt.sink(), CancelToken::default(), Progress::default());
    let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
    let snapshot = task.run(context).unwrap();
    drop(backend);
    let part = RestorePart { snapshot, source: attempt.source(), base: Some(id) };
    check(&mut open(&root.path().join("second"), vec![part]), added);
}
