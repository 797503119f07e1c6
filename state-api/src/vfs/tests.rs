use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::faulty::{EIO, ENOSPC, Fault, Operation};
use super::*;

fn write(fs: &dyn FileSystem, path: &Path, bytes: &[u8], sync: bool) {
    let mut file = fs.create_new(path).unwrap();
    file.write_all(bytes).unwrap();
    if sync {
        file.sync().unwrap();
    }
}

fn read(fs: &dyn FileSystem, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.length()?).unwrap()];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn symbolic_links_are_reported_and_never_opened() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    write(&RealFs, &dir.path().join("target"), b"secret", true);
    std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
    let memory = MemoryFs::new();
    memory.add_symlink(Path::new("/link")).unwrap();
    for (fs, path) in [(&RealFs as &dyn FileSystem, &*link), (&memory, Path::new("/link"))] {
        assert_eq!(fs.metadata(path).unwrap().kind, EntryKind::Symlink);
        let looped = Some(rustix::io::Errno::LOOP.raw_os_error());
        assert_eq!(fs.open(path).map(|_| ()).unwrap_err().raw_os_error(), looped);
        assert_eq!(fs.open_append(path).map(|_| ()).unwrap_err().raw_os_error(), looped);
        let exists = io::ErrorKind::AlreadyExists;
        assert_eq!(fs.create_new(path).map(|_| ()).unwrap_err().kind(), exists);
        fs.remove_file(path).unwrap();
    }
    assert_eq!(read(&RealFs, &dir.path().join("target")).unwrap(), b"secret");
}

#[test]
fn a_synced_file_whose_directory_was_not_synced_is_gone() {
    let (fs, file, root) = (MemoryFs::new(), Path::new("/file"), Path::new("/"));
    write(&fs, file, b"content", true);
    assert!(read(&fs.crash(), file).is_err());
    fs.sync_directory(root).unwrap();
    assert_eq!(read(&fs.crash(), file).unwrap(), b"content");
    // The rename is as forgetful as the creation.
    let other = Path::new("/other");
    fs.rename(file, other).unwrap();
    let crashed = fs.crash();
    assert!(read(&crashed, other).is_err());
    assert_eq!(read(&crashed, file).unwrap(), b"content");
    fs.sync_directory(root).unwrap();
    assert!(read(&fs.crash(), file).is_err());
    // And so is the removal.
    fs.remove_file(other).unwrap();
    assert_eq!(read(&fs.crash(), other).unwrap(), b"content");
    fs.sync_directory(root).unwrap();
    assert!(read(&fs.crash(), other).is_err());
}

#[test]
fn a_file_holds_what_was_there_at_its_last_sync() {
    let (fs, path) = (MemoryFs::new(), Path::new("/file"));
    write(&fs, path, b"", false);
    fs.sync_directory(Path::new("/")).unwrap();
    let mut file = fs.open_append(path).unwrap();
    file.write_all(b"one").unwrap();
    assert_eq!(read(&fs.crash(), path).unwrap(), b"");
    file.sync().unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(read(&fs.crash(), path).unwrap(), b"one");
    assert_eq!(read(&fs, path).unwrap(), b"onetwo");
}

#[test]
fn everything_below_an_unsynced_directory_is_gone() {
    let (fs, dir) = (MemoryFs::new(), Path::new("/a/b"));
    fs.create_dir(Path::new("/a")).unwrap();
    fs.create_dir(dir).unwrap();
    write(&fs, &dir.join("file"), b"content", true);
    fs.sync_directory(dir).unwrap();
    fs.sync_directory(Path::new("/a")).unwrap();
    assert!(fs.crash().metadata(Path::new("/a")).is_err());
    fs.sync_directory(Path::new("/")).unwrap();
    assert_eq!(read(&fs.crash(), &dir.join("file")).unwrap(), b"content");
}

#[test]
fn an_ensured_directory_survives_also_when_its_maker_died() {
    let (fs, path) = (MemoryFs::new(), Path::new("/a/b/c"));
    for part in ["/a", "/a/b"] {
        fs.create_dir(Path::new(part)).unwrap();
    }
    ensure_directory(&fs, path).unwrap();
    assert_eq!(fs.crash().metadata(path).unwrap().kind, EntryKind::Directory);
}

#[test]
fn links_that_survive_are_one_file_and_clones_share() {
    let (fs, one, two) = (MemoryFs::new(), Path::new("/one"), Path::new("/two"));
    write(&fs, one, b"1", true);
    fs.clone().hard_link(one, two).unwrap();
    fs.sync_everything();
    let crashed = fs.crash();
    crashed.open_append(one).unwrap().write_all(b"2").unwrap();
    assert_eq!(read(&crashed, two).unwrap(), b"12");
    assert_eq!(read(&fs, two).unwrap(), b"1");
}

#[test]
fn random_crashes_tear_writes_and_keep_any_subset_but_never_what_was_synced() {
    let fs = MemoryFs::new();
    let [base, new, old] = ["/base", "/new", "/old"].map(Path::new);
    write(&fs, base, b"base", true);
    write(&fs, old, b"old", true);
    fs.sync_directory(Path::new("/")).unwrap();
    write(&fs, new, b"new", true);
    fs.remove_file(old).unwrap();
    let mut file = fs.open_append(base).unwrap();
    file.write_all(&[1; 2_000]).unwrap();
    file.write_all(&[2; 10]).unwrap();
    let mut shapes = std::collections::BTreeSet::new();
    let (mut torn, mut zeros) = (0, 0);
    for seed in 0..500 {
        let crashed = fs.crash_with(seed);
        let content = read(&crashed, base).unwrap();
        assert!(content.starts_with(b"base"));
        let tail = &content[4..];
        torn += u32::from(!tail.is_empty() && tail.len() < 2_000);
        zeros += u32::from(tail.contains(&0));
        assert_eq!(content, read(&fs.crash_with(seed), base).unwrap());
        let present = |path| read(&crashed, path).is_ok();
        shapes.insert((present(new), present(old), tail.is_empty(), tail.contains(&2)));
        if let Ok(content) = read(&crashed, new) {
            assert_eq!(content, b"new");
        }
    }
    assert!(torn > 10 && zeros > 10, "{torn} {zeros}");
    assert!(shapes.len() >= 12, "{shapes:?}");
}

#[test]
fn faults_strike_once_at_their_operation() {
    let path = Path::new("/file");
    let fs = FaultyFs::new(Arc::new(MemoryFs::new()))
        .with_fault(1, Fault::Fails(ENOSPC))
        .with_fault(3, Fault::Short)
        .with_fault(5, Fault::HappensButFails(EIO));
    assert_eq!(fs.create_new(path).map(|_| ()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let mut file = fs.create_new(path).unwrap();
    assert_eq!(file.write(b"abcde").unwrap(), 3);
    file.write_all(b"de").unwrap();
    assert_eq!(fs.remove_file(path).unwrap_err().raw_os_error(), Some(EIO));
    assert!(fs.open(path).is_err());
    assert_eq!(fs.operations(), 6);
    let third = &fs.trace()[2];
    assert_eq!((third.operation, &third.path), (Operation::Write, &PathBuf::from(path)));
    assert!(fs.retried().is_empty());
}

#[test]
fn after_the_power_is_cut_nothing_reaches_the_disk() {
    let (memory, path) = (MemoryFs::new(), Path::new("/file"));
    let fs = FaultyFs::new(Arc::new(memory.clone())).with_fault(3, Fault::PowerCut);
    let mut file = fs.create_new(path).unwrap();
    file.write_all(b"a").unwrap();
    assert!(file.write_all(b"b").is_err());
    assert!(file.sync().is_err());
    assert!(fs.remove_file(path).is_err());
    assert_eq!(read(&memory, path).unwrap(), b"a");
}

#[test]
fn a_sync_after_a_failed_one_is_an_offence() {
    let path = Path::new("/file");
    let faulty = || FaultyFs::new(Arc::new(MemoryFs::new())).with_fault(2, Fault::Fails(EIO));
    let fs = faulty();
    let mut file = fs.create_new(path).unwrap();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(fs.retried(), [path]);
    // So is giving the file a name, but not a new file where the old one was.
    let fs = faulty();
    assert!(fs.create_new(path).unwrap().sync().is_err());
    fs.remove_file(path).unwrap();
    write(&fs, path, b"", true);
    assert!(fs.retried().is_empty());
    let fs = faulty();
    assert!(fs.create_new(path).unwrap().sync().is_err());
    fs.hard_link(path, Path::new("/published")).unwrap();
    assert_eq!(fs.retried(), [path]);
}

#[test]
fn what_is_left_out_is_called_a_success() {
    let memory = MemoryFs::new();
    let fs = FaultyFs::new(Arc::new(memory.clone())).leaving_out(Operation::SyncDirectory);
    write(&fs, Path::new("/file"), b"content", true);
    fs.sync_directory(Path::new("/")).unwrap();
    assert!(memory.crash().metadata(Path::new("/file")).is_err());
}

#[test]
fn write_back_pushes_a_real_file_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RealFs.create_new(&dir.path().join("file")).unwrap();
    file.write_all(&vec![7; 100_000]).unwrap();
    file.write_back().unwrap().unwrap().run().unwrap();
    file.sync().unwrap();
}

#[test]
fn a_gap_is_zeros_and_what_follows_is_behind_it() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let (real, memory) = (dir.path().join("file"), Path::new("/file"));
    for (fs, path) in [(&RealFs as &dyn FileSystem, &*real), (&MemoryFs::new(), memory)] {
        let mut file = fs.create_new(path).unwrap();
        file.write_all(b"one").unwrap();
        file.skip(1 << 20).unwrap();
        file.skip(0).unwrap();
        file.write_all(b"two").unwrap();
        file.skip(5).unwrap();
        file.sync().unwrap();
        drop(file);
        let mut again = fs.open_append(path).unwrap();
        again.skip(1).unwrap();
        again.write_all(b"three").unwrap();
        let zeros = vec![0; 1 << 20];
        let expected = [b"one", &zeros[..], b"two", &[0; 6], b"three"].concat();
        assert!(read(fs, path).unwrap() == expected);
    }
    let blocks = std::fs::metadata(real).unwrap().blocks();
    assert!(blocks * 512 < 1 << 19, "the gap takes room: {blocks} blocks");
    let faulty = FaultyFs::new(Arc::new(MemoryFs::new())).with_fault(2, Fault::Fails(ENOSPC));
    let mut file = faulty.create_new(memory).unwrap();
    assert_eq!(file.skip(1).unwrap_err().raw_os_error(), Some(ENOSPC));
    assert_eq!(faulty.trace()[1].operation, Operation::Write);
}
