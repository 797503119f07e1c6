//! Random lives of a job that starts from another job's snapshot in the same store, whose requests fail.
//!
//! Without claim every object of the other job stays as it was, byte for byte, whatever happens. With claim
//! that holds of everything but what is below the claimed pointer, and of this until the job has a whole
//! checkpoint of its own that was made from it; at the end nothing of the original is left.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;

use alluvium_checkpoint::{ClaimMode, StartFrom, Trigger};
use alluvium_state_api::random::{OsRandomness, Randomness, SeededRandomness};
use alluvium_state_api::{Error, ErrorKind};
use bytes::Bytes;
use futures_executor::block_on;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::bucket::everything;
use crate::fake::{Job, assert_whole, id, incremental};
use crate::faulty::Faulty;
use crate::grounds::objects::{ROOT, storage};
use crate::sequences::{REMOVE, take};

/// For each mode and kind of snapshot.
const LIVES: u64 = 40;

/// What happened in all lives of a mode.
#[derive(Debug, Default)]
struct Count {
    started: u64,
    refused: u64,
    crashes: u64,
    /// Lives in which the original was gone while requests still failed.
    gone_early: u64,
    faults: u64,
}

struct World {
    memory: Arc<InMemory>,
    store: Faulty,
    random: SeededRandomness,
    mode: ClaimMode,
    /// What the job starts from, and its key.
    pointer: String,
    prefix: String,
    /// The other job's objects as they were.
    theirs: BTreeMap<String, Bytes>,
    mine: Job,
    opened: u64,
}

fn objects(memory: &InMemory) -> BTreeMap<String, Bytes> {
    let listed = block_on(memory.list(None).try_collect::<Vec<_>>()).unwrap();
    let read = |at: &Path| block_on(async { memory.get(at).await.unwrap().bytes().await }).unwrap();
    listed.into_iter().map(|one| (one.location.to_string(), read(&one.location))).collect()
}

impl World {
    fn new(seed: u64, mode: ClaimMode, savepoint: bool) -> Self {
        let memory = Arc::new(InMemory::new());
        let calm = Arc::<InMemory>::clone(&memory);
        let mut other = Job::over(storage(calm, "other", seed), incremental(2));
        other.start(2, StartFrom::Newest).unwrap();
        for _ in 0..3 {
            other.complete(Trigger::checkpoint());
        }
        let saved = other.complete(Trigger::savepoint(None)).pointer;
        let pointer = if savepoint { saved } else { other.storage.load(id(3)).unwrap().pointer };
        let prefix = format!("{}/", pointer.strip_prefix(ROOT).unwrap().trim_start_matches('/'));
        let theirs = objects(&memory);
        assert!(theirs.keys().filter(|key| key.starts_with(&prefix)).count() > 0);
        let store = Faulty::over(Arc::<InMemory>::clone(&memory), seed, 0);
        let (opened, random) = ((seed + 1) << 20, SeededRandomness::new(seed));
        let mine = storage(Arc::new(store.clone()), "checkpoints", opened);
        let mine = Job::over(mine, incremental(1));
        Self { memory, store, random, mode, pointer, prefix, theirs, mine, opened }
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn live(&mut self, count: &mut Count) {
        for _ in 0..4 + self.below(16) {
            match self.below(8) {
                0 => self.start(count),
                1..4 => self.checkpoint(),
                4 => self.crash(count),
                5 => drop(block_on(self.store.land(false))),
                _ => {
                    let percent = [0, 5, 20, 20, 50, 80][self.below(6) as usize];
                    self.store.set_percent(percent);
                }
            }
            self.mine.deliver();
            self.check();
        }
        count.gone_early += u64::from(!self.original_is_there());
        self.quiesce(count);
        count.faults += self.store.counts().1;
    }

    /// From the newest checkpoint of its own, else from the other job's.
    fn start(&mut self, count: &mut Count) {
        let parallelism = 1 + self.below(3) as u32;
        let started = if self.mine.retained().is_empty() {
            self.mine.start_as(parallelism, StartFrom::Pointer(&self.pointer), self.mode)
        } else {
            self.mine.start(parallelism, StartFrom::Newest)
        };
        match started {
            Ok(_) => count.started += 1,
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate),
                    "{error:?}"
                );
                count.refused += 1;
            }
        }
    }

    fn checkpoint(&mut self) {
        let Ok(plan) = self.mine.coordinator.trigger(Trigger::checkpoint()) else { return };
        let declines = self.below(6) == 0;
        for subtask in 0..self.mine.stores.len() as u32 {
            if declines {
                let error = Error::unavailable("disk full");
                self.mine.coordinator.decline(plan.id, crate::fake::UID, subtask, error).unwrap();
            } else {
                take(&mut self.mine, &plan, subtask);
            }
        }
    }

    /// The process dies; the next one starts while requests fail as before.
    fn crash(&mut self, count: &mut Count) {
        let percent = [0, 5, 20, 50][self.below(4) as usize];
        self.store.set_percent(0);
        self.opened += 1;
        self.mine.storage = storage(Arc::new(self.store.clone()), "checkpoints", self.opened);
        self.mine.restart_process();
        self.store.set_percent(percent);
        count.crashes += 1;
        self.start(count);
    }

    fn original_is_there(&self) -> bool {
        let there = objects(&self.memory);
        let mut original = self.theirs.iter().filter(|(key, _)| key.starts_with(&self.prefix));
        original.all(|(key, bytes)| there.get(key) == Some(bytes))
    }

    fn check(&self) {
        let there = objects(&self.memory);
        let claimed = self.mode == ClaimMode::Claim;
        for (key, bytes) in &self.theirs {
            if !(claimed && key.starts_with(&self.prefix)) {
                assert_eq!(there.get(key), Some(bytes), "{key} is not what it was");
            }
        }
        let look = storage(Arc::<InMemory>::clone(&self.memory), "checkpoints", 0);
        assert_whole(&*look);
        if !self.original_is_there() {
            assert!(!look.list().unwrap().is_empty(), "neither the original nor a claim is there");
        }
    }

    /// Nothing fails any more, and what was late has landed.
    fn quiesce(&mut self, count: &mut Count) {
        self.store.set_percent(0);
        block_on(self.store.land(true));
        self.check();
        self.crash(count);
        self.store.set_percent(0);
        self.start(count);
        self.mine.deliver();
        for _ in 0..2 {
            self.mine.complete(Trigger::checkpoint());
        }
        self.check();
        self.mine.coordinator.collect_orphans(REMOVE).unwrap();
        let rest = self.mine.coordinator.collect_orphans(REMOVE).unwrap();
        assert_eq!((rest.files, &rest.shared, &rest.strays), (0, &vec![], &vec![]));
        self.check();
        if self.mode == ClaimMode::Claim {
            let mut left = everything(&*self.memory);
            left.retain(|key| key.starts_with(&self.prefix));
            assert_eq!(left, Vec::<String>::new(), "something of the original is left");
        }
    }
}

fn lives(mode: ClaimMode) -> Count {
    let given = env::var("ALLUVIUM_SEED").ok().map(|text| text.parse().unwrap());
    let seed = given.unwrap_or_else(|| OsRandomness.next_u64() >> 32);
    let mut count = Count::default();
    for savepoint in [false, true] {
        for seed in seed..seed + LIVES {
            eprintln!("{mode:?}: ALLUVIUM_SEED={seed}, a savepoint: {savepoint}");
            World::new(seed, mode, savepoint).live(&mut count);
        }
    }
    eprintln!("{mode:?}: {count:?}");
    assert!(count.started > LIVES && count.refused > LIVES / 4, "{count:?}");
    assert!(count.crashes > LIVES && count.faults > LIVES, "{count:?}");
    count
}

#[test]
fn without_claim_nothing_foreign_changes_whatever_fails() {
    let count = lives(ClaimMode::NoClaim);
    assert_eq!(count.gone_early, 0);
}

#[test]
fn with_claim_the_original_is_there_or_the_claim_is_whole_whatever_fails() {
    let count = lives(ClaimMode::Claim);
    assert!(count.gone_early > LIVES / 8, "{count:?}");
}
