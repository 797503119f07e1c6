//! What must hold of the storage, whatever has happened.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{Orphans, StartFrom, Trigger};
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::snapshot::KeyedSnapshot;
use alluvium_state_api::storage::StoredCheckpoint;
use alluvium_state_api::vfs::{FileSystem, MemoryFs};
use alluvium_state_api::{CheckpointId, ErrorKind};

use super::world::World;
use crate::deletion::REMOVE;
use crate::fake::{
    Job, assert_whole, check_file, incremental, local_at, shared_files, shared_name,
};

pub(super) fn checksums(keyed: &KeyedSnapshot) -> Vec<u128> {
    keyed.files.iter().map(|file| file.stored.checksum).collect()
}

/// The checksums of all files, each of which is read.
pub(super) fn content(stored: &StoredCheckpoint) -> Vec<u128> {
    let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
    let mut all = Vec::new();
    for (_, _, keyed) in metadata.keyed() {
        keyed.files.iter().for_each(|file| check_file(&*stored.source, file));
        all.extend(checksums(keyed));
    }
    all
}

/// Another job on the same disk: its storage, two checkpoints and a savepoint.
pub(super) fn foreign(memory: &MemoryFs) -> Vec<(String, Vec<u128>)> {
    let storage = local_at(Arc::new(memory.clone()), Path::new("/other"), 77);
    let mut other = Job::over(storage, incremental(2));
    other.start(2, StartFrom::Newest).unwrap();
    let triggers = [Trigger::checkpoint(), Trigger::checkpoint(), Trigger::savepoint(None)];
    let pointers = triggers.map(|trigger| other.complete(trigger).pointer);
    let with_content = |pointer: String| {
        let content = content(&other.storage.open_pointer(&pointer).unwrap());
        (pointer, content)
    };
    pointers.into_iter().map(with_content).collect()
}

impl World {
    /// What completed holds exactly what was acknowledged, unless it was replaced meanwhile.
    pub(super) fn check_completed(&self, id: CheckpointId, savepoint: Option<&str>) {
        let stored = match savepoint {
            Some(pointer) => self.look().open_pointer(pointer),
            None => self.look().load(id),
        };
        let stored = match stored {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            stored => stored.unwrap(),
        };
        let metadata = CheckpointMetadata::decode(&stored.metadata).unwrap();
        let mut parts = 0;
        for (_, subtask, keyed) in metadata.keyed() {
            let acknowledged = &self.acknowledged[&(id, u32::from(subtask.index))];
            assert_eq!(checksums(keyed), *acknowledged);
            parts += 1;
        }
        assert_eq!(parts, self.inboxes.len());
    }

    /// What nobody gave away is there and whole.
    pub(super) fn check_kept(&self) {
        let storage = self.look();
        for (pointer, original) in &self.foreign {
            match storage.open_pointer(pointer) {
                Ok(stored) => assert_eq!(content(&stored), *original),
                Err(error) => assert!(self.given.contains(pointer), "{pointer}: {error}"),
            }
        }
        for pointer in &self.savepoints {
            match storage.open_pointer(pointer) {
                Ok(stored) => drop(content(&stored)),
                Err(error) => assert!(self.given.contains(pointer), "{pointer}: {error}"),
            }
        }
        if let Some(disk) = &self.disk {
            assert_whole(&*local_at(Arc::new(disk.memory.clone()), Path::new("/other"), 1));
        }
    }

    /// All inboxes are worked off; what is still under way is given up.
    pub(crate) fn quiesce(&mut self) {
        for subtask in 0..self.inboxes.len() {
            self.work(subtask, usize::MAX);
        }
        self.bring_back();
        self.tell();
        self.end_if_stopped();
        for id in self.job.coordinator.pending().collect::<Vec<_>>() {
            self.job.coordinator.abort(id);
        }
        for _ in 0..20 {
            self.job.clock.advance(Duration::from_mins(1));
            self.job.coordinator.tick();
            self.work_off();
        }
        self.tell();
        if let Some(disk) = self.disk.take() {
            // No more faults, but the same coordinator.
            let left = u64::from(self.disturbed) * 1_000;
            for _ in 0..left {
                drop(disk.faulty.metadata(Path::new("/")));
            }
            self.disk = Some(disk);
        }
        let mut attempts =
            (0..20).filter_map(|_| self.job.coordinator.collect_orphans(REMOVE).ok());
        let found = attempts.next().unwrap();
        if !self.disturbed {
            assert_eq!(found, Orphans::default(), "orphans without a crash or a fault");
        }
        let rest = self.job.coordinator.collect_orphans(REMOVE).unwrap();
        assert_eq!(rest, Orphans::default());
        self.check_exact();
        self.check_kept();
        assert_whole(&*self.look());
    }

    /// What is there is what something published names.
    fn check_exact(&self) {
        let storage = self.look();
        let survey = storage.survey().unwrap();
        let mut named = BTreeSet::new();
        for place in &survey.checkpoints {
            assert!(place.published);
            let metadata = storage.load(place.id).unwrap().metadata;
            let metadata = CheckpointMetadata::decode(&metadata).unwrap();
            let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
            named.extend(files.filter_map(shared_name).map(ToString::to_string));
        }
        let there: BTreeSet<_> = shared_files(&*storage).into_iter().collect();
        assert_eq!(there, named);
        for place in storage.survey_savepoints().unwrap() {
            assert!(place.published, "{place:?}");
            let stored = storage.open_pointer(&place.pointer).unwrap();
            assert!(content(&stored).len() >= place.files.len());
        }
    }
}
