//! Many publishers of one checkpoint at once: one wins, and everybody reads its bytes.

use std::sync::Barrier;
use std::thread;

use alluvium_state_api::ErrorKind;
use alluvium_state_api::storage::CheckpointAttempt;
use alluvium_state_api::testkit::storages::content::{check_whole, encode, id, write_three};
use alluvium_state_api::testkit::storages::job;

use crate::bucket::Bucket;

const RACES: u64 = 50;
const PUBLISHERS: u64 = 32;

#[test]
fn one_publisher_of_many_wins() {
    let bucket = Bucket::new();
    let storage = bucket.open(bucket.port(), &job(), None).unwrap();
    let (mut bad, mut lost) = (0, 0);
    for race in 1..=RACES {
        let attempts: Vec<_> = (0..PUBLISHERS).map(|_| storage.begin(id(race)).unwrap()).collect();
        let files = write_three(&*attempts[0].sink(), race).unwrap();
        let metadata = |number: u64| format!("{number} {race}").into_bytes();
        let metadata = |number: u64| if number == 0 { encode(&files) } else { metadata(number) };
        let barrier = Barrier::new(attempts.len());
        let publish = |number, attempt: &dyn CheckpointAttempt| {
            let metadata = metadata(number);
            barrier.wait();
            match attempt.publish(&metadata) {
                Ok(()) => Some(number),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
                    None
                }
            }
        };
        let winners: Vec<u64> = thread::scope(|scope| {
            let publish = &publish;
            let numbered = (0..).zip(&attempts);
            let threads: Vec<_> = numbered
                .map(|(number, attempt)| scope.spawn(move || publish(number, &**attempt)))
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        lost += PUBLISHERS - winners.len() as u64;
        let found = bucket.open(bucket.port(), &job(), None).unwrap().load(id(race)).unwrap();
        let right = winners.len() == 1 && found.metadata == metadata(winners[0]);
        if winners == [0] {
            check_whole(&found).unwrap();
        }
        bad += u64::from(!right);
    }
    eprintln!("races: points={RACES} faults={lost} bad={bad} seed=0");
    assert_eq!(bad, 0);
}
