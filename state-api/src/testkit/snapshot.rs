//! Snapshots of all kinds: what they hold and how they are described.

use super::fixtures::{Everything, Image, fill, image, refused};
use super::harness::{Harness, Increments, KINDS, Kit, Taken, run_task};
use crate::snapshot::{
    CancelToken, Compression, FileFormat, FileLocation, Progress, SnapshotContext, SnapshotKind,
    SnapshotRequest,
};
use crate::storage::InlinePolicy;
use crate::{CheckpointId, ErrorKind, KeyedStore, ValueDescriptor, ValueState};

/// The profile that the backend's test states is the one that its harness reports, and the store has
/// its name.
pub fn profile_is_true<H: Harness>(kit: &Kit<H>) {
    let profile = kit.profile();
    let mut backend = kit.fresh::<u64>();
    assert_eq!(backend.store().backend_name(), profile.name);
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(20, 0));
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        assert_eq!(taken.snapshot.backend, profile.name);
        let canonical = kind == SnapshotKind::Canonical;
        let native = taken.snapshot.files.iter().any(|file| file.format == FileFormat::Native);
        for state in &taken.snapshot.states {
            if (profile.digests && !native) || canonical {
                assert!(state.digest.is_some(), "{kind:?} {}", state.meta.name);
            }
            let exact = matches!(state.entries, crate::snapshot::EntryCount::Exact(_));
            assert!(exact || !(profile.exact_counts || canonical), "{kind:?}");
        }
    }
}

/// A store without states, and one whose states are empty. Flink: `testEmptyStateCheckpointing`.
pub fn of_an_empty_store<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let taken = kit.take(&mut backend, kind);
        assert!(taken.snapshot.states.is_empty());
        let mut restored = kit.restore::<u64>(&[&taken]);
        assert!(restored.store().states().is_empty());
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &Image::new(), 3);
        states.put(&mut restored, 1, 1);
        states.remove(&mut restored, 1);
        let taken = kit.take(&mut restored, kind);
        assert_eq!(taken.snapshot.states.len(), 6);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &Image::new(), 3);
    }
}

/// Every kind of snapshot brings back every kind of state. Flink: the snapshot halves of
/// `testValueState`, `testListState`, `testReducingState`, `testMapState`.
pub fn restores_every_kind_of_state<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(100, 3);
    fill(&mut backend, &states, &image);
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &image, 120);
        let again = kit.take(&mut restored, kind);
        let mut restored = kit.restore::<u64>(&[&again]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &image, 120);
    }
}

/// Two snapshots at different times each show their own image. Flink: `testValueState`.
pub fn each_shows_its_own_time<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let first = image(30, 0);
        fill(&mut backend, &states, &first);
        let early = kit.take(&mut backend, kind);
        let second = image(25, 500);
        fill(&mut backend, &states, &second);
        (25..30).for_each(|key| states.remove(&mut backend, key));
        let late = kit.take(&mut backend, kind);
        for (taken, image) in [(early, first), (late, second)] {
            let mut restored = kit.restore::<u64>(&[&taken]);
            let states = Everything::open(&mut restored);
            states.check(&mut restored, &image, 40);
        }
    }
}

/// The description says what was asked for, of whom, and how much was written.
pub fn description_is_right<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(50, 0));
    let space = backend.store().key_space().clone();
    for kind in KINDS {
        let Taken { snapshot, .. } = kit.take(&mut backend, kind);
        assert!(snapshot.kind == kind || kind == SnapshotKind::Incremental, "{kind:?}");
        assert_eq!(&snapshot.key, space.identity());
        assert_eq!((snapshot.groups, snapshot.range), (space.groups(), space.range()));
        let names: Vec<_> = snapshot.states.iter().map(|state| &*state.meta.name).collect();
        assert_eq!(names, ["aggregating", "list", "map", "reducing", "value", "window"]);
        let total: u64 = snapshot.files.iter().map(|file| file.stored.length).sum();
        assert_eq!(snapshot.bytes_full, total);
        assert!(snapshot.bytes_new <= total && snapshot.bytes_new > 0);
        for file in &snapshot.files {
            assert!(file.live.windows(2).all(|pair| pair[0].end() < pair[1].start()));
            assert!(file.live.iter().all(|live| !live.is_empty() && space.range().covers(*live)));
        }
    }
}

/// Files have the recorded length and checksum, and every name is used once.
pub fn files_are_as_recorded<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(50, 0));
    for kind in KINDS {
        let taken = kit.take(&mut backend, kind);
        for file in &taken.snapshot.files {
            let bytes = kit.storage.read(taken.id, file).unwrap();
            assert_eq!(bytes.len() as u64, file.stored.length);
            assert_eq!(xxhash_rust::xxh3::xxh3_128(&bytes), file.stored.checksum);
        }
        kit.storage.retain([(taken.id, &taken.snapshot)]);
        assert_eq!(kit.storage.len(), taken.snapshot.files.len());
    }
}

/// Blocks may be compressed in every way; the content is the same.
pub fn compression_changes_no_content<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(200, 0);
    fill(&mut backend, &states, &image);
    for kind in KINDS {
        for compression in Compression::ALL {
            let id = kit.next_id();
            let request = SnapshotRequest::new(id, kind).with_compression(compression);
            let task = backend.snapshot(&request).unwrap();
            let sink = kit.storage.sink(id);
            let snapshot = run_task(task, &sink, &CancelToken::default()).unwrap();
            let taken = Taken { id, snapshot, storage: kit.storage.clone() };
            let mut restored = kit.restore::<u64>(&[&taken]);
            let states = Everything::open(&mut restored);
            states.check(&mut restored, &image, 210);
        }
    }
}

/// A synchronous snapshot is one whose task runs at once.
pub fn synchronous_is_run_at_once<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(40, 0);
    fill(&mut backend, &states, &image);
    for kind in KINDS {
        let id = kit.next_id();
        let (cancel, progress) = (CancelToken::default(), Progress::default());
        let sink = kit.storage.sink(id);
        let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
        let snapshot = backend.snapshot_now(&SnapshotRequest::new(id, kind), context).unwrap();
        assert_eq!(backend.statistics().snapshots_in_flight, 0);
        let taken = Taken { id, snapshot, storage: kit.storage.clone() };
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &image, 50);
    }
}

/// Checkpoint numbers rise; a repeated or lower one is refused and the store goes on.
pub fn numbers_must_rise<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let value = backend.open(ValueDescriptor::<u64>::new("value")).unwrap();
    let request = |id| SnapshotRequest::new(CheckpointId::new(id), SnapshotKind::Full);
    drop(backend.snapshot(&request(5)).unwrap());
    for id in [5, 4, 1] {
        refused(backend.snapshot(&request(id)), ErrorKind::InvalidInput);
    }
    backend.at(&1).unwrap().value(value).set(&1).unwrap();
    drop(backend.snapshot(&request(6)).unwrap());
    drop(backend.snapshot(&request(60)).unwrap());
}

/// State that is restored and never accessed is in every later snapshot.
/// Flink: `testSnapshotNonAccessedState`.
pub fn untouched_state_survives<H: Harness>(kit: &Kit<H>) {
    for first in KINDS {
        for second in KINDS {
            let mut backend = kit.fresh::<u64>();
            let states = Everything::open(&mut backend);
            let image = image(40, 9);
            fill(&mut backend, &states, &image);
            let mut taken = kit.take(&mut backend, first);
            for _ in 0..2 {
                let mut restored = kit.resume::<u64>(&taken);
                assert!(restored.store().states().len() >= 6);
                let other = restored.open(ValueDescriptor::<u8>::new("another")).unwrap();
                restored.at(&1).unwrap().value(other).clear().unwrap();
                taken = kit.confirm(&mut restored, second);
                taken = if second == first { kit.confirm(&mut restored, second) } else { taken };
            }
            let mut restored = kit.restore::<u64>(&[&taken]);
            let states = Everything::open(&mut restored);
            states.check(&mut restored, &image, 50);
        }
    }
}

/// Canonical snapshots consist of own files or inline ones, and need nothing else.
pub fn canonical_stands_alone<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    let image = image(40, 9);
    fill(&mut backend, &states, &image);
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    let taken = kit.confirm(&mut backend, SnapshotKind::Canonical);
    let shared = |location: &FileLocation| matches!(location, FileLocation::Shared(_));
    assert!(!taken.snapshot.files.iter().any(|file| shared(&file.stored.location)));
    kit.storage.retain([(taken.id, &taken.snapshot)]);
    let mut restored = kit.restore::<u64>(&[&taken]);
    let states = Everything::open(&mut restored);
    states.check(&mut restored, &image, 50);
}

/// Without a directory everything travels inline and is restored from the description alone; above
/// the limit of a state the snapshot is refused, and the store goes on.
pub fn inline_snapshots_have_a_limit<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        let image = image(200, 9);
        fill(&mut backend, &states, &image);
        let begun = kit.begin(&mut backend, kind);
        let policy = InlinePolicy::Everything { limit_bytes: 64 };
        let sink = kit.storage.sink(begun.id).inline(policy);
        let result = run_task(begun.task, &sink, &CancelToken::default());
        assert_eq!(sink.left_open(), 0);
        refused(result, ErrorKind::LimitExceeded);
        let begun = kit.begin(&mut backend, kind);
        let policy = InlinePolicy::Everything { limit_bytes: 5 << 20 };
        let sink = kit.storage.sink(begun.id).inline(policy);
        let snapshot = run_task(begun.task, &sink, &CancelToken::default()).unwrap();
        assert!(kit.storage.is_empty(), "nothing outside of the description");
        let taken = Taken { id: begun.id, snapshot, storage: kit.storage.clone() };
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &image, 210);
    }
}

/// Bytes that no compression makes fewer.
fn noise(seed: u64, length: u64) -> Vec<u8> {
    let words = (0..length.div_ceil(8))
        .map(|word| xxhash_rust::xxh3::xxh3_64(&[seed, word].map(u64::to_le_bytes).concat()));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(usize::try_from(length).unwrap());
    bytes
}

/// A couple of megabytes in many blocks, with progress that is reported on the way.
pub fn of_many_blocks<H: Harness>(kit: &Kit<H>) {
    let text = ValueDescriptor::<Vec<u8>>::new("text");
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let handle = backend.open(text).unwrap();
        for key in 0..3_000_u64 {
            let value = noise(key, key % 700);
            backend.at(&key).unwrap().value(handle).set(value.as_slice()).unwrap();
        }
        let begun = kit.begin(&mut backend, kind);
        let (cancel, progress) = (CancelToken::default(), Progress::default());
        let sink = kit.storage.sink(begun.id);
        let context = SnapshotContext { sink: &sink, cancel: &cancel, progress: &progress };
        let snapshot = begun.task.run(context).unwrap();
        assert!(progress.bytes() > 0 && snapshot.bytes_new > 900_000);
        let taken = Taken { id: begun.id, snapshot, storage: kit.storage.clone() };
        let mut restored = kit.restore::<u64>(&[&taken]);
        let handle = restored.open(text).unwrap();
        for key in 0..3_000_u64 {
            let value = noise(key, key % 700);
            let read = restored.at(&key).unwrap().value(handle).get().unwrap();
            assert!(read == Some(value), "key {key}");
        }
    }
}

/// The kind that is reported for increments agrees with the profile.
pub fn increments_are_what_the_profile_says<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let states = Everything::open(&mut backend);
    fill(&mut backend, &states, &image(300, 9));
    kit.confirm(&mut backend, SnapshotKind::Incremental);
    states.put(&mut backend, 1, 1);
    let taken = kit.confirm(&mut backend, SnapshotKind::Incremental);
    let native = kit.profile().increments == Increments::Native;
    assert_eq!(taken.snapshot.kind == SnapshotKind::Incremental, native);
}

/// States that were filled and cleared: the snapshot has them, empty, and nothing of what they held.
/// Flink: the snapshot of `testValueStateNullUpdate`.
pub fn of_cleared_states<H: Harness>(kit: &Kit<H>) {
    for kind in KINDS {
        let mut backend = kit.fresh::<u64>();
        let states = Everything::open(&mut backend);
        fill(&mut backend, &states, &image(20, 0));
        kit.confirm(&mut backend, SnapshotKind::Incremental);
        (0..20).for_each(|key| states.remove(&mut backend, key));
        let taken = kit.take(&mut backend, kind);
        assert_eq!(taken.snapshot.states.len(), 6);
        if kit.profile().exact_counts {
            assert!(taken.snapshot.states.iter().all(|state| state.entries.get() == 0));
        }
        let mut restored = kit.restore::<u64>(&[&taken]);
        let states = Everything::open(&mut restored);
        states.check(&mut restored, &Image::new(), 25);
        states.put(&mut restored, 3, 3);
        states.check(&mut restored, &Image::from([(3, 3)]), 25);
    }
}
