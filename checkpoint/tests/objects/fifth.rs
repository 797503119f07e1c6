//! Publications in an object store of whose requests a fifth fails.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use alluvium_checkpoint::object::{ObjectOptions, ObjectStorage};
use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::job;
use futures_executor::block_on;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::faulty::Faulty;
use crate::publications::Publications;

const ROOT: &str = "memory-objects://bucket";
const POINTS: u64 = 300;

fn open(store: Arc<dyn ObjectStore>) -> Arc<dyn CheckpointStorage> {
    let (random, url) = (Arc::new(OsRandomness), format!("{ROOT}/checkpoints"));
    let mut options = ObjectOptions::default();
    options.retry_pause = Duration::ZERO;
    Arc::new(ObjectStorage::open(store, random, ROOT, &url, &job(), options).unwrap())
}

#[test]
fn publications_complete_or_are_given_up() {
    let seed = env::var("ALLUVIUM_SEED").ok().map(|text| text.parse().unwrap());
    let seed = seed.unwrap_or_else(|| OsRandomness.next_u64() >> 32);
    let memory = Arc::new(InMemory::new());
    let store = Faulty::over(Arc::<InMemory>::clone(&memory), seed, 0);
    let publications = Publications {
        failing: open(Arc::new(store.clone())),
        look: open(memory),
        disturb: &|on| {
            store.set_percent(if on { 20 } else { 0 });
            if !on {
                block_on(store.land(true));
            }
        },
        large: 100_000,
    };
    let count = publications.run(POINTS);
    let (faults, bad) = (store.counts().1, count.bad);
    eprintln!("publications: points={POINTS} faults={faults} bad={bad} seed={seed} {count:?}");
    assert_eq!(count.bad, 0);
    assert!(count.completed > POINTS / 10 && count.given_up > POINTS / 10 && faults > POINTS / 2);
}
