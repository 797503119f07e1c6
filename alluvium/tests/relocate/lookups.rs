//! Checkpoints whose state files have lookups: restored, rewritten, copied and verified like others.

use std::fs;
use std::path::{Path, PathBuf};

use alluvium_checkpoint::{RestorePoint, StartFrom, Trigger};
use alluvium_state_api::format::file_checksum;
use alluvium_state_api::snapshot::{FileLocation, SnapshotFile, SnapshotKind};
use alluvium_state_api::testkit::groups;
use alluvium_state_api::testkit::lookups::with_lookups;

use super::Own;
use super::bombs::{frame_checksum, opened, verified};
use super::fs::Fs;
use super::harness::Memory;
use super::hostile::{Ground, anew, copy_out, read, write};
use super::job::{Job, steps};
use super::rehash::bytes_of;

/// A checkpoint of a job of one subtask, of this kind and with some before it.
fn specimen(ground: &Ground, kind: SnapshotKind) -> PathBuf {
    let mut job = Job::<Memory>::open(ground.storage(), kind);
    job.start(1, Some(groups(1)), StartFrom::Nothing);
    for seed in 5..8 {
        job.run(&steps(seed, 200, 900), false);
        job.complete(Trigger::checkpoint());
    }
    job.complete(Trigger::checkpoint()).pointer.into()
}

fn path_of(own: &Path, file: &SnapshotFile) -> PathBuf {
    match &file.stored.location {
        FileLocation::Own(name) => own.join(name.as_str()),
        FileLocation::Shared(name) => own.parent().unwrap().join("shared").join(name.as_str()),
        FileLocation::Inline(_) => panic!("nothing is inline here"),
    }
}

/// Writes the files of a checkpoint anew with lookups; returns how many they are.
fn rewrite(own: &Path) -> usize {
    let mut metadata = read(own);
    let keyed = metadata.operators[0].subtasks[0].keyed.as_mut().unwrap();
    for file in &mut keyed.files {
        let path = path_of(own, file);
        let bytes = with_lookups(&fs::read(&path).unwrap()).unwrap();
        fs::write(path, &bytes).unwrap();
        file.stored.length = bytes.len() as u64;
        file.stored.checksum = file_checksum(&bytes);
        file.frame_checksum = Some(frame_checksum(&bytes));
    }
    let files = keyed.files.len();
    write(own, &metadata);
    files
}

#[test]
fn files_with_lookups_are_files_like_others() {
    for kind in [SnapshotKind::Full, SnapshotKind::Incremental] {
        let ground = Ground::new();
        let own = specimen(&ground, kind);
        let pointer = own.to_str().unwrap();
        let (before, after) = (ground.text("before"), ground.text("after"));
        anew(&ground.storage(), pointer, &before).unwrap();
        let files = rewrite(&own);
        assert!(kind == SnapshotKind::Full || files > 1, "{kind:?}: a chain");
        opened::<Memory>(&ground, pointer).unwrap();
        opened::<Fs>(&ground, pointer).unwrap();
        opened::<Own>(&ground, pointer).unwrap();
        anew(&ground.storage(), pointer, &after).unwrap();
        let point = |pointer: &str| RestorePoint::open(&*ground.storage(), pointer).unwrap();
        assert!(bytes_of(&point(&before)) == bytes_of(&point(&after)), "{kind:?}");
        let (status, text) = verified(&own);
        assert_eq!(status, Some(0), "{text}");
        let copy = ground.text("copy");
        copy_out(&ground.storage(), pointer, &copy).unwrap();
        let (status, text) = verified(Path::new(&copy));
        assert_eq!(status, Some(0), "{text}");
    }
}
