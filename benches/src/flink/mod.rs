//! The other side of `benches/peers/flink`: the same operations on our backends, and the comparison.
//!
//! # Role
//! [`run`] is the whole of the program `flink`, which `scripts/bench-flink` runs in turns with Flink's own state
//! backends. It takes the words that `FlinkStateBench.java` takes and prints the same kind of lines; [`compare`]
//! makes ratios of the two.
//!
//! # What makes it the same work
//! F1. Keys, their order, values and draws are the same numbers: [`inputs`] has Java's generator. Each side reads all of its
//!     state once after filling it and prints what it found as one number; the numbers must be equal.
//! F2. Rounds end by time, warm-up is as long, and as many keys are added per round.
//! F3. Both sides call what their users call: Flink's typed states and our typed front, with the backend's type known
//!     at compile time.
//! F4. The other side's heap is touched before its rounds (`-XX:+AlwaysPreTouch`) and kept. Ours touches memory and frees
//!     it; `scripts/bench-flink` tells glibc to keep what is freed, so that no round waits for the kernel to clear pages,
//!     nor for the host of a virtual machine to find some.
//! F5. Flink writes snapshots into the page cache; ours are synced to the disk, as always. Nobody is forgiven that.

mod collections;
pub mod compare;
pub mod inputs;
mod measure;
mod options;
mod snapshots;
mod values;

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use alluvium_backend_fs::FsStore;
use alluvium_backend_memory::{MemoryStore, prefer_huge_pages};
use alluvium_state_api::{
    KeyGroupRange, KeyedBackend, KeyedStore, MaxParallelism, OpenEnv, RestorePart, Result,
};

use crate::Outcome;
use crate::disk::Disk;
use measure::Bench;
use options::Options;

/// What `--help` prints.
pub const USAGE: &str = "usage: flink --backend memory|fs|rocksdb --workload NAME [OPTION]...
       flink --compare DIRECTORY [--json]

Does what FlinkStateBench does on one of our backends, and prints one JSON object per measurement. NAME is value, value100,
list, reducing, map, rmw, snapshot or memory.

  --n N                           keys (1000000; 500000 on rocksdb)
  --newkeys N                     keys that are added (500000)
  --mapkeys N, --mapentries N     maps, and the entries of each (100000, 10)
  --warmups N, --rounds N         rounds (2, 5)
  --roundms N                     milliseconds of a round (250)
  --loadrounds N, --snaprounds N  bulk loads, snapshots and restores (3)
  --value long|bytes100           values, where memory is measured: by one process for each (long)
  --workdir DIR                   a directory on a local disk; the system's temporary one by default
  --compare DIRECTORY             compares DIRECTORY/ROUND/flink-heap.jsonl, flink-rocksdb.jsonl, memory.jsonl and so on
  --json                          one JSON object a line

Exit status: 0, 1 where a bar is missed or something fails, 2 for wrong usage.
";

/// A backend as it is measured here.
trait Side: KeyedStore + Sized + 'static {
    fn open_in(env: OpenEnv) -> Result<Self>;
}

impl Side for MemoryStore {
    fn open_in(env: OpenEnv) -> Result<Self> {
        Self::open(env)
    }
}

impl Side for FsStore {
    fn open_in(env: OpenEnv) -> Result<Self> {
        Self::open_with(env, alluvium_backend_fs::FsOptions::default())
    }
}

#[cfg(feature = "rocksdb")]
impl Side for alluvium::rocksdb::RocksStore {
    fn open_in(env: OpenEnv) -> Result<Self> {
        Self::open(env)
    }
}

/// Key groups, as on the other side.
const GROUPS: u32 = 128;

/// Memory that is touched before anything is measured (F4).
const TOUCHED_BYTES: usize = if cfg!(test) { 1 << 20 } else { 1 << 30 };

/// Writes to memory, and frees it.
fn touch_memory() {
    let mut memory = vec![0u8; TOUCHED_BYTES];
    prefer_huge_pages(&mut memory);
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    drop(black_box(memory));
}

type Backend<S> = KeyedBackend<u64, S>;

/// All key groups.
fn all_groups() -> Result<KeyGroupRange> {
    Ok(MaxParallelism::new(GROUPS)?.all())
}

/// A backend that owns these groups; restored if there are parts.
fn open<S: Side>(
    disk: &mut Disk,
    range: KeyGroupRange,
    parts: Vec<RestorePart>,
) -> Result<Backend<S>> {
    let space = KeyedBackend::<u64>::key_space(MaxParallelism::new(GROUPS)?, range)?;
    let env = OpenEnv::new(space).with_local_dir(disk.fresh_path()).with_restore(parts);
    Backend::new(S::open_in(env)?)
}

/// A backend that owns all groups and holds nothing.
fn fresh<S: Side>(disk: &mut Disk) -> Result<Backend<S>> {
    open(disk, all_groups()?, Vec::new())
}

/// Plays the workload that was asked for.
fn play<S: Side>(options: &Options) -> Outcome<()> {
    touch_memory();
    let mut disk = Disk::new(&options.directory)?;
    let bench = Bench::new(options);
    match options.workload.as_str() {
        "value" => values::longs::<S>(&bench, &mut disk),
        "value100" => values::bytes::<S>(&bench, &mut disk),
        "rmw" => values::read_modify_write::<S>(&bench, &mut disk),
        "list" => collections::list::<S>(&bench, &mut disk),
        "reducing" => collections::reducing::<S>(&bench, &mut disk),
        "map" => collections::map::<S>(&bench, &mut disk),
        "snapshot" => snapshots::all::<S>(&bench, &mut disk),
        "memory" => values::memory::<S>(&bench, &mut disk),
        other => Err(format!("unknown workload {other}").into()),
    }
}

/// Runs the program `flink` with the words of its command line.
pub fn run(words: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::parse(words) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(text) => {
            drop(writeln!(std::io::stderr().lock(), "flink: {text}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match perform(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            drop(writeln!(std::io::stderr().lock(), "flink: {error}"));
            ExitCode::from(1)
        }
    }
}

fn perform(options: &Options) -> Outcome<bool> {
    if let Some(directory) = &options.compare {
        return show(directory, options.json);
    }
    match options.backend.as_str() {
        "memory" => play::<MemoryStore>(options)?,
        "fs" => play::<FsStore>(options)?,
        #[cfg(feature = "rocksdb")]
        "rocksdb" => play::<alluvium::rocksdb::RocksStore>(options)?,
        #[cfg(not(feature = "rocksdb"))]
        "rocksdb" => return Err("this build lacks rocksdb: it needs --features rocksdb".into()),
        other => return Err(format!("unknown backend {other}").into()),
    }
    Ok(true)
}

/// Prints the comparison; whether all bars are reached.
fn show(directory: &Path, json: bool) -> Outcome<bool> {
    let compared = compare::directory(directory)?;
    if !json {
        print(&compare::Compared::heading());
    }
    for one in &compared {
        print(&if json { one.to_json() } else { one.to_string() });
    }
    Ok(compared.iter().all(|one| one.row.ok))
}

/// Prints a line. Nobody reads on where it cannot be written.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

#[cfg(test)]
mod tests;
