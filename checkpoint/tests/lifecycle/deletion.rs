use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{Options, OrphanOptions, Orphans, StartFrom, Trigger, collect_orphans};
use alluvium_state_api::ErrorKind;
use alluvium_state_api::clock::{Clock, ManualClock, SystemClock};
use alluvium_state_api::random::SeededRandomness;
use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
use alluvium_state_api::vfs::{FileSystem, RealFs};

use crate::fake::{Job, assert_whole, id, incremental, local, shared_files, shared_name};

pub(crate) const REMOVE: OrphanOptions = OrphanOptions { min_age: Duration::ZERO, dry_run: false };

#[test]
fn keeps_the_newest_and_deletes_what_only_the_others_used() {
    let (mut job, _) = Job::started(incremental(2));
    for round in 1..=12u64 {
        job.complete(Trigger::checkpoint());
        let oldest = round.saturating_sub(1).max(1);
        assert_eq!(job.retained(), (oldest..=round).collect::<Vec<_>>());
        assert_whole(&*job.storage);
        let listed: Vec<_> = job.storage.list().unwrap();
        assert_eq!(listed.len(), job.retained().len());
        let none = job
            .coordinator
            .collect_orphans(OrphanOptions { min_age: Duration::ZERO, dry_run: true });
        assert_eq!(none.unwrap(), Orphans::default());
    }
    job.complete(Trigger::full_checkpoint());
    job.complete(Trigger::full_checkpoint());
    assert!(shared_files(&*job.storage).len() <= 4);
}

#[test]
fn what_a_checkpoint_under_way_builds_on_is_not_deleted() {
    let (mut job, _) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let base: BTreeSet<FileName> = job.stores[0].base_names();
    let two = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&two, 0);
    let savepoint = job.coordinator.trigger(Trigger::savepoint(None)).unwrap();
    assert!(base.iter().all(|name| shared_files(&*job.storage).contains(&name.to_string())));
    job.ack(&two, 1);
    job.deliver();
    // The savepoint was triggered when 1 was the base, so 1 stays until it has ended.
    assert_eq!(job.retained(), [1, 2]);
    job.ack(&savepoint, 0);
    job.ack(&savepoint, 1);
    job.deliver();
    job.complete(Trigger::checkpoint());
    assert_eq!(job.retained(), [4]);
    assert_whole(&*job.storage);
}

#[test]
fn an_older_checkpoint_that_was_restored_stays_until_it_is_replaced() {
    let (mut job, _) = Job::started(incremental(3));
    for _ in 0..3 {
        job.complete(Trigger::checkpoint());
    }
    let plan = job.start(2, StartFrom::Checkpoint(id(1))).unwrap();
    assert_eq!(plan.restored.unwrap().0, id(1));
    job.complete(Trigger::checkpoint());
    assert_eq!(job.retained(), [2, 3, 4]);
    assert_whole(&*job.storage);
}

/// Found by the model: ending what pinned a checkpoint doomed the very one that was restored.
#[test]
fn what_is_restored_survives_the_end_of_what_pinned_it() {
    let (mut job, _) = Job::started(Options { max_concurrent: 3, ..incremental(1) });
    let plans = [(); 3].map(|()| job.coordinator.trigger(Trigger::checkpoint()).unwrap());
    for plan in &plans[..2] {
        job.ack(plan, 0);
        job.ack(plan, 1);
    }
    assert_eq!(job.retained(), [1, 2], "3 may build on 1");
    job.start(1, StartFrom::Checkpoint(id(1))).unwrap();
    job.coordinator.tick();
    job.complete(Trigger::checkpoint());
    assert_whole(&*job.storage);
    job.clock.advance(Duration::from_mins(1));
    job.coordinator.tick();
    assert_eq!(job.retained(), [4]);
    let error = job.start(1, StartFrom::Checkpoint(id(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn numbers_go_on_above_everything_in_the_directory() {
    let (mut job, _) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let lost = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    job.ack(&lost, 0);
    job.restart_process();
    job.start(2, StartFrom::Newest).unwrap();
    assert_eq!(job.complete(Trigger::checkpoint()).id, id(3));
    let found = job.coordinator.collect_orphans(REMOVE).unwrap();
    assert_eq!((&found.checkpoints[..], found.files), (&[id(2)][..], found.shared.len()));
    assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap(), Orphans::default());
    assert_whole(&*job.storage);
}

#[test]
fn orphans_are_found_dry_and_young_ones_stay() {
    let (mut job, fs) = Job::started(incremental(1));
    job.complete(Trigger::checkpoint());
    let file = Path::new("/checkpoints/job-1/shared/0123456789abcdef0123456789abcdef");
    fs.create_new(file).unwrap().write_all(b"lost").unwrap();
    fs.create_dir(Path::new("/checkpoints/job-1/chk-9")).unwrap();
    let clock = ManualClock::at(0);
    let young = collect_orphans(&job.storage, &clock, OrphanOptions::default()).unwrap();
    assert_eq!((young.too_young, young.files), (2, 0));
    let dry = OrphanOptions { dry_run: true, ..REMOVE };
    let found = collect_orphans(&job.storage, &clock, dry).unwrap();
    assert_eq!((found.bytes, found.files, &found.checkpoints[..]), (4, 1, &[id(9)][..]));
    // While a checkpoint is under way, what has no age may be part of it.
    let under_way = job.coordinator.trigger(Trigger::checkpoint()).unwrap();
    assert_eq!(job.coordinator.collect_orphans(REMOVE).unwrap().too_young, 2);
    job.coordinator.abort(under_way.id);
    let removed = job.coordinator.collect_orphans(REMOVE).unwrap();
    assert_eq!(removed, found);
    assert!(fs.metadata(file).is_err());
    assert_eq!(collect_orphans(&job.storage, &clock, dry).unwrap(), Orphans::default());
}

#[test]
fn ages_come_from_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let fs = Arc::new(RealFs);
    let name = FileName::new("job-1").unwrap();
    let random = Arc::new(SeededRandomness::new(1));
    let options = LocalOptions::default();
    let storage = LocalStorage::open(fs, random, directory.path(), &name, options).unwrap();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(storage);
    let lost = directory.path().join("job-1/shared/0123456789abcdef0123456789abcdef");
    std::fs::write(lost, b"lost").unwrap();
    let now = SystemClock::new().wall_clock_ms();
    let hour = OrphanOptions { min_age: Duration::from_hours(1), dry_run: false };
    let young = collect_orphans(&storage, &ManualClock::at(now), hour).unwrap();
    assert_eq!((young.too_young, young.files), (1, 0));
    let later = ManualClock::at(now + 7_200_000);
    assert_eq!(collect_orphans(&storage, &later, hour).unwrap().bytes, 4);
    assert_eq!(storage.survey().unwrap().shared, []);
}

#[test]
fn nothing_shared_is_deleted_while_a_manifest_cannot_be_read() {
    let (mut job, fs) = Job::started(incremental(2));
    for _ in 0..2 {
        job.complete(Trigger::checkpoint());
    }
    let path = Path::new("/checkpoints/job-1/chk-1/_metadata");
    fs.remove_file(path).unwrap();
    fs.create_new(path).unwrap().write_all(b"damaged").unwrap();
    job.storage = local(&fs);
    job.restart_process();
    let damaged: Vec<_> = job.coordinator.unreadable().map(|(id, _)| id).collect();
    assert_eq!(damaged, [id(1)]);
    job.start(2, StartFrom::Newest).unwrap();
    let before = shared_files(&*job.storage);
    for _ in 0..4 {
        job.complete(Trigger::full_checkpoint());
    }
    let after = shared_files(&*job.storage);
    assert!(before.iter().all(|name| after.contains(name)));
    let found = job.coordinator.collect_orphans(REMOVE).unwrap();
    assert_eq!((found.unreadable, found.shared.len()), (vec![id(1)], 0));
}

#[test]
fn a_damaged_newest_checkpoint_is_not_passed_over_silently() {
    let (mut job, fs) = Job::started(incremental(2));
    for _ in 0..2 {
        job.complete(Trigger::checkpoint());
    }
    let path = Path::new("/checkpoints/job-1/chk-2/_metadata");
    fs.remove_file(path).unwrap();
    fs.create_new(path).unwrap().write_all(b"damaged").unwrap();
    job.restart_process();
    let error = job.start(2, StartFrom::Newest).unwrap_err();
    assert!(error.message().contains("checkpoint 1"), "{error}");
    assert_eq!(error.checkpoint(), Some(id(2)));
    job.start(2, StartFrom::Checkpoint(id(1))).unwrap();
    assert_eq!(job.complete(Trigger::checkpoint()).id, id(3));
}

impl crate::fake::FakeStore {
    fn base_names(&self) -> BTreeSet<FileName> {
        self.base().iter().filter_map(shared_name).cloned().collect()
    }
}
