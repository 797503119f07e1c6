//! Sixteen processes' worth of publishers for one checkpoint.

use std::sync::Barrier;
use std::thread;

use alluvium_state_api::ErrorKind;
use alluvium_state_api::testkit::storages::content::id;

use crate::cluster::{fresh, open, setting};

const PUBLISHERS: usize = 16;

#[test]
fn of_sixteen_publishers_one_wins() {
    let rounds = setting("ALLUVIUM_HDFS_RACES", 20);
    let directory = fresh().place("checkpoints");
    // Each with a connection of its own, as processes have.
    let storages: Vec<_> = (0..PUBLISHERS).map(|_| open(&directory).unwrap()).collect();
    let (mut bad, mut losers) = (0, 0);
    for round in 1..=rounds {
        let barrier = Barrier::new(PUBLISHERS);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (number, storage) in storages.iter().enumerate() {
                let barrier = &barrier;
                threads.push(scope.spawn(move || {
                    let attempt = storage.begin(id(round)).unwrap();
                    barrier.wait();
                    attempt.publish(format!("publisher {number}").as_bytes())
                }));
            }
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winners: Vec<_> = (0..PUBLISHERS).filter(|at| outcomes[*at].is_ok()).collect();
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            losers += 1;
        }
        let found = storages[0].load(id(round)).unwrap().metadata;
        let right = winners.len() == 1 && found == format!("publisher {}", winners[0]).as_bytes();
        bad += u64::from(!right);
    }
    println!("hdfs races: points={rounds} faults={losers} bad={bad} seed=0");
    assert_eq!(bad, 0);
}
