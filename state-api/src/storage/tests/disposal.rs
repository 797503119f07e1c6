//! Deleting savepoints with a fault or a power cut at each operation, and again.

use super::*;
use crate::ErrorKind;
use crate::vfs::FaultyFs;
use crate::vfs::faulty::{EIO, ENOSPC, Fault, Operation};

const TARGET: &str = "/savepoints";

fn open_over(fs: &Arc<dyn FileSystem>, seed: u64) -> LocalStorage {
    let random = Arc::new(SeededRandomness::new(seed));
    let options = LocalOptions::default().with_inline_threshold_bytes(100);
    LocalStorage::open(Arc::clone(fs), random, Path::new("/ckp"), &job(), options).unwrap()
}

/// A durable savepoint of three files, with a file of somebody else beside them.
fn savepoint() -> (MemoryFs, String, Vec<FileName>) {
    let memory = MemoryFs::new();
    let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let storage = open_over(&fs, 1);
    let attempt = storage.begin_savepoint(Some(TARGET)).unwrap();
    let files = write_three(&*attempt.sink(), 1).unwrap();
    attempt.publish(&encode(&files)).unwrap();
    memory.sync_everything();
    let names = files.iter().filter_map(|file| match &file.stored.location {
        FileLocation::Own(name) => Some(name.clone()),
        _ => None,
    });
    (memory, attempt.pointer().to_owned(), names.collect())
}

/// Disposes as a user does who does not give up. Whatever is found is whole, and nothing is left.
fn dispose_again(storage: &dyn CheckpointStorage, pointer: &str, names: &[FileName], at: &str) {
    if let Ok(found) = storage.open_pointer(pointer) {
        check_whole(&found).unwrap_or_else(|problem| panic!("{at}: {problem}"));
        storage.discard_savepoint(pointer, names).unwrap();
    } else if let Err(error) = storage.discard_savepoint(pointer, &[]) {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{at}: {error}");
    }
    let again = storage.discard_savepoint(pointer, names).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound, "{at}");
}

fn dispose_with(number: u64, fault: Fault) -> (MemoryFs, FaultyFs, String, Vec<FileName>, bool) {
    let (memory, pointer, names) = savepoint();
    let faulty = FaultyFs::new(Arc::new(memory.clone()));
    let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let storage = open_over(&fs, 2);
    let before = faulty.operations();
    drop(faulty.clone().with_fault(before + number, fault));
    let done = storage.discard_savepoint(&pointer, &names).is_ok();
    if !done && fault != Fault::PowerCut {
        // The same process tries again.
        dispose_again(&storage, &pointer, &names, &format!("{fault:?} at {number}"));
        assert!(files_below(&memory, Path::new(TARGET)).is_empty(), "{fault:?} at {number}");
    }
    (memory, faulty, pointer, names, done)
}

#[test]
fn an_interrupted_disposal_can_be_repeated_until_nothing_is_left() {
    let operations = {
        let (memory, pointer, names) = savepoint();
        let faulty = FaultyFs::new(Arc::new(memory));
        let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let storage = open_over(&fs, 2);
        let before = faulty.operations();
        storage.discard_savepoint(&pointer, &names).unwrap();
        faulty.operations() - before
    };
    let mut points = 0;
    for fault in [Fault::PowerCut, Fault::Fails(EIO), Fault::HappensButFails(EIO), Fault::Short] {
        for number in 1..=operations {
            let (memory, faulty, pointer, names, done) = dispose_with(number, fault);
            assert!(faulty.retried().is_empty(), "{fault:?} at {number}");
            let acknowledged = done || fault != Fault::PowerCut;
            let random = (0..16).map(|seed| memory.crash_with(seed * 1_000 + number));
            for left in std::iter::once(memory.crash()).chain(random) {
                points += 1;
                let at = format!("{fault:?} at {number}");
                let fs: Arc<dyn FileSystem> = Arc::new(left.clone());
                let storage = open_over(&fs, 3);
                let there = storage.open_pointer(&pointer).is_ok();
                assert!(!(acknowledged && there), "{at}: it came back");
                dispose_again(&storage, &pointer, &names, &at);
                assert_eq!(files_below(&left, Path::new(TARGET)), Vec::<PathBuf>::new(), "{at}");
            }
        }
    }
    assert!(points > 800, "only {points} points over {operations} operations");
}

#[test]
fn a_full_disk_does_not_keep_anybody_from_deleting() {
    for operation in [Operation::CreateNew, Operation::Write, Operation::SyncFile] {
        let (memory, pointer, names) = savepoint();
        let faulty = FaultyFs::new(Arc::new(memory.clone()));
        let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let storage = open_over(&fs, 2);
        let before = faulty.operations();
        let probe = FaultyFs::new(Arc::new(memory.crash()));
        let other: Arc<dyn FileSystem> = Arc::new(probe.clone());
        let rehearsal = open_over(&other, 2);
        let skipped = probe.trace().len();
        rehearsal.discard_savepoint(&pointer, &names).unwrap();
        let trace = probe.trace().split_off(skipped);
        let at = trace.iter().position(|entry| entry.operation == operation).unwrap();
        drop(faulty.with_fault(before + at as u64 + 1, Fault::Fails(ENOSPC)));
        storage.discard_savepoint(&pointer, &names).unwrap();
        assert!(files_below(&memory, Path::new(TARGET)).is_empty(), "{operation:?}");
    }
}

#[test]
fn a_hostile_marker_removes_nothing_outside_of_its_directory() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let (trap, precious) = (dir.join("trap"), dir.join("precious"));
        fs.create_dir(&trap).unwrap();
        let mut file = fs.create_new(&precious).unwrap();
        file.write_all(b"x").unwrap();
        let marker = trap.join(".metadata-disposed");
        let target = precious.to_str().unwrap();
        for name in ["../precious", target, "..", "a/../../precious", ""] {
            let text = format!("alluvium disposal 1\n{name}\nend");
            fs.create_new(&marker).unwrap().write_all(text.as_bytes()).unwrap();
            let refused = storage.discard_savepoint(trap.to_str().unwrap(), &[]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupted, "{name:?}");
            assert!(fs.metadata(&precious).is_ok());
            fs.remove_file(&marker).unwrap();
        }
        // Metadata beside a marker rules.
        fs.create_new(&marker).unwrap().write_all(b"alluvium disposal 1\nkept\nend").unwrap();
        for name in ["kept", "_metadata"] {
            fs.create_new(&trap.join(name)).unwrap().write_all(b"x").unwrap();
        }
        storage.discard_savepoint(trap.to_str().unwrap(), &[]).unwrap();
        assert_eq!(files_below(&*fs, &trap), [trap.join("kept")]);
    });
}
