//! Snapshots that somebody made to do harm: every use refuses them by kind, and nothing outside of
//! their directory is read, linked or removed.
//!
//! The metadata has the right checksum throughout, so what refuses it is not that. All of it happens in
//! a real directory, beside one that has to stay as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    ExportOptions, OperatorSpec, OrphanOptions, RehashOptions, RestoreOptions, RestorePoint,
    StartFrom, Trigger, collect_orphans, dispose_savepoint, export, rehash,
};
use alluvium_state_api::clock::ManualClock;
use alluvium_state_api::format::file_checksum;
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::{FileLocation, FileName, SnapshotFile, SnapshotKind};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::testkit::groups;
use alluvium_state_api::vfs::{FileSystem, RealFs};
use alluvium_state_api::{
    ErrorKind, KeyedBackend, OpenEnv, Result, StateDirectory, restore_records,
};

use super::harness::Memory;
use super::job::{Job, UID, steps};

/// What stands for a field that is replaced; its varint of the length is as long as a `u8`.
const MARK: &str = "QQQQQQQQQQ";
/// `u64::MAX` as a varint, as long as [`MARK`].
const HUGE: [u8; 10] = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];

/// A directory with a job's checkpoints and savepoints, and one beside it that is nobody's business.
pub(super) struct Ground {
    root: tempfile::TempDir,
}

impl Ground {
    pub(super) fn new() -> Self {
        let ground = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(ground.at("canary")).unwrap();
        fs::write(ground.at("canary/precious"), b"0123456789").unwrap();
        fs::write(ground.at("canary/_metadata"), b"not yours").unwrap();
        ground
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    fn try_storage(&self, job: &str) -> Result<Arc<dyn CheckpointStorage>> {
        let options = LocalOptions::default()
            .with_inline_threshold_bytes(0)
            .with_savepoint_directory(self.at("saved"));
        let random = Arc::new(SeededRandomness::new(3));
        let job = FileName::new(job).unwrap();
        let directory = self.at("checkpoints");
        Ok(Arc::new(LocalStorage::open(Arc::new(RealFs), random, &directory, &job, options)?))
    }

    pub(super) fn storage(&self) -> Arc<dyn CheckpointStorage> {
        self.try_storage("job-1").unwrap()
    }

    /// A checkpoint and a savepoint of a job that is over: their directories.
    fn specimen(&self) -> (PathBuf, PathBuf) {
        let mut job = Job::<Memory>::open(self.storage(), SnapshotKind::Incremental);
        job.start(2, Some(groups(16)), StartFrom::Nothing);
        job.run(&steps(5, 40, 200), false);
        let checkpoint = job.complete(Trigger::checkpoint());
        let savepoint = job.complete(Trigger::savepoint(None));
        (checkpoint.pointer.into(), savepoint.pointer.into())
    }

    /// Every use of what is at `pointer`, each refused by what it says.
    fn refused(&self, pointer: &Path) -> Vec<(&'static str, ErrorKind, String)> {
        let pointer = pointer.to_str().unwrap();
        let storage = self.storage();
        let uses: [(&str, Result<()>); 3] = [
            ("restore", restore(&storage, pointer)),
            ("export", copy_out(&storage, pointer, &self.text("copy"))),
            ("rehash", anew(&storage, pointer, &self.text("anew"))),
        ];
        for left in ["copy", "anew"] {
            assert!(!self.at(left).exists(), "{left} is left behind");
        }
        let error = |(name, done): (&'static str, Result<()>)| {
            let Err(error) = done else { panic!("{name} is not refused") };
            (name, error.kind(), error.to_string())
        };
        uses.into_iter().map(error).collect()
    }
}

/// Starts a job from there and reads everything, as a backend does.
fn restore(storage: &Arc<dyn CheckpointStorage>, pointer: &str) -> Result<()> {
    let mut job = Job::<Memory>::open(Arc::clone(storage), SnapshotKind::Full);
    let operators = [OperatorSpec::new(UID, 3)];
    let from = StartFrom::Pointer(pointer);
    let plan = job.coordinator.start(&operators, from, RestoreOptions::default())?;
    for subtask in &plan.operators[0].subtasks {
        let space = KeyedBackend::<u64>::key_space(groups(16), subtask.range)?;
        let env = OpenEnv::new(space).with_restore(subtask.restore.clone());
        restore_records(&env, &mut StateDirectory::default(), &mut |_, _, _| Ok(()))?;
    }
    Ok(())
}

pub(super) fn copy_out(
    storage: &Arc<dyn CheckpointStorage>,
    pointer: &str,
    target: &str,
) -> Result<()> {
    let point = RestorePoint::open(&**storage, pointer)?;
    export(&point, &**storage, target, &ExportOptions::default()).map(drop)
}

pub(super) fn anew(
    storage: &Arc<dyn CheckpointStorage>,
    pointer: &str,
    target: &str,
) -> Result<()> {
    let point = RestorePoint::open(&**storage, pointer)?;
    let (options, random) = (RehashOptions::new(groups(7)), SeededRandomness::new(1));
    rehash(&point, &**storage, target, &options, &random).map(drop)
}

/// Names, kinds, contents and numbers of links of everything below a directory.
fn picture(directory: &Path) -> Vec<(PathBuf, String)> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let content = if found.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let links = if found.is_file() { found.nlink() } else { 0 };
        all.push((path.clone(), format!("{:?} {links} {content:?}", found.file_type())));
        if found.is_dir() {
            all.extend(picture(&path));
        }
    }
    all.sort();
    all
}

pub(super) fn read(own: &Path) -> CheckpointMetadata {
    CheckpointMetadata::decode(&fs::read(own.join("_metadata")).unwrap()).unwrap()
}

pub(super) fn write(own: &Path, metadata: &CheckpointMetadata) {
    fs::write(own.join("_metadata"), metadata.encode().unwrap()).unwrap();
}

pub(super) fn first_file(metadata: &mut CheckpointMetadata) -> &mut SnapshotFile {
    &mut metadata.operators[0].subtasks[0].keyed.as_mut().unwrap().files[0]
}

/// The bytes with `new` at `at`, and the checksum that they then have.
fn patched(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    let content = bytes.len() - 16;
    let checksum = file_checksum(&bytes[..content]).to_le_bytes();
    bytes[content..].copy_from_slice(&checksum);
    bytes
}

/// The metadata with [`MARK`] where `mark` puts it, and `new` instead from its length on.
fn replaced(
    metadata: &CheckpointMetadata,
    mark: fn(&mut CheckpointMetadata, &str),
    new: &[u8],
) -> Vec<u8> {
    let mut metadata = metadata.clone();
    let text = &MARK[..(new.len() - 1).min(MARK.len())];
    mark(&mut metadata, text);
    let bytes = metadata.encode().unwrap();
    let wanted = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let at = bytes.windows(wanted.len()).position(|found| found == wanted).unwrap();
    patched(bytes, at, new)
}

fn named(name: &str) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()
}

type Case = (String, Vec<u8>, ErrorKind, &'static str);

/// Metadata that no reader may accept, with the kind and a word of the refusal.
fn damaged(metadata: &CheckpointMetadata) -> Vec<Case> {
    use ErrorKind::{Corrupted, Unsupported};
    let mut cases = Vec::new();
    let own: fn(&mut CheckpointMetadata, &str) = |metadata, mark| {
        first_file(metadata).stored.location = FileLocation::Own(FileName::new(mark).unwrap());
    };
    let shared: fn(&mut CheckpointMetadata, &str) = |metadata, mark| {
        first_file(metadata).stored.location = FileLocation::Shared(FileName::new(mark).unwrap());
    };
    for name in [
        "../../../x",
        "/etc/hosts",
        "..",
        ".",
        ".hidden",
        "a/b",
        "a\\b",
        "a\0b",
        "../canary",
        "\u{1b}[2J",
    ] {
        for mark in [own, shared] {
            let bytes = replaced(metadata, mark, &named(name));
            cases.push((format!("name {name:?}"), bytes, Corrupted, "name"));
        }
    }
    let label: fn(&mut CheckpointMetadata, &str) =
        |metadata, mark| first_file(metadata).label = mark.into();
    let operator: fn(&mut CheckpointMetadata, &str) =
        |metadata, mark| metadata.operators[0].application = mark.as_bytes().to_vec();
    let job: fn(&mut CheckpointMetadata, &str) = |metadata, mark| metadata.job = mark.into();
    let counted = [&[0], &HUGE[..]].concat();
    let cut = [&HUGE[..], &[0]].concat();
    for (what, mark, new, hint) in [
        ("number of live ranges", label, &counted, "number of live ranges"),
        ("number of subtasks", operator, &counted, "number of subtasks"),
        ("length of a label", label, &cut, ""),
        ("length of application bytes", operator, &cut, ""),
        ("length of the job id", job, &cut, ""),
    ] {
        cases.push((what.to_owned(), replaced(metadata, mark, new), Corrupted, hint));
    }
    let bytes = || metadata.encode().unwrap();
    let length = (bytes().len() as u64 + 1).to_le_bytes();
    for (what, at, new, kind, hint) in [
        ("another magic", 0, &b"\x7fELF"[..], Corrupted, "not the metadata"),
        ("a later version", 8, &[2, 0], Unsupported, "version"),
        ("version 0", 8, &[0, 0], Unsupported, "version"),
        ("reserved bytes", 10, &[1], Corrupted, ""),
        ("an unknown feature", 23, &[0x80], Unsupported, "feature"),
        ("no feature where there is one", 20, &[1], Corrupted, "feature"),
        ("another length", 24, &length, Corrupted, "bytes"),
        ("a length of all ones", 24, &[255; 8], Corrupted, "bytes"),
    ] {
        cases.push((what.to_owned(), patched(bytes(), at, new), kind, hint));
    }
    cases
}

#[test]
fn damaged_metadata_is_refused_by_every_use_and_nothing_is_removed() {
    let ground = Ground::new();
    let (_, savepoint) = ground.specimen();
    let metadata = read(&savepoint);
    for (what, bytes, kind, hint) in damaged(&metadata) {
        fs::write(savepoint.join("_metadata"), bytes).unwrap();
        let before = picture(ground.root.path());
        for (used, found, text) in ground.refused(&savepoint) {
            assert_eq!(found, kind, "{what}: {used}: {text}");
            assert!(text.contains(hint) && !text.contains('\u{1b}'), "{what}: {used}: {text}");
        }
        let disposed = dispose_savepoint(&*ground.storage(), savepoint.to_str().unwrap());
        assert_eq!(disposed.unwrap_err().kind(), kind, "{what}");
        assert!(picture(ground.root.path()) == before, "{what}");
    }
    write(&savepoint, &metadata);
    restore(&ground.storage(), savepoint.to_str().unwrap()).unwrap();
}

#[test]
fn damaged_metadata_of_a_job_keeps_every_shared_file() {
    let ground = Ground::new();
    let (checkpoint, _) = ground.specimen();
    for (what, bytes, ..) in damaged(&read(&checkpoint)) {
        fs::write(checkpoint.join("_metadata"), bytes).unwrap();
        let before = picture(ground.root.path());
        let options = OrphanOptions { min_age: Duration::ZERO, dry_run: false };
        let clock = ManualClock::at(1 << 50);
        let orphans = collect_orphans(&ground.storage(), &clock, options).unwrap();
        assert_eq!(orphans.unreadable.len(), 1, "{what}");
        assert_eq!(orphans.files, 0, "{what}");
        assert!(picture(ground.root.path()) == before, "{what}");
    }
}

/// Moves a file or directory to the canary and leaves a link.
fn linked_away(ground: &Ground, path: &Path) {
    let moved = ground.at("canary/moved");
    RealFs.rename(path, &moved).unwrap();
    symlink(&moved, path).unwrap();
}

/// The file of the first subtask.
pub(super) fn path_of(own: &Path) -> PathBuf {
    match &first_file(&mut read(own)).stored.location {
        FileLocation::Own(name) => own.join(name.as_str()),
        FileLocation::Shared(name) => own.parent().unwrap().join("shared").join(name.as_str()),
        FileLocation::Inline(_) => panic!("nothing is inline here"),
    }
}

#[test]
fn what_lies_behind_links_is_neither_read_nor_linked_nor_removed() {
    for which in 0..2 {
        let ground = Ground::new();
        let (checkpoint, savepoint) = ground.specimen();
        let own = [checkpoint, savepoint][which].clone();
        linked_away(&ground, &path_of(&own));
        let before = picture(&ground.at("canary"));
        for (used, kind, text) in ground.refused(&own) {
            assert_eq!(kind, ErrorKind::Corrupted, "{used}: {text}");
            assert!(text.contains("Symlink"), "{used}: {text}");
        }
        if which == 1 {
            // The link is the savepoint's, what it points to is not.
            dispose_savepoint(&*ground.storage(), own.to_str().unwrap()).unwrap();
            assert!(!own.exists());
        }
        assert!(picture(&ground.at("canary")) == before);
    }
}

fn collect(storage: &Arc<dyn CheckpointStorage>) -> Result<()> {
    let options = OrphanOptions { min_age: Duration::ZERO, dry_run: false };
    collect_orphans(storage, &ManualClock::at(1 << 50), options).map(drop)
}

#[test]
fn a_linked_directory_of_shared_files_is_refused() {
    let ground = Ground::new();
    let (checkpoint, _) = ground.specimen();
    let (storage, other) = (ground.storage(), ground.try_storage("job-2").unwrap());
    linked_away(&ground, &ground.at("checkpoints/job-1/shared"));
    let before = picture(ground.root.path());
    let pointer = checkpoint.to_str().unwrap();
    for done in [
        copy_out(&other, pointer, &ground.text("copy")),
        anew(&other, pointer, &ground.text("anew")),
        restore(&other, pointer),
        collect(&storage),
    ] {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("Symlink"), "{error}");
    }
    let storage = LocalStorage::existing(
        Arc::new(RealFs),
        Arc::new(SeededRandomness::new(1)),
        &ground.at("checkpoints/job-1"),
        &FileName::new("job-1").unwrap(),
        LocalOptions::default(),
    );
    let storage: Arc<dyn CheckpointStorage> = Arc::new(storage.unwrap());
    assert_eq!(collect(&storage).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ground.try_storage("job-1").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(picture(ground.root.path()) == before);
}
