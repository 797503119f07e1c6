//! Random lives of a job over a storage that fails, by seed: checkpoints, aborts, crashes, a second master.
//!
//! After every step: what is published is whole, what is retained is there, of two masters at one number
//! at most one has completed it, and what [`facts`](crate::facts) says. At the end, when nothing fails any
//! more and what was late has landed: one collection of orphans leaves exactly what the published
//! checkpoints use, savepoints go as often as it takes, and the job starts from the newest checkpoint.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::{
    Acknowledged, JobEnd, Notification, Options, OrphanOptions, Retention, StartFrom, Trigger,
};
use alluvium_state_api::format::metadata::CheckpointMetadata;
use alluvium_state_api::random::{OsRandomness, Randomness, SeededRandomness};
use alluvium_state_api::snapshot::{FileLocation, FileName, SnapshotKind};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::{CheckpointId, Error, ErrorKind};

use crate::facts::Facts;
use crate::fake::{Job, UID, assert_whole, check_file, shared_files, shared_name};

/// How many sequences there are unless `ALLUVIUM_SEQUENCES` says so.
const SEQUENCES: u64 = 100;

pub(crate) const REMOVE: OrphanOptions = OrphanOptions { min_age: Duration::ZERO, dry_run: false };

/// Where the files of a job lie, while its processes come and go.
pub(crate) trait Ground {
    /// An empty one.
    fn new(seed: u64) -> Self;

    /// Opens the job's storage as a new process does. Nothing fails until it is disturbed.
    fn open(&mut self) -> Arc<dyn CheckpointStorage>;

    /// The job's storage, to look at: nothing fails.
    fn look(&self) -> Arc<dyn CheckpointStorage>;

    /// Requests will fail; what is late may land.
    fn disturb(&mut self, random: u64);

    /// Nothing fails any more, and what was late has landed.
    fn calm(&mut self);

    /// Whether no file is in the place of a savepoint.
    fn is_empty(&self, pointer: &str) -> bool;

    /// Whether all that is there is a mark that nothing may be completed there any more.
    fn has_tombstone(&self, pointer: &str) -> bool;

    /// How many requests have failed.
    fn faults(&self) -> u64;
}

/// Runs as many sequences as the environment asks for.
pub(crate) fn run<G: Ground>(name: &str) {
    let number = |key| env::var(key).ok().map(|text| text.parse().unwrap());
    let sequences = number("ALLUVIUM_SEQUENCES").unwrap_or(SEQUENCES);
    let seed = number("ALLUVIUM_SEED").unwrap_or_else(|| OsRandomness.next_u64() >> 32);
    let (mut points, mut faults, mut bad) = (0, 0, 0);
    for sequence in seed..seed + sequences {
        let life = || {
            let mut world = World::<G>::new(sequence);
            for _ in 0..world.below(40) {
                world.step();
            }
            world.quiesce();
            world.ground.faults()
        };
        if let Ok(failed) = catch_unwind(AssertUnwindSafe(life)) {
            faults += failed;
        } else {
            bad += 1;
            eprintln!("{name}: ALLUVIUM_SEED={sequence} ALLUVIUM_SEQUENCES=1 repeats a bad one");
        }
        points += 1;
    }
    eprintln!("{name}: points={points} faults={faults} bad={bad} seed={seed}");
    assert_eq!((points, bad), (sequences, 0));
    assert!(sequences < SEQUENCES || faults >= sequences, "too few requests failed");
}

struct World<G> {
    ground: G,
    random: SeededRandomness,
    options: Options,
    job: Job,
    facts: Facts,
    /// Savepoints that were completed and not disposed of, with their files.
    savepoints: Vec<(String, Vec<FileName>)>,
}

impl<G: Ground> World<G> {
    fn new(seed: u64) -> Self {
        let random = SeededRandomness::new(seed);
        let options = Options {
            kind: [SnapshotKind::Incremental, SnapshotKind::Full][(random.next_u64() % 2) as usize],
            retained: 1 + (random.next_u64() % 3) as usize,
            max_concurrent: 2,
            retention: Retention::RetainOnCancellation,
            ..Options::default()
        };
        let mut ground = G::new(seed);
        let mut job = Job::over(ground.open(), options.clone());
        job.start(2, StartFrom::Newest).unwrap();
        Self { ground, random, options, job, facts: Facts::default(), savepoints: Vec::new() }
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn step(&mut self) {
        match self.below(18) {
            0..7 => self.checkpoint(),
            7..10 => {
                let random = self.random.next_u64();
                self.ground.disturb(random);
            }
            10 => self.give_up(),
            11 => {
                self.job.clock.advance(Duration::from_mins(1 + self.below(10)));
                self.job.coordinator.tick();
            }
            12 => drop(self.job.start(1 + self.below(4) as u32, StartFrom::Newest)),
            13 => self.crash(),
            14 => self.race(),
            15 => self.savepoint(),
            16 => self.dispose(),
            _ => self.shut_down(),
        }
        self.deliver();
        self.check();
    }

    fn deliver(&mut self) {
        let told = self.job.deliver();
        self.facts.hear(&told);
        for one in told {
            if let Notification::Completed { savepoint: Some(pointer), .. } = one {
                let files = files_of(&*self.ground.look(), &pointer);
                self.savepoints.push((pointer, files));
            }
        }
    }

    /// Some or all of the subtasks acknowledge; one that cannot write declines.
    fn checkpoint(&mut self) {
        let trigger = match self.below(4) {
            0 => Trigger::full_checkpoint(),
            _ => Trigger::checkpoint(),
        };
        let Ok(plan) = self.job.coordinator.trigger(trigger) else { return };
        let missing = usize::from(self.below(5) == 0);
        for subtask in 0..self.job.stores.len() - missing {
            take(&mut self.job, &plan, subtask as u32);
        }
    }

    /// What is under way is declined or aborted.
    fn give_up(&mut self) {
        for id in self.job.coordinator.pending().collect::<Vec<_>>() {
            if self.below(2) == 0 {
                let error = Error::unavailable("disk full");
                assert!(self.job.coordinator.decline(id, UID, 0, error).unwrap());
            } else {
                assert!(self.job.coordinator.abort(id));
            }
        }
    }

    fn savepoint(&mut self) {
        let Ok(plan) = self.job.coordinator.trigger(Trigger::savepoint(None)) else { return };
        for subtask in 0..self.job.stores.len() as u32 {
            take(&mut self.job, &plan, subtask);
        }
    }

    /// A savepoint is disposed of. What is left is whole, or nothing that opens; a new call goes on.
    fn dispose(&mut self) {
        let Some((pointer, files)) = self.savepoints.pop() else { return };
        let disposed = self.job.storage.discard_savepoint(&pointer, &files);
        let opened = self.ground.look().open_pointer(&pointer);
        match disposed {
            Ok(()) => assert_eq!(opened.unwrap_err().kind(), ErrorKind::NotFound),
            Err(_) => self.savepoints.push((pointer, files)),
        }
    }

    /// The master's process dies, and another one goes on.
    fn crash(&mut self) {
        let before = self.job.retained();
        let storage = self.ground.look();
        self.facts.observe(&*storage);
        self.facts.succeeded(&before, &*storage);
        self.job.storage = self.ground.open();
        self.job.restart_process();
        let after: Vec<_> = self.job.retained().into_iter().map(CheckpointId::new).collect();
        self.facts.check_retained(&before, &after);
        self.job.start(1 + self.below(4) as u32, StartFrom::Newest).unwrap();
    }

    /// Another master takes the same number, and then dies. It deletes nothing.
    fn race(&mut self) {
        self.crash();
        let options = Options { kind: SnapshotKind::Full, retained: 1_000, ..self.options.clone() };
        let mut rival = Job::over(self.ground.open(), options);
        rival.start(1, StartFrom::Newest).unwrap();
        let mine = self.job.coordinator.trigger(Trigger::full_checkpoint()).unwrap();
        let theirs = rival.coordinator.trigger(Trigger::full_checkpoint()).unwrap();
        assert_eq!(mine.id, theirs.id);
        let random = self.random.next_u64();
        self.ground.disturb(random);
        let first = self.below(2) == 0;
        let won = first && take(&mut rival, &theirs, 0);
        let completed = (0..self.job.stores.len() as u32)
            .fold(false, |completed, subtask| completed | take(&mut self.job, &mine, subtask));
        let won = won || !first && take(&mut rival, &theirs, 0);
        assert!(!(won && completed), "two won");
        if won || completed {
            assert!(self.ground.look().list().unwrap().contains(&mine.id));
        }
        // The winner's is one of the job's now, whoever published it.
        self.crash();
    }

    fn shut_down(&mut self) {
        let ends = [JobEnd::Finished, JobEnd::Cancelled, JobEnd::Failed, JobEnd::Suspended];
        let ended = self.job.coordinator.shut_down(ends[self.below(4) as usize]).unwrap();
        let there = self.ground.look().list().unwrap();
        let retained: Vec<u64> = ended.retained.iter().map(|one| one.id.get()).collect();
        self.facts.check_retained(&retained, &there);
        if ended.leftovers.is_empty() {
            let told = |id: &CheckpointId| retained.contains(&id.get());
            assert!(there.iter().all(told), "it ended with more than it tells");
        }
        self.crash();
    }

    fn check(&mut self) {
        let storage = self.ground.look();
        assert_whole(&*storage);
        self.facts.observe(&*storage);
        self.facts.check_retained(&self.job.retained(), &storage.list().unwrap());
        for (pointer, files) in &self.savepoints {
            // Of one whose disposal was interrupted nothing can be opened.
            if let Ok(found) = storage.open_pointer(pointer) {
                assert_eq!(files_of(&*storage, &found.pointer), *files);
            }
        }
    }

    fn quiesce(&mut self) {
        self.ground.calm();
        self.check();
        self.crash();
        self.job.coordinator.collect_orphans(REMOVE).unwrap();
        // Numbers that are kept from being used again are no leak: they hold no files. Savepoints that were
        // never completed stay for an hour.
        let rest = self.job.coordinator.collect_orphans(REMOVE).unwrap();
        assert_eq!((rest.files, rest.shared.len(), rest.strays.len()), (0, 0, 0));
        self.check();
        while let Some((pointer, files)) = self.savepoints.pop() {
            let disposed = self.job.storage.discard_savepoint(&pointer, &files);
            if let Err(error) = &disposed {
                assert_eq!(error.kind(), ErrorKind::NotFound);
            }
            // A master may have taken what was disposed of before for a savepoint that was never completed.
            let is_marked = disposed.is_err() && self.ground.has_tombstone(&pointer);
            assert!(is_marked || self.ground.is_empty(&pointer), "{pointer} is not empty");
        }
        let storage = self.ground.look();
        let survey = storage.survey().unwrap();
        let mut places = survey.checkpoints.iter();
        assert!(places.all(|place| place.published || place.files.is_empty()));
        let there: BTreeSet<_> = shared_files(&*storage).into_iter().collect();
        assert_eq!(there, used(&*storage));
    }
}

/// A subtask takes its part; whether that completed the checkpoint.
pub(crate) fn take(
    job: &mut Job,
    plan: &alluvium_checkpoint::CheckpointPlan,
    subtask: u32,
) -> bool {
    match job.part(plan, subtask) {
        Ok(ack) => {
            let taken = job.coordinator.acknowledge(plan.id, UID, subtask, ack).unwrap();
            taken == Acknowledged::Completed
        }
        Err(error) => {
            job.coordinator.decline(plan.id, UID, subtask, error).unwrap();
            false
        }
    }
}

/// The files of a savepoint, which is whole.
fn files_of(storage: &dyn CheckpointStorage, pointer: &str) -> Vec<FileName> {
    let found = storage.open_pointer(pointer).unwrap();
    let metadata = CheckpointMetadata::decode(&found.metadata).unwrap();
    let files = metadata.keyed().flat_map(|(_, _, keyed)| &keyed.files);
    let mut names = Vec::new();
    for file in files {
        check_file(&*found.source, file);
        if let FileLocation::Own(name) = &file.stored.location {
            names.push(name.clone());
        }
    }
    names
}

/// The shared files that published checkpoints name.
fn used(storage: &dyn CheckpointStorage) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for id in storage.list().unwrap() {
        let metadata = CheckpointMetadata::decode(&storage.load(id).unwrap().metadata).unwrap();
        for (_, _, keyed) in metadata.keyed() {
            used.extend(keyed.files.iter().filter_map(shared_name).map(ToString::to_string));
        }
    }
    used
}
