//! Servers that are killed while checkpoints are taken, and started again.
//!
//! `ALLUVIUM_HDFS_SERVERS` names the command that kills and starts them: `scripts/hdfs-servers DIR`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use alluvium_state_api::ErrorKind;
use alluvium_state_api::random::{Randomness, SeededRandomness};
use alluvium_state_api::storage::{CheckpointStorage, FileScope};
use alluvium_state_api::testkit::storages::content::{content, encode, id, write};
use alluvium_state_api::vfs::FileSystem;

use crate::cluster::{fresh, look, open, setting};

/// Longer than two blocks of the servers.
const FILE_BYTES: usize = (2 << 20) + 777;

/// Runs the command, and returns what it printed.
fn servers(verb: &str, which: &str) -> String {
    let command = std::env::var("ALLUVIUM_HDFS_SERVERS").unwrap();
    let mut words = command.split_whitespace();
    let mut run = Command::new(words.next().unwrap());
    // The servers it starts keep what they inherit, so that they get no pipe.
    let reads = verb == "fsyncs";
    let stdout = if reads { Stdio::piped() } else { Stdio::inherit() };
    let ended = run.args(words).args([verb, which]).stdout(stdout).spawn().unwrap();
    let output = ended.wait_with_output().unwrap();
    assert!(output.status.success(), "{command} {verb} {which}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "kills a server that the other tests use"]
fn every_block_of_a_file_is_synced_on_the_datanode() {
    // Counts from 0, and shows what it counted some seconds later.
    drop(servers("kill", "datanode"));
    drop(servers("start", "datanode"));
    let place = fresh();
    let mut file = place.fs.create_new(&place.root.join("blocks")).unwrap();
    file.write_all(&content(1, (3 << 20) + 1)).unwrap();
    file.sync().unwrap();
    let synced = || servers("fsyncs", "datanode").trim().parse::<u64>().unwrap();
    let seen = (0..60).any(|_| {
        thread::sleep(Duration::from_millis(500));
        synced() >= 4
    });
    assert!(seen, "{} blocks of 4 were synced", synced());
}

fn checkpoint(storage: &dyn CheckpointStorage, number: u64) -> alluvium_state_api::Result<()> {
    let attempt = storage.begin(id(number))?;
    let file = |scope, seed| write(&*attempt.sink(), scope, &content(seed, FILE_BYTES));
    let files = file(FileScope::Own, number)
        .and_then(|own| Ok(vec![own, file(FileScope::Shared, number + 1_000)?]));
    let published = files.and_then(|files| attempt.publish(&encode(&files)));
    if published.is_err() {
        drop(attempt.abort());
    }
    published
}

/// Takes checkpoints while `which` is killed and started again, so many times.
fn outages(which: &str, rounds: u64) {
    let seed = setting("ALLUVIUM_SEED", alluvium_state_api::random::OsRandomness.next_u64() >> 32);
    let random = SeededRandomness::new(seed);
    let place = fresh();
    let directory = place.place("checkpoints");
    let (ended, next) = (AtomicBool::new(false), AtomicU64::new(1));
    let (mut acknowledged, mut refused) = (BTreeSet::new(), BTreeSet::new());
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let storage = open(&directory).unwrap();
            let mut told = Vec::new();
            while !ended.load(Ordering::Acquire) {
                let number = next.fetch_add(1, Ordering::AcqRel);
                told.push((number, checkpoint(&*storage, number).map_err(|error| error.kind())));
            }
            told
        });
        for _ in 0..rounds {
            // Somewhere in a checkpoint, which takes some tenths of a second.
            thread::sleep(Duration::from_millis(500 + random.next_u64() % 1_500));
            drop(servers("kill", which));
            thread::sleep(Duration::from_millis(random.next_u64() % 1_000));
            drop(servers("start", which));
            let begun = next.load(Ordering::Acquire);
            while next.load(Ordering::Acquire) < begun + 3 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        ended.store(true, Ordering::Release);
        for (number, outcome) in writer.join().unwrap() {
            match outcome {
                Ok(()) => drop(acknowledged.insert(number)),
                // May be there, since nobody could take it back.
                Err(ErrorKind::Indeterminate) => {}
                Err(_) => drop(refused.insert(number)),
            }
        }
    });
    let wrong = look(&*open(&directory).unwrap(), &acknowledged, &refused);
    for problem in &wrong {
        println!("{problem}");
    }
    println!(
        "hdfs {which}: points={} faults={rounds} bad={} seed={seed} failed={}",
        acknowledged.len() + refused.len(),
        wrong.len(),
        refused.len(),
    );
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(acknowledged.len() as u64 > rounds, "{}", acknowledged.len());
}

#[test]
#[ignore = "kills the servers that the other tests use"]
fn a_datanode_killed_midway_never_makes_half_a_checkpoint() {
    outages("datanode", setting("ALLUVIUM_HDFS_OUTAGES", 10));
}

#[test]
#[ignore = "kills the servers that the other tests use"]
fn a_namenode_killed_midway_never_makes_half_a_checkpoint() {
    outages("namenode", setting("ALLUVIUM_HDFS_OUTAGES", 5));
}
