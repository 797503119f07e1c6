//! What a backend by name takes of memory and of its disk, phase by phase: for the binary `footprint`.
//!
//! Time on a shared machine with all files in the kernel's cache says little about another disk. How many bytes are
//! written for a byte of state, and how many reads a lookup needs, is a property of the store alone, and a disk's limits
//! can be set against it. The kernel counts both for the process (`/proc/self/io`).

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::{KeyedSnapshot, SnapshotKind, SnapshotRequest};
use alluvium_state_api::{
    BackendRegistry, CheckpointId, KeyedBackend, MaxParallelism, OpenEnv, ValueDescriptor,
    ValueHandle, ValueState,
};

use crate::Outcome;
use crate::clock::timed;
use crate::disk::Disk;
use crate::keys::{Uniform, key, mix};
use crate::resident::{Resident, Sampler};

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
/// A store that wrote less than that in a second has come to rest.
const REST_BYTES: u64 = 1 << 20;
/// How long it may take to come to rest, in seconds.
const MOST_SECONDS: u32 = 120;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of values to fill in.
    pub state_bytes: u64,
    /// Bytes of a value, of which half compress.
    pub value_bytes: usize,
    /// Lookups in each phase of lookups.
    pub lookups: u64,
    /// The backend and its settings.
    pub settings: Settings,
    /// Where everything lies.
    pub directory: PathBuf,
}

/// What a phase took.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Operations.
    pub operations: u64,
    /// Seconds.
    pub seconds: f64,
    /// The highest own memory while it lasted, above that before the store was opened.
    pub resident_bytes: u64,
    /// What was read and written.
    pub io: Io,
}

/// What the kernel counted for the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Calls that read.
    pub reads: u64,
    /// Bytes that they read, also from the kernel's cache.
    pub read_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
}

impl Io {
    pub(crate) fn now() -> Outcome<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/io")?)
    }

    fn parse(text: &str) -> Outcome<Self> {
        let figure = |name: &str| -> Outcome<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.ok_or_else(|| format!("the kernel tells no {name}"))?.trim().parse()?)
        };
        Ok(Self {
            reads: figure("syscr:")?,
            read_bytes: figure("rchar:")?,
            written_bytes: figure("wchar:")?,
        })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(before.reads),
            read_bytes: self.read_bytes.saturating_sub(before.read_bytes),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

type Backend = KeyedBackend<u64>;
type Handle = ValueHandle<Vec<u8>>;

struct Run<'a> {
    plan: &'a Plan,
    registry: &'a BackendRegistry,
    disk: Disk,
    sampler: Sampler,
    /// Own memory before the first store.
    before: u64,
    show: &'a mut dyn FnMut(&Phase),
}

/// Plays the phases, and shows each as it ends.
///
/// # Errors
/// Those of the backend; where something else is read than was written.
pub fn run(plan: &Plan, registry: &BackendRegistry, show: &mut dyn FnMut(&Phase)) -> Outcome<()> {
    let disk = Disk::new(&plan.directory)?;
    let sampler = Sampler::start()?;
    let before = Resident::now()?.anonymous;
    let mut run = Run { plan, registry, disk, sampler, before, show };
    let (mut backend, value) = run.open(None)?;
    let keys = (plan.state_bytes / plan.value_bytes.max(1) as u64).max(1);
    let (lookups, bytes) = (plan.lookups, plan.value_bytes);
    let mut buffer = Vec::new();
    let mut put = |backend: &mut Backend, number: u64| -> Outcome<()> {
        fill(&mut buffer, bytes, number);
        Ok(backend.at(&key(number))?.value(value).set(&buffer)?)
    };
    run.phase("fill", keys, || (0..keys).try_for_each(|number| put(&mut backend, number)))?;
    run.phase("overwrite", keys, || {
        each(keys, keys, 2).try_for_each(|number| put(&mut backend, number))
    })?;
    run.phase("rest", 1, rest)?;
    run.phase("get", lookups, || get(&mut backend, value, each(keys, lookups, 3), bytes))?;
    run.phase("get nothing", lookups, || {
        each(keys, lookups, 4).try_for_each(|number| {
            match backend.at(&key(number + keys))?.value(value).get()? {
                Some(_) => Err("a key is there that was never written".into()),
                None => Ok(()),
            }
        })
    })?;
    run.phase("scan", keys, || {
        let mut seen = 0;
        backend.for_each_key(value, |_| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        if seen == keys { Ok(()) } else { Err(format!("{seen} keys instead of {keys}").into()) }
    })?;
    let attempt = run.disk.begin()?;
    let mut taken = None;
    run.phase("snapshot", keys, || {
        let task =
            backend.snapshot(&SnapshotRequest::new(attempt.id, SnapshotKind::Incremental))?;
        taken = Some((attempt.run(task)?, attempt.id));
        Ok(())
    })?;
    drop(backend);
    let began = Io::now()?;
    let (opened, seconds) = timed(|| run.open(taken.as_ref()));
    let (mut backend, value) = opened?;
    run.shown("restore", keys, seconds, began)?;
    run.phase("get restored", lookups, || get(&mut backend, value, each(keys, lookups, 5), bytes))
}

impl Run<'_> {
    /// Opens a store, over what was taken where something was.
    fn open(
        &mut self,
        taken: Option<&(KeyedSnapshot, CheckpointId)>,
    ) -> Outcome<(Backend, Handle)> {
        let groups = MaxParallelism::new(128)?;
        let space = Backend::key_space(groups, groups.all())?;
        let parts = taken.map(|taken| self.disk.part(taken)).into_iter().collect();
        let directory = self.disk.fresh_path();
        let env = OpenEnv::new(space).with_local_dir(directory).with_restore(parts);
        let mut backend = Backend::new(self.registry.open(env, &self.plan.settings)?)?;
        let value = backend.open(VALUE)?;
        Ok((backend, value))
    }

    fn phase(
        &mut self,
        name: &'static str,
        operations: u64,
        work: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<()> {
        self.sampler.highest();
        let before = Io::now()?;
        let (done, seconds) = timed(work);
        done?;
        self.shown(name, operations, seconds, before)
    }

    fn shown(
        &mut self,
        name: &'static str,
        operations: u64,
        seconds: f64,
        before: Io,
    ) -> Outcome<()> {
        let highest = self.sampler.highest().anonymous.max(Resident::now()?.anonymous);
        let resident_bytes = highest.saturating_sub(self.before);
        let io = Io::now()?.since(before);
        (self.show)(&Phase { name, operations, seconds, resident_bytes, io });
        Ok(())
    }
}

fn each(keys: u64, count: u64, seed: u64) -> impl Iterator<Item = u64> {
    Uniform::new(keys, seed).take(usize::try_from(count).unwrap_or(usize::MAX))
}

/// The value of a key: half random, half zeros.
fn fill(buffer: &mut Vec<u8>, bytes: usize, number: u64) {
    buffer.clear();
    let words = (0..).map(|at| mix(number ^ mix(at)));
    words.take(bytes.div_ceil(16)).for_each(|word| buffer.extend_from_slice(&word.to_le_bytes()));
    buffer.resize(bytes, 0);
}

/// Looks keys up and compares their values.
fn get(
    backend: &mut Backend,
    value: Handle,
    mut numbers: impl Iterator<Item = u64>,
    bytes: usize,
) -> Outcome<()> {
    let mut buffer = Vec::new();
    numbers.try_for_each(|number| {
        fill(&mut buffer, bytes, number);
        let found = backend.at(&key(number))?.value(value).get()?;
        if found.as_ref() == Some(&buffer) {
            return Ok(());
        }
        Err(format!("key {number} has another value than was written").into())
    })
}

/// Waits until the process writes nothing any more.
fn rest() -> Outcome<()> {
    for _ in 0..MOST_SECONDS {
        let before = Io::now()?;
        thread::sleep(Duration::from_secs(1));
        if Io::now()?.since(before).written_bytes < REST_BYTES {
            return Ok(());
        }
    }
    Err("the store does not come to rest".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_calls_and_bytes() {
        let text = "rchar: 5\nwchar: 6\nsyscr: 7\nsyscw: 8\nread_bytes: 0\nwrite_bytes: 0\n";
        let io = Io::parse(text).unwrap();
        assert_eq!(io, Io { reads: 7, read_bytes: 5, written_bytes: 6 });
        assert!(Io::parse("rchar: 5\n").is_err());
        assert_eq!(io.since(Io { reads: 3, read_bytes: 9, written_bytes: 6 }).reads, 4);
    }

    #[test]
    fn phases_come_in_order_on_every_backend() {
        let directory = tempfile::tempdir().unwrap();
        for backend in ["memory", "fs"] {
            let plan = Plan {
                state_bytes: 100_000,
                value_bytes: 100,
                lookups: 500,
                settings: Settings::from_pairs([("state.backend", backend)]).unwrap(),
                directory: directory.path().to_owned(),
            };
            let mut names = Vec::new();
            run(&plan, &alluvium::registry(), &mut |phase| names.push(phase.name)).unwrap();
            assert_eq!(
                (names.len(), names.first(), names.last()),
                (9, Some(&"fill"), Some(&"get restored"))
            );
        }
    }
}
