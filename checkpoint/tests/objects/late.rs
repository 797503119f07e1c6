//! Requests that are done late: after an abort, a death, a deletion. Each test is one such case.

use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_state_api::clock::{Clock, ManualClock, SystemClock};
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::{CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{
    assert_whole, encode, names, take, write_three,
};
use alluvium_state_api::{CheckpointId, ErrorKind};
use bytes::Bytes;
use futures_executor::block_on;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use crate::fake::id;
use crate::faulty::Faulty;

const ROOT: &str = "memory-objects://bucket";

struct World {
    memory: Arc<InMemory>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock::new().wall_clock_ms()));
        Self { memory: Arc::new(InMemory::new()), clock }
    }

    fn over(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn CheckpointStorage> {
        let mut options = ObjectOptions::default();
        options.retry_pause = Duration::ZERO;
        self.with(store, options)
    }

    fn with(
        &self,
        store: Arc<dyn ObjectStore>,
        options: ObjectOptions,
    ) -> Arc<dyn CheckpointStorage> {
        let url = format!("{ROOT}/checkpoints");
        let (job, random) = (FileName::new("job-1").unwrap(), Arc::new(OsRandomness));
        let options = options.with_savepoints(format!("{ROOT}/savepoints"));
        let storage = ObjectStorage::open(store, random, ROOT, &url, &job, options).unwrap();
        Arc::new(storage.with_clock(Arc::<ManualClock>::clone(&self.clock)))
    }

    /// As a new process opens it.
    fn open(&self) -> Arc<dyn CheckpointStorage> {
        self.over(Arc::<InMemory>::clone(&self.memory))
    }

    /// A publication arrives that was sent by whoever has written these files. Whether it is done.
    fn publish_late(&self, id: CheckpointId, metadata: &[u8]) -> bool {
        let at = Path::from(format!("checkpoints/job-1/chk-{id}/_metadata"));
        let put = self.memory.put_opts(&at, metadata.to_vec().into(), PutMode::Create.into());
        block_on(put).is_ok()
    }

    fn everything(&self) -> Vec<String> {
        let listed = block_on(self.memory.list(None).try_collect::<Vec<_>>()).unwrap();
        listed.into_iter().map(|object| object.location.to_string()).collect()
    }
}

#[test]
fn a_publication_that_arrives_after_its_orphans_were_removed_is_refused() {
    let world = World::new();
    let files = write_three(&*world.open().begin(id(1)).unwrap().sink(), 1).unwrap();
    // The process died with the publication on its way.
    world.open().discard(id(1), &names(&files).1).unwrap();
    assert!(!world.publish_late(id(1), &encode(&files)));
    assert!(world.open().list().unwrap().is_empty());
    assert_eq!(world.open().load(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_rival_that_arrives_after_the_winner_was_deleted_is_refused() {
    let world = World::new();
    let rival = world.open().begin(id(1)).unwrap();
    let theirs = write_three(&*rival.sink(), 7).unwrap();
    let storage = world.open();
    let files = take(&*storage, 1).unwrap();
    storage.discard(id(1), &names(&files).1).unwrap();
    assert!(!world.publish_late(id(1), &encode(&theirs)));
    assert!(storage.list().unwrap().is_empty());
}

#[test]
fn tombstones_go_after_an_hour() {
    let world = World::new();
    let storage = world.open();
    for number in 1..4 {
        let files = take(&*storage, number).unwrap();
        storage.discard(id(number), &names(&files).1).unwrap();
    }
    world.clock.advance(Duration::from_mins(59));
    storage.discard(id(99), &[]).unwrap();
    assert_eq!(world.everything().len(), 3, "they went early: {:?}", world.everything());
    world.clock.advance(Duration::from_mins(1));
    // Any later deletion takes them along.
    storage.discard(id(99), &[]).unwrap();
    assert!(world.everything().is_empty(), "{:?}", world.everything());
}

#[test]
fn tombstones_of_the_dead_are_places_without_files() {
    let world = World::new();
    let files = take(&*world.open(), 5).unwrap();
    world.open().discard(id(5), &names(&files).1).unwrap();
    world.open().discard(id(5), &[]).unwrap();
    let places = world.open().survey().unwrap().checkpoints;
    assert_eq!((places.len(), places[0].id), (1, id(5)));
    assert!(!places[0].published && places[0].files.is_empty());
    world.clock.advance(Duration::from_mins(61));
    world.open().discard(id(5), &[]).unwrap();
    assert!(world.everything().is_empty(), "{:?}", world.everything());
}

/// An attempt whose publication is in doubt: nothing gets through any more, and it may arrive late.
#[test]
fn what_turns_out_to_be_published_is_not_taken_back() {
    let (mut published, mut aborted) = (0, 0);
    for seed in 0..60 {
        let world = World::new();
        let store = Faulty::over(Arc::<InMemory>::clone(&world.memory), seed, 0);
        let storage = world.over(Arc::new(store.clone()));
        let attempt = storage.begin(id(1)).unwrap();
        let files = write_three(&*attempt.sink(), seed).unwrap();
        store.set_percent(100);
        let Err(error) = attempt.publish(&encode(&files)) else { continue };
        if error.kind() != ErrorKind::Indeterminate {
            continue;
        }
        block_on(store.land(true));
        store.set_percent(0);
        // Another master goes on from it, while this one still gives up.
        let adopted = world.open().list().unwrap();
        let outcome = attempt.abort();
        block_on(store.land(true));
        if adopted.is_empty() {
            outcome.unwrap();
            aborted += 1;
            assert!(world.open().list().unwrap().is_empty());
            assert!(!world.publish_late(id(1), &encode(&files)));
        } else {
            published += 1;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_whole(&world.open(), 1);
        }
    }
    assert!(published > 3 && aborted > 3, "{published} {aborted}");
}

/// The limit of the service is met before it is passed, and nothing is left of the upload.
#[test]
fn a_file_of_too_many_parts_is_refused_before_the_last_is_sent() {
    let world = World::new();
    let store = Faulty::over(Arc::<InMemory>::clone(&world.memory), 1, 0);
    let mut options = ObjectOptions::default();
    (options.part_bytes, options.most_parts) = (5 << 20, 2);
    let storage = world.with(Arc::new(store.clone()), options);
    let attempt = storage.begin(id(1)).unwrap();
    let write = |bytes: usize| {
        let mut writer = attempt.sink().create(FileScope::Own)?;
        writer.write(&vec![7; bytes])?;
        writer.finish()
    };
    assert_eq!(write(10 << 20).unwrap().length, 10 << 20);
    let before = world.everything();
    let error = write((10 << 20) + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("object-store.part-size"), "{error}");
    assert_eq!((world.everything(), store.open_uploads()), (before, 0));
}

/// What is refused because of something else is tried again, and not at once.
#[test]
fn a_refused_put_of_metadata_waits_before_it_is_tried_again() {
    for pause in [0, 120] {
        let world = World::new();
        let mut options = ObjectOptions::default();
        options.retry_pause = Duration::from_millis(pause);
        let storage = world.with(Arc::<InMemory>::clone(&world.memory), options);
        let attempt = storage.begin(id(1)).unwrap();
        // Somebody gave the number up.
        let at = Path::from("checkpoints/job-1/chk-1/_metadata");
        let stone = Bytes::from_static(b"ALVTOMB1\0\0\0\0\0\0\0\0................");
        block_on(world.memory.put(&at, stone.into())).unwrap();
        let clock = SystemClock::new();
        let began = clock.now();
        attempt.publish(b"metadata").unwrap();
        let waited = clock.now().saturating_sub(began);
        assert!(waited >= Duration::from_millis(pause / 2), "{waited:?}");
        assert_eq!(storage.load(id(1)).unwrap().metadata, b"metadata");
    }
}

/// Every upload that was begun ends, or an error told of it.
#[test]
fn uploads_in_parts_end_or_are_told() {
    let (mut ended, mut told, mut whole) = (0, 0, 0);
    for seed in 0..40 {
        let world = World::new();
        let store = Faulty::over(Arc::<InMemory>::clone(&world.memory), seed, 40);
        let url = format!("{ROOT}/checkpoints");
        let (job, random) = (FileName::new("job-1").unwrap(), Arc::new(OsRandomness));
        let mut options = ObjectOptions::default();
        options.part_bytes = 5 << 20;
        let opened = Arc::new(store.clone());
        let storage = ObjectStorage::open(opened, random, ROOT, &url, &job, options).unwrap();
        let Ok(attempt) = storage.begin(id(1)) else { continue };
        let write = || {
            let mut writer = attempt.sink().create(FileScope::Own)?;
            for _ in 0..11 {
                writer.write(&vec![7; 1 << 20])?;
            }
            writer.finish()
        };
        let written = write();
        if written.is_ok() {
            assert_eq!(store.open_uploads(), 0);
            whole += 1;
            continue;
        }
        match attempt.abort() {
            Ok(()) => {
                ended += 1;
                assert_eq!(store.open_uploads(), 0, "seed {seed}");
            }
            Err(error) => {
                told += 1;
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                store.set_percent(0);
                attempt.abort().unwrap();
                assert_eq!(store.open_uploads(), 0, "seed {seed}");
            }
        }
        store.set_percent(0);
        block_on(store.land(true));
        storage.discard(id(1), &[]).unwrap();
        assert!(world.everything().len() <= 1, "seed {seed}: {:?}", world.everything());
    }
    assert!(ended > 3 && told + whole > 0, "{ended} {told} {whole}");
}
