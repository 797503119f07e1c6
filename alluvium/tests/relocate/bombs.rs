//! Blocks that claim to hold, or expand to, far more than they are, behind right checksums: refused by
//! everything that reads them, in no more memory than an honest file of that length may take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use alluvium_checkpoint::{OperatorSpec, RestoreOptions, StartFrom, Trigger, dispose_savepoint};
use alluvium_state_api::format::{BufferReader, StateFile, file_checksum};
use alluvium_state_api::snapshot::{Compression, SnapshotKind};
use alluvium_state_api::testkit::corruption::Counting;
use alluvium_state_api::testkit::fuzz::with_other_blocks;
use alluvium_state_api::testkit::{Harness, groups};
use alluvium_state_api::{ErrorKind, KeyedBackend, OpenEnv, Result};

use super::Own;
use super::fs::Fs;
use super::harness::Memory;
use super::hostile::{Ground, anew, copy_out, first_file, path_of, read, write};
use super::job::{Job, UID, steps};

/// What reading an honest file of such blocks may take: 1024 times a block of 64 KiB, and something
/// beside it. Claims are well above it.
const BOUND_BYTES: usize = 80 << 20;

/// Code of a compression in files, and how many times the stored bytes a block may have.
const CODES: [(Compression, u8, u32); 3] =
    [(Compression::Snappy, 1, 24), (Compression::Lz4, 2, 256), (Compression::Zstd, 3, 1024)];

/// A savepoint in few and long blocks.
fn specimen(ground: &Ground) -> PathBuf {
    let mut job = Job::<Memory>::open(ground.storage(), SnapshotKind::Full);
    job.start(1, Some(groups(1)), StartFrom::Nothing);
    job.run(&steps(5, 2_000, 6_000), false);
    job.complete(Trigger::savepoint(None)).pointer.into()
}

/// Stored bytes that go on expanding for as long as somebody takes the result.
fn expanding(compression: Compression, length: usize) -> Vec<u8> {
    let (front, repeated): (&[u8], &[u8]) = match compression {
        // A length of 4 GiB - 1, a literal, and copies of 64 bytes from one byte before.
        Compression::Snappy => (&[255, 255, 255, 255, 15, 0, b'x'], &[0xfe, 1, 0]),
        // A literal, and a match of one byte before that gets 255 bytes longer with each byte.
        Compression::Lz4 => (&[0x1f, b'x', 1, 0], &[255]),
        // A window of 128 KiB, and blocks of one byte, 128 KiB times.
        _ => (&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x38], &[2, 0, 16, b'x']),
    };
    front.iter().chain(repeated.iter().cycle()).copied().take(length).collect()
}

/// A zstd frame that asks for a window of more than a terabyte.
fn wide_window(length: usize) -> Vec<u8> {
    let mut frame = expanding(Compression::Zstd, length);
    frame[5] = 0xf8;
    frame
}

/// How the blocks of a file are replaced.
type Bomb = (String, Box<dyn Fn(&mut [u8], &mut [u8])>);

fn block(header: &mut [u8], code: u8, raw: u32) {
    header[1] = code;
    header[12..16].copy_from_slice(&raw.to_le_bytes());
}

fn bombs() -> Vec<Bomb> {
    let mut all: Vec<Bomb> = Vec::new();
    for (compression, code, ratio) in CODES {
        let name = compression.name();
        for raw in [128 << 20, 1 << 31, u32::MAX] {
            let claim = move |header: &mut [u8], stored: &mut [u8]| {
                block(header, code, raw);
                stored.copy_from_slice(&expanding(compression, stored.len()));
            };
            all.push((format!("{name} that claims {raw} bytes"), Box::new(claim)));
        }
        let most = move |header: &mut [u8], stored: &mut [u8]| {
            let length = u32::try_from(stored.len()).unwrap();
            block(header, code, (128 << 10).max(length * ratio));
            stored.copy_from_slice(&expanding(compression, stored.len()));
        };
        all.push((format!("{name} that expands beyond what it claims"), Box::new(most)));
    }
    let window = |header: &mut [u8], stored: &mut [u8]| {
        block(header, 3, 128 << 10);
        stored.copy_from_slice(&wide_window(stored.len()));
    };
    all.push(("zstd with a wide window".to_owned(), Box::new(window)));
    all
}

/// What is said of a file so that its blocks are read.
pub(super) fn frame_checksum(bytes: &[u8]) -> u128 {
    StateFile::open(BufferReader::over(bytes), "lying").unwrap().frame_checksum()
}

/// Opens a store from the snapshot there.
pub(super) fn opened<H: Harness>(ground: &Ground, pointer: &str) -> Result<()> {
    let mut job = Job::<H>::open(ground.storage(), SnapshotKind::Full);
    let from = StartFrom::Pointer(pointer);
    let operators = [OperatorSpec::new(UID, 1)];
    let plan = job.coordinator.start(&operators, from, RestoreOptions::default())?;
    let subtask = &plan.operators[0].subtasks[0];
    let space = KeyedBackend::<u64>::key_space(groups(1), subtask.range)?;
    H::default().open(OpenEnv::new(space).with_restore(subtask.restore.clone())).map(drop)
}

/// `alluvium verify` in an address space of 1 GiB: its status, and what it says.
pub(super) fn verified(pointer: &Path) -> (Option<i32>, String) {
    let command = "ulimit -v 1048576 && exec \"$0\" verify \"$1\"";
    let program = env!("CARGO_BIN_EXE_alluvium");
    let output = Command::new("sh").args(["-c", command, program]).arg(pointer).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn bombs_are_refused_in_little_memory_by_all_that_decode_blocks() {
    assert!(Counting::is_installed());
    let ground = Ground::new();
    let savepoint = specimen(&ground);
    let pointer = savepoint.to_str().unwrap();
    let right = read(&savepoint);
    let file = path_of(&savepoint);
    let bytes = fs::read(&file).unwrap();
    let (mut longest, mut blocks) = (0, 0);
    with_other_blocks(&bytes, |_, stored| {
        (longest, blocks) = (longest.max(stored.len()), blocks + 1);
    });
    assert!(longest > 40_000 && blocks > 5, "{blocks} blocks, the longest of {longest} bytes");
    for (what, bomb) in bombs() {
        let lying = with_other_blocks(&bytes, bomb);
        let mut metadata = right.clone();
        let liar = first_file(&mut metadata);
        liar.stored.checksum = file_checksum(&lying);
        liar.frame_checksum = Some(frame_checksum(&lying));
        write(&savepoint, &metadata);
        fs::write(&file, &lying).unwrap();
        let uses: [(&str, &dyn Fn() -> Result<()>); 4] = [
            ("restore into memory", &|| opened::<Memory>(&ground, pointer)),
            ("restore into fs", &|| opened::<Fs>(&ground, pointer)),
            ("restore into the example", &|| opened::<Own>(&ground, pointer)),
            ("rehash", &|| anew(&ground.storage(), pointer, &ground.text("anew"))),
        ];
        for (used, done) in uses {
            let peak = Counting::begin();
            let error = done().expect_err(&what);
            let peak = peak.bytes();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}: {used}: {error}");
            assert!(error.to_string().contains("block"), "{what}: {used}: {error}");
            assert!(peak < BOUND_BYTES, "{what}: {used} took {peak} bytes");
        }
        assert!(!ground.at("anew").exists(), "{what}");
        let (status, text) = verified(&savepoint);
        assert_eq!(status, Some(1), "{what}: {text}");
        assert!(text.contains("block") && !text.contains("panicked"), "{what}: {text}");
        // A copy is made of bytes that nobody decodes, and is refused like the original.
        copy_out(&ground.storage(), pointer, &ground.text("copy")).unwrap();
        assert_eq!(fs::read(path_of(&ground.at("copy"))).unwrap(), lying, "{what}");
        assert_eq!(verified(&ground.at("copy")).0, Some(1), "{what}");
        dispose_savepoint(&*ground.storage(), &ground.text("copy")).unwrap();
    }
    write(&savepoint, &right);
    fs::write(&file, &bytes).unwrap();
    opened::<Memory>(&ground, pointer).unwrap();
    opened::<Fs>(&ground, pointer).unwrap();
    assert_eq!(verified(&savepoint).0, Some(0));
}
