//! State larger than the memory that it may take: what is resident, and how fast it is.
//!
//! A store on the file system is filled with keys of 8 and values of 100 bytes in random order, until there
//! is so much state as was asked for; then random keys are updated, read one by one, and read in batches,
//! for a while each. Every value that is read is compared with what its key must have.

use std::path::Path;
use std::sync::Arc;

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_state_api::codec::Native;
use alluvium_state_api::vfs::{FileSystem as _, RealFs};
use alluvium_state_api::{KeyedBackend, NoNamespace, ValueDescriptor, ValueHandle, ValueState};

use crate::clock::Stopwatch;
use crate::engine::environment;
use crate::keys::{Uniform, key};
use crate::resident::{Resident, Sampler};
use crate::subject::BATCH;
use crate::watch::Watch;
use crate::{Outcome, float};

/// Bytes of a value: the number of the key, a count of updates, and filling.
const VALUE_BYTES: usize = 100;
/// Bytes of a key and its value.
const ENTRY_BYTES: u64 = 8 + VALUE_BYTES as u64;
/// Operations between two looks at the clock; whole batches.
const PIECE: u64 = 100 * BATCH as u64;

const VALUE: ValueDescriptor<Value> = ValueDescriptor::new("value");

type Value = [u8; VALUE_BYTES];

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of keys and values.
    pub state_bytes: u64,
    /// The store's options, with the budget of its write layer.
    pub options: FsOptions,
    /// How long each phase after the first lasts.
    pub seconds: f64,
}

/// What one phase showed.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// What was done in it.
    pub operations: u64,
    /// How long it took.
    pub seconds: f64,
    /// The highest of each during it.
    pub resident: Resident,
    /// Bytes of the store's private files at its end.
    pub disk_bytes: u64,
    /// The number of these files.
    pub files: usize,
}

impl Phase {
    /// Operations per second.
    pub fn rate(&self) -> f64 {
        float(self.operations) / self.seconds
    }
}

fn value(number: u64, updates: u64) -> Value {
    let mut value = [0x5a; VALUE_BYTES];
    let (of_key, rest) = value.split_at_mut(8);
    of_key.copy_from_slice(&number.to_le_bytes());
    if let Some(count) = rest.first_chunk_mut::<8>() {
        *count = updates.to_le_bytes();
    }
    value
}

/// The number of updates in a value, which must be the one of the key with this number.
fn updates(found: Option<Value>, number: u64) -> Option<u64> {
    let found = found?;
    let count = found.get(8..).and_then(<[u8]>::first_chunk::<8>)?;
    let count = u64::from_le_bytes(*count);
    (found == value(number, count)).then_some(count)
}

fn wrong(number: u64) -> Box<dyn std::error::Error + Send + Sync> {
    format!("key number {number} has no value, or another one's").into()
}

/// A store and what watches it.
struct Course<'p> {
    backend: KeyedBackend<u64, FsStore>,
    handle: ValueHandle<Value, Native, NoNamespace>,
    keys: u64,
    random: Uniform,
    seconds: f64,
    directory: &'p Path,
    sampler: Sampler,
}

impl Course<'_> {
    /// Runs `piece` again and again until the time is over; it is told where to begin.
    fn phase(
        &mut self,
        name: &'static str,
        mut piece: impl FnMut(&mut Self, u64) -> Outcome<bool>,
    ) -> Outcome<Phase> {
        self.sampler.highest();
        let (clock, mut operations) = (Stopwatch::start(), 0);
        while piece(self, operations)? {
            operations += PIECE;
            if name != FILL && clock.seconds() >= self.seconds {
                break;
            }
        }
        let seconds = clock.seconds();
        let files: Vec<u64> =
            RealFs.list(self.directory)?.iter().map(|entry| entry.metadata.length).collect();
        Ok(Phase {
            name,
            operations,
            seconds,
            resident: self.sampler.highest(),
            disk_bytes: files.iter().sum(),
            files: files.len(),
        })
    }

    /// Sets the keys from this number on, while there are some.
    fn fill(&mut self, from: u64) -> Outcome<bool> {
        for number in from..from.saturating_add(PIECE).min(self.keys) {
            self.backend.at(&key(number))?.value(self.handle).set(&value(number, 0))?;
        }
        Ok(from < self.keys)
    }

    fn update(&mut self) -> Outcome<bool> {
        for _ in 0..PIECE {
            let number = self.random.next().unwrap_or(0);
            let mut right = false;
            self.backend.at(&key(number))?.value(self.handle).update(|found| {
                let count = updates(found, number);
                right = count.is_some();
                count.map(|count| value(number, count.wrapping_add(1)))
            })?;
            if !right {
                return Err(wrong(number));
            }
        }
        Ok(true)
    }

    fn get(&mut self) -> Outcome<bool> {
        for _ in 0..PIECE {
            let number = self.random.next().unwrap_or(0);
            let found = self.backend.at(&key(number))?.value(self.handle).get()?;
            updates(found, number).ok_or_else(|| wrong(number))?;
        }
        Ok(true)
    }

    fn get_batched(&mut self) -> Outcome<bool> {
        let (mut numbers, mut keys) = ([0; BATCH], [0; BATCH]);
        for _ in 0..PIECE / BATCH as u64 {
            for (number, at) in numbers.iter_mut().zip(&mut keys) {
                *number = self.random.next().unwrap_or(0);
                *at = key(*number);
            }
            let mut bad = None;
            self.backend.batch(keys)?.get(self.handle, |index, found| {
                let number = numbers.get(index).copied().unwrap_or(u64::MAX);
                if updates(found, number).is_none() {
                    bad = Some(number);
                }
            })?;
            if let Some(number) = bad {
                return Err(wrong(number));
            }
        }
        Ok(true)
    }
}

const FILL: &str = "fill";

/// Carries out a plan in a private directory, and reports each phase when it ends.
///
/// # Errors
/// Where the store fails, or reads something wrong.
pub fn run(plan: &Plan, directory: &Path, mut report: impl FnMut(&Phase)) -> Outcome<()> {
    let watch = Watch::default();
    let mut env = environment(Vec::new())?.with_local_dir(directory);
    env.spawner = Arc::new(watch.clone());
    let mut backend = KeyedBackend::new(FsStore::open_with(env, plan.options.clone())?)?;
    let handle = backend.open(VALUE)?;
    let keys = plan.state_bytes / ENTRY_BYTES;
    let (random, sampler) = (Uniform::new(keys, 42), Sampler::start()?);
    let mut course =
        Course { backend, handle, keys, random, seconds: plan.seconds, directory, sampler };
    report(&course.phase(FILL, Course::fill)?);
    report(&course.phase("update", |course, _| course.update())?);
    report(&course.phase("get", |course, _| course.get())?);
    report(&course.phase("get in batches", |course, _| course.get_batched())?);
    // merging goes on; when it has ended, reads look into fewer segments
    while watch.is_busy() {
        course.get()?;
    }
    report(&course.phase("get, merged", |course, _| course.get())?);
    report(&course.phase("get in batches, merged", |course, _| course.get_batched())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_state_over_a_tiny_budget_is_all_there() -> Outcome<()> {
        let directory = tempfile::tempdir()?;
        let mut options = FsOptions::default();
        options.write_buffer_bytes = 256 << 10;
        let plan = Plan { state_bytes: 38_400 * ENTRY_BYTES, options, seconds: 0.01 };
        let mut phases = Vec::new();
        run(&plan, &directory.path().join("store"), |phase| phases.push(phase.clone()))?;
        let operations: Vec<u64> = phases.iter().map(|phase| phase.operations).collect();
        assert_eq!(phases.len(), 6);
        assert_eq!(operations.first(), Some(&38_400));
        assert!(operations.iter().all(|count| *count >= PIECE), "{operations:?}");
        assert!(phases.iter().all(|phase| phase.disk_bytes > 34_000 * ENTRY_BYTES), "{phases:?}");
        Ok(())
    }

    #[test]
    fn a_value_of_another_key_is_noticed() {
        assert_eq!(updates(Some(value(7, 3)), 7), Some(3));
        assert_eq!(updates(Some(value(8, 3)), 7), None);
        assert_eq!(updates(None, 7), None);
    }
}
