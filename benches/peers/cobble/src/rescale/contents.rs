//! What every side holds, and what it must read.

use alluvium::{KeyGroup, MaxParallelism, hash_bytes, stable_placement};
use alluvium_benches::Outcome;
use alluvium_benches::keys::{key, mix};
use alluvium_benches::subtasks::GROUPS;
use alluvium_benches::workload::Blob;

/// Reads of a change, spread over all keys; each key once where there are fewer.
const READS: u64 = 20_000;

/// Keys and the size of their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// How many keys there are.
    pub(super) keys: u64,
    /// Bytes of a value.
    pub(super) value_bytes: u32,
}

/// A key, and the value that was written for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// The key.
    pub(super) key: u64,
    /// Its value.
    pub(super) value: Blob,
}

impl Contents {
    /// The entry with this number. Keys do not follow one another as their numbers do.
    const fn entry(&self, number: u64) -> Probe {
        Probe { key: key(number), value: Blob { seed: mix(!number), bytes: self.value_bytes } }
    }

    /// All entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = Probe> {
        (0..self.keys).map(|number| self.entry(number))
    }

    /// How many reads there are of each change.
    pub(super) fn reads(&self) -> u64 {
        self.keys.min(READS)
    }

    /// The entries that are read, with their key groups.
    ///
    /// # Errors
    /// None as long as there are key groups.
    pub(super) fn probes(&self) -> Outcome<Vec<(KeyGroup, Probe)>> {
        let reads = self.reads();
        let numbers = (0..reads).map(|read| {
            let number = u128::from(read) * u128::from(self.keys) / u128::from(reads.max(1));
            u64::try_from(number).unwrap_or(u64::MAX)
        });
        let groups = MaxParallelism::new(GROUPS)?;
        Ok(numbers
            .map(|number| {
                let probe = self.entry(number);
                (group_of(groups, probe.key), probe)
            })
            .collect())
    }
}

/// The key group of a key, as our backends place it.
pub(super) fn group_of(groups: MaxParallelism, key: u64) -> KeyGroup {
    groups.group_of(stable_placement(hash_bytes(&key.to_be_bytes())))
}

/// Compares what is read with what was written.
#[derive(Debug, Default)]
pub(super) struct Checker {
    wanted: Vec<u8>,
}

impl Checker {
    /// Compares the value that was found for a key.
    ///
    /// # Errors
    /// Where it is another one, or none.
    pub(super) fn check(&mut self, probe: &Probe, found: Option<&[u8]>) -> Outcome<()> {
        probe.value.write(&mut self.wanted);
        match found {
            Some(found) if found == self.wanted => Ok(()),
            Some(_) => {
                Err(format!("key {:016x} has another value than was written", probe.key).into())
            }
            None => Err(format!("key {:016x} has no value", probe.key).into()),
        }
    }
}
