//! Files that are expected to be long, and go past the page cache.

use super::*;
use crate::ErrorKind;
use crate::vfs::FaultyFs;
use crate::vfs::faulty::{EIO, ENOSPC, Fault, Operation};

const LENGTH: usize = 150_001;

/// A storage where few bytes are many.
fn small(fs: &Arc<dyn FileSystem>, directory: &Path) -> LocalStorage {
    let mut options = LocalOptions::default();
    (options.write_buffer_bytes, options.bypass_cache_from_bytes) = (4 << 10, 64 << 10);
    let randomness = Arc::new(SeededRandomness::new(1));
    LocalStorage::open(Arc::clone(fs), randomness, directory, &job(), options).unwrap()
}

fn write_expected(sink: &dyn SnapshotSink, bytes: &[u8], piece: usize) -> Result<SnapshotFile> {
    let mut writer = sink.create(FileScope::Own)?;
    let (head, rest) = bytes.split_at(bytes.len().min(100));
    writer.write(head)?;
    writer.expect(rest.len() as u64)?;
    for piece in rest.chunks(piece) {
        writer.write(piece)?;
    }
    let stored = writer.finish()?;
    let (format, label, live) = (FileFormat::State, "".into(), Vec::new());
    Ok(SnapshotFile { stored, frame_checksum: None, format, label, live })
}

#[test]
fn a_file_has_the_bytes_and_the_checksum_that_it_has_without_being_expected() {
    everywhere(|fs, dir| {
        let storage = small(&fs, &dir);
        let attempt = storage.begin(id(1)).unwrap();
        // Whole pages, whole pieces, and all else; below and above the threshold.
        for length in [50, 40_000, 128 << 10, LENGTH] {
            let bytes = content(7, length);
            let whole = write(&*attempt.sink(), FileScope::Own, &bytes).unwrap();
            for piece in [1_000, 16 << 10, LENGTH] {
                let file = write_expected(&*attempt.sink(), &bytes, piece).unwrap();
                assert_eq!(file.stored.checksum, whole.stored.checksum);
                assert_eq!(file.stored.length, whole.stored.length);
                let inline = matches!(file.stored.location, FileLocation::Inline(_));
                assert_eq!(inline, length == 50);
                if !inline {
                    assert!(read_all(&*storage.source(id(1)), &file) == bytes);
                }
            }
        }
        attempt.abort().unwrap();
        assert!(files_below(&*fs, &dir).is_empty());
    });
}

/// The operations of a file system in memory with a fault, and what became of the file.
fn with_fault(fault: Option<(u64, Fault)>) -> (FaultyFs, Result<SnapshotFile>, bool) {
    let memory = MemoryFs::new();
    let mut faulty = FaultyFs::new(Arc::new(memory.clone()));
    if let Some((at, fault)) = fault {
        faulty = faulty.with_fault(at, fault);
    }
    let fs: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let storage = small(&fs, Path::new("/"));
    let attempt = storage.begin(id(1)).unwrap();
    let bytes = content(3, LENGTH);
    let file = write_expected(&*attempt.sink(), &bytes, 10_000);
    let right = file.as_ref().is_ok_and(|file| read_all(&*storage.source(id(1)), file) == bytes);
    let left = files_below(&memory, Path::new("/"));
    assert_eq!(left.len(), usize::from(file.is_ok()), "{fault:?}: {left:?}");
    (faulty, file, right)
}

#[test]
fn every_write_is_seen_by_the_file_system_and_each_failure_loses_the_file() {
    let (fs, file, right) = with_fault(None);
    file.unwrap();
    assert!(right);
    let numbered = (1..).zip(fs.trace()).map(|(number, entry)| (number, entry.operation));
    let steps: Vec<(u64, Operation)> = numbered
        .skip_while(|(_, operation)| *operation != Operation::BypassCache)
        .take_while(|(_, operation)| {
            use Operation::{BypassCache, SyncFile, Write};
            [BypassCache, SyncFile, Write].contains(operation)
        })
        .collect();
    // Nine pieces of 16 KiB and a rest, between the way past the cache and the sync.
    assert_eq!(steps.len(), 12);
    for (number, step) in steps {
        for fault in [Fault::Fails(EIO), Fault::HappensButFails(EIO), Fault::Fails(ENOSPC)] {
            let (fs, file, _) = with_fault(Some((number, fault)));
            assert_eq!(file.unwrap_err().kind(), ErrorKind::Unavailable, "{step:?} {fault:?}");
            assert!(fs.retried().is_empty());
        }
        let (_, file, right) = with_fault(Some((number, Fault::Short)));
        file.unwrap();
        assert!(right, "{step:?}");
    }
}

#[test]
fn a_file_that_is_given_up_is_removed_and_its_thread_is_gone() {
    everywhere(|fs, dir| {
        let attempt = small(&fs, &dir).begin(id(1)).unwrap();
        let mut writer = attempt.sink().create(FileScope::Own).unwrap();
        writer.expect(LENGTH as u64).unwrap();
        writer.write(&content(2, LENGTH)).unwrap();
        assert_eq!(files_below(&*fs, &dir).len(), 1);
        drop(writer);
        assert!(files_below(&*fs, &dir).is_empty());
    });
}
