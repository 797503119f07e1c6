//! Directories, pointers, junk and symbolic links.

use super::*;
use crate::ErrorKind;
use crate::snapshot::FileName;
use crate::storage::is_savepoint_of;

fn touch(fs: &dyn FileSystem, path: &Path) {
    drop(fs.create_new(path).unwrap());
}

#[test]
fn junk_beside_checkpoints_is_ignored() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        take(&storage, 5).unwrap();
        let job = dir.join(JOB);
        for name in ["chk-05", "chk-+6", "chk-", "chk-x", "chk-18446744073709551616", "CHK-7", "x"]
        {
            fs.create_dir(&job.join(name)).unwrap();
            touch(&*fs, &job.join(name).join("_metadata"));
        }
        fs.create_dir(&job.join("chk-8")).unwrap();
        touch(&*fs, &job.join("chk-8/.metadata-0"));
        fs.create_dir(&job.join("chk-9")).unwrap();
        fs.create_dir(&job.join("chk-9/_metadata")).unwrap();
        touch(&*fs, &job.join("chk-10"));
        assert_eq!(storage.list().unwrap(), [id(5)]);
        for number in [8, 9] {
            assert_eq!(storage.load(id(number)).unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(storage.begin(id(10)).unwrap_err().kind(), ErrorKind::InvalidInput);
        take(&storage, 8).unwrap();
    });
}

#[test]
fn a_directory_says_what_it_is_and_an_existing_one_opens_unchanged() {
    use crate::storage::local::{Contents, contents};
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        take(&storage, 5).unwrap();
        let savepoint = storage.begin_savepoint(dir.to_str()).unwrap();
        savepoint.publish(b"").unwrap();
        fs.create_dir(&dir.join("notes")).unwrap();
        touch(&*fs, &dir.join("savepoint-x"));
        let before = files_below(&*fs, &dir);
        let name = Path::new(savepoint.pointer()).file_name().unwrap();
        let all = Contents {
            jobs: vec![JOB.to_owned()],
            savepoints: vec![name.to_str().unwrap().to_owned()],
            ..Contents::default()
        };
        assert_eq!(contents(&*fs, &dir).unwrap(), all);
        let job_directory = dir.join(JOB);
        let of_job = Contents { is_job: true, ..Contents::default() };
        assert_eq!(contents(&*fs, &job_directory).unwrap(), of_job);
        assert!(contents(&*fs, Path::new(savepoint.pointer())).unwrap().is_checkpoint);
        assert_eq!(contents(&*fs, &dir.join("notes")).unwrap(), Contents::default());
        let existing = |path: &Path| {
            let options = LocalOptions::default();
            LocalStorage::existing(Arc::clone(&fs), Arc::new(OsRandomness), path, &job(), options)
        };
        let opened = existing(&job_directory).unwrap();
        assert_eq!(opened.list().unwrap(), [id(5)]);
        check_whole(&opened.load(id(5)).unwrap()).unwrap();
        for (path, kind) in [
            (dir.join("nothing"), ErrorKind::NotFound),
            (dir.join("savepoint-x"), ErrorKind::InvalidInput),
            (dir.join("notes"), ErrorKind::InvalidInput),
        ] {
            assert_eq!(existing(&path).unwrap_err().kind(), kind, "{path:?}");
        }
        assert_eq!(files_below(&*fs, &dir), before);
    });
}

#[test]
fn discarding_removes_ours_leaves_the_rest_and_can_be_repeated() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let first = take(&storage, 1).unwrap();
        let second = take(&storage, 2).unwrap();
        let own = dir.join(JOB).join("chk-1");
        touch(&*fs, &own.join("somebody's notes"));
        let shared = |files: &[SnapshotFile]| match &files[1].stored.location {
            FileLocation::Shared(name) => name.clone(),
            location => panic!("{location:?}"),
        };
        let unused = [shared(&first), FileName::new("never-there").unwrap()];
        for _ in 0..2 {
            storage.discard(id(1), &unused).unwrap();
            assert_eq!(storage.list().unwrap(), [id(2)]);
            assert_eq!(files_below(&*fs, &own), [own.join("somebody's notes")]);
        }
        fs.remove_file(&own.join("somebody's notes")).unwrap();
        storage.discard(id(1), &unused).unwrap();
        assert!(fs.metadata(&own).is_err());
        check_whole(&storage.load(id(2)).unwrap()).unwrap();
        storage.discard(id(2), &[shared(&second)]).unwrap();
        assert!(files_below(&*fs, &dir).is_empty());
    });
}

#[test]
fn symbolic_links_are_neither_listed_nor_entered() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs);
    let storage = open(&fs, dir.path()).unwrap();
    let precious = dir.path().join("precious");
    fs.create_dir(&precious).unwrap();
    touch(&*fs, &precious.join("_metadata"));
    touch(&*fs, &precious.join("data"));
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, dir.path().join(JOB).join(name)).unwrap();
    };
    link(&precious, "chk-1");
    let linked = dir.path().join(JOB).join("chk-1");
    let refused = storage.begin_export(linked.to_str().unwrap()).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(storage.list().unwrap().is_empty());
    assert_eq!(storage.load(id(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(storage.begin(id(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(storage.discard(id(1), &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    // A linked file is not read, nor a linked savepoint removed.
    let mut file = take(&storage, 2).unwrap().swap_remove(0);
    link(&precious.join("data"), "chk-2/linked");
    file.stored.location = FileLocation::Own(FileName::new("linked").unwrap());
    file.stored.length = 0;
    assert_eq!(storage.source(id(2)).open(&file).unwrap_err().kind(), ErrorKind::Corrupted);
    let savepoint = dir.path().join(JOB).join("chk-1");
    let data = [FileName::new("data").unwrap()];
    let refused = storage.discard_savepoint(savepoint.to_str().unwrap(), &data).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(files_below(&*fs, &precious).len(), 2);
    // Neither may the job's own directory be a link.
    let other = dir.path().join("other");
    fs.create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&precious, other.join(JOB)).unwrap();
    assert_eq!(open(&fs, &other).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(fs.metadata(&precious.join("shared")).is_err(), "nothing is made behind it");
}

#[test]
fn pointers_are_directories_or_their_metadata_and_wrong_ones_say_why() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        take(&storage, 1).unwrap();
        let own = dir.join(JOB).join("chk-1");
        let text = own.to_str().unwrap();
        for pointer in [
            text.to_owned(),
            format!("{text}/"),
            format!("{text}/_metadata"),
            format!("file://{text}"),
        ] {
            let opened = storage.open_pointer(&pointer).unwrap();
            check_whole(&opened).unwrap();
            assert_eq!(opened.pointer, text);
        }
        touch(&*fs, &dir.join("file"));
        let wrong = |path: PathBuf| path.to_str().unwrap().to_owned();
        for (pointer, kind, hint) in [
            (String::new(), ErrorKind::InvalidInput, "empty"),
            ("  ".to_owned(), ErrorKind::InvalidInput, "empty"),
            ("s3://KEY:SECRET@bucket/chk-1".to_owned(), ErrorKind::InvalidInput, "file://"),
            ("a\0b".to_owned(), ErrorKind::InvalidInput, "zero"),
            (wrong(dir.join("nowhere")), ErrorKind::NotFound, "check the path"),
            (wrong(dir.join("nowhere/_metadata")), ErrorKind::NotFound, "check the path"),
            (wrong(dir.join("file")), ErrorKind::InvalidInput, "is a file"),
            (wrong(dir.join(JOB).join("shared")), ErrorKind::NotFound, "never completed"),
            (wrong(dir.join(JOB)), ErrorKind::NotFound, "chk-1"),
        ] {
            let error = storage.open_pointer(&pointer).unwrap_err();
            assert_eq!(error.kind(), kind, "{pointer:?}: {error}");
            assert!(error.to_string().contains(hint), "{pointer:?}: {error}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    });
}

#[test]
fn a_savepoint_is_self_contained_moves_alone_and_is_discarded_by_its_list() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let error = storage.begin_savepoint(None).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("state.savepoints.dir"), "{error}");
        let target = dir.join("a/target");
        let attempt = storage.begin_savepoint(target.to_str()).unwrap();
        let files = write_three(&*attempt.sink(), 1).unwrap();
        assert!(files.iter().all(|f| !matches!(f.stored.location, FileLocation::Shared(_))));
        attempt.publish(&encode(&files)).unwrap();
        let own = PathBuf::from(attempt.pointer());
        let name = own.file_name().unwrap().to_str().unwrap();
        let is_ours = is_savepoint_of(job().as_str(), name);
        assert!(name.starts_with("savepoint-a1b2c3-") && is_ours, "{name}");
        let moved = dir.join("moved");
        fs.rename(&own, &moved).unwrap();
        let opened = storage.open_pointer(moved.to_str().unwrap()).unwrap();
        check_whole(&opened).unwrap();
        touch(&*fs, &moved.join("notes"));
        let names: Vec<_> = files
            .iter()
            .filter_map(|file| match &file.stored.location {
                FileLocation::Own(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        storage.discard_savepoint(&opened.pointer, &names).unwrap();
        assert_eq!(files_below(&*fs, &moved), [moved.join("notes")]);
        let aborted = storage.begin_savepoint(target.to_str()).unwrap();
        write_three(&*aborted.sink(), 1).unwrap();
        aborted.abort().unwrap();
        assert!(fs.list(&target).unwrap().is_empty());
    });
}

#[test]
fn a_copy_goes_exactly_where_it_is_told_to_and_nothing_is_in_its_way() {
    everywhere(|fs, dir| {
        let storage = open(&fs, &dir).unwrap();
        let place = dir.join("new/copy");
        let export = |place: &Path| storage.begin_export(place.to_str().unwrap());
        let attempt = export(&place.join("")).unwrap();
        assert_eq!(Path::new(attempt.pointer()), place);
        let files = write_three(&*attempt.sink(), 1).unwrap();
        assert!(files.iter().all(|f| !matches!(f.stored.location, FileLocation::Shared(_))));
        // Nothing that looks like a checkpoint until the end, and not empty for another one.
        assert_eq!(
            storage.open_pointer(attempt.pointer()).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let refused = export(&place).map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
        attempt.publish(&encode(&files)).unwrap();
        check_whole(&storage.open_pointer(attempt.pointer()).unwrap()).unwrap();
        // An empty directory will do; an aborted copy leaves nothing.
        let empty = dir.join("empty");
        fs.create_dir(&empty).unwrap();
        let aborted = export(&empty).unwrap();
        write_three(&*aborted.sink(), 1).unwrap();
        aborted.abort().unwrap();
        assert!(fs.metadata(&empty).is_err());
        touch(&*fs, &dir.join("file"));
        for place in [dir.join("file"), dir.join("file/below")] {
            assert_eq!(export(&place).map(|_| ()).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        for place in ["", "s3://bucket/copy"] {
            assert_eq!(
                export(Path::new(place)).map(|_| ()).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
    });
}

#[test]
fn a_directory_that_cannot_be_written_says_what_to_do() {
    everywhere(|fs, dir| {
        touch(&*fs, &dir.join("file"));
        for path in [dir.join("file"), dir.join("file/below")] {
            let error = open(&fs, &path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains("state.checkpoints.dir"), "{error}");
        }
        assert_eq!(open(&fs, Path::new("")).unwrap_err().kind(), ErrorKind::InvalidInput);
        let options = LocalOptions::default().with_inline_threshold_bytes((1 << 20) + 1);
        let opened =
            LocalStorage::open(Arc::clone(&fs), Arc::new(OsRandomness), &dir, &job(), options);
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}
