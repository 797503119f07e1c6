//! Replays `fuzz/corpus`, and makes its first files.
//!
//! `cargo test -p alluvium-state-api --all-features fuzz -- --ignored` writes the seeds that are missing;
//! what the fuzzer found is added by `scripts/fuzz --minimise`.

use std::fs;
use std::path::PathBuf;

use super::{TARGETS, Target};
use crate::format::fuzz::{any_state_file, seal_metadata};
use crate::random::{Randomness, SeededRandomness};

/// What the corpora may have together.
const MOST_BYTES: usize = 2 << 20;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn replay(target: Target, name: &str) -> (usize, usize) {
    let mut files: Vec<_> =
        fs::read_dir(corpus(name)).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    let mut total = 0;
    for file in &files {
        let bytes = fs::read(file).unwrap();
        total += bytes.len();
        let done = std::panic::catch_unwind(|| target(&bytes));
        assert!(done.is_ok(), "target {name} fails with {}", file.display());
    }
    (files.len(), total)
}

#[test]
#[expect(clippy::print_stderr, reason = "the counts must be in the test's output")]
fn nothing_that_was_found_is_broken() {
    let (mut points, mut bytes) = (0, 0);
    for (name, target) in TARGETS {
        let replayed = replay(*target, name);
        points += replayed.0;
        bytes += replayed.1;
    }
    assert!(bytes < MOST_BYTES, "{bytes} bytes are too many to commit");
    eprintln!("fuzz replay: points={points} faults={points} bad=0 seed=0");
}

#[test]
fn every_corpus_has_its_target() {
    for directory in fs::read_dir(corpus(".")).unwrap() {
        let name = directory.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| **target == *name), "{name} has no target");
    }
}

/// A few inputs from which the fuzzer finds the others.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let random = SeededRandomness::new(2026);
    let noise = |length: usize| {
        (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect::<Vec<u8>>()
    };
    let golden = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name);
        fs::read(path).unwrap()
    };
    match target {
        "state_file" | "sealed_state_file" => {
            (8..40).map(|length| any_state_file(&noise(length * 4)).0).collect()
        }
        "metadata" | "sealed_metadata" => {
            let whole = golden("checkpoint._metadata");
            let mut cut = whole[..whole.len() / 2].to_vec();
            seal_metadata(&mut cut);
            vec![whole, cut, golden("../v1-frames/checkpoint._metadata")]
        }
        "lookups" => (2..40).map(|length| noise(length * 24)).collect(),
        "block" => {
            let blocks = (8..24).flat_map(|length| {
                let (file, _) = any_state_file(&noise(length * 4));
                let header = usize::from(u16::from_le_bytes([file[12], file[13]]));
                let block = file[header..].to_vec();
                [1, 3, 5].map(|layout| [&[layout; 7][..], &block].concat())
            });
            blocks.collect()
        }
        "settings" => vec![
            b"state.backend=memory\nstate.checkpoints.dir=/tmp/x\n".to_vec(),
            b"execution.checkpointing.interval = 30 s\npipeline.max-parallelism=128".to_vec(),
            b"execution.checkpointing.snapshot-compression=zstd\na.password=x".to_vec(),
        ],
        "settings_toml" => vec![
            b"[execution.checkpointing]\ninterval = \"30 s\"\nnum-retained = 3\n".to_vec(),
            b"\"state.backend\" = \"memory\"\nstate.backend.incremental = true".to_vec(),
        ],
        "file_names" => vec![b"0123456789abcdef".to_vec(), b"../x".to_vec()],
        "pointers" => ["/job/chk-7", "file:///job/chk-7/_metadata", "/savepoint-a-b/", "s3://b/k"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec(),
        "elements" => vec![b"\x01\x01\0\0\0a\0\0\0\0".to_vec()],
        _ => (1..24).map(|length| noise(length * 3)).collect(),
    }
}

#[test]
#[ignore = "writes the seeds of the corpora"]
fn write_missing_seeds() {
    for (name, _) in TARGETS {
        fs::create_dir_all(corpus(name)).unwrap();
        for (index, seed) in seeds(name).into_iter().enumerate() {
            let path = corpus(name).join(format!("seed-{index:02}"));
            if !path.exists() {
                fs::write(path, seed).unwrap();
            }
        }
    }
}
